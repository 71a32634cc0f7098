"""Uploads of visitors: read within limits, and removed from the disk with their visit."""

import threading
from contextlib import suppress
from pathlib import Path

from ..audio import AudioError, Recording, audio_duration, read_audio
from ..decoding import open_sound


# Most samples of all channels per second of the limit, because a small compressed file may unpack to very many.
_SAMPLES_PER_SECOND = 2 * 96_000


class NotAudioError(AudioError):
    """File that no decoder can open."""


class TooLongError(AudioError):
    """Recording beyond the limits of the page."""


def read_recording(path: Path, sampling_rate: int, max_seconds: float) -> Recording:
    """Decode an upload after a look at its header.

    Messages name the file without its folder.

    Args:
        path: File of the visitor.
        sampling_rate: Sampling rate of the result in Hz.
        max_seconds: Longest recording that is accepted, in seconds.

    Raises:
        NotAudioError: The file is not audio, or its header is damaged.
        TooLongError: The recording is too long, or its channels and rate make it too large.
        AudioError: The recording is truncated, holds no samples or NaN, ...
    """
    try:
        source = {"bytes": path.read_bytes(), "path": path.name}
    except OSError as error:
        raise AudioError(f"{path.name}: is not kept any more; upload it again") from error
    try:
        with open_sound(source) as sound:
            rate, channels = sound.sampling_rate, sound.channels
    except AudioError as error:
        raise NotAudioError(str(error)) from error
    seconds = audio_duration(source)
    if seconds > max_seconds:
        raise TooLongError(
            f"{path.name}: lasts {clock(seconds)}, and this page takes up to {clock(max_seconds)}; upload a part of it"
        )
    if seconds * rate * channels > max_seconds * _SAMPLES_PER_SECOND:
        raise TooLongError(
            f"{path.name}: {channels} channels at {rate} Hz are too much data; convert it to mono at "
            f"{sampling_rate} Hz"
        )
    return read_audio(source, sampling_rate)


def clock(seconds: float) -> str:
    """Format a time for people: "3.2 s", "10 min", "12:05 min"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if rest else f"{minutes} min"


class Uploads:
    """Uploads by session: each session keeps its latest upload, and earlier ones are deleted.

    Gradio stores equal uploads of two sessions as one file, which is deleted with the last of them.
    """

    def __init__(self) -> None:
        self._current: dict[str, Path] = {}
        self._lock = threading.Lock()

    def keep(self, session: str, path: Path | None) -> None:
        """Delete the earlier upload of a session unless it is `path`; None keeps nothing."""
        with self._lock:
            before = self._current.pop(session, None)
            if path is not None and path.is_file():
                self._current[session] = path
            if before is not None and before not in self._current.values():
                before.unlink(missing_ok=True)
                with suppress(OSError):  # another name of the file is in its folder
                    before.parent.rmdir()
