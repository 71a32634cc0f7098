"""A release of LSSED that holds feature sets in place of audio, as the agreement names them."""

from pathlib import Path

import numpy as np
from PIL import Image


HEIGHT = 64


def write_feature_sets(folder: Path, num_speakers: int = 6, clips: int = 8) -> Path:
    """Write pictures, a table and arrays in which the label is easy to see, and return the folder."""
    rng = np.random.default_rng(0)
    for name in ("spec_librosa", "vq-wav2vec", "IS13-ComParE"):
        (folder / name).mkdir(parents=True)
    table = ["name;" + ";".join(f"f{number}" for number in range(12))]
    rows = ["name,label,is_Chinese"]
    for number in range(num_speakers * clips):
        name, label = f"E{number // clips:04d}_{number % clips:04d}", number % 4
        frames = int(rng.integers(36, 60))
        picture = rng.integers(0, 120, (HEIGHT, frames)).astype(np.uint8)
        picture[16 * label : 16 * label + 16] += 100
        grey = Image.fromarray(picture)
        (grey.convert("RGB") if number % 2 else grey).save(folder / "spec_librosa" / f"{name}.png")
        vectors = rng.normal(size=(frames, 6))
        vectors[:, label] += 1.5
        np.save(folder / "vq-wav2vec" / f"{name}.npy", vectors.astype(np.float32))
        functionals = rng.normal(size=12)
        functionals[label] += 4
        table.append(";".join([f"'{name}'", *(f"{value:.4f}" for value in functionals)]))
        rows.append(f"{name},{label},0")
    (folder / "IS13-ComParE" / "is13_compare.csv").write_text("\n".join(table), encoding="utf-8")
    (folder / "metadata_4class.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder
