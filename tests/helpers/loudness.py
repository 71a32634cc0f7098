"""A corpus of noisy tones whose arousal is their level, and whose pitch and level are classes."""

import csv
import json
from pathlib import Path

import numpy as np
import soundfile


#: One block. The level stays in the features: corpus normalisation, no denoising.
TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}
FLAGS = [
    *("--recipe", "paper", "--config_overrides", json.dumps(TINY)),
    *("--feature_extractor_overrides", '{"do_denoise": false, "num_mel_bins": 32}', "--optim", "adamw_torch"),
    *("--learning_rate", "0.01", "--lr_scheduler_type", "linear", "--num_train_epochs", "8"),
    *("--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1", "--crop_seconds", "0"),
    *("--disable_tqdm", "true", "--report_to", "none"),
]


def write_loudness(folder: Path, scale: float = 1.0, unrated: int = 0) -> Path:
    """Write five training speakers, one for validation and two for test, of 16 clips each.

    Args:
        folder: Folder to write to.
        scale: Factor of the ratings, which are from 1 to 7 without it.
        unrated: Number of clips of each speaker that have a valence and no arousal. Others have no valence.
    """
    folder.mkdir(parents=True)
    rng, rows = np.random.default_rng(0), []
    for speaker in range(8):
        for take in range(16):
            level, high = rng.uniform(), take % 2
            time = np.arange(4000) / 16000
            tone = np.sin(2 * np.pi * (2000 if high else 400) * rng.uniform(0.9, 1.1) * time)
            clip = (tone + 0.3 * rng.normal(size=len(time))) * 10 ** (2 * level - 2) / 3
            name = f"{speaker}_{take}.wav"
            soundfile.write(folder / name, clip, 16000, subtype="FLOAT")
            rating = f"{scale * (1 + 6 * level):.6f}"
            rows.append(
                {
                    "path": name,
                    # Each clip has one class by its pitch, and loud ones a second class.
                    "emotion": ("high" if high else "low") + (";loud" if level > 0.5 else ""),
                    "speaker": f"speaker {speaker}",
                    "arousal": rating if take >= unrated else "",
                    "valence": rating if take < unrated else "",
                    "split": "train" if speaker < 5 else "validation" if speaker == 5 else "test",
                }
            )
    with (folder / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder
