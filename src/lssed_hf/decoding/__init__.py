"""Decoding of audio. The content of a file decides which library reads it, never its name.

libsndfile comes first. PyAV reads the formats that libsndfile does not know or whose length it only guesses.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import BinaryIO

import soundfile

from .arrays import ArraySound
from .headers import SIZE_TOLERANCE, WavData, container_promise, is_mpeg, mpeg_promise, wav_data
from .libsndfile import LibsndfileSound
from .pyav import PyavSound
from .source import AudioError, open_source, source_name, truncated, unreadable


_RATES = (1000, 1_000_000)  # Hz; a damaged header must not make a second into an hour
_SPARE_BYTES = 256  # size of a tag that an encoder may count in, and another program may have removed

Sound = ArraySound | LibsndfileSound | PyavSound


@contextmanager
def open_sound(source) -> Iterator[Sound]:
    """Open a source of audio with the decoder for its content.

    Args:
        source: Path, bytes of a file, or row of a `datasets.Audio` column in any of its forms.

    Yields:
        Sound with `name`, `sampling_rate` in Hz, `channels`, `is_float` (whether samples may have any scale), `notes`,
        `blocks(size, start, end)`, and `whole_length()` in samples, which is None if only decoding tells it.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read.
    """
    name = source_name(source)
    if hasattr(source, "get_all_samples") or (isinstance(source, Mapping) and source.get("array") is not None):
        yield ArraySound(name, source)
        return
    with open_source(source, name) as (file, head), closing(_open_file(name, file, head)) as sound:
        if not _RATES[0] <= sound.sampling_rate <= _RATES[1]:
            raise unreadable(name, f"a sampling rate of {sound.sampling_rate} Hz")
        try:
            yield sound
        except MemoryError as error:
            raise AudioError(f"{name}: needs more memory than there is ({error}); shorten or convert it") from error
        except (OverflowError, RuntimeError, SystemError) as error:  # of a decoder that trusts a damaged header
            raise unreadable(name, f"{type(error).__name__}: {error}") from error


def _open_file(name: str, file: BinaryIO, head: bytes) -> Sound:
    if is_mpeg(file, head):
        promise = mpeg_promise(file, head)
        incomplete = _shortage(name, promise.found, promise.size, _SPARE_BYTES)
        return _open_pyav(name, file, packets=promise.frames, incomplete=incomplete)
    wav = wav_data(file, head)
    notes = _wav_notes(wav) if wav else []
    if wav and wav.unfinished:
        return _open_pyav(name, file, notes=notes, options={"ignore_length": "1"})
    found, promised = (wav.found, wav.promised) if wav else container_promise(file, head) or (0, None)
    incomplete = _shortage(name, found, promised, SIZE_TOLERANCE)
    file.seek(0)
    reason = None
    try:
        sound = LibsndfileSound(name, file, notes, incomplete)
        if not sound.is_estimated:
            return sound
        sound.close()
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        reason = error
    return _open_pyav(name, file, reason, notes=notes, incomplete=incomplete)


def _shortage(name: str, found: int, promised: int | None, tolerance: int) -> AudioError | None:
    """Return the error for a file with fewer bytes of audio than promised, None for a whole file."""
    if promised is None or found + tolerance >= promised:
        return None
    return truncated(name, found, promised, "bytes are there")


def _open_pyav(name: str, file: BinaryIO, reason: Exception | None = None, **arguments) -> Sound:
    """Open a file with PyAV; `reason` is the error of libsndfile, if it was tried."""
    file.seek(0)
    try:
        import av
    except ImportError as error:
        tried = f" (libsndfile: {str(getattr(reason, 'error_string', reason)).rstrip('.')})" if reason else ""
        raise AudioError(
            f"{name}: truncated, damaged or in a format that needs PyAV{tried}; run pip install av, convert it to WAV "
            "or FLAC, or copy it again from its source"
        ) from error
    try:
        return PyavSound(name, file, **arguments)
    except av.FFmpegError as error:
        raise unreadable(name, reason or error) from error


def _wav_notes(wav: WavData) -> list[str]:
    if wav.note:
        return [wav.note]
    if wav.promised is not None and not wav.unfinished:
        return []
    promised = "no length" if wav.promised is None else _seconds(wav.promised, wav.byte_rate)
    return [f"the WAV header says {promised}; read to the end of the file, {_seconds(wav.found, wav.byte_rate)}"]


def _seconds(size: int, byte_rate: int) -> str:
    return f"{size / byte_rate:.2f} s" if byte_rate else f"{size} bytes"
