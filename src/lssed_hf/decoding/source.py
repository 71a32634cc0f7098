"""Sources of audio (paths, bytes of a file, undecoded rows of a `datasets.Audio` column), and errors about them."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO


#: Seconds by which a segment may end after its recording: times are rounded, and a frame of video lasts 0.04 s.
END_TOLERANCE = 0.05

_HEAD = 512  # bytes, enough to tell a placeholder from a recording
_PLACEHOLDERS = {
    b"version https://git-lfs": "is a Git LFS pointer, not the recording; run git lfs pull",
    b"/annex/objects/": "is a git-annex pointer, not the recording; run git annex get",
    b"<!doctype html": "is a web page, not a recording; download it again",
    b"<html": "is a web page, not a recording; download it again",
}


class AudioError(ValueError):
    """Error for a clip that cannot be used; the message names the file, the reason and the remedy.

    Examples:
        >>> from lssed_hf import AudioError, load_audio
        >>> try:
        ...     load_audio(b"")
        ... except AudioError as error:
        ...     print(error)
        <bytes>: the file is empty (0 bytes); copy it again from its source
    """


def source_name(source) -> str:
    """Return the name of a source for messages, which can be encoded as UTF-8."""
    if not isinstance(source, (str, os.PathLike)):
        if not isinstance(source, Mapping) or not source.get("path"):
            return f"<{type(source).__name__}>"
        source = source["path"]
    # A name that is not UTF-8 holds lone surrogates, which no stream can write.
    return str(source).encode("utf-8", "backslashreplace").decode()


def placeholder_problem(head: bytes) -> str | None:
    """Return a message if a file begins like a placeholder of a recording, such as a Git LFS pointer."""
    text = head.lstrip().lower()
    return next((problem for start, problem in _PLACEHOLDERS.items() if text.startswith(start)), None)


@contextmanager
def open_source(source, name: str) -> Iterator[tuple[BinaryIO, bytes]]:
    """Open a source without a buffer, and read its head.

    Args:
        source: Path, bytes, or row `{"bytes", "path"}`.
        name: Name of the source for messages.

    Yields:
        The file, at its beginning, and its first bytes.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file is empty, may not be read, or is a placeholder such as a Git LFS pointer.
    """
    if not isinstance(source, (str, os.PathLike)) and isinstance(source, Mapping):
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    with _open(source, name) as file:
        head = file.read(_HEAD)
        if not head:
            raise AudioError(f"{name}: the file is empty (0 bytes); copy it again from its source")
        if problem := placeholder_problem(head):
            raise AudioError(f"{name}: {problem}")
        file.seek(0)
        yield file, head


def unreadable(name: str, error: Exception | str) -> AudioError:
    """Return the error for content that no decoder understands."""
    reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return AudioError(
        f"{name}: truncated, damaged or not an audio file ({reason.strip().rstrip('.')}); convert it to WAV or FLAC, "
        "or copy it again from its source"
    )


def truncated(name: str, found: int, expected: int, unit: str = "samples could be read") -> AudioError:
    """Return the error for a file that holds less than its header promises."""
    return AudioError(f"{name}: truncated, {found} of {expected} {unit}; copy it again from its source")


def part_bounds(total: int, rate: int, start: float | None, end: float | None, name: str) -> tuple[int, int]:
    """Return the first sample of a part and the one after its last; without a start the part is all.

    Raises:
        AudioError: The part ends more than `END_TOLERANCE` after the recording.
    """
    if start is None:
        return 0, total
    if end > total / rate + END_TOLERANCE:
        raise AudioError(f"{name}: lasts {total / rate:.3f} s, so it has no {start} to {end} s; correct the times")
    return min(round(start * rate), total), min(round(end * rate), total)


def _open_at_once(path: str, flags: int) -> int:
    """Open a file for `open`. A pipe that nobody writes into is empty, where the process would wait without end."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor


def _open(source, name: str) -> BinaryIO:
    if isinstance(source, (bytes, bytearray)):
        return io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"cannot read audio from {type(source).__name__}; give a path, bytes or an Audio row")
    try:
        file = open(source, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115 (the caller closes it)
        if file.seekable():
            return file
        with file:  # a pipe: decoders could not go back in it
            return io.BytesIO(file.read())
    except PermissionError as error:
        raise AudioError(f"{name}: cannot be opened ({error.strerror}); check its permissions") from error
    except (OSError, ValueError) as error:  # also folders, and names that are too long or hold a null character
        raise FileNotFoundError(f"{name}: no such file or folder") from error
