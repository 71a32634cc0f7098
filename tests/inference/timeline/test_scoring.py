"""`score_timeline`: windows over a recording that is streamed."""

import copy
import sys
import tracemalloc
import types

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tiny_classifier import write_classifier

import lssed_hf
from lssed_hf import audio, load_classifier
from lssed_hf.audio import AudioError, load_audio
from lssed_hf.inference import voice_activity
from lssed_hf.inference.classifiers.classifier import Classifier
from lssed_hf.inference.classifiers.speaker_statistics import SpeakerStatistics
from lssed_hf.inference.timeline.envelope import Envelope
from lssed_hf.inference.timeline.scoring import ENROLMENT, NO_SPEECH, NO_TURN, OWN_SPEECH, TOO_SHORT
from lssed_hf.inference.timeline.turns import Turn
from lssed_hf.inference.voice_activity import silero_gate


RATE = 1000


class Listener(Classifier):
    """Keeps what it is given; its answer tells the first sample."""

    def __init__(self, rate=RATE, batch_size=2):
        self.config = types.SimpleNamespace(id2label={0: "a", 1: "b"}, num_labels=2)
        self.feature_extractor = types.SimpleNamespace(sampling_rate=rate)
        self.batch_size = batch_size
        self.heard = []

    def logits(self, batch):
        self.heard += batch
        return np.array([[samples[0], 0.0] for samples in batch], np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("recordings")


def ramp(folder, length):
    """Write a recording whose samples say where they are."""
    path = folder / f"{length}.wav"
    if not path.exists():
        soundfile.write(path, np.arange(length, dtype=np.float32) / 2**15, RATE, subtype="FLOAT")
    return path


def score(path, **settings):
    """Segments as (first sample, last, speaker, skipped), once each answer is found to be that of its samples."""
    classifier = Listener()
    segments = list(lssed_hf.score_timeline(classifier, path, **settings))
    heard = {(round(float(samples[0]) * 2**15), len(samples)) for samples in classifier.heard}
    for samples in classifier.heard:
        np.testing.assert_array_equal(np.diff(samples), np.float32(2**-15))
    bounds = [(round(segment.start * RATE), round(segment.end * RATE)) for segment in segments]
    scored = [(first, last) for (first, last), segment in zip(bounds, segments) if segment.skipped is None]
    assert heard == {(first, last - first) for first, last in scored} and len(scored) == len(classifier.heard)
    for (first, _), segment in zip(bounds, segments):
        if segment.skipped is None:
            assert segment.probabilities[0] == pytest.approx(1 / (1 + np.exp(-first / 2**15)), abs=1e-6)
        else:
            assert segment.probabilities.shape == (2,) and np.isnan(segment.probabilities).all()
    return [(*pair, segment.speaker, segment.skipped) for pair, segment in zip(bounds, segments)]


def by_the_book(start, end, window, hop):
    """Windows of a stretch, by trying every sample."""
    starts = [first for first in range(start, end) if (first - start) % hop == 0 and first + window <= end]
    spans = [(first, first + window) for first in starts]
    return spans if spans and spans[-1][1] == end else [*spans, (max(start, end - window), end)]


lengths = st.integers(100, 9000)
windows = st.integers(100, 3000).flatmap(lambda window: st.tuples(st.just(window), st.integers(20, window)))


@given(lengths, windows, st.integers(50, 4000))
def test_windows_of_any_recording(folder, length, window_and_hop, block):
    window, hop = window_and_hop
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "_BLOCK", block)
        spans = score(ramp(folder, length), window_seconds=window / RATE, hop_seconds=hop / RATE)
    assert spans == [(*span, None, None) for span in by_the_book(0, length, window, hop)]


@given(lengths, windows, st.lists(st.tuples(st.integers(0, 9000), st.integers(100, 5000)), min_size=1, max_size=5))
def test_windows_of_turns_and_what_lies_between(folder, length, window_and_hop, turns):
    turns = [(first, min(first + size, length), f"s{number}") for number, (first, size) in enumerate(turns)]
    turns = [turn for turn in turns if turn[1] - turn[0] >= 100]
    window, hop = window_and_hop
    spans = score(
        ramp(folder, length),
        window_seconds=window / RATE,
        hop_seconds=hop / RATE,
        turns=[Turn(first / RATE, last / RATE, speaker) for first, last, speaker in turns],
    )
    assert [span[0] for span in spans] == sorted(span[0] for span in spans)
    for first, last, speaker in turns:
        assert [s[:2] for s in spans if s[2] == speaker] == by_the_book(first, last, window, hop)
    silent = np.ones(length, bool)
    for first, last, _ in turns:
        silent[first:last] = False
    between = np.zeros(length, int)
    for first, last, speaker, skipped in spans:
        if speaker is None:
            assert skipped == NO_TURN
            between[first:last] += 1
    np.testing.assert_array_equal(between, silent)


def test_the_defaults(folder):
    assert [span[:2] for span in score(ramp(folder, 6400))] == [
        *[(0, 3000), (1000, 4000), (2000, 5000), (3000, 6000)],
        (3400, 6400),
    ]
    assert score(ramp(folder, 2000)) == [(0, 2000, None, None)]
    assert score(ramp(folder, 50)) == [(0, 50, None, TOO_SHORT)]


def test_a_gate_leaves_windows_unscored_in_their_place(folder):
    def second_half(blocks, sampling_rate):
        """Speech from 2 s on; says so late, and in pieces of its own."""
        samples = np.concatenate(list(blocks))
        for start in range(0, len(samples), 300):
            piece = samples[start : start + 300]
            yield piece, start + np.arange(len(piece)) >= 2 * sampling_rate

    settings = {"window_seconds": 1, "hop_seconds": 0.5, "vad": second_half}
    expected = [
        (first, first + 1000, None, None if first + 1000 > 2000 else NO_SPEECH) for first in range(0, 3001, 500)
    ]
    assert score(ramp(folder, 4000), **settings, min_speech=0.5) == expected
    assert [span[3] for span in score(ramp(folder, 4000), **settings, min_speech=0.51)][3] == NO_SPEECH
    assert all(span[3] is None for span in score(ramp(folder, 4000), **settings, min_speech=0))
    turns = [Turn(1, 1.5, "A"), Turn(2.5, 3.5, "B")]
    assert score(ramp(folder, 4000), **settings, turns=turns) == [
        *[(0, 1000, None, NO_TURN), (1000, 1500, "A", NO_SPEECH), (1500, 2500, None, NO_TURN)],
        *[(2500, 3500, "B", None), (3500, 4000, None, NO_TURN)],
    ]


class OwnListener(Listener):
    """Adapts to any speech: the answer tells the first sample less the speaker's mean."""

    takes_any_speech = True
    mean = 0.0

    def check_speakers(self):
        pass

    def speaker_statistics(self, waveforms):
        clips = list(waveforms)
        assert clips
        return SpeakerStatistics((float(np.mean([clip[0] for clip in clips])),), (1.0,), len(clips), 1.0)

    def for_speaker(self, statistics):
        other = copy.copy(self)
        other.mean, other.statistics = statistics.mean[0], statistics
        return other

    def logits(self, batch):
        return np.array([[samples[0] - self.mean, 0.0] for samples in batch], np.float32)


class TestOwnBaseline:
    def means(self, path, classifier=None, **settings):
        """Return the mean that each scored segment was freed of, in samples."""
        everything = {"window_seconds": 1, "vad": all_is_speech}
        found = []
        for segment in lssed_hf.score_timeline(classifier or OwnListener(), path, **{**everything, **settings}):
            if segment.skipped is None:
                first, odds = segment.start * RATE, np.log(segment.probabilities[0] / segment.probabilities[1])
                found.append(round(first - float(odds) * 2**15))
        return found

    def test_a_recording_is_its_own_by_default(self, folder):
        """Windows without overlap start at 0, 1000, 2000 and 3000."""
        assert set(self.means(ramp(folder, 4000), hop_seconds=0.25)) == {1500}
        assert set(self.means(ramp(folder, 4000), own_baseline=False)) == {0}
        assert set(self.means(ramp(folder, 4000), OwnListener(batch_size=1), own_baseline=True)) == {1500}

    def test_each_speaker_of_the_turns_has_one(self, folder):
        turns = [Turn(0, 2, "A"), Turn(2, 3, "B"), Turn(3, 4)]
        assert self.means(ramp(folder, 4000), turns=turns) == [500, 500, 2000, 0]

    def test_each_segment_tells_its_baseline(self, folder):
        def told(classifier, **settings):
            settings = {"window_seconds": 1, "vad": all_is_speech, **settings}
            return [one.baseline for one in lssed_hf.score_timeline(classifier, ramp(folder, 4000), **settings)]

        turns = [Turn(0, 2, "A"), Turn(2, 3, "B"), Turn(3, 3.5)]
        assert told(OwnListener()) == [OWN_SPEECH] * 4
        assert told(OwnListener(), own_baseline=False) == [None] * 4
        assert told(OwnListener(), turns=turns) == [*[OWN_SPEECH] * 3, None, None]  # nobody's turn, and no turn
        known = SpeakerStatistics((7 / 2**15,), (1.0,), 1, 1.0)
        assert told(OwnListener().for_speaker(known)) == [ENROLMENT] * 4
        assert told(OwnListener(), turns=turns[:2], speakers={"A": known, "B": known}) == [*[ENROLMENT] * 3, None]
        assert told(Listener()) == [None] * 4

    def test_a_speaker_without_speech_has_the_corpus_s(self, folder):
        def second_half(blocks, sampling_rate):
            samples = np.concatenate(list(blocks))
            yield samples, np.arange(len(samples)) >= 2 * sampling_rate

        turns = [Turn(0, 2, "A"), Turn(2, 4, "B")]
        assert self.means(ramp(folder, 4000), vad=second_half, turns=turns) == [2500, 2500]
        assert self.means(ramp(folder, 4000), vad=second_half) == [2500, 2500]

    @pytest.mark.parametrize("turns", [None, [Turn(0, 2, "A"), Turn(2, 4, "B")]])
    def test_the_gate_listens_once(self, turns, folder):
        heard = []

        def uneven(blocks, sampling_rate):
            samples = np.concatenate(list(blocks))
            heard.append(len(samples))
            for start in range(0, len(samples), 333):
                piece = samples[start : start + 333]
                yield piece, start + np.arange(len(piece)) >= 1.2 * sampling_rate

        settings = {"window_seconds": 1, "hop_seconds": 0.5, "vad": uneven, "turns": turns}
        segments = list(lssed_hf.score_timeline(OwnListener(), ramp(folder, 4000), **settings))
        assert [segment.skipped for segment in segments[:2]] == [NO_SPEECH, None]
        assert heard == [4000]

    def test_statistics_of_speakers_come_first(self, folder):
        known = OwnListener().for_speaker(SpeakerStatistics((7 / 2**15,), (1.0,), 1, 1.0))
        assert set(self.means(ramp(folder, 4000), known)) == {7}
        with pytest.raises(ValueError, match="two origins of a baseline"):
            lssed_hf.score_timeline(known, ramp(folder, 4000), own_baseline=True)

    def test_other_models_are_asked_for_it(self, folder, model):
        assert not load_classifier(model).takes_any_speech
        with pytest.raises(ValueError, match="mean and deviation"):
            lssed_hf.score_timeline(Listener(), ramp(folder, 4000), own_baseline=True)


def all_is_speech(blocks, sampling_rate):
    for block in blocks:
        yield block, np.ones(len(block), bool)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"window_seconds": 0}, "window_seconds"),
        ({"window_seconds": float("nan")}, "window_seconds"),
        ({"window_seconds": float("inf")}, "window_seconds"),
        ({"hop_seconds": 0}, "hop_seconds"),
        ({"hop_seconds": -1}, "hop_seconds"),
        ({"hop_seconds": float("nan")}, "hop_seconds"),
        ({"hop_seconds": 4}, "hop_seconds must be at most window_seconds"),
        ({"min_speech": 2}, "min_speech"),
        ({"turns": [Turn(-1, 1)]}, "turn from -1 to 1 s"),
        ({"turns": [Turn(2, 1, "A")]}, "turn of A from 2 to 1 s"),
        ({"turns": [Turn(0, float("nan"))]}, "nan"),
        ({"turns": [Turn(0, 1), Turn(3, 4.2)]}, "lasts 4.000 s, so it has no turn from 3 to 4.2 s"),
    ],
)
def test_settings_are_checked_at_once(folder, settings, message):
    with pytest.raises(ValueError, match=message):
        lssed_hf.score_timeline(Listener(), ramp(folder, 4000), **settings)


def test_a_turn_may_end_a_little_after_its_recording(folder):
    assert score(ramp(folder, 4000), turns=[Turn(3, 4.04, "A"), Turn(4.01, 4.03, "B")]) == [
        *[(0, 3000, None, NO_TURN), (3000, 4000, "A", None), (4000, 4000, "B", TOO_SHORT)]
    ]


def test_recordings_that_cannot_be_used(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        lssed_hf.score_timeline(Listener(), tmp_path / "nowhere.wav")
    (tmp_path / "empty.wav").touch()
    with pytest.raises(AudioError, match=r"empty\.wav"):
        lssed_hf.score_timeline(Listener(), tmp_path / "empty.wav")
    soundfile.write(tmp_path / "cut.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 200_000), 8000)
    content = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError, match=r"cut\.flac: truncated"):
        list(lssed_hf.score_timeline(Listener(), tmp_path / "cut.flac"))


def test_closing_the_iterator_closes_the_file(folder, monkeypatch):
    opened = []

    class Spy(soundfile.SoundFile):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            opened.append(self)

    monkeypatch.setattr(audio.soundfile, "SoundFile", Spy)
    segments = lssed_hf.score_timeline(Listener(), ramp(folder, 300_000))
    next(segments)
    assert not all(file.closed for file in opened)
    segments.close()
    assert opened and all(file.closed for file in opened)


def test_a_recording_is_read_as_it_is_scored(folder):
    envelope = Envelope(64)
    segments = lssed_hf.score_timeline(Listener(), ramp(folder, 600_000), envelope=envelope)
    next(segments)
    _, _, high = envelope.outline(1.0)
    assert high.max() < 200_000 / 2**15
    list(segments)
    edges, low, high = envelope.outline(600.0)
    assert edges[-1] == 600 and low[0] == 0 and high[-1] == np.float32(599_999 / 2**15)


@pytest.mark.parametrize(
    "turns",
    [None, [Turn(0, 1)], [Turn(7199, 7200)], [Turn(0, 7200), Turn(5000, 5001)]],
    ids=["none", "first", "last", "all"],
)
def test_memory_does_not_grow_with_the_recording(folder, turns):
    path = ramp(folder, 7_200_000)  # 29 MB as floats
    settings = {"window_seconds": 60, "hop_seconds": 60, "turns": turns}

    class Deaf(Listener):
        def logits(self, batch):
            return np.zeros((len(batch), 2), np.float32)

    tracemalloc.start()
    for _ in lssed_hf.score_timeline(Deaf(), path, **settings):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6


@given(st.lists(st.integers(0, 50), max_size=12), st.sampled_from([2, 4, 10]))
def test_an_envelope_is_the_extremes_of_equal_stretches(lengths, size):
    envelope = Envelope(size)
    samples = np.random.default_rng(0).normal(size=sum(lengths)).astype(np.float32)
    for part in np.split(samples, np.cumsum(lengths)[:-1] if lengths else []):
        envelope.add(part)
    edges, low, high = envelope.outline(float(len(samples)))
    assert len(edges) == len(low) + 1 and len(low) <= size
    assert len(samples) < size or len(low) > size // 2
    for start, end, least, most in zip(edges, edges[1:], low, high):
        part = samples[round(start) : round(end)]
        assert (least, most) == (part.min(), part.max())
    assert len(samples) == 0 or (edges[0] == 0 and edges[-1] == len(samples))
    with pytest.raises(ValueError, match="even number"):
        Envelope(3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), ["angry", "sad"])


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from lssed_hf.hub.export import export_model

    folder = tmp_path_factory.mktemp("exported") / "onnx"
    export_model(model, folder)
    return folder


@pytest.mark.parametrize("rate, channels", [(16000, 1), (44100, 2), (8000, 3)])
@pytest.mark.parametrize("kind", ["model", pytest.param("exported", marks=pytest.mark.slow)])
def test_a_stream_scores_as_windows_of_the_whole_file(request, tmp_path, kind, rate, channels):
    classifier = lssed_hf.load_classifier(request.getfixturevalue(kind), batch_size=3)
    path = tmp_path / "long.wav"
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0.01, 0.5, 20), rate)[: round(17.3 * rate), None]
    soundfile.write(path, loudness * rng.uniform(-1, 1, (len(loudness), channels)), rate)
    segments = list(lssed_hf.score_timeline(classifier, path))
    whole = load_audio(path, 16000)
    cut = [whole[round(segment.start * 16000) : round(segment.end * 16000)] for segment in segments]
    assert len(cut) == 16 and {len(samples) for samples in cut} == {48000}
    np.testing.assert_allclose(
        [segment.probabilities for segment in segments], list(classifier.probabilities(cut)), atol=1e-5
    )


@pytest.fixture(scope="module")
def interview(shared_data, tmp_path_factory):
    """Real speech from 4 to 8 and from 12 s on, and else next to nothing."""
    clip = load_audio(shared_data / "emodb" / "03a01Fa.flac")
    clip = np.tile(clip, 1 + 8 * 16000 // len(clip))
    samples = np.random.default_rng(0).normal(0, 1e-4, 20 * 16000).astype(np.float32)
    for start, end in ((4, 8), (12, 20)):
        samples[start * 16000 : end * 16000] = clip[: (end - start) * 16000]
    return samples


@pytest.mark.parametrize("rate", [16000, 44100, 8000])
def test_voice_activity_on_real_speech(interview, tmp_path, rate):
    import soxr
    import torch

    samples = soxr.resample(interview, 16000, rate)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    pieces = list(silero_gate(np.array_split(samples, 37), rate))
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    np.testing.assert_array_equal(np.concatenate([piece for piece, _ in pieces]), samples)
    speech = np.concatenate([speech for _, speech in pieces])
    assert speech.dtype == bool and len(speech) == len(samples)
    seconds = speech.reshape(20, -1).mean(axis=1)
    assert max(seconds[[0, 1, 2, 9, 10]]) < 0.1 and seconds[4:8].mean() > 0.6 and seconds[13:].mean() > 0.6

    path = tmp_path / "interview.wav"
    soundfile.write(path, samples, rate)
    segments = list(lssed_hf.score_timeline(Listener(rate), path, window_seconds=2, vad=True))
    skipped = [segment.start for segment in segments if segment.skipped == NO_SPEECH]
    assert {0, 1, 2, 9, 10} <= set(skipped) and not {4, 5, 6, *range(12, 19)} & set(skipped)


def test_voice_activity_is_that_of_the_package(interview):
    import silero_vad

    whole = silero_vad.load_silero_vad(sequence=True).audio_forward(interview[:160_300]) >= 0.5
    pieces = silero_gate(np.array_split(interview[:160_300], 23), 16000)
    speech = np.concatenate([speech for _, speech in pieces])
    np.testing.assert_array_equal(speech, np.repeat(whole, 512)[:160_300])


def test_voice_activity_without_its_package_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    voice_activity._silero.cache_clear()
    with pytest.raises(ImportError, match="pip install silero-vad"):
        list(lssed_hf.score_timeline(Listener(), ramp(folder, 4000), vad=True))
