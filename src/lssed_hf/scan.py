"""Search for recordings in folders and by patterns."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .decoding.source import source_name


#: Suffixes of audio files. Of several formats of the same clip the first one here is preferred.
AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".w64", ".caf", ".sph"),
    *(".aifc", ".snd", ".rf64", ".oga", ".spx", ".m4a", ".m4b", ".aac", ".mka", ".weba", ".amr", ".awb", ".wma"),
    *(".mp2", ".wv", ".tta", ".ac3"),
)
#: Suffixes of videos, also used for sound alone by phones and browsers. The sound track is read.
VIDEO_SUFFIXES = (
    *(".mp4", ".avi", ".mkv", ".mov", ".flv", ".webm", ".mpg", ".wmv", ".m4v", ".3gp", ".3g2", ".mpeg", ".asf"),
    *(".ogv", ".mts", ".m2ts"),
)
#: Suffixes of all recordings, the preferred ones first.
RECORDING_SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)

_LOST = ("link to a folder", "unreadable folder")  # reasons that may hide recordings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """Outcome of searching a folder for recordings.

    Args:
        folder: Folder that was searched.
        files: Recordings, sorted.
        skipped: Number of other entries by reason: a suffix such as ".txt", "no suffix", "hidden", "link to a folder"
            or "unreadable folder".
    """

    folder: Path
    files: tuple[Path, ...]
    skipped: Mapping[str, int]

    def describe(self) -> str:
        """Return one line for messages, such as "recordings: 5 recordings; skipped 3 files (2 .txt, 1 hidden)"."""
        number, total = len(self.files), sum(self.skipped.values())
        line = f"{source_name(self.folder)}: {number} recording{'s' * (number != 1)}"
        if total:
            reasons = sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
            listed = ", ".join(f"{count} {reason}" for reason, count in reasons)
            line += f"; skipped {total} file{'s' * (total != 1)} ({listed})"
        return line


def scan_folder(folder: str | os.PathLike, suffixes: Sequence[str] = RECORDING_SUFFIXES) -> Scan:
    """Search a folder and its sub-folders for recordings.

    Hidden files and folders are left out, and links to folders are not followed. Links to files are listed, even
    broken ones.

    Args:
        folder: Folder to search.
        suffixes: Suffixes of recordings in lower case. Default: audio and video.

    Raises:
        FileNotFoundError: The folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{source_name(folder)} is not a folder")
    files: list[Path] = []
    skipped: Counter[str] = Counter()

    def count_unreadable(error: OSError) -> None:
        skipped["unreadable folder"] += 1

    for directory, folders, names in os.walk(folder, onerror=count_unreadable):
        hidden = {name for name in (*folders, *names) if name.startswith(".")}
        links = {name for name in folders if os.path.islink(os.path.join(directory, name))} - hidden
        skipped.update({"hidden": len(hidden), "link to a folder": len(links)})
        folders[:] = sorted({*folders} - hidden - links)
        for name in {*names} - hidden:
            suffix = os.path.splitext(name)[1].lower()
            path = Path(directory, name)
            if os.path.exists(path) and not os.path.isfile(path):
                skipped["pipe or device"] += 1  # reading one might never end
            elif suffix in suffixes:
                files.append(path)
            else:
                skipped[suffix or "no suffix"] += 1
    return Scan(folder, tuple(sorted(files)), dict(+skipped))


def find_audio_files(folder: str | os.PathLike, suffixes: Sequence[str] = RECORDING_SUFFIXES) -> list[Path]:
    """Return the recordings below a folder, sorted; warn if some may have been left out.

    Args:
        folder: Folder to search.
        suffixes: Suffixes of recordings in lower case. Default: audio and video.

    Raises:
        FileNotFoundError: The folder does not exist or holds no recording.
    """
    scan = _scan_recordings(folder, suffixes)
    if any(reason in scan.skipped for reason in _LOST):
        logger.warning(scan.describe())
    return list(scan.files)


def expand_paths(inputs: Sequence[str | os.PathLike]) -> list[Path]:
    """Return files as given, the recordings below folders, and the files and folders that match patterns.

    A path that exists is never taken for a pattern. A path that is given twice counts once. One warning for each
    folder counts its other files by reason. A folder without recordings gives a warning if there are other inputs.

    Args:
        inputs: Files, folders, and patterns such as `rec/*.wav` or `rec/**/*.wav`.

    Raises:
        FileNotFoundError: No folder holds a recording, or nothing matches a pattern.
        ValueError: A name is empty.
    """
    paths: list[Path] = []
    empty: FileNotFoundError | None = None
    for path in [path for given in inputs for path in _paths_of(given)]:
        if not path.is_dir():
            paths.append(path)
            continue
        try:
            scan = _scan_recordings(path, RECORDING_SUFFIXES)
        except FileNotFoundError as error:
            if empty is not None:
                logger.warning(str(empty))
            empty = error
            continue
        if scan.skipped:
            logger.warning(scan.describe())
        paths += scan.files
    if empty is not None:
        if not paths:
            raise empty
        logger.warning(str(empty))
    return list(dict.fromkeys(paths))


def _scan_recordings(folder: str | os.PathLike, suffixes: Sequence[str]) -> Scan:
    scan = scan_folder(folder, suffixes)
    if not scan.files:
        found = scan.describe().partition("; ")[2]
        raise FileNotFoundError(
            f"no audio file below {source_name(folder)}{f' ({found})' if found else ''}; looked for "
            f"{', '.join(suffixes)}"
        )
    return scan


def _paths_of(given: str | os.PathLike) -> list[Path]:
    text = os.fspath(given)
    if not text:
        raise ValueError("the name of a recording is empty; give a file, a folder (. for this one) or a pattern")
    if os.path.lexists(text) or not glob.has_magic(text):
        return [Path(given)]
    matches = sorted(map(Path, glob.iglob(text, recursive=True)))
    if not matches:
        raise FileNotFoundError(f"no file matches {source_name(given)}; correct the pattern")
    return matches
