"""Page, by the requests of its visitors."""

import base64
import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import lssed_hf
from lssed_hf.testing import espeak
from lssed_hf.web.model_facts import ModelFacts


pytest.importorskip("gradio")

from visitor import AppConfig, Results, Visitor, running, wait_until

from lssed_hf.web.app import build_app


pytestmark = pytest.mark.usefixtures("one_thread")


def image(picture: str) -> Image.Image:
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', picture)
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_clip_gets_its_scores_and_a_picture(visitor, classifiers, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.flac")
    results = visitor.see(clip)
    expected = {row["label"]: row["score"] for row in classifiers["three"](clip)}
    assert results.scores == pytest.approx(expected, abs=0.006)
    assert list(results.scores) == list(expected), "the best first"
    assert results.note.startswith("2 s, classified as a whole.")
    assert results.message is None and results.timeline is None
    assert np.asarray(image(results.picture).convert("L")).std() > 10


def test_a_long_recording_gets_a_timeline(visitor, classifiers, make_speech, tmp_path):
    recording = make_speech(tmp_path / "long.wav", seconds=8.5)
    results = visitor.see(recording)
    segments = list(lssed_hf.score_timeline(classifiers["three"], recording))
    mean = np.mean([segment.probabilities for segment in segments], axis=0)
    assert results.scores == pytest.approx(dict(zip(classifiers["three"].labels, mean.tolist())), abs=0.006)
    assert results.note.startswith(f"8.5 s: mean of {len(segments)} windows of 3 s.")
    first = classifiers["three"].labels[segments[0].probabilities.argmax()]
    assert f'alt="Most likely emotion over time: {first} from 0 s' in results.timeline
    assert np.asarray(image(results.timeline).convert("L")).std() > 10


def test_pictures_are_as_wide_as_the_window(visitor, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav")
    widths = [image(visitor.see(clip, width=width).picture).width for width in (390, 1280)]
    assert widths[0] == 2 * 330 and widths[1] > 1500
    for width in (-1, 10**9, None):
        assert 500 < image(visitor.see(clip, width=width).picture).width < 2000


def test_every_model_of_the_picker_answers_with_its_labels(visitor, make_speech, tmp_path):
    clip = make_speech(tmp_path / "clip.wav")
    assert set(visitor.see(clip, "three").scores) == {"angry", "neutral", "happy"}
    assert set(visitor.see(clip, "four").scores) == {"angry", "neutral", "happy", "sad"}
    uploaded = visitor.upload(clip).json()[0]
    assert "not in the list of choices" in visitor.classify(uploaded, "five")["error"]


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("text", "not an audio file"),
        ("headless", "not an audio file"),
        ("empty", "the file is empty"),
        ("no_samples", "holds no samples"),
        ("long", "lasts 21 s, and this page takes up to 20 s; upload a part of it"),
        ("nan", "sample 0 of 16000 is NaN or infinite"),
        ("cut", "truncated"),
        ("huge", "8 channels at 96000 Hz are too much data; convert it to mono at 16000 Hz"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(visitor, bad_files, kind, reason, page):
    results = visitor.see(bad_files[kind])
    assert reason in results.message and 'role="alert"' in results.message
    assert f">{bad_files[kind].name}: " in results.message, "by its own name, without the server's folder"
    assert (results.scores, results.note, results.timeline, results.picture) == ({}, None, None, None)


def test_a_good_file_after_a_bad_one(visitor, bad_files, make_speech, tmp_path):
    visitor.see(bad_files["text"])
    results = visitor.see(make_speech(tmp_path / "clip.wav"))
    assert results.message is None and len(results.scores) == 3


def test_silence_gets_a_note_in_place_of_an_emotion(visitor, tmp_path):
    soundfile.write(tmp_path / "muted.wav", np.zeros(16000), 16000)
    results = visitor.see(tmp_path / "muted.wav")
    assert results.scores == {} and results.message is None
    assert results.note == "1 s, not classified. Note: silent."


def test_what_is_not_speech_gets_no_emotion_from_the_built_in_model(page, classifiers, tmp_path, monkeypatch):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 32000), 16000)
    facts = {"three": ModelFacts(speech_only=True)}
    with running(build_app({"three": classifiers["three"]}, facts=facts)) as address:
        results = Visitor(address).see(tmp_path / "noise.wav")
    assert results.scores == {} and results.note == "2 s, not classified. Note: no speech."
    assert results.picture is not None


def test_each_model_is_presented_with_its_score(visitor, classifiers):
    (facts,) = (row["props"] for row in visitor.config["components"] if row["props"].get("elem_id") == "facts")
    assert "Model: three." in facts["value"] and "Tested: UA 0.50 on nobody, split test." in facts["value"]
    assert "It is a toy." in facts["value"] and "guessing gives 0.33" in facts["value"]
    picker = next(row["id"] for row in visitor.config["components"] if row["type"] == "dropdown")
    (event,) = (row for row in visitor.config["dependencies"] if row["inputs"] == [picker])
    (other,) = visitor.send(event, ["four"])["data"]
    assert "Model: four." in other and "No score is recorded" in other and "UA (" not in other


def test_examples_are_synthetic_and_one_click_away(visitor, kept):
    pytest.importorskip("espeakng_loader")
    assert any("synthetic voice" in str(row["props"].get("value")) for row in visitor.config["components"])
    shown = []
    for button in ("Agitated voice", "Subdued voice", "Agitated voice"):
        results = Results(*visitor.classify(visitor.click(button), "three")["data"])
        assert results.message is None and len(results.scores) == 3
        shown.append(results.note)
    assert shown[0] == shown[2] != shown[1]
    assert len(kept()) == 1, "the earlier ones are gone"


def test_without_a_synthesiser_there_are_no_examples(classifiers, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    espeak.list_variants.cache_clear()
    components = AppConfig(build_app(classifiers)).components
    espeak.list_variants.cache_clear()
    assert not [row for row in components if row["type"] == "button" or "synthetic" in str(row["props"].get("value"))]


def test_a_model_that_fails_is_reported(page, tmp_path, make_speech, monkeypatch, classifiers, visitor):
    def fail(batch):
        raise RuntimeError("Kernel size can't be greater than actual input size")

    monkeypatch.setattr(classifiers["four"], "logits", fail)
    results = visitor.see(make_speech(tmp_path / "clip.wav"), "four")
    assert "clip.wav: the model cannot classify these 2 s (Kernel size can" in results.message


def test_larger_uploads_are_refused(visitor, tmp_path, kept):
    (tmp_path / "large.wav").write_bytes(bytes(3 * 2**20))
    answer = visitor.upload(tmp_path / "large.wav")
    assert answer.status_code == 413 and "maximum allowed size" in answer.text
    assert kept() == []


def test_uploads_go_with_the_next_one_and_with_the_visit(visitor, another_visitor, kept, make_speech, tmp_path):
    first, second = (make_speech(tmp_path / f"{seed}.wav", seed=seed) for seed in (11, 12))
    with another_visitor.present():
        with visitor.present():
            visitor.see(first)
            assert kept() == ["11.wav"]
            visitor.see(second)
            assert kept() == ["12.wav"]
            visitor.see(None)
            assert kept() == []
            another_visitor.see(first)
            visitor.see(first)
            visitor.see(second)
            assert kept() == ["11.wav", "12.wav"], "the other visitor's equal file stays"
        assert wait_until(lambda: kept() == ["11.wav"])
    assert wait_until(lambda: kept() == [])


def test_no_other_file_of_the_disk_is_read_or_deleted(visitor, model_folders, tmp_path, make_speech):
    secret = make_speech(tmp_path / "secret.wav")
    weights = model_folders["three"] / "config.json"
    for path in (
        secret,
        weights,
        Path("pyproject.toml").resolve(),
        Path(__file__),
        "/etc/passwd",
        "pyproject.toml",
        visitor.http.base_url,
    ):
        for route in ("file=", "file/", "file=../", "proxy="):
            answer = visitor.http.get(f"gradio_api/{route}{path}")
            assert answer.status_code in (400, 403, 404) and "root:" not in answer.text, (route, path)
        answer = visitor.classify(str(path), "three")
        assert "error" in answer and "data" not in answer
    visitor.see(None)
    assert secret.is_file() and weights.is_file()


def test_it_reports_to_nobody(page, visitor):
    assert visitor.config["analytics_enabled"] is False
    assert visitor.config.get("share_url") is None
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"


def test_one_model_needs_no_picker(visitor, classifiers):
    def pickers(components):
        return [row["props"] for row in components if row["type"] == "dropdown"]

    (picker,) = pickers(visitor.config["components"])
    assert picker["visible"] and picker["value"] == "three"
    assert [name for name, _ in picker["choices"]] == ["three", "four"]
    (picker,) = pickers(AppConfig(build_app({"four": classifiers["four"]})).components)
    assert not picker["visible"]


def test_settings_that_leave_nothing_are_refused(classifiers):
    with pytest.raises(ValueError, match="at least one classifier"):
        build_app({})
    with pytest.raises(ValueError, match="max_seconds=0"):
        build_app(classifiers, max_seconds=0)
