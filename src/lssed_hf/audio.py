"""Reading of audio in any format as mono float32, and writing of FLAC and WAV."""

import io
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soundfile
import soxr

from .decoding import open_sound
from .decoding.channels import ChannelMixer, full_scale
from .decoding.source import AudioError, source_name


_BLOCK = 2**16  # samples of one decoded block
_MOST_SAMPLES = 2**29  # of a recording in memory, 2 GiB; a small file may hold days of silence

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
    """Decode a recording, mix it to one channel, check it, and resample it (soxr, high quality).

    Args:
        source: Path; bytes of a file; or row of a `datasets.Audio` column in any of its forms: `{"bytes", "path"}`
            (`decode=False`), `{"array", "sampling_rate"}`, or torchcodec's `AudioDecoder`. The content decides how a
            file is read, whatever its suffix.
        sampling_rate: Sampling rate of the result in Hz.
        start: Start of the part to read in seconds. Default: the whole file. Decoding begins there where the format
            allows a jump.
        end: End of the part in seconds. It may lie up to `END_TOLERANCE` after the end of the file.
        channel: "mix" (mean of all channels), "left" or "right".

    Returns:
        The recording. Its notes tell of repairs (an unfinished WAV header, float samples in the scale of integers,
        damaged packets) and of channels that are silent or cancel each other.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The audio is unreadable, truncated or empty, has NaN or infinite samples, lacks the right channel,
            does not cover the times, or is too long to be held in memory. A truncated Ogg file goes unnoticed, because
            Ogg does not store its length.
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
        room = round(_MOST_SAMPLES * min(1.0, sound.sampling_rate / sampling_rate))
        for block in sound.blocks(_BLOCK, start, end):
            if (room := room - len(block)) < 0:
                hours = _MOST_SAMPLES / max(sampling_rate, sound.sampling_rate) / 3600
                raise AudioError(
                    f"{sound.name}: is too long to be held in memory at {sampling_rate} Hz (over {hours:.1f} h); read "
                    "it in parts (start and end) or by stream_audio"
                )
            if sound.is_float and start is None:
                peak = max(peak, _magnitude(block))
            pieces.append(mixer.mix(block))
        if not pieces:
            raise _empty(sound.name)
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        _check_finite(samples, sound.name, f" of {len(samples)}")
        if sound.is_float and start is not None:
            peak = _peak(source)  # the whole recording tells the scale of a quiet part
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
    """Decode a recording, mix it to one channel, check it, and resample it (soxr, high quality).

    Repairs, and channels that are silent or cancel each other, are logged as warnings.

    Args:
        source: Path; bytes of a file; or row of a `datasets.Audio` column in any of its forms.
        sampling_rate: Sampling rate of the result in Hz.
        start: Start of the part to read in seconds. Default: the whole file.
        end: End of the part in seconds.
        channel: "mix" (mean of all channels), "left" or "right".

    Returns:
        float32 of shape (samples,), in [-1, 1] for PCM files.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The audio is unreadable, truncated or empty, has NaN or infinite samples, lacks the right channel,
            or does not cover the times, or is too long to be held in memory.

    Examples:
        >>> import numpy as np
        >>> from lssed_hf import load_audio
        >>> second = {"array": np.zeros((48000, 2), dtype="float32"), "sampling_rate": 48000}
        >>> load_audio(second).shape
        (16000,)
    """
    recording = read_audio(source, sampling_rate, start=start, end=end, channel=channel)
    for note in recording.notes:
        _warn_once(source_name(source), note)
    return recording.samples


def stream_audio(
    path: str | os.PathLike, sampling_rate: int = 16000, *, channel: str = "mix", notes: list[str] | None = None
) -> Iterator[np.ndarray]:
    """Yield the samples that `load_audio` returns, block by block.

    The memory that this takes does not grow with the recording. The file is closed when the iterator ends or is
    closed. Notes are logged at the end.

    Args:
        path: Path of the recording.
        sampling_rate: Sampling rate of the result in Hz.
        channel: "mix" (mean of all channels), "left" or "right".
        notes: List to which the notes are added, in place of the log.

    Yields:
        float32 of shape (samples,), a few seconds each, never empty.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: `read_audio` would refuse the recording. The blocks before the fault are yielded first.
    """
    name = source_name(path)
    resampler, passed, made = None, 0, 0
    with open_sound(path) as sound:
        scale, scale_notes = full_scale(_peak(path), name) if sound.is_float else (1.0, [])
        mixer = ChannelMixer(channel, sound.channels, name)
        for block in sound.blocks(_BLOCK):
            block = mixer.mix(block)
            _check_finite(block, name, passed=passed)
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
    if notes is not None:
        notes += found
        return
    for note in found:
        _warn_once(name, note)


def encode_audio(samples: np.ndarray, sampling_rate: int = 16000, audio_format: str = "flac") -> bytes:
    """Encode a mono clip as a 16-bit file.

    Samples that `load_audio` read from a 16-bit file at the same rate come back bit for bit. Samples outside of
    [-1, 1) are clipped.

    Args:
        samples: Float samples in [-1, 1] of shape (samples,).
        sampling_rate: Sampling rate in Hz.
        audio_format: "flac" or "wav".

    Returns:
        Content of the file.
    """
    # soundfile reads with a divisor of 32768, but would write with a factor of 32767, which changes loud samples.
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, pcm, sampling_rate, format=audio_format.upper(), subtype="PCM_16")
    return file.getvalue()


def audio_duration(source) -> float:
    """Return the length of a recording in seconds, by its header if that can be trusted, else by decoding it.

    Args:
        source: Source in any form that `read_audio` takes.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read, is empty, or holds less than its header promises.
    """
    with open_sound(source) as sound:
        length = sound.whole_length()
        if length is None:
            length = sum(map(len, sound.blocks(_BLOCK)))
    if length == 0:
        raise _empty(source_name(source))
    return length / sound.sampling_rate


def num_channels(source) -> int:
    """Return the number of channels of a recording.

    Args:
        source: Source in any form that `read_audio` takes.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read.
    """
    with open_sound(source) as sound:
        return sound.channels


def native_rate(source) -> int:
    """Return the sampling rate of a recording in Hz.

    Args:
        source: Source in any form that `read_audio` takes.

    Raises:
        FileNotFoundError: There is no such file.
        AudioError: The file cannot be read.
    """
    with open_sound(source) as sound:
        return sound.sampling_rate


def _check_finite(samples: np.ndarray, name: str, total: str = "", passed: int = 0) -> None:
    """Check that samples are finite.

    Args:
        samples: Samples of one channel.
        name: Name of the recording for messages.
        total: Text for messages behind the number of a sample, such as " of 16000".
        passed: Number of samples that were checked before.

    Raises:
        AudioError: A sample is NaN or infinite.
    """
    with np.errstate(over="ignore"):
        if np.isfinite(np.dot(samples, samples)):  # quicker, but fails for samples beyond 1e16 as well
            return
    finite = np.isfinite(samples)
    if not finite.all():
        first = passed + int(np.argmin(finite))
        raise AudioError(f"{name}: sample {first}{total} is NaN or infinite; repair or remove the file")


def _magnitude(block: np.ndarray) -> float:
    """Return the largest magnitude in a block, without NaN."""
    return max(float(np.fmax.reduce(block, axis=None)), -float(np.fmin.reduce(block, axis=None)))


def _peak(source) -> float:
    """Return the largest magnitude in a recording, which decides the scale of all its parts."""
    if isinstance(source, (str, os.PathLike)):
        status = os.stat(source)
        return _file_peak(source, status.st_size, status.st_mtime_ns)
    return _decoded_peak(source)


@lru_cache(maxsize=4096)
def _file_peak(path: str | os.PathLike, size: int, modified: int) -> float:
    return _decoded_peak(path)


def _decoded_peak(source) -> float:
    with open_sound(source) as sound:
        return max(map(_magnitude, sound.blocks(_BLOCK)), default=0.0)


def _empty(name: str) -> AudioError:
    return AudioError(f"{name}: holds no samples; remove it or record it again")


@lru_cache(maxsize=4096)
def _warn_once(name: str, note: str) -> None:
    """Log a note on a file once, however many parts are cut out of it."""
    logger.warning(f"{name}: {note}")
