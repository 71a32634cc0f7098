"""Finding the clips of a corpus, which may come as audio, as video, or as both."""

from collections.abc import Callable, Hashable
from pathlib import Path

from ..scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES, find_audio_files
from .base import CorpusDataError, Reject


_FORMATS = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)  # the preferred ones first
_SHOWN = 8  # names of what a folder holds


def find_clips(
    folder: Path, key: Callable[[Path], Hashable] = lambda path: path.with_suffix("")
) -> tuple[list[Path], list[Reject]]:
    """Find each clip below a folder in one format: WAV, then other audio, then video.

    Args:
        folder: Folder of the corpus.
        key: Function from a path to what files of the same clip share, default the path without its suffix.

    Returns:
        The files to read, sorted, and the same clips in other formats, which a rule leaves out. Several files of one
        clip in one format are all returned, since nothing tells which of them is right.

    Raises:
        FileNotFoundError: The folder holds neither audio nor video.
    """
    files = find_audio_files(folder)
    best: dict[Hashable, int] = {}
    for path in files:
        best[key(path)] = min(best.get(key(path), len(_FORMATS)), _rank(path))
    clips = [path for path in files if _rank(path) == best[key(path)]]
    copies = [
        Reject(path.stem, str(path), "the same clip is read in another format", by_rule=True)
        for path in files
        if _rank(path) != best[key(path)]
    ]
    return clips, copies


def wrong_folder(data_dir: Path, corpus: str, expected: str) -> CorpusDataError:
    """Return the error for a folder that is not the corpus: what was looked for, and what is there."""
    found = ", ".join(sorted(path.name for path in data_dir.iterdir())[:_SHOWN]) or "nothing"
    return CorpusDataError(
        f"{data_dir} is not {corpus}: looked for {expected}, found {found}; give the folder that holds the corpus"
    )


def _rank(path: Path) -> int:
    return _FORMATS.index(path.suffix.lower())
