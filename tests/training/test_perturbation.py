"""Perturbed copies of training clips: speed, pitch, rooms and noise."""

import datasets
import numpy as np
import pytest
import soundfile

import lssed_hf
from lssed_hf.training.arguments import RecipeArguments
from lssed_hf.training.data import SpeechDataset
from lssed_hf.training.features import compute_features
from lssed_hf.training.perturbation import Perturbation, perturb


RATE = 16000


def tone(frequency: float = 440.0, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def peak(waveform: np.ndarray) -> float:
    """Return the strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * RATE / len(waveform))


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64))))


@pytest.mark.parametrize("seed", range(4))
def test_speed_changes_length_and_pitch_together(seed):
    changed = perturb(tone(), RATE, Perturbation(speed=0.2), np.random.default_rng(seed))
    factor = np.random.default_rng(seed).uniform(0.8, 1.2)
    assert len(changed) == pytest.approx(RATE / factor, abs=2)
    assert peak(changed) == pytest.approx(440 * factor, rel=0.01)
    assert rms(changed) == pytest.approx(rms(tone()), rel=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_pitch_changes_alone(seed):
    changed = perturb(tone(), RATE, Perturbation(pitch_shift=4), np.random.default_rng(seed))
    semitones = np.random.default_rng(seed).uniform(-4, 4)
    assert len(changed) == RATE
    assert peak(changed) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.02)


def test_noise_has_the_ratio_that_was_drawn():
    clean = tone()
    for seed in range(8):
        rng = np.random.default_rng(seed)
        noise = perturb(clean, RATE, Perturbation(noise_snr=5), rng) - clean
        ratio = 20 * np.log10(rms(clean) / rms(noise))
        assert ratio == pytest.approx(5 + np.random.default_rng(seed).uniform(0, 20), abs=0.05)


def test_a_room_rings_on_and_decays():
    clip = np.zeros(RATE, dtype=np.float32)
    clip[1000:1100] = 0.5
    changed = perturb(clip, RATE, Perturbation(reverberation=0.3), np.random.default_rng(1))
    energy = [rms(changed[start : start + 800]) for start in (1200, 3000, 12000)]
    assert len(changed) == len(clip) and np.abs(changed[:900]).max() < 1e-6
    assert energy[0] > 2 * energy[1] > 0 and energy[2] < 1e-3 * energy[0]


def test_silence_and_a_single_sample_survive():
    how = Perturbation(speed=0.1, pitch_shift=1, reverberation=0.3, noise_snr=10)
    assert not perturb(np.zeros(500, np.float32), RATE, how, np.random.default_rng(0)).any()
    for length in (1, 2, 40):
        changed = perturb(np.full(length, 0.1, np.float32), RATE, how, np.random.default_rng(0))
        assert len(changed) and np.isfinite(changed).all() and changed.dtype == np.float32


@pytest.mark.parametrize("wrong", [{"speed": 1.0}, {"speed": -0.1}, {"pitch_shift": -1}, {"reverberation": -0.1}])
def test_ranges_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Perturbation(**wrong)


@pytest.mark.parametrize("wrong", [{"perturbed_copies": 2}, {"speed": 0.1}, {"perturbed_copies": -1, "speed": 0.1}])
def test_flags_that_do_nothing_alone_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="--perturbed_copies"):
        RecipeArguments(output_dir=str(tmp_path), **wrong)


@pytest.fixture
def rows(tmp_path) -> datasets.Dataset:
    paths = []
    for frequency in (300, 600, 1200):
        paths.append(str(tmp_path / f"{frequency}.wav"))
        soundfile.write(paths[-1], tone(frequency, 0.5), RATE)
    rows = datasets.Dataset.from_dict({"audio": paths, "label": [0, 1, 0]})
    return rows.cast_column("audio", datasets.Audio(sampling_rate=RATE))


def test_copies_differ_from_each_other_and_come_back_the_same(rows):
    extractor, how = lssed_hf.PyResNetFeatureExtractor(), Perturbation(noise_snr=10)
    clean = compute_features(rows, extractor)["values"]
    first, second, again = (compute_features(rows, extractor, perturbation=how, copy=n)["values"] for n in (1, 2, 1))
    assert first == again
    for versions in zip(clean, first, second):
        assert len({tuple(values) for values in versions}) == 3


def test_training_draws_from_the_clip_and_its_copies(rows):
    extractor = lssed_hf.PyResNetFeatureExtractor(normalization="none")
    copies = [compute_features(rows, extractor, perturbation=Perturbation(noise_snr=10), copy=n) for n in (1, 2)]
    clean = compute_features(rows, extractor)
    dataset = SpeechDataset(clean, extractor, "label", copies=copies)
    seen = set()
    for epoch in range(20):
        dataset.set_epoch(epoch)
        seen.add(dataset[0]["values"].tobytes())
    known = {np.asarray(version[0]["values"], np.float32).tobytes() for version in (clean, *copies)}
    assert seen == known
