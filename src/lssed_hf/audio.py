"""Decoding: any file that libsndfile reads, any rate, any number of channels, to mono float32. Needs no FFmpeg."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
import soxr


#: What `find_audio_files` looks for: the formats of the bundled libsndfile that speech corpora come in.
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".w64", ".caf", ".sph")


# In libsndfile's log of a WAV, AIFF or AU file whose header promises more bytes of audio than there are.
_DATA_SIZE = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
_STREAMED_SIZE = 0x7FFFF000  # sizes from here on are what sox and ffmpeg write where they cannot know
_SIZE_TOLERANCE = 64  # bytes; some writers count the header in


class AudioError(ValueError):
    """A clip cannot be used. The message names the file, the reason and what to do."""


def load_audio(source, sampling_rate: int = 16000) -> np.ndarray:
    """Decode, down-mix (mean of the channels), resample (soxr, high quality) and check one clip.

    Args:
        source: a path; the bytes of an audio file; or a row of a `datasets.Audio` column in any of its forms:
            `{"bytes", "path"}` (`decode=False`), `{"array", "sampling_rate"}`, or torchcodec's `AudioDecoder`.
        sampling_rate: of the result, in Hz.

    Returns:
        float32 of shape (samples,), in [-1, 1] for PCM files.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: unreadable, truncated or empty audio, or NaN or infinite samples. (A truncated Ogg file goes
            unnoticed: it does not say how long it should be.)
    """
    name, (samples, rate) = _name(source), _decode(source)
    if samples.dtype in (np.int16, np.int32):
        samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
    if not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"{name}: samples of type {samples.dtype}; give floats in [-1, 1], or int16 or int32 PCM")
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    finite = np.isfinite(samples)
    if not finite.all():
        raise AudioError(
            f"{name}: sample {int(np.argmin(finite))} of {len(samples)} is NaN or infinite; repair or remove the file"
        )
    samples = samples.astype(np.float32, copy=False)
    if rate != sampling_rate:
        samples = soxr.resample(samples, rate, sampling_rate)
    if len(samples) == 0:
        raise AudioError(f"{name}: holds no samples; remove it or record it again")
    return samples


def find_audio_files(folder: str | os.PathLike) -> list[Path]:
    """Every audio file below a folder, sorted, hidden files and folders left out.

    Raises:
        FileNotFoundError: the folder does not exist or holds no audio file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in AUDIO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
    )
    if not files:
        raise FileNotFoundError(f"no audio file below {folder}; looked for {', '.join(AUDIO_SUFFIXES)}")
    return files


def _name(source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    if isinstance(source, Mapping) and source.get("path"):
        return str(source["path"])
    return f"<{type(source).__name__}>"


def _decode(source) -> tuple[np.ndarray, int]:
    """Samples of shape (samples,) or (samples, channels), and their rate."""
    if isinstance(source, Mapping) and source.get("array") is not None:
        return _channels_last(np.asarray(source["array"])), source["sampling_rate"]
    if hasattr(source, "get_all_samples"):  # torchcodec's AudioDecoder, what datasets >= 4 decodes to
        decoded = source.get_all_samples()
        return decoded.data.numpy().T, decoded.sample_rate  # from (channels, samples)
    name = _name(source)
    if isinstance(source, Mapping):
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if isinstance(source, (bytes, bytearray)):
        if len(source) == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); copy it again from its source")
        file: str | io.BytesIO = io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        file = os.fspath(source)
        if not os.path.isfile(file):
            raise FileNotFoundError(f"{name}: no such audio file")
        if os.path.getsize(file) == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); copy it again from its source")
    else:
        raise TypeError(f"cannot read audio from {type(source).__name__}; give a path, bytes or an Audio row")
    try:
        with soundfile.SoundFile(file) as sound:
            expected, rate, log = sound.frames, sound.samplerate, sound.extra_info
            if expected > 2**48:
                raise AudioError(f"{name}: does not say how long it is (it was streamed); convert it to WAV or FLAC")
            samples = sound.read(dtype="float32")
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise AudioError(
            f"{name}: truncated, damaged or not an audio file ({reason}); convert it to WAV or FLAC, or copy it again "
            "from its source"
        ) from error
    if len(samples) < expected:
        raise AudioError(
            f"{name}: truncated, {len(samples)} of {expected} samples could be read; copy it again from its source"
        )
    if size := _DATA_SIZE.search(log):
        promised, found = map(int, size.groups())
        if found + _SIZE_TOLERANCE < promised < _STREAMED_SIZE:
            raise AudioError(
                f"{name}: truncated, {found} of {promised} bytes of audio are there; copy it again from its source"
            )
    return samples, rate


def _channels_last(samples: np.ndarray) -> np.ndarray:
    """(channels, samples), as torch and torchcodec keep audio, to (samples, channels)."""
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    return samples
