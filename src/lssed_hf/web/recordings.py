"""What visitors upload: read within limits, and removed from the disk with their visit."""

import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile

from ..audio import AudioError, audio_duration, load_audio


# Samples of all channels per second of the limit; what a small compressed file unpacks to has to fit into memory.
_SAMPLES_PER_SECOND = 2 * 96_000


def read_recording(path: Path, sampling_rate: int, max_seconds: float) -> np.ndarray:
    """Decode an upload, once its header says that it is no longer than `max_seconds`.

    Messages call it by its name alone, since where uploads are kept is nobody's business.

    Args:
        path: the file; its name is the visitor's.
        sampling_rate: of the result, in Hz.
        max_seconds: the longest recording that is taken.

    Returns:
        float32 (samples,).

    Raises:
        AudioError: not audio, damaged, empty, too long, with NaN, ...
        ImportError: the sound track of a video, without PyAV.
    """
    try:
        source = {"bytes": path.read_bytes(), "path": path.name}
    except OSError as error:
        raise AudioError(f"{path.name}: is not kept any more; upload it again") from error
    seconds = audio_duration(source)
    if seconds > max_seconds:
        raise AudioError(
            f"{path.name}: lasts {clock(seconds)}, and this page takes up to {clock(max_seconds)}; upload a part of it"
        )
    try:
        info = soundfile.info(path)
    except (soundfile.LibsndfileError, TypeError):  # a video, or not audio, which load_audio has words for
        info = None
    if info and info.frames * info.channels > max_seconds * _SAMPLES_PER_SECOND:
        raise AudioError(
            f"{path.name}: {info.channels} channels at {info.samplerate} Hz are too much data; convert it to mono at "
            f"{sampling_rate} Hz"
        )
    return load_audio(source, sampling_rate)


def clock(seconds: float) -> str:
    """Such as "3.2 s", "10 min" and "12:05 min"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if rest else f"{minutes} min"


class Uploads:
    """The one upload that each session is at; others of its own are deleted.

    Equal uploads of two sessions are one file to Gradio, which goes with the last of them.
    """

    def __init__(self) -> None:
        self._current: dict[str, Path] = {}
        self._lock = threading.Lock()

    def keep(self, session: str, path: Path | None) -> None:
        """Delete what the session had, unless it is `path`; with None nothing is kept."""
        with self._lock:
            before = self._current.pop(session, None)
            if path is not None and path.is_file():
                self._current[session] = path
            if before is not None and before not in self._current.values():
                before.unlink(missing_ok=True)
                with suppress(OSError):  # Gradio gives each file a folder; this one holds another name of it
                    before.parent.rmdir()
