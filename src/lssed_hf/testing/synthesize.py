"""Synthetic releases in the layouts of corpora (`lssed-hf synthesize`), to try tools on.

All speech is eSpeak NG's. A release holds nothing of the corpus but its layout.
"""

import importlib
import os
from pathlib import Path


#: Layout, which is a module of `releases`, and its number of speakers or participants by default.
LAYOUTS = {
    "aesdd": 6,
    "afew": 12,
    "asvp_esd": 12,
    "cafe": 12,
    "cmu_mosei": 12,
    "crema_d": 12,
    "daic_woz": 12,
    "e_daic": 6,
    "emodb": 10,
    "emovo": 6,
    "enterface": 12,
    "esd": 20,
    "fau_aibo": 12,
    "folder": 6,
    "iemocap": 10,
    "jl_corpus": 4,
    "lssed": 12,
    "meld": 8,
    "msp_improv": 12,
    "msp_podcast": 12,
    "nemo": 9,
    "ravdess": 24,
    "rml": 8,
    "savee": 4,
    "shemo": 12,
    "subesco": 20,
    "tess": 2,
}


def list_layouts() -> list[str]:
    """Return the layouts that `synthesize` can write."""
    return sorted(LAYOUTS)


def synthesize(layout: str, output_dir: str | os.PathLike, *, num_speakers: int | None = None, seed: int = 0) -> Path:
    """Write a synthetic release.

    Args:
        layout: Name of a layout, one of `list_layouts()`.
        output_dir: Folder that is empty or not there yet, or holds an earlier synthetic release of that layout.
        num_speakers: Number of speakers; by default as in `LAYOUTS`. Interviews count participants, of whom
            `daic_woz` needs 8 or more, so that all its known defects can be planted.
        seed: Seed of everything random. The same seed writes the same sound.

    Returns:
        `output_dir` as a path.

    Raises:
        ImportError: `espeakng-loader` (extra `synthetic`), or for videos PyAV, is not installed.
        ValueError: The layout is unknown, or the corpus has fewer speakers.
        FileExistsError: The folder holds something else.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known are {', '.join(list_layouts())}")
    output_dir = Path(output_dir)
    module = importlib.import_module(f"{__package__}.releases.{layout}")
    module.write(output_dir, num_speakers=num_speakers or LAYOUTS[layout], seed=seed)
    return output_dir
