"""`lssed-hf synthesize`: write a synthetic release in the layout of a corpus that cannot be had, to try tools on.

All speech is eSpeak NG's; no release of ours holds anything of the corpus but its layout.
"""

import importlib
import os
from pathlib import Path

from .synthetic_interviews import write_synthetic_daic_woz, write_synthetic_e_daic
from .synthetic_speech import write_synthetic_lssed


#: Layouts with a module of their own in `releases/`, and how many speakers they have by default.
LAYOUTS = {
    "afew": 12,
    "crema_d": 12,
    "emodb": 10,
    "enterface": 12,
    "fau_aibo": 12,
    "folder": 6,
    "iemocap": 10,
    "meld": 8,
    "ravdess": 24,
    "rml": 8,
}
#: Those with a writer that others use too, how many speakers it has by default, and what it calls that number.
WRITERS = {
    "daic_woz": (write_synthetic_daic_woz, 12, "num_participants"),
    "e_daic": (write_synthetic_e_daic, 6, "num_participants"),
    "lssed": (write_synthetic_lssed, 12, "num_speakers"),
}
_README = """\
Synthetic speech, not {layout}.

Every clip here was spoken by the speech synthesiser eSpeak NG and written by lssed_hf.
Only the layout (names of folders and files, columns of metadata) is that of {layout},
to try software on. No person was recorded.
"""


def list_layouts() -> list[str]:
    """Names that `synthesize` knows."""
    return sorted([*LAYOUTS, *WRITERS])


def synthesize(layout: str, output_dir: str | os.PathLike, *, num_speakers: int | None = None, seed: int = 0) -> Path:
    """Write a synthetic release.

    Args:
        layout: one of `list_layouts()`.
        output_dir: a folder that is empty or not there yet, or holds an earlier synthetic release of that layout.
        num_speakers: how many people speak; the corpus's own number by default, or as many as `WRITERS` says. Of
            interviews, the participants (8 or more for `daic_woz`, whose known defects are planted).
        seed: of everything random. The same seed writes the same sound.

    Returns:
        `output_dir` as a path.

    Raises:
        ImportError: `espeakng-loader` (extra `synthetic`), or for videos PyAV, is not installed.
        ValueError: unknown layout, or more speakers than the corpus has.
        FileExistsError: the folder holds something else.
    """
    if layout in WRITERS:
        write, default, number = WRITERS[layout]
        return write(output_dir, seed=seed, **{number: num_speakers or default})
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known are {', '.join(list_layouts())}")
    output_dir = Path(output_dir)
    readme, text = output_dir / "README.txt", _README.format(layout=layout)
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace") == text
    if not ours and output_dir.is_dir() and any(output_dir.iterdir()):
        raise FileExistsError(f"{output_dir} is not empty, nor our synthetic {layout}; choose another folder")
    output_dir.mkdir(parents=True, exist_ok=True)
    readme.write_text(text, encoding="utf-8")
    module = importlib.import_module(f"{__package__}.releases.{layout}")
    module.write(output_dir, num_speakers=num_speakers or LAYOUTS[layout], seed=seed)
    return output_dir
