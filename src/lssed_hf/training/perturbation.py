"""Random changes to waveforms, for copies of training clips that are made once, ahead of the training."""

from dataclasses import dataclass

import numpy as np


_NOISE_RANGE_DB = 20.0  # the least noise is so much below the most


@dataclass(frozen=True)
class Perturbation:
    """Random changes to a copy of a clip, off by default.

    Attributes:
        speed: Largest change of tempo and pitch together, as of a tape: 0.1 for factors of 0.9 to 1.1 (Ko et al.,
            "Audio augmentation for speech recognition", Interspeech 2015).
        pitch_shift: Largest change of the pitch alone, in semitones up or down.
        reverberation: Longest reverberation time (RT60) of a random room, in seconds.
        noise_snr: Lowest signal-to-noise ratio of added noise, in dB. The noise is up to 20 dB weaker and between
            white and pink. Default: no noise.
    """

    speed: float = 0.0
    pitch_shift: float = 0.0
    reverberation: float = 0.0
    noise_snr: float | None = None

    def __post_init__(self):
        if not 0 <= self.speed < 1:
            raise ValueError(f"speed must be from 0 to below 1, got {self.speed}")
        for name in ("pitch_shift", "reverberation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


def perturb(waveform: np.ndarray, sampling_rate: int, how: Perturbation, rng: np.random.Generator) -> np.ndarray:
    """Return a copy of a waveform with changed speed, pitch, room and noise, in that order.

    The level (root mean square) stays, so that `gain_db` alone sets how levels vary. `speed` alone changes the length.

    Args:
        waveform: Samples, float32 (samples,).
        sampling_rate: Sampling rate in Hz.
        how: Changes to draw from.
        rng: Source of the draws.
    """
    level = _rms(waveform)
    if level == 0:
        return waveform
    if how.speed:
        waveform = _resample(waveform, rng.uniform(1 - how.speed, 1 + how.speed))
    if how.pitch_shift:
        waveform = _shift_pitch(waveform, sampling_rate, rng.uniform(-how.pitch_shift, how.pitch_shift))
    if how.reverberation:
        waveform = _reverberate(waveform, sampling_rate, how.reverberation, rng)
    waveform = waveform * (level / max(_rms(waveform), 1e-12))
    if how.noise_snr is not None:
        snr = how.noise_snr + rng.uniform(0, _NOISE_RANGE_DB)
        noise = _noise(len(waveform), rng.uniform(0, 1), rng)
        waveform = waveform + noise * (level / _rms(noise) * 10 ** (-snr / 20))
    return waveform.astype(np.float32)


def _resample(waveform: np.ndarray, speed: float) -> np.ndarray:
    import soxr

    return soxr.resample(waveform, speed, 1.0, quality="MQ")


def _shift_pitch(waveform: np.ndarray, sampling_rate: int, semitones: float) -> np.ndarray:
    import librosa

    # 32 ms windows, as speech wants them: librosa's own are made for music at 22 kHz.
    return librosa.effects.pitch_shift(
        waveform, sr=sampling_rate, n_steps=semitones, n_fft=512, hop_length=128, res_type="soxr_mq"
    )


def _reverberate(waveform: np.ndarray, sampling_rate: int, longest: float, rng: np.random.Generator) -> np.ndarray:
    """Return a waveform in a random room of Polack's model: noise that decays by 60 dB within RT60.

    The noise is behind the direct sound, at a direct-to-reverberant ratio of -3 to 15 dB (Polack, "La transmission de
    l'energie sonore dans les salles", 1988).
    """
    import scipy.signal

    rt60 = rng.uniform(0.1, 1) * longest
    time = np.arange(1, max(2, round(rt60 * sampling_rate))) / sampling_rate
    tail = rng.normal(size=len(time)) * 10 ** (-3 * time / rt60)
    tail *= 10 ** (-rng.uniform(-3, 15) / 20) / np.sqrt(np.square(tail).sum())
    return scipy.signal.fftconvolve(waveform, np.concatenate([[1.0], tail]))[: len(waveform)]


def _noise(length: int, color: float, rng: np.random.Generator) -> np.ndarray:
    """Return noise whose power falls with frequency to the power of `color`: 0 is white, 1 is pink."""
    spectrum = np.fft.rfft(rng.normal(size=length))
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** (-color / 2)
    return np.fft.irfft(spectrum, n=length)


def _rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if len(waveform) else 0.0
