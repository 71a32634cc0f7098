"""Unpacking of .zip and .tar archives that may be damaged or hostile."""

import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO


#: Limit of the unpacked size, as a multiple of the archive's. Deflate reaches 1,000 on zeros; speech 2, tables 20.
MAX_EXPANSION = 100
#: Bytes that any archive may unpack to.
HARMLESS = 100_000_000
_CHUNK = 1 << 18  # bytes that are read at once
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, EOFError)


class ArchiveError(ValueError):
    """Error of a damaged or unsafe archive. The message names the archive and the member."""


@dataclass(frozen=True)
class _Member:
    """File or folder in an archive. `open` gives the contents of a file."""

    name: str
    size: int
    is_folder: bool
    is_file: bool
    open: Callable[[], IO[bytes]]


def extract_archive(
    archive: str | os.PathLike, folder: str | os.PathLike, wanted: Callable[[str], bool] | None = None
) -> Path:
    """Unpack a .zip or .tar (.tar.gz, .tgz, ...) into a new folder, which is complete or absent.

    Only contents are taken over, no owners, permissions or times. Links are refused wherever they lead. (A plain .tar
    does not say how long it is: if it ends early between two members, nobody notices.)

    Args:
        archive: Path of the archive. The suffix gives the format.
        folder: Path of the new folder.
        wanted: Function that chooses files by their names in the archive. Default: all files.

    Raises:
        ArchiveError: The archive is damaged or encrypted. Or a name leads out of the folder, comes twice, or differs
            from another one by case only. Or a member is a link or a device. Or the contents have more bytes than
            `MAX_EXPANSION` times the archive's, or than there is room for.
        FileExistsError: The folder is there already.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already; remove it to unpack {archive} again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        with _open_archive(archive) as members:
            files = _check_members(archive, members, folder, wanted)
            temporary.mkdir()
            for name, member in files.items():
                _write_member(archive, member, temporary / name)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


@contextmanager
def _open_archive(path: Path) -> Iterator[Iterable[_Member]]:
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as file:
                yield [_zip_member(file, info) for info in file.infolist()]
        elif ".tar" in (suffix.lower() for suffix in path.suffixes[-2:]) or path.suffix.lower() == ".tgz":
            with tarfile.open(path) as file:
                yield (
                    _Member(info.name, info.size, info.isdir(), info.isreg(), partial(file.extractfile, info))
                    for info in file
                )
                while file.fileobj.read(_CHUNK):  # the checksum is at the very end
                    pass
        else:
            raise ArchiveError(f"{path} is neither .zip nor .tar")
    except _DAMAGE as error:
        raise ArchiveError(f"{path} is damaged or incomplete: {error}") from error


def _zip_member(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Member:
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not made under Unix
    is_folder = info.is_dir()
    return _Member(
        info.orig_filename,  # `filename` is cut at a NUL
        info.file_size,
        is_folder and kind in (0, stat.S_IFDIR),
        not is_folder and kind in (0, stat.S_IFREG),
        partial(file.open, info),
    )


def _check_members(
    archive: Path, members: Iterable[_Member], folder: Path, wanted: Callable[[str], bool] | None
) -> dict[str, _Member]:
    """Return the files to write, by their names. Raise an error before anything is written."""
    limits = {
        f"more than {MAX_EXPANSION} times its own size": max(HARMLESS, MAX_EXPANSION * archive.stat().st_size),
        "more than there is room for": shutil.disk_usage(folder.parent).free,
    }
    files: dict[str, _Member] = {}
    seen: dict[str, str] = {}
    total = 0
    for member in members:
        if problem := _member_problem(member):
            raise ArchiveError(f"{archive}: member {member.name!r} {problem}")
        name = str(PurePosixPath(member.name))
        if member.is_folder or not (wanted is None or wanted(name)):
            continue
        if (key := name.casefold()) in seen:
            raise ArchiveError(f"{archive}: member {member.name!r} would overwrite {seen[key]!r}")
        seen[key] = member.name
        total += member.size
        for limit, size in limits.items():
            if total > size:
                raise ArchiveError(f"{archive}: unpacks to {limit} ({size} bytes), from member {member.name!r} on")
        files[name] = member
    return files


def _member_problem(member: _Member) -> str | None:
    name = member.name
    if "\\" in name or "\0" in name:
        return "has a backslash or NUL in its name"
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return "leads out of the folder"
    if not (member.is_folder or member.is_file):
        return "is a link or a device"
    return None


def _write_member(archive: Path, member: _Member, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Mode x, because file systems differ in which names are the same to them.
        with member.open() as source, open(path, "xb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
    # RuntimeError: encrypted. NotImplementedError, a RuntimeError: a compression that Python does not have.
    except (*_DAMAGE, RuntimeError, OSError) as error:
        # EINVAL: a member begins before the file does. Other errors are the disk's.
        if not isinstance(error, (*_DAMAGE, RuntimeError)) and error.errno not in (errno.EEXIST, errno.EINVAL):
            raise
        raise ArchiveError(f"{archive}: member {member.name!r} cannot be unpacked: {error}") from error
