"""Time of the front end against librosa, torchaudio and the extractors of transformers."""

from collections.abc import Iterator

import librosa
import numpy as np
import scipy.fft
import scipy.fftpack
import torch
import torchaudio
from transformers import ASTFeatureExtractor, WhisperFeatureExtractor

from lssed_hf import PyResNetFeatureExtractor
from timing import Case


RATE = 16000


def librosa_chain(clip: np.ndarray) -> np.ndarray:
    """Do the same steps with librosa: spectral subtraction by stft and istft, gain, mel, decibels."""
    spectrum = librosa.stft(clip, n_fft=1024, hop_length=512)
    magnitude = np.abs(spectrum)
    energy = np.square(magnitude).sum(axis=0)
    quietest = np.argsort(energy)[: max(1, len(energy) // 10)]
    noise = magnitude[:, quietest].mean(axis=1, keepdims=True)
    spectrum = spectrum * np.maximum(1 - 2 * noise / np.maximum(magnitude, 1e-10), 0.05)
    clip = 2 * librosa.istft(spectrum, hop_length=512, length=len(clip))
    return librosa.power_to_db(librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=1024, hop_length=512))


def cases() -> Iterator[Case]:
    """Yield the comparisons of this file."""
    rng = np.random.default_rng(0)
    clip = rng.uniform(-0.3, 0.3, round(5.05 * RATE)).astype(np.float32)
    tensor = torch.from_numpy(clip)
    ours = PyResNetFeatureExtractor(normalization="none")
    one_transform = PyResNetFeatureExtractor(normalization="none", resynthesize=False)
    on_torch = PyResNetFeatureExtractor(normalization="none", backend="torch")
    torch_mel = torchaudio.transforms.MelSpectrogram(
        RATE, 1024, 1024, 512, n_mels=128, norm="slaney", mel_scale="slaney"
    )
    ast, whisper = ASTFeatureExtractor(), WhisperFeatureExtractor()

    def torch_mel_on_one_thread() -> torch.Tensor:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return torch_mel(tensor)
        finally:
            torch.set_num_threads(threads)

    def librosa_mel() -> np.ndarray:
        return librosa.feature.melspectrogram(y=clip, sr=RATE, n_fft=1024, hop_length=512)

    yield Case(
        "mel of a 5.05 s clip",
        {
            "librosa": librosa_mel,
            "torchaudio": lambda: torch_mel(tensor),
            "transformers, AST": lambda: ast(clip, sampling_rate=RATE),
            "transformers, Whisper": lambda: whisper(clip, sampling_rate=RATE),
            "lssed_hf": lambda: ours.mel_spectrogram(clip),
        },
        {"lssed_hf": 8},
    )
    yield Case(
        "the same",
        {
            "torchaudio, one thread": torch_mel_on_one_thread,
            "torchaudio": lambda: torch_mel(tensor),
            "lssed_hf": lambda: ours.mel_spectrogram(clip),
        },
        {"lssed_hf": 2},
    )
    yield Case(
        "whole chain with denoising",
        {
            "librosa": lambda: librosa_chain(clip),
            "lssed_hf": lambda: ours.extract(clip),
            "lssed_hf, resynthesize=False": lambda: one_transform.extract(clip),
        },
        {"lssed_hf": 6, "lssed_hf, resynthesize=False": 6},
    )
    frames = rng.uniform(-0.3, 0.3, (159, 1024)).astype(np.float32)
    spectrum, parts, output = scipy.fft.rfft(frames), np.empty_like(frames), np.empty_like(frames)

    def transform_in_place() -> np.ndarray:
        parts[:] = frames  # in place of the product with the window
        return scipy.fftpack.rfft(parts, overwrite_x=True)

    yield Case(
        "the chain, its halves, and their transforms alone",
        {
            "whole chain": lambda: ours.extract(clip),
            "denoise": lambda: ours.denoise(clip),
            "its forward transform": lambda: scipy.fft.rfft(frames),
            "its inverse transform": lambda: np.fft.irfft(spectrum, out=output),
            "mel_spectrogram": lambda: ours.mel_spectrogram(clip),
            "its transform, in place": transform_in_place,
        },
        {},
    )
    clips = [rng.uniform(-0.3, 0.3, length).astype(np.float32) for length in rng.integers(RATE, 10 * RATE, 32)]
    yield Case(
        "a clip of a batch of 32, 1 to 10 s, padded",
        {
            "librosa": lambda: librosa.util.fix_length(
                np.stack([librosa.util.fix_length(librosa_chain(each), size=313, axis=1) for each in clips]), size=313
            ),
            "lssed_hf": lambda: ours(clips, sampling_rate=RATE, return_tensors="pt"),
            "lssed_hf, backend='torch'": lambda: on_torch(clips, sampling_rate=RATE),
        },
        {},
        repeats=8,
        per=len(clips),
    )
