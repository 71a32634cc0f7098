"""Somebody at the page, without a browser."""

import json
import time
import uuid
from contextlib import contextmanager
from pathlib import Path


def wait_until(true, seconds: float = 10.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Visitor:
    """The requests that a browser would send."""

    def __init__(self, address: str):
        import httpx

        self.session = uuid.uuid4().hex
        self.http = httpx.Client(base_url=address, timeout=60)
        self.config = self.http.get("config").json()
        self.event = next(event for event in self.config["dependencies"] if event["inputs"])

    def upload(self, path: Path):
        return self.http.post("gradio_api/upload", files={"files": (path.name, path.read_bytes())})

    def classify(self, uploaded: str | None, model: str, width=1280) -> dict:
        """`data`, the updates of the outputs, or `error`, Gradio's message."""
        file = uploaded and {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
        body = {"data": [file, model, width], "fn_index": self.event["id"], "session_hash": self.session}
        self.http.post("gradio_api/queue/join", json=body).raise_for_status()
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session}) as events:
            for line in events.iter_lines():
                event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if event.get("msg") == "process_completed":
                    return event["output"]
        raise AssertionError("no answer")

    def see(self, path: Path | None, model: str = "three", width=1280) -> "Results":
        uploaded = self.upload(path).raise_for_status().json()[0] if path else None
        return Results(*self.classify(uploaded, model, width)["data"])

    @contextmanager
    def present(self):
        """As long as the browser's tab is open."""
        with self.http.stream("GET", f"gradio_api/heartbeat/{self.session}") as heartbeat:
            lines = heartbeat.iter_lines()  # held, because the connection closes with it
            next(lines)
            yield


class Results:
    """What is on the page: None where an output is hidden."""

    def __init__(self, message, scores, note, timeline_part, timeline, picture_part, picture):
        self.message = message["value"] if message["visible"] else None
        shown = scores["visible"] and scores["value"]
        self.scores = shown and {row["label"]: row["confidence"] for row in scores["value"]["confidences"]}
        self.note = note["value"] if note["visible"] else None
        self.timeline = timeline["plot"] if timeline_part["visible"] else None
        self.picture = picture["plot"] if picture_part["visible"] else None
