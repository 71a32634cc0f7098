"""Audio in and out: recordings of any format, rate and number of channels as mono float32, and back as FLAC or WAV."""

import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile
import soxr

from .decoding import Sound, open_sound
from .decoding.channels import ChannelMixer, full_scale
from .decoding.source import AudioError, source_name


_BLOCK = 2**16  # samples that are decoded at once

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Recording:
    """Decoded recording.

    Args:
        samples: float32 (samples,), in [-1, 1] for PCM files.
        sampling_rate: Sampling rate in Hz.
        notes: Remarks for the listener, one short sentence each, without the name of the file.
    """

    samples: np.ndarray
    sampling_rate: int
    notes: tuple[str, ...] = ()


def read_audio(
    source,
    sampling_rate: int = 16000,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: str = "mix",
) -> Recording:
    """Decode a recording, take it to one channel, resample it (soxr, high quality) and check it.

    Args:
        source: Path; bytes of a file; or row of a `datasets.Audio` column in any of its forms: `{"bytes", "path"}`
            (`decode=False`), `{"array", "sampling_rate"}`, or torchcodec's `AudioDecoder`. The content decides how a
            file is read, whatever its suffix.
        sampling_rate: Sampling rate of the result in Hz.
        start: Start of the part to read in seconds, default the whole file. Formats that can be searched are decoded
            from there.
        end: End of the part in seconds. It may lie up to `END_TOLERANCE` after the end of the file.
        channel: "mix" (mean of all channels), "left" or "right".

    Returns:
        The recording, with notes on what was mended (an unfinished WAV header, float samples in the scale of integers,
        damaged packets) and on channels that are silent or cancel each other.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The audio is unreadable, truncated or empty, has NaN or infinite samples, the times lie outside of
            it, or it has no right channel. (A truncated Ogg file goes unnoticed: it does not say how long it should
            be.)
    """
    if (start is None) != (end is None):
        raise AudioError(
            f"{source_name(source)}: a part of a recording needs both a start and an end, got {start} and {end}"
        )
    if start is not None and not 0 <= start < end < float("inf"):
        raise AudioError(f"{source_name(source)}: {start} to {end} s is no part of a recording; correct the times")
    with open_sound(source) as sound:
        mixer = ChannelMixer(channel, sound.channels, sound.name)
        peak, pieces = 0.0, []
        for block in sound.blocks(start, end, _BLOCK):
            if sound.is_float and start is None:
                peak = max(peak, _magnitude(block))
            pieces.append(mixer.mix(block))
    if not pieces:
        raise _empty(sound.name)
    samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    _check_finite(samples, sound.name, f" of {len(samples)}")
    if sound.is_float and start is not None:
        peak = _peak(source)  # a quiet part has the scale of its recording
    scale, notes = full_scale(peak, sound.name)
    if scale != 1:
        samples = samples / np.float32(scale)
    if sound.sampling_rate != sampling_rate:
        samples = soxr.resample(samples, sound.sampling_rate, sampling_rate)
    if len(samples) == 0:
        raise _empty(sound.name)
    return Recording(samples, sampling_rate, (*sound.notes, *notes, *mixer.notes(scale)))


def load_audio(
    source,
    sampling_rate: int = 16000,
    *,
    start: float | None = None,
    end: float | None = None,
    channel: str = "mix",
) -> np.ndarray:
    """Decode a recording as `read_audio` does, and log its notes as warnings.

    Args:
        source: Path; bytes of a file; or row of a `datasets.Audio` column in any of its forms.
        sampling_rate: Sampling rate of the result in Hz.
        start: Start of the part to read in seconds, default the whole file.
        end: End of the part in seconds.
        channel: "mix" (mean of all channels), "left" or "right".

    Returns:
        float32 of shape (samples,), in [-1, 1] for PCM files.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: As `read_audio`.
    """
    recording = read_audio(source, sampling_rate, start=start, end=end, channel=channel)
    if recording.notes:
        _log(source_name(source), recording.notes)
    return recording.samples


def stream_audio(
    path: str | os.PathLike, sampling_rate: int = 16000, *, channel: str = "mix", notes: list[str] | None = None
) -> Iterator[np.ndarray]:
    """Yield the samples that `load_audio` returns block by block, in memory that does not grow with the recording.

    The file is closed when the iterator ends or is closed. Notes are logged at the end.

    Args:
        path: Path of the recording.
        sampling_rate: Sampling rate of the result in Hz.
        channel: "mix" (mean of all channels), "left" or "right".
        notes: List that takes the notes at the end, in place of the log.

    Yields:
        float32 of shape (samples,), a few seconds each, never empty.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: As `read_audio`, once the iterator gets there; the blocks before are sound.
    """
    name = source_name(path)
    resampler, passed, made = None, 0, 0
    with open_sound(path) as sound:
        scale, scale_notes = full_scale(_peak(path), name) if sound.is_float else (1.0, [])
        mixer = ChannelMixer(channel, sound.channels, name)
        for block in sound.blocks(None, None, _BLOCK):
            block = mixer.mix(block)
            _check_finite(block, sound.name, passed=passed)
            passed += len(block)
            if scale != 1:
                block = block / np.float32(scale)
            if sound.sampling_rate != sampling_rate:
                resampler = resampler or soxr.ResampleStream(sound.sampling_rate, sampling_rate, 1, dtype="float32")
                block = resampler.resample_chunk(block)
            if len(block):
                made += len(block)
                yield block
    if resampler is not None and len(block := resampler.resample_chunk(np.empty(0, np.float32), last=True)):
        made += len(block)
        yield block
    if made == 0:
        raise _empty(name)
    found = (*sound.notes, *scale_notes, *mixer.notes(scale))
    if notes is None:
        _log(name, found)
    else:
        notes += found


def encode_audio(samples: np.ndarray, sampling_rate: int = 16000, audio_format: str = "flac") -> bytes:
    """Encode one mono clip, float in [-1, 1] of shape (samples,), as a 16-bit FLAC or WAV file.

    Samples that `load_audio` read from a 16-bit file at the same rate come back bit for bit. Samples outside of
    [-1, 1) are clipped.
    """
    # soundfile would scale by 32767 where it divided by 32768, which changes every loud sample.
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, pcm, sampling_rate, format=audio_format.upper(), subtype="PCM_16")
    return file.getvalue()


def audio_duration(source) -> float:
    """Return the seconds of a recording, by its header where that can be trusted, else by decoding it.

    Args:
        source: As of `read_audio`.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read, is empty, or holds less than its header promises.
    """
    with open_sound(source) as sound:
        length = _length(sound)
    if length == 0:
        raise _empty(source_name(source))
    return length / sound.sampling_rate


def num_channels(source) -> int:
    """Return the number of channels of a recording.

    Args:
        source: As of `read_audio`.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read.
    """
    with open_sound(source) as sound:
        return sound.channels


def _length(sound: Sound) -> int:
    length = sound.whole_length()
    return sum(len(block) for block in sound.blocks(None, None, _BLOCK)) if length is None else length


def _check_finite(samples: np.ndarray, name: str, total: str = "", passed: int = 0) -> None:
    """Raise AudioError for NaN and infinity."""
    with np.errstate(over="ignore"):
        if np.isfinite(np.dot(samples, samples)):  # the quicker test, which samples beyond 1e16 fail too
            return
    finite = np.isfinite(samples)
    if not finite.all():
        first = passed + int(np.argmin(finite))
        raise AudioError(f"{name}: sample {first}{total} is NaN or infinite; repair or remove the file")


def _magnitude(block: np.ndarray) -> float:
    """Return the largest magnitude among samples that are numbers."""
    return max(float(np.fmax.reduce(block, axis=None)), -float(np.fmin.reduce(block, axis=None)))


def _peak(source) -> float:
    """Return the largest magnitude in a recording, which decides the scale of all its parts."""
    if isinstance(source, (str, os.PathLike)):
        status = os.stat(source)
        return _peak_of_file(source, status.st_size, status.st_mtime_ns)
    with open_sound(source) as sound:
        return max(map(_magnitude, sound.blocks(None, None, _BLOCK)), default=0.0)


@lru_cache(maxsize=4096)
def _peak_of_file(path: str | os.PathLike, size: int, modified: int) -> float:
    with open_sound(path) as sound:
        return max(map(_magnitude, sound.blocks(None, None, _BLOCK)), default=0.0)


def _empty(name: str) -> AudioError:
    return AudioError(f"{name}: holds no samples; remove it or record it again")


def _log(name: str, notes: tuple[str, ...]) -> None:
    for note in notes:
        _warn_once(name, note)


@lru_cache(maxsize=4096)
def _warn_once(name: str, note: str) -> None:
    """Log a note on a file once, however many parts are cut out of it."""
    logger.warning(f"{name}: {note}")
