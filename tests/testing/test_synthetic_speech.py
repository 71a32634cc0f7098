import csv
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile


pytest.importorskip("espeakng_loader")

from lssed_hf.testing.espeak import list_variants, speak
from lssed_hf.testing.releases import lssed
from lssed_hf.testing.releases.lssed import METADATA_COLUMNS, METADATA_NAME, write_synthetic_lssed
from lssed_hf.testing.voices import PROSODY, SENTENCES, make_speakers, speak_as


BENCHMARK = ["angry", "neutral", "happy", "sad"]
EMOTIONS = [*BENCHMARK, "disappointed", "bored", "disgusted", "excited", "surprised", "fearful", "other"]
TEXT = "The train leaves the station at half past seven."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    return write_synthetic_lssed(tmp_path_factory.mktemp("corpus") / "lssed")


@pytest.fixture(scope="module")
def rows(corpus) -> list[dict[str, str]]:
    with (corpus / METADATA_NAME).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def median_f0(samples: np.ndarray, sampling_rate: int) -> float:
    """Return the median over loud frames of the autocorrelation's peak between 60 and 500 Hz, in Hz."""
    size, shortest, longest = sampling_rate // 20, sampling_rate // 500, sampling_rate // 60
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    loudness = (frames**2).mean(axis=1)
    spectra = np.abs(np.fft.rfft(frames[loudness > 0.3 * loudness.max()], 2 * size)) ** 2
    lags = np.fft.irfft(spectra)[:, shortest:longest].argmax(axis=1) + shortest
    return float(np.median(sampling_rate / lags))


class TestSpeak:
    def test_gives_float32_mono_and_its_rate(self):
        samples, sampling_rate = speak(TEXT)
        assert samples.dtype == np.float32 and samples.ndim == 1 and sampling_rate == 22050
        assert 1 < len(samples) / sampling_rate < 5
        assert 0.1 < np.abs(samples).max() <= 1

    @pytest.mark.parametrize("variant", [None, "f3", "f5", "m1", "klatt3", "Reed", "whisper"])
    def test_is_the_same_whatever_was_spoken_before(self, variant):
        first, _ = speak(TEXT, variant=variant)
        speak("She shyly sells shells.", variant="f5", rate=300, pitch=90, pitch_range=10, volume=200)
        speak("Guten Tag", voice="de", variant="klatt4")
        np.testing.assert_array_equal(speak(TEXT, variant=variant)[0], first)

    def test_obeys_its_settings(self):
        plain, sampling_rate = speak(TEXT)
        assert len(speak(TEXT, rate=300)[0]) < 0.7 * len(plain)
        assert median_f0(speak(TEXT, pitch=90)[0], sampling_rate) > 1.4 * median_f0(plain, sampling_rate)
        assert speak(TEXT, volume=50)[0].std() == pytest.approx(plain.std() / 2, rel=0.05)
        assert not speak(TEXT, volume=0)[0].any()
        assert not np.array_equal(speak(TEXT, pitch_range=0)[0], plain)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"voice": "xx-klingon"}, "xx-klingon"),
            ({"voice": "en-us+nobody"}, "nobody"),
            ({"voice": ""}, "voice ''"),
            ({"variant": "nobody"}, "nobody"),
            ({"rate": 79}, "rate must be between 80 and 450, got 79"),
            ({"pitch": 101}, "pitch must"),
            ({"pitch_range": -1}, "pitch_range must"),
            ({"volume": 201}, "volume must"),
        ],
    )
    def test_refuses_what_espeak_would_ignore(self, arguments, match):
        with pytest.raises(ValueError, match=match):
            speak(TEXT, **arguments)

    def test_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "espeakng_loader", None)
        with pytest.raises(ImportError, match=r'pip install "lssed-hf\[synthetic\]"'):
            speak(TEXT)


class TestSpeakers:
    def test_are_spread_and_varied(self):
        speakers = make_speakers(12)
        assert speakers == make_speakers(12) != make_speakers(12, seed=1)
        assert [speaker.number for speaker in speakers][:2] == [1, 91] and speakers[-1].number == 1000
        assert Counter(speaker.gender for speaker in speakers) == {"female": 6, "male": 6}
        assert Counter(speaker.age_group for speaker in speakers) == {"young": 4, "middle_aged": 4, "old": 4}
        assert len({speaker.variant for speaker in speakers}) == 12

    @pytest.mark.parametrize("num_speakers", [1, 2, 45, 1001, 9999])
    def test_have_numbers_of_their_own(self, num_speakers):
        speakers = make_speakers(num_speakers)
        assert len({speaker.number for speaker in speakers}) == num_speakers
        assert all(1 <= speaker.number <= 9999 for speaker in speakers)

    def test_use_variants_that_exist(self):
        assert {speaker.variant for speaker in make_speakers(20)} <= set(list_variants())


@pytest.mark.parametrize("speaker", make_speakers(4), ids=lambda speaker: speaker.variant)
def test_emotions_are_audible(speaker):
    clips = {emotion: speak_as(speaker, emotion, TEXT, rng=np.random.default_rng(0)) for emotion in PROSODY}
    assert len(clips["angry"]) < len(clips["neutral"]) < len(clips["sad"])
    assert clips["angry"].std() > 1.3 * clips["neutral"].std() > 1.3 * 1.3 * clips["sad"].std()
    assert median_f0(clips["sad"], 16000) < median_f0(clips["neutral"], 16000) < median_f0(clips["happy"], 16000)


class TestCorpus:
    @pytest.mark.slow
    def test_has_the_layout_of_lssed(self, corpus, rows):
        assert sorted(path.name for path in corpus.iterdir()) == ["README.txt", METADATA_NAME, "wav_all"]
        assert "not LSSED" in (corpus / "README.txt").read_text(encoding="utf-8")
        assert tuple(rows[0]) == METADATA_COLUMNS
        assert len(rows) == 240
        assert {path.stem for path in (corpus / "wav_all").iterdir()} == {row["name"] for row in rows}

    def test_describes_speakers_consistently(self, rows):
        described = {(row["name"][1:5], row["gender"], row["age"], row["age_group"]) for row in rows}
        expected = {(f"{s.number:04d}", s.gender, str(s.age), s.age_group) for s in make_speakers(12)}
        assert described == expected

    def test_has_all_emotions_in_uneven_numbers(self, rows):
        counts = Counter(row["faces"] for row in rows)
        assert list(PROSODY) == EMOTIONS and set(counts) == set(EMOTIONS)
        assert counts.most_common(1)[0][0] == "neutral"
        assert min(counts[emotion] for emotion in BENCHMARK) >= 24
        for number in {row["name"][1:5] for row in rows}:
            assert {row["faces"] for row in rows if row["name"][1:5] == number} >= set(BENCHMARK)

    def test_clips_are_short_audible_pcm16(self, corpus, rows):
        for row in rows:
            path = corpus / "wav_all" / f"{row['name']}.wav"
            info = soundfile.info(path)
            assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
            assert 1 <= info.duration <= 5
            assert float(row["end"]) - float(row["start"]) == pytest.approx(info.duration, abs=0.002)
            samples, _ = soundfile.read(path)
            assert -40 < 20 * np.log10(samples.std()) < -10
            # The first 50 ms are background noise: quiet, but not digital silence.
            assert -60 < 20 * np.log10(samples[:800].std()) < -30

    def test_utterances_of_a_speaker_follow_each_other(self, rows):
        for before, after in pairwise(rows):
            if before["name"][:5] == after["name"][:5]:
                assert float(before["end"]) < float(after["start"])

    def test_same_seed_same_bytes(self, tmp_path):
        first, again, other = (
            write_synthetic_lssed(tmp_path / name, num_speakers=2, utterances_per_speaker=6, seed=seed)
            for name, seed in (("first", 3), ("again", 3), ("other", 4))
        )
        assert contents(first) == contents(again)
        assert contents(first)[METADATA_NAME] != contents(other)[METADATA_NAME]

    def test_takes_some_emotions_and_another_rate(self, tmp_path):
        corpus = write_synthetic_lssed(
            tmp_path, num_speakers=1, utterances_per_speaker=8, emotions=["bored", "sad"], sampling_rate=8000
        )
        with (corpus / METADATA_NAME).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["faces"] for row in rows} == {"bored", "sad"}
        assert soundfile.info(corpus / "wav_all" / "E0001_0000.wav").samplerate == 8000

    def test_writes_over_its_own_kind_only(self, tmp_path):
        write_synthetic_lssed(tmp_path, num_speakers=2, utterances_per_speaker=2)
        write_synthetic_lssed(tmp_path, num_speakers=1, utterances_per_speaker=1)
        assert len(list((tmp_path / "wav_all").iterdir())) == 1
        (tmp_path / "README.txt").unlink()
        before = contents(tmp_path)
        with pytest.raises(FileExistsError, match="nor our synthetic LSSED"):
            write_synthetic_lssed(tmp_path, num_speakers=1, utterances_per_speaker=1)
        assert contents(tmp_path) == before

    def test_a_killed_run_has_no_metadata(self, tmp_path, monkeypatch):
        write_synthetic_lssed(tmp_path, num_speakers=1, utterances_per_speaker=1)

        def die(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(lssed, "speak_as", die)
        with pytest.raises(KeyboardInterrupt):
            write_synthetic_lssed(tmp_path, num_speakers=1, utterances_per_speaker=1)
        assert not (tmp_path / METADATA_NAME).exists()

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"emotions": ["sad", "gleeful"]}, "gleeful"),
            ({"emotions": []}, "none"),
            ({"num_speakers": 0}, "num_speakers"),
            ({"num_speakers": 10000}, "num_speakers"),
            ({"utterances_per_speaker": 0}, "utterances_per_speaker"),
        ],
    )
    def test_refuses_impossible_requests_before_writing(self, tmp_path, arguments, match):
        with pytest.raises(ValueError, match=match):
            write_synthetic_lssed(tmp_path / "corpus", **arguments)
        assert not (tmp_path / "corpus").exists()


def test_sentences_are_distinct_and_short():
    assert len(set(SENTENCES)) == len(SENTENCES) == 40
    assert all(5 <= len(sentence.split()) <= 11 for sentence in SENTENCES)
