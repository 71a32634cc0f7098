"""Uploads without Gradio: reading, removal, and pictures of their features."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import ASTFeatureExtractor, Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from lssed_hf import AudioError, PyResNetFeatureExtractor
from lssed_hf.inference.timeline.figure import draw_timeline
from lssed_hf.inference.timeline.scoring import TimelineSegment
from lssed_hf.web.analysis import front_end
from lssed_hf.web.drawing import draw_features, fit_timeline
from lssed_hf.web.recordings import Uploads, clock, read_recording


def test_a_recording_at_the_limit_is_read(write_clip, tmp_path):
    path = write_clip(tmp_path / "clip.ogg", seconds=2, rate=48000, channels=2)
    assert read_recording(path, 16000, max_seconds=2).samples.shape == (32000,)
    with pytest.raises(AudioError, match=r"^clip\.ogg: lasts 2 s, and this page takes up to 1 s; upload a part"):
        read_recording(path, 16000, max_seconds=1)


def test_an_upload_that_is_gone_is_asked_for_again(tmp_path):
    with pytest.raises(AudioError, match=r"^clip\.wav: is not kept any more; upload it again$"):
        read_recording(tmp_path / "clip.wav", 16000, 10)


def test_lengths_read_as_people_write_them():
    assert [clock(seconds) for seconds in (0.25, 3.2345, 59.4, 60, 125, 600)] == [
        *("0.25 s", "3.23 s", "59.4 s", "1 min", "2:05 min", "10 min")
    ]


def test_each_session_has_one_upload_and_shares_equal_ones(tmp_path):
    files = [tmp_path / name / "clip.wav" for name in "abc"]
    for file in files:
        file.parent.mkdir()
        file.touch()
    uploads = Uploads()
    uploads.keep("one", files[0])
    uploads.keep("one", files[0])
    uploads.keep("two", files[0])
    uploads.keep("one", files[1])
    assert all(file.is_file() for file in files), "the second session still has the first file"
    uploads.keep("two", None)
    assert not files[0].parent.exists() and files[1].is_file()
    uploads.keep("one", tmp_path / "c")  # a folder is no upload
    uploads.keep("one", None)
    assert not files[1].exists() and files[2].is_file()
    uploads.keep("nobody", None)


@pytest.mark.parametrize(
    "extractor, shape, step",
    [
        (PyResNetFeatureExtractor(normalization="utterance"), (63, 128), 0.032),
        (WhisperFeatureExtractor(), (200, 80), 0.01),
        (ASTFeatureExtractor(), (1024, 128), None),
        (Wav2Vec2FeatureExtractor(), (32000,), 1 / 16000),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("width", [330, 940])
def test_front_ends_of_all_kinds_are_drawn(extractor, shape, step, width):
    waveform = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    features = front_end(SimpleNamespace(feature_extractor=extractor, sampling_rate=16000), waveform)
    assert features.values.shape == shape and features.step == step
    file = io.BytesIO()
    draw_features(features, width).savefig(file, format="rgba")
    pixels = np.frombuffer(file.getvalue(), np.uint8).reshape(-1, 2 * width, 4)
    assert pixels[..., :3].std() > 20


def test_mel_filters_are_labelled_with_their_frequencies():
    extractor = PyResNetFeatureExtractor(normalization="utterance")
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    features = front_end(SimpleNamespace(feature_extractor=extractor, sampling_rate=16000), tone)
    loudest = features.values.mean(axis=0).argmax()
    assert features.frequencies[loudest] == pytest.approx(1000, rel=0.03)
    figure = draw_features(features)
    figure.canvas.draw()
    ticks = {tick.get_text(): tick.get_position()[1] for tick in figure.axes[0].get_yticklabels()}
    assert ticks["1"] == pytest.approx(loudest + 0.5, abs=1) and list(ticks) == ["0.25", "0.5", "1", "2", "4", "8"]


@pytest.mark.parametrize("width", [260, 330, 940])
@pytest.mark.parametrize(
    "labels", [["sad", "happy"], [*"abcdefghijk"], ["disappointed"] * 11, ["a_long_label" * 5, "sad"]]
)
def test_the_legend_of_a_timeline_fits_its_width(labels, width):
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(len(labels)), 5).astype(np.float32)
    segments = [TimelineSegment(float(start), start + 3.0, row) for start, row in enumerate(rows)]
    figure = fit_timeline(draw_timeline(segments, labels), width)
    figure.canvas.draw()
    (legend,) = figure.legends
    frame = legend.get_window_extent()
    assert frame.x0 >= 0 and frame.x1 <= figure.bbox.width
    assert len(legend.get_texts()) == len(labels)
    assert figure.axes[0].get_window_extent().height > 60
