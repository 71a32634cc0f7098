"""Server of the page, and its visitor without a browser."""

import json
import re
import socket
import threading
import time
import uuid
from contextlib import contextmanager
from pathlib import Path


def wait_until(true, seconds: float = 120.0) -> bool:
    """Return whether a condition becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@contextmanager
def running(app):
    """Run an app on a port of its own, and yield the address."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(300)


class Visitor:
    """Requests that a browser would send."""

    def __init__(self, address: str):
        import httpx

        self.session = uuid.uuid4().hex
        self.http = httpx.Client(base_url=address, timeout=300)
        self.config = self.http.get("config").json()
        # Other events: each example has one without inputs, and the picker one with a model.
        self.event = next(event for event in self.config["dependencies"] if len(event["inputs"]) == 3)

    def upload(self, path: Path):
        return self.http.post("gradio_api/upload", files={"files": (path.name, path.read_bytes())})

    def classify(self, uploaded: str | None, model: str, width=1280) -> dict:
        """Return `data`, the updates of the outputs, or `error`, the message of Gradio."""
        file = uploaded and {"path": uploaded, "meta": {"_type": "gradio.FileData"}}
        return self.send(self.event, [file, model, width])

    def click(self, button: str) -> str:
        """Press an example, and return the path of the recording that it puts on the page."""
        (number,) = (row["id"] for row in self.config["components"] if row["props"].get("value") == button)
        (event,) = (row for row in self.config["dependencies"] if [number, "click"] in row["targets"])
        return self.send(event, [])["data"][0]["path"]

    def send(self, event: dict, data: list) -> dict:
        body = {"data": data, "fn_index": event["id"], "session_hash": self.session}
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
        """Keep the browser's tab open for the duration of the block."""
        with self.http.stream("GET", f"gradio_api/heartbeat/{self.session}") as heartbeat:
            lines = heartbeat.iter_lines()  # held, because the connection closes with it
            next(lines)
            yield


class Results:
    """Outputs on the page: None where an output is hidden."""

    def __init__(self, message, scores, note, timeline_part, timeline, picture_part, picture):
        self.message = message["value"] if message["visible"] else None
        rows = re.findall(r'"label">([^<]*)<.*?"percent">(\d+)%<', scores["value"]) if scores["visible"] else []
        self.scores = {label: int(percent) / 100 for label, percent in rows}
        values = re.findall(r"<li>([^<:]*): <strong>([^<]*)<", scores["value"]) if scores["visible"] else []
        self.values = {name: float(value) for name, value in values}
        self.note = re.sub("<[^>]*>", "", note["value"]) if note["visible"] else None
        self.timeline = timeline if timeline_part["visible"] else None
        self.picture = picture if picture_part["visible"] else None


class AppConfig:
    """Components of an app that is not being served."""

    def __init__(self, app):
        (page,) = (route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks"))
        self.components = page.get_blocks().get_config_file()["components"]
