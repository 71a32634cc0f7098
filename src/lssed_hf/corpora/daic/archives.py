"""Finding the sessions of DAIC-WOZ and E-DAIC: unpacked, or in the archives that the release consists of.

Read are `XXX_AUDIO.wav` and `XXX_TRANSCRIPT.csv` (E-DAIC: `XXX_Transcript.csv`), up to three folders deep, and
`XXX_P.zip` or `XXX_P.tar.gz`. Hidden files (`._*`, `.~lock.*`) and `__MACOSX` are never looked at.
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
from ..base import CorpusDataError
from ..download import ArchiveError, extract_archive


_DEPTH = 3  # DAIC-WOZ/data/300_P/300_AUDIO.wav
_FILE = re.compile(r"(\d{3,9})_(AUDIO\.wav|TRANSCRIPT\.csv)", re.IGNORECASE)
_ARCHIVE = re.compile(r"(\d{3,9})_P\.(?:zip|tar\.gz|tgz|tar)", re.IGNORECASE)
_FOLDER = re.compile(r"(\d{3,9})_P", re.IGNORECASE)


@dataclass
class Session:
    """Where the files of one participant are, before it is known whether they are all there."""

    audio: list[Path] = field(default_factory=list)
    transcripts: list[Path] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    @property
    def place(self) -> Path:
        """Any of it, for messages."""
        return [*self.folders, *self.archives, *self.audio, *self.transcripts][0]


def find_sessions(data_dir: Path) -> dict[int, Session]:
    """Participant -> what is there of the session, sorted. Nothing is opened.

    Links to folders are followed within `data_dir`; a link that leads out is kept by its name, so that
    `locate_session` can refuse it.
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
    """Files, and folders before what is in them. Folders that are links out of the root are not entered."""
    root = root or Path(os.path.realpath(folder))
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = folder / entry.name
        if not path.is_dir():  # unlike the entry's, it takes a link to itself
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
    """Recording and transcript of a session, unpacked if need be; None for what is not there.

    Raises:
        CorpusDataError: several files in question, or a link out of `data_dir`.
        ArchiveError: the archive is damaged, or holds what must not be unpacked.
        FileExistsError: `extract_dir` holds something of that name which did not come from the archive.
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
    """The recording and the transcript. Which of several is right, nobody knows here."""
    for paths in (session.audio, session.transcripts):
        if len(paths) > 1:
            raise CorpusDataError(f"{paths[0]} and {paths[1]} are of the same participant; keep one of them")
    return next(iter(session.audio), None), next(iter(session.transcripts), None)


def _check_inside(path: Path, root: Path) -> None:
    target = Path(os.path.realpath(path))
    if not (target.is_relative_to(os.path.realpath(root)) and target.exists()):
        raise CorpusDataError(f"{path} is a link out of {root}, or to nothing; put the file itself there")


def unpack_session(archive: Path, participant: int, extract_dir: Path) -> Path:
    """Unpack recording and transcript to `extract_dir/XXX_P`, which is complete or absent; once for each version.

    Kill it anywhere and call it again. Calls at the same time wait for one another.

    Raises:
        ArchiveError: damaged, or holds what must not be unpacked.
        FileExistsError: the folder is there and did not come from that archive.
    """
    folder = extract_dir / f"{participant}_P"
    stamp = extract_dir / f".{folder.name}.source"
    status = archive.stat()
    version = f"{archive.resolve()}\n{status.st_size}\n{status.st_mtime_ns}\n"
    extract_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(extract_dir / f".{folder.name}.lock"):
        # The stamp is written first: a folder without one is somebody else's.
        ours = stamp.is_file()
        if ours and folder.is_dir() and stamp.read_text(encoding="utf-8") == version:
            return folder
        if folder.exists() and not ours:
            raise FileExistsError(f"{folder} is there and did not come from {archive}; choose another extract_dir")
        shutil.rmtree(folder, ignore_errors=True)
        for left in extract_dir.glob(f".{folder.name}.*"):  # of a call that was killed
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
