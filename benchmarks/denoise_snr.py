"""Segmental SNR of noisy speech before and after the front end's spectral subtraction.

Adds stationary noise (white, pink and red) to clips at 0, 5 and 10 dB and prints a Markdown table.

    python benchmarks/denoise_snr.py --data_dir ../shared/data/ravdess --limit 96
"""

import argparse
from pathlib import Path

import numpy as np

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.audio import load_audio
from lssed_hf.scan import find_audio_files


FRAME = 400  # 25 ms
SPECTRAL_SLOPES = {"white": 0.0, "pink": 0.5, "red": 1.0}


def coloured_noise(samples: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Return stationary Gaussian noise whose amplitude spectrum falls as 1 / f^slope, at unit power."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.maximum(np.fft.rfftfreq(samples), 50 / 16000)
    noise = np.fft.irfft(spectrum / frequency**slope, n=samples)
    return noise / np.sqrt(np.mean(noise**2))


def speech_frames(clean: np.ndarray) -> np.ndarray:
    """Return a mask of the 25 ms frames within 35 dB of the loudest one."""
    power = np.square(clean[: len(clean) // FRAME * FRAME].reshape(-1, FRAME)).mean(axis=1)
    return power > power.max() * 10**-3.5


def segmental_snr(clean: np.ndarray, estimate: np.ndarray, frames: np.ndarray) -> float:
    """Return the mean SNR of speech frames in dB, each limited to [-10, 35] (Hansen and Pellom 1998)."""
    length = len(frames) * FRAME
    signal = np.square(clean[:length]).reshape(-1, FRAME).sum(axis=1)[frames]
    error = np.square(clean[:length] - estimate[:length]).reshape(-1, FRAME).sum(axis=1)[frames]
    return float(np.clip(10 * np.log10(signal / (error + 1e-12)), -10, 35).mean())


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, type=Path)
    parser.add_argument("--limit", type=int, default=96, help="number of clips, spread evenly over the folder")
    for name in ("denoise_win_length", "noise_fraction", "over_subtraction", "spectral_floor"):
        parser.add_argument(f"--{name}", type=float)
    args = parser.parse_args()
    names = ("noise_fraction", "over_subtraction", "spectral_floor")
    overrides = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.denoise_win_length:
        overrides["denoise_win_length"] = int(args.denoise_win_length)
    extractor = PyResNetFeatureExtractor(**overrides)

    files = find_audio_files(args.data_dir)
    clips = [load_audio(path) for path in files[:: max(1, len(files) // args.limit)]]
    print(f"{len(clips)} clips of {args.data_dir.name}; segmental SNR in dB, mean over clips\n")
    print("| noise | SNR | noisy | denoised | gain | clips improved |")
    print("|---|---|---|---|---|---|")
    for colour, slope in SPECTRAL_SLOPES.items():
        for snr in (0, 5, 10):
            rows = []
            for index, clean in enumerate(clips):
                frames = speech_frames(clean)
                power = np.square(clean[: len(frames) * FRAME]).reshape(-1, FRAME).mean(axis=1)[frames].mean()
                noise = coloured_noise(len(clean), slope, np.random.default_rng([index, snr]))
                noisy = (clean + noise * np.sqrt(power / 10 ** (snr / 10))).astype(np.float32)
                rows.append([segmental_snr(clean, x, frames) for x in (noisy, extractor.denoise(noisy))])
            before, after = np.transpose(rows)
            print(
                f"| {colour} | {snr} dB | {before.mean():.2f} | {after.mean():.2f} | "
                f"{(after - before).mean():+.2f} | {np.mean(after > before):.0%} |"
            )
    untouched = [segmental_snr(clean, extractor.denoise(clean), speech_frames(clean)) for clean in clips]
    print(f"\nClips without added noise keep {np.mean(untouched):.2f} dB (denoised against as recorded).")


if __name__ == "__main__":
    main()
