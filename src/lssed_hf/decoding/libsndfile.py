"""Decoding by libsndfile: WAV, FLAC, Ogg, AIFF, AU, CAF, NIST SPHERE and more."""

import io
import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np
import soundfile

from .headers import SIZE_TOLERANCE, STREAMED_SIZE
from .source import AudioError, part_bounds, truncated, unreadable


# Line in libsndfile's log of a WAV, AIFF or AU file whose header promises more bytes of audio than there are.
_DATA_SIZE = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
# Lines in the log of a VOC or MAT file.
_TRUNCATED = re.compile(r"^(?:Seems to be a truncated file|\*\*\* File seems to be truncated)", re.MULTILINE)
_UNKNOWN_LENGTH = 2**48  # samples; libsndfile reports more for streamed FLAC


class LibsndfileSound:
    """Sound in a file that libsndfile reads.

    Args:
        name: Name of the file for messages.
        file: File at its beginning, which is left open.
        notes: Remarks about the file, for the listener.
        incomplete: Error of a file that is known to be truncated, raised when all of it is asked for.

    Raises:
        soundfile.LibsndfileError: The format is unknown to libsndfile.
    """

    def __init__(
        self, name: str, file: BinaryIO, notes: Sequence[str] = (), incomplete: AudioError | None = None
    ) -> None:
        self.name, self.notes, self._incomplete = name, list(notes), incomplete
        # By the descriptor libsndfile reads without callbacks into Python.
        by_descriptor = isinstance(file, io.FileIO) and os.name == "posix"
        self._sound = soundfile.SoundFile(file.fileno() if by_descriptor else file, closefd=False)
        self.sampling_rate, self.channels = self._sound.samplerate, self._sound.channels
        self._length, encoding = self._sound.frames, self._sound.subtype
        self.is_float = encoding in ("FLOAT", "DOUBLE")
        #: Whether the length is a guess: streamed FLAC, and MPEG audio in any container.
        self.is_estimated = self._length > _UNKNOWN_LENGTH or encoding.startswith("MPEG")

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._sound.close()

    def whole_length(self) -> int:
        """Return the number of samples.

        Raises:
            AudioError: The header promises more than there is.
        """
        if self._incomplete:
            raise self._incomplete
        if size := _DATA_SIZE.search(self._sound.extra_info):
            promised, found = map(int, size.groups())
            if found + SIZE_TOLERANCE < promised < STREAMED_SIZE:
                raise truncated(self.name, found, promised, "bytes are there")
        if _TRUNCATED.search(self._sound.extra_info):
            raise unreadable(self.name, "libsndfile takes it for truncated")
        return self._length

    def blocks(self, size: int, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
        """Decode a part, or all without a start: float32 (samples,) or (samples, channels)."""
        length = self.whole_length() if start is None else self._length
        first, last = part_bounds(length, self.sampling_rate, start, end, self.name)
        expected, found = last - first, 0
        try:
            if first:
                self._sound.seek(first)
            while found < expected:
                block = self._sound.read(min(size, expected - found), dtype="float32")
                if not len(block):
                    raise truncated(self.name, found, expected)
                found += len(block)
                yield block
        except soundfile.LibsndfileError as error:
            raise unreadable(self.name, error) from error
