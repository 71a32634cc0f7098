"""Side-by-side timings of the front end against librosa and torchaudio, as a Markdown table.

Contestants alternate within one process and medians are compared, so the noise of a shared machine hits all of them.

    python benchmarks/run.py --repeats 50
"""

import argparse
import statistics
import time
from collections.abc import Callable

import librosa
import numpy as np
import torch
import torchaudio

from lssed_hf import PyResNetFeatureExtractor


def alternate(contestants: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each contestant, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(repeats + 2):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn >= 2:  # the first turns warm caches and compile
                times[name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(values) for name, values in times.items()}


def librosa_chain(clip: np.ndarray) -> np.ndarray:
    """The same steps with librosa: spectral subtraction by stft and istft, gain, mel, decibels."""
    spectrum = librosa.stft(clip, n_fft=1024, hop_length=512)
    magnitude = np.abs(spectrum)
    energy = np.square(magnitude).sum(axis=0)
    quietest = np.argsort(energy)[: max(1, len(energy) // 10)]
    noise = magnitude[:, quietest].mean(axis=1, keepdims=True)
    spectrum = spectrum * np.maximum(1 - 2 * noise / np.maximum(magnitude, 1e-10), 0.05)
    clip = 2 * librosa.istft(spectrum, hop_length=512, length=len(clip))
    return librosa.power_to_db(librosa.feature.melspectrogram(y=clip, sr=16000, n_fft=1024, hop_length=512))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=50)
    args = parser.parse_args()

    clip = np.random.default_rng(0).uniform(-0.3, 0.3, round(5.05 * 16000)).astype(np.float32)
    tensor = torch.from_numpy(clip)
    ours = PyResNetFeatureExtractor()
    torch_mel = torchaudio.transforms.MelSpectrogram(
        16000, 1024, 1024, 512, n_mels=128, norm="slaney", mel_scale="slaney"
    )
    cases = {
        "mel of a 5.05 s clip": {
            "lssed_hf": lambda: ours.mel_spectrogram(clip),
            "torchaudio": lambda: torch_mel(tensor),
            "librosa": lambda: librosa.feature.melspectrogram(y=clip, sr=16000, n_fft=1024, hop_length=512),
        },
        "whole chain with denoising": {"lssed_hf": lambda: ours.extract(clip), "librosa": lambda: librosa_chain(clip)},
    }
    print("| what | contestant | median ms | lssed_hf is faster by |\n|---|---|---|---|")
    for what, contestants in cases.items():
        medians = alternate(contestants, args.repeats)
        for name, median in medians.items():
            print(f"| {what} | {name} | {median:.2f} | {median / medians['lssed_hf']:.1f}x |")


if __name__ == "__main__":
    main()
