"""JSON endpoint: answers to programs, and to browsers for other sites."""

import json
import re
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile


pytest.importorskip("gradio")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def http(page):
    with httpx.Client(base_url=page[0], timeout=300) as client:
        yield client


def classify(http, body: bytes, **settings) -> httpx.Response:
    return http.post("api/classify", content=body, **settings)


@pytest.mark.parametrize("kind", [None, "application/x-www-form-urlencoded", "audio/flac", "text/plain"])
def test_a_body_of_any_content_type_is_classified(http, classifiers, make_speech, tmp_path, kind):
    clip = make_speech(tmp_path / "clip.flac")
    response = classify(http, clip.read_bytes(), headers={"content-type": kind} if kind else {})
    answer = response.raise_for_status().json()
    assert response.headers["content-type"] == "application/json"
    assert list(answer) == ["model", "labels", "seconds", "notes"]
    assert answer["model"] == "three" and answer["seconds"] == 2.0 and isinstance(answer["notes"], list)
    expected = classifiers["three"](clip)
    assert [row["label"] for row in answer["labels"]] == [row["label"] for row in expected], "the best first"
    assert [row["score"] for row in answer["labels"]] == pytest.approx([row["score"] for row in expected], abs=1e-4)


def test_a_form_is_classified(http, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    form = http.post("api/classify", files={"file": ("clip.wav", clip, "audio/wav")}).raise_for_status().json()
    assert form == classify(http, clip).json()


def test_a_model_is_chosen_by_its_name(http, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    answer = classify(http, clip, params={"model": "four"}).raise_for_status().json()
    assert answer["model"] == "four" and len(answer["labels"]) == 4
    response = classify(http, clip, params={"model": "five"})
    assert response.status_code == 400
    assert response.json() == {"error": "model=five is not served; choose from three, four"}


def test_a_long_recording_gets_the_mean_of_its_windows(http, visitor, make_speech, tmp_path):
    recording = make_speech(tmp_path / "long.wav", seconds=8.5)
    answer = classify(http, recording.read_bytes()).raise_for_status().json()
    assert answer["seconds"] == 8.5
    shown = visitor.see(recording).scores
    assert [row["label"] for row in answer["labels"]] == list(shown)
    assert [row["score"] for row in answer["labels"]] == pytest.approx(list(shown.values()), abs=0.006)


def test_silence_gets_a_note_in_place_of_labels(http, tmp_path):
    soundfile.write(tmp_path / "muted.wav", np.zeros(16000), 16000)
    answer = classify(http, (tmp_path / "muted.wav").read_bytes()).raise_for_status().json()
    assert answer["labels"] == [] and answer["notes"][0] == "silent"


@pytest.mark.parametrize(
    "kind, status, reason",
    [
        ("text", 415, "not an audio file"),
        ("headless", 415, "not an audio file"),
        ("empty", 400, "empty (0 bytes)"),
        ("no_samples", 422, "holds no samples"),
        ("nan", 422, "NaN or infinite"),
        ("cut", 422, "truncated"),
        ("long", 413, "takes up to 20 s"),
        ("huge", 413, "too much data"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(http, bad_files, kind, status, reason):
    for response in (
        classify(http, bad_files[kind].read_bytes()),
        http.post("api/classify", files={"file": (bad_files[kind].name, bad_files[kind].read_bytes())}),
    ):
        assert response.status_code == status
        assert list(response.json()) == ["error"] and reason in response.json()["error"]
        assert "\n" not in response.json()["error"] and "/tmp" not in response.json()["error"]


def test_too_large_a_file_is_refused_before_and_while_it_comes(http):
    large = bytes(3 * 2**20)
    assert classify(http, large).json() == {"error": "the file is larger than 2 MB; send a part of it"}
    in_pieces = http.post("api/classify", content=(large[:65536] for _ in range(48)))
    as_form = http.post("api/classify", files={"file": ("large.wav", large)})
    assert [in_pieces.status_code, as_form.status_code] == [413, 413]


@pytest.mark.parametrize(
    "request_, reason",
    [
        ({"files": {"other": ("clip.wav", b"RIFF")}}, "no recording; send it as the field file"),
        ({"data": {"file": "text"}, "files": {"other": ("a", b"")}}, "no recording; send it as the field file"),
        ({"files": [("file", ("a.wav", b"a")), ("file", ("b.wav", b"b"))]}, "Too many files"),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "the form cannot be read"),
    ],
)
def test_a_form_without_one_recording_is_refused(http, request_, reason):
    response = http.post("api/classify", **request_)
    assert response.status_code == 400 and reason in response.json()["error"]


@pytest.mark.parametrize("name", ["../../escaped.wav", "..\\..\\escaped.wav", "/etc/passwd", ".", "a\x00b", "x" * 300])
def test_a_file_name_leads_nowhere(http, name, make_speech, tmp_path, page):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    assert http.post("api/classify", files={"file": (name, clip)}).status_code == 200
    error = http.post("api/classify", files={"file": (name, b"not audio")}).json()["error"]
    assert "/" not in error.partition(":")[0] and "\\" not in error.partition(":")[0]


def test_nothing_stays_on_the_disk(http, make_speech, tmp_path, bad_files, kept):
    classify(http, make_speech(tmp_path / "clip.wav").read_bytes())
    classify(http, bad_files["text"].read_bytes())
    classify(http, bytes(3 * 2**20))
    assert kept() == []


def test_health_names_the_models(http):
    assert http.get("api/health").json() == {"status": "ok", "models": ["three", "four"]}


@pytest.mark.parametrize("method, path", [("GET", "api/classify"), ("GET", "api/nothing"), ("DELETE", "api/health")])
def test_other_addresses_answer_in_json(http, method, path):
    response = http.request(method, path)
    assert response.status_code == 404
    assert response.json() == {"error": f"{method} /{path} is not here; use POST /api/classify or GET /api/health"}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": "http://evil.example"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_sites_are_refused(http, headers, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    response = classify(http, clip, headers=headers)
    assert response.status_code == 403 and "other sites" in response.json()["error"]
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["", "config", "api/health", "gradio_api/info"])
def test_no_other_site_may_read_what_is_served(http, page, path):
    for origin in ("http://evil.example", "null", "http://localhost:1"):
        response = http.get(path, headers={"origin": origin})
        assert not [name for name in response.headers if name.startswith("access-control-allow-origin")]
    response = http.options(path, headers={"origin": "http://evil.example", "access-control-request-method": "POST"})
    assert response.status_code == 400 and "access-control-allow-origin" not in response.headers


def test_the_page_itself_may_call(http, page, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    assert classify(http, clip, headers={"origin": page[0]}).status_code == 200
    assert classify(http, clip, headers={"sec-fetch-site": "same-origin", "origin": page[0]}).status_code == 200


@pytest.mark.parametrize("path", ["", "config", "api/health"])
def test_another_host_name_is_refused(http, path):
    """Refuse DNS rebinding, by which the name of another site leads to this machine."""
    assert http.get(path, headers={"host": "evil.example"}).status_code == 400
    assert http.get(path, headers={"host": "localhost:7860"}).status_code == 200


def test_recordings_wait_for_each_other_and_a_crowd_is_sent_away(
    http, classifiers, make_speech, tmp_path, monkeypatch
):
    clip = make_speech(tmp_path / "clip.wav").read_bytes()
    answer, free, at_work, most = classifiers["four"].logits, threading.Event(), [], []

    def logits(batch):
        at_work.append(1)
        most.append(len(at_work))
        free.wait(30)
        at_work.pop()
        return answer(batch)

    monkeypatch.setattr(classifiers["four"], "logits", logits)
    statuses = []

    def ask():
        statuses.append(classify(http, clip, params={"model": "four"}).status_code)
        if statuses[-1] == 503:
            free.set()  # the ninth: the others are all there

    askers = [threading.Thread(target=ask) for _ in range(9)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(300)
    assert sorted(statuses) == [200] * 8 + [503]
    assert max(most) == 1


@pytest.mark.slow
def test_a_crowd_that_comes_back_is_answered(http, make_speech, tmp_path, kept):
    """Answer 200 uploads, 20 at a time, of clients that obey Retry-After, and leave no file of them."""
    clip = make_speech(tmp_path / "clip.wav").read_bytes()

    def ask(_: int) -> int:
        while (response := classify(http, clip, params={"model": "four"})).status_code == 503:
            time.sleep(float(response.headers["retry-after"]) / 10)  # impatient, so that there is a crowd
        return len(response.json()["labels"])

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(200))) == [4] * 200
    assert kept() == []


def test_answers_are_plain_json(http, make_speech, tmp_path):
    text = classify(http, make_speech(tmp_path / "clip.wav").read_bytes()).text
    json.loads(text, parse_constant=pytest.fail)  # no NaN


def test_the_documented_call_gives_what_the_documentation_shows(page, make_speech, tmp_path):
    curl = shutil.which("curl") or pytest.skip("no curl")
    text = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    command, shown = re.search(r"^(curl .*--data-binary.*)\n```\n\n```text\n(.*)\n", text, re.MULTILINE).groups()
    make_speech(tmp_path / "clip.wav")
    words = [curl, "--silent", *command.replace("http://127.0.0.1:7860", page[0]).split()[1:]]
    answer = json.loads(subprocess.run(words, cwd=tmp_path, check=True, capture_output=True).stdout)
    shown = json.loads(shown)
    assert list(answer) == list(shown) and [*map(type, answer.values())] == [*map(type, shown.values())]
    assert list(answer["labels"][0]) == list(shown["labels"][0])
