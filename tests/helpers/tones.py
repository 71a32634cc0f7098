"""Tiny corpora of tones like RAVDESS and EMO-DB, and flags that train a tiny network on them in a second."""

import json
from pathlib import Path

import numpy as np
import soundfile


TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}
FLAGS = [
    *("--config_overrides", json.dumps(TINY), "--feature_extractor_overrides", '{"do_denoise": false}'),
    *("--num_train_epochs", "2", "--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1"),
    *("--crop_seconds", "0", "--learning_rate", "0.05", "--disable_tqdm", "true", "--report_to", "none"),
]


def _write_tone(path: Path, frequency: float, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(2 * np.pi * frequency * np.arange(6400) / 16000) + 0.02 * rng.normal(size=6400)
    soundfile.write(path, tone, 16000)


def write_ravdess(folder: Path) -> Path:
    """Write two training actors, one for validation and three for test, four emotions, four clips each."""
    rng = np.random.default_rng(0)
    for actor in (1, 2, 15, 17, 18, 19):
        for code, frequency in (("01", 300), ("03", 500), ("04", 900), ("05", 1500)):
            for take in range(4):
                name = f"03-01-{code}-{take // 2 + 1:02}-{take % 2 + 1:02}-01-{actor:02}"
                _write_tone(folder / f"{name}.wav", frequency * rng.uniform(0.7, 1.5), rng)
    return folder


def write_lssed(folder: Path) -> Path:
    """Write LSSED's layout: six speakers, five clips of each of four emotions."""
    rng, lines = np.random.default_rng(2), ["name,faces,speaker"]
    for speaker in range(1, 7):
        for emotion, frequency in {"angry": 400, "neutral": 600, "happy": 1000, "sad": 2000}.items():
            for take in range(5):
                name = f"{speaker:04}_{emotion}_{take}"
                _write_tone(folder / "wav_all" / f"{name}.wav", frequency * rng.uniform(0.7, 1.5), rng)
                lines.append(f"{name},{emotion},{speaker}")
    (folder / "metadata_english_all.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_emodb(folder: Path, codes: str = "NFTW") -> Path:
    """Write two speakers for each of training, validation and test; three clips of each emotion."""
    rng = np.random.default_rng(1)
    for speaker in ("03", "08", "15", "16", "12", "13"):
        for code, frequency in zip(codes, (400, 600, 1000, 2000)):
            for take in "abc":
                _write_tone(folder / f"{speaker}a01{code}{take}.wav", frequency * rng.uniform(0.7, 1.5), rng)
    return folder
