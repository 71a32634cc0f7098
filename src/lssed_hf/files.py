"""Files that are either complete or absent, JSON files, and digests of files."""

import errno
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Replace a file by the one that the block writes.

    The new file takes the place of `path` once the block succeeds. If the block fails, the old file stays and the new
    one is removed. The folder is made if need be. A link keeps leading to its file, which is replaced. A file keeps
    its permissions. A device or a pipe is written to directly.

    Yields:
        Path to write to.

    Raises:
        IsADirectoryError: The path is a folder.
    """
    check_writable(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with naming(path):
            yield Path(path)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic within one file system only. Where others may write too, a name
    # that they could guess might be a link of theirs.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), 0o666))
    try:
        with naming(path, temporary):
            yield temporary
        if path.is_file():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_together(folder: str | os.PathLike, writers: Mapping[str, Callable[[Path], Any]]) -> None:
    """Write files of a folder, all of them or none.

    Args:
        folder: Folder of the files, made if need be; earlier files are replaced.
        writers: Name of a file -> function that writes to the path that it is given.
    """
    with ExitStack() as stack:
        # They take their places in the order of `writers`: the stack ends with the first one that it was given.
        new = {name: stack.enter_context(replacing(Path(folder, name))) for name in reversed(writers)}
        for name, write in writers.items():
            with naming(Path(folder, name)):
                write(new[name])


@contextmanager
def naming(path: str | os.PathLike, temporary: Path | None = None) -> Iterator[None]:
    """Name a file or folder in errors of a full disk, which come without a name.

    Args:
        path: File or folder.
        temporary: File in place of which `path` is named too.

    Raises:
        OSError: There is no space left, the quota is used up, or the file would be too large.
    """
    try:
        yield
    except Exception as error:
        if temporary is not None and getattr(error, "filename", None) in (temporary, os.fspath(temporary)):
            error.filename = os.fspath(path)
            raise
        # Libraries of other languages have errors of their own, with the number in the message.
        found = re.search(r"os error (\d+)|inline_container.*unexpected pos|PytorchStreamWriter", str(error))
        number = error.errno if isinstance(error, OSError) else int(found[1] or errno.ENOSPC) if found else None
        if number not in _FULL or getattr(error, "filename", None) is not None:
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error


def check_writable(path: str | os.PathLike) -> None:
    """Check that a file can be written, before the work whose results it takes.

    Raises:
        ValueError: The name is empty.
        IsADirectoryError: The path is a folder.
        NotADirectoryError: A part of the path is a file.
        PermissionError: The permissions of the folder forbid it.
    """
    if not os.fspath(path) or not Path(path).name:
        raise ValueError("a name of a file to write is empty")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    parent = next(folder for folder in Path(os.path.abspath(path)).parents if folder.exists())
    if not parent.is_dir():
        raise NotADirectoryError(f"{path}: {parent} is a file and no folder; give another name")
    if not os.access(parent, os.W_OK) and not (os.path.exists(path) and os.access(path, os.W_OK)):
        raise PermissionError(f"{path}: nothing can be written in {parent}; give another folder")


def content_folders(folder: Path) -> tuple[Path, ...]:
    """Return the folders that may hold the files of a resolved folder.

    These are the folder itself and, for a snapshot in the cache of the Hub, the blobs that its files are links to.
    """
    blobs = (parent.parent / "blobs" for parent in folder.parents if parent.name == "snapshots")
    return (folder, *(place for place in blobs if place.is_dir()))


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Make a folder that the block fills.

    The folder becomes `path` once the block succeeds, and is removed if the block fails.

    Yields:
        Folder to fill.

    Raises:
        FileExistsError: `path` is there already and not an empty folder.
    """
    check_new_folder(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic within one file system only.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        folder = Path(temporary, path.name)  # a folder within, since only its owner may read the outer one
        folder.mkdir()
        with naming(path):
            yield folder
        if path.exists():
            path.rmdir()
        os.replace(folder, path)


def check_new_folder(path: str | os.PathLike) -> None:
    """Check that a path is free for a new folder.

    Raises:
        FileExistsError: `path` is there already and not an empty folder.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} is there already and not empty; give another folder")


def write_json(path: str | os.PathLike, value: Any, *, allow_nan: bool = True) -> None:
    """Write a value as a JSON file, complete or not at all.

    Args:
        path: Path of the file.
        value: Value to write.
        allow_nan: Whether NaN and infinity are written, which JSON itself does not know.

    Raises:
        ValueError: The value holds NaN or infinity, and they are not allowed.
    """
    with replacing(path) as partial:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=allow_nan)
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | os.PathLike) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds {type(content).__name__}, not an object")
    return content


def sha256(path: str | os.PathLike) -> str:
    """Return the hexadecimal SHA-256 digest of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
