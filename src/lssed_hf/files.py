"""Files that are either complete or absent, and their digests."""

import hashlib
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Write to the path this yields; once the block succeeds it takes the place of `path`; if it fails it is removed.

    The folder is made if need be. A link keeps leading to its file, which is replaced; a file keeps its permissions; a
    device or a pipe is written to as it is.

    Raises:
        IsADirectoryError: The path is a folder.
    """
    check_writable(path)
    if os.path.exists(path) and not os.path.isfile(path):
        yield Path(path)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic within one file system only; on shared storage process ids recur.
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        yield temporary
        if path.is_file() and temporary.is_file():
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: str | os.PathLike) -> None:
    """Find before the work that a file cannot be written.

    Raises:
        ValueError: The name is empty.
        IsADirectoryError: The path is a folder.
        NotADirectoryError: A part of the path is a file.
        PermissionError: The folder does not let it be written.
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


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Fill the folder this yields; once the block succeeds it becomes `path`; if it fails it is removed.

    Raises:
        FileExistsError: `path` is there already and not an empty folder.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise FileExistsError(f"{path} is there already and not empty; give another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, because a rename is atomic within one file system only.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        folder = Path(temporary, path.name)  # within, since the outer one is for its owner's eyes only
        folder.mkdir()
        yield folder
        if path.exists():
            path.rmdir()
        os.replace(folder, path)


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal digest of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
