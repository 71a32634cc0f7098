"""Sessions of DAIC-WOZ and E-DAIC, unpacked or in the archives of the release.

A session is `XXX_AUDIO.wav` and `XXX_TRANSCRIPT.csv` (E-DAIC: `XXX_Transcript.csv`), up to three folders deep, or
`XXX_P.zip` or `XXX_P.tar.gz`. Hidden files (`._*`, `.~lock.*`) and `__MACOSX` are ignored.
"""

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from ...files import replacing
from ...unpack import ArchiveError, extract_archive
from ..base import CorpusDataError


_DEPTH = 3  # DAIC-WOZ/data/300_P/300_AUDIO.wav
_FILE = re.compile(r"(\d{3,9})_(AUDIO\.wav|TRANSCRIPT\.csv)", re.IGNORECASE)
_ARCHIVE = re.compile(r"(\d{3,9})_P\.(?:zip|tar\.gz|tgz|tar)", re.IGNORECASE)
_FOLDER = re.compile(r"(\d{3,9})_P", re.IGNORECASE)


@dataclass
class Session:
    """Paths of one participant's files, complete or not."""

    audio: list[Path] = field(default_factory=list)
    transcripts: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Path of any of the files, for messages."""
        return [*self.folders, *self.archives, *self.audio, *self.transcripts][0]


def find_sessions(data_dir: Path) -> dict[int, Session]:
    """Find the files of each participant by their names.

    Links to folders are followed within `data_dir`. A link that leads out is only named, so that `locate_session` can
    refuse it.

    Returns:
        Participant -> session, sorted by participant.
    """
    sessions: dict[int, Session] = defaultdict(Session)
    for path, is_folder in _walk(data_dir, _DEPTH):
        if is_folder:
            if match := _FOLDER.fullmatch(path.name):
                sessions[int(match[1])].folders.append(path)
        elif match := _FILE.fullmatch(path.name):
            session = sessions[int(match[1])]
            (session.audio if match[2][0] in "aA" else session.transcripts).append(path)
        elif match := _ARCHIVE.fullmatch(path.name):
            sessions[int(match[1])].archives.append(path)
    return dict(sorted(sessions.items()))


def _walk(folder: Path, depth: int, root: Path | None = None) -> Iterator[tuple[Path, bool]]:
    """Yield files and folders, and whether each is a folder; links out of the root are not entered."""
    root = root or Path(os.path.realpath(folder))
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = folder / entry.name
        if not path.is_dir():  # unlike entry.is_dir(), it allows a link to itself
            yield path, False
            continue
        yield path, True
        target = Path(os.path.realpath(path))
        loops = Path(os.path.realpath(folder)).is_relative_to(target)
        if depth and not (entry.is_symlink() and (loops or not target.is_relative_to(root))):
            yield from _walk(path, depth - 1, root)


def locate_session(
    participant: int, session: Session, data_dir: Path, extract_dir: Path
) -> tuple[Path | None, Path | None]:
    """Return the recording and the transcript of a session, unpacked if need be.

    Args:
        participant: Number of the participant.
        session: Files of the session.
        data_dir: Folder that must hold them.
        extract_dir: Folder to unpack an archive to.

    Returns:
        Paths of the recording and the transcript, each None if it is missing.

    Raises:
        CorpusDataError: There are several recordings, transcripts or archives, or a link leads out of `data_dir`.
        ArchiveError: The archive is damaged, incomplete or unsafe.
        FileExistsError: `extract_dir` holds a folder of that name which did not come from the archive.
    """
    root = data_dir
    for folder in session.folders:
        _check_inside(folder, root)
    audio, transcript = _pair(session)
    if session.archives and (audio is None or transcript is None):
        if len(session.archives) > 1:
            raise CorpusDataError(f"{session.archives[0]} and {session.archives[1]}: keep one of them")
        _check_inside(session.archives[0], root)
        root = unpack_session(session.archives[0], participant, extract_dir)
        audio, transcript = _pair(find_sessions(root).get(participant, Session()))
        if audio is None or transcript is None:
            missing = "recording" if audio is None else "transcript"
            raise ArchiveError(f"{session.archives[0]} holds no {missing} of {participant}; download it again")
    for path in filter(None, (audio, transcript)):
        _check_inside(path, root)
    return audio, transcript


def _pair(session: Session) -> tuple[Path | None, Path | None]:
    """Return the only recording and the only transcript of a session, each None if it is missing.

    Raises:
        CorpusDataError: There are several.
    """
    for paths in (session.audio, session.transcripts):
        if len(paths) > 1:
            raise CorpusDataError(f"{paths[0]} and {paths[1]} are of the same participant; keep one of them")
    return next(iter(session.audio), None), next(iter(session.transcripts), None)


def _check_inside(path: Path, root: Path) -> None:
    target = Path(os.path.realpath(path))
    if not (target.is_relative_to(os.path.realpath(root)) and target.exists()):
        raise CorpusDataError(f"{path} is a link out of {root}, or to nothing; put the file itself there")


def unpack_session(archive: Path, participant: int, extract_dir: Path) -> Path:
    """Unpack the recording and the transcript to `extract_dir/XXX_P`, once for each version of the archive.

    The folder is complete or absent, even if the process was killed. Simultaneous calls wait for one another.

    Raises:
        ArchiveError: The archive is damaged or unsafe.
        FileExistsError: The folder exists and did not come from this archive.
    """
    folder = extract_dir / f"{participant}_P"
    stamp = extract_dir / f".{folder.name}.source"
    status = archive.stat()
    version = f"{archive.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n"
    extract_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(extract_dir / f".{folder.name}.lock"):
        # The stamp is written before the folder, so a folder without one has another origin.
        is_known = stamp.is_file()
        if is_known and folder.is_dir() and stamp.read_text(encoding="utf-8") == version:
            return folder
        if folder.exists() and not is_known:
            raise FileExistsError(f"{folder} is there and did not come from {archive}; choose another extract_dir")
        shutil.rmtree(folder, ignore_errors=True)
        for left in extract_dir.glob(f".{folder.name}.*"):  # remains of a call that was killed
            if left.is_dir():
                shutil.rmtree(left)
        with replacing(stamp) as partial:
            partial.write_text(version, encoding="utf-8")
        return extract_archive(archive, folder, lambda name: _is_wanted(name, participant))


def _is_wanted(name: str, participant: int) -> bool:
    *folders, base = name.split("/")
    match = _FILE.fullmatch(base)
    return (
        bool(match)
        and int(match[1]) == participant
        and not any(part == "__MACOSX" or part[0] == "." for part in folders)
    )
