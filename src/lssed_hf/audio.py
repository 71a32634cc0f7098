"""Decoding: any file that libsndfile reads, any rate, any number of channels, to mono float32. Needs no FFmpeg.

Sound tracks of videos are decoded by PyAV (the extra `video`), whose wheels carry what they need.
"""

import io
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr


#: What `find_audio_files` looks for: the formats of the bundled libsndfile that speech corpora come in.
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".w64", ".caf", ".sph")
#: What libsndfile cannot read and PyAV can.
VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".flv", ".webm", ".mpg", ".wmv", ".m4a", ".aac", ".wma")
#: Seconds by which a segment may end after its recording: times are rounded, and frames of video are 0.04 s long.
END_TOLERANCE = 0.05

# In libsndfile's log of a WAV, AIFF or AU file whose header promises more bytes of audio than there are.
_DATA_SIZE = re.compile(r"(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)")
_BLOCK = 2**16  # samples that `stream_audio` reads at once
_UNKNOWN_LENGTH = 2**48  # samples; more is what libsndfile says of streamed FLAC
_STREAMED_SIZE = 0x7FFFF000  # sizes from here on are what sox and ffmpeg write where they cannot know
_SETTLING = 0.5  # seconds
_SIZE_TOLERANCE = 64  # bytes; some writers count the header in


logger = logging.getLogger(__name__)


class AudioError(ValueError):
    """A clip cannot be used. The message names the file, the reason and what to do."""


def load_audio(
    source, sampling_rate: int = 16000, *, start: float | None = None, end: float | None = None
) -> np.ndarray:
    """Decode, down-mix (mean of the channels), resample (soxr, high quality) and check one clip.

    Args:
        source: a path; the bytes of an audio file; or a row of a `datasets.Audio` column in any of its forms:
            `{"bytes", "path"}` (`decode=False`), `{"array", "sampling_rate"}`, or torchcodec's `AudioDecoder`.
            Videos (`VIDEO_SUFFIXES`) need PyAV.
        sampling_rate: of the result, in Hz.
        start: seconds; with `end`, that part of a file alone is decoded. A part that ends up to `END_TOLERANCE`
            after its file ends with it.
        end: seconds.

    Returns:
        float32 of shape (samples,), in [-1, 1] for PCM files.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: unreadable, truncated or empty audio, NaN or infinite samples, or times outside of the file. (A
            truncated Ogg file goes unnoticed: it does not say how long it should be.)
    """
    name = _name(source)
    if (start is None) != (end is None):
        raise AudioError(f"{name}: a part of a recording needs both a start and an end, got {start} and {end}")
    if start is not None and not 0 <= start < end < float("inf"):
        raise AudioError(f"{name}: {start} to {end} s is no part of a recording; correct the times")
    samples, rate = _decode(source, start, end)
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


def stream_audio(path: str | os.PathLike, sampling_rate: int = 16000) -> Iterator[np.ndarray]:
    """The samples that `load_audio` returns, block by block, in memory that does not grow with the recording.

    The file is closed when the iterator ends or is closed.

    Args:
        path: of the recording. Videos (`VIDEO_SUFFIXES`) need PyAV.
        sampling_rate: of the result, in Hz.

    Yields:
        float32 of shape (samples,), a few seconds each, never empty.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: as `load_audio`, once the iterator gets there; what came before it is sound.
    """
    name, file = _open(path)
    blocks = _video_blocks(file, name) if _is_video(name) else _sound_blocks(file, name)
    resampler, passed, made = None, 0, 0
    with closing(blocks):
        for block, rate in blocks:
            if block.ndim == 2:
                block = block.mean(axis=1, dtype=np.float32)
            finite = np.isfinite(block)
            if not finite.all():
                first = passed + int(np.argmin(finite))
                raise AudioError(f"{name}: sample {first} is NaN or infinite; repair or remove the file")
            passed += len(block)
            if rate != sampling_rate:
                resampler = resampler or soxr.ResampleStream(rate, sampling_rate, 1, dtype="float32")
                block = resampler.resample_chunk(block)
            if len(block):
                made += len(block)
                yield block
    if resampler is not None and len(block := resampler.resample_chunk(np.empty(0, np.float32), last=True)):
        made += len(block)
        yield block
    if made == 0:
        raise AudioError(f"{name}: holds no samples; remove it or record it again")


def encode_audio(samples: np.ndarray, sampling_rate: int = 16000, audio_format: str = "flac") -> bytes:
    """One mono clip, float in [-1, 1] of shape (samples,), as the bytes of a 16-bit FLAC or WAV file.

    What `load_audio` read from a 16-bit file at the same rate comes back bit for bit. Samples outside of [-1, 1) are
    clipped.
    """
    # soundfile would scale by 32767 where it divided by 32768, which changes every loud sample.
    pcm = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, pcm, sampling_rate, format=audio_format.upper(), subtype="PCM_16")
    return file.getvalue()


def audio_duration(source) -> float:
    """Seconds of sound by the header of a file (path, bytes or an undecoded `Audio` row); videos by their sound track.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: the file cannot be read.
    """
    name, file = _open(source)
    if _is_video(name):
        with _sound_track(file, name) as (container, stream):
            if stream.duration:
                return float(stream.duration * stream.time_base)
            return (container.duration or 0) / 1e6  # microseconds
    try:
        info = soundfile.info(file)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise _unreadable(name, error) from error
    if info.frames > _UNKNOWN_LENGTH:
        raise AudioError(f"{name}: does not say how long it is (it was streamed); convert it to WAV or FLAC")
    return info.frames / info.samplerate


def recording_duration(path: str | os.PathLike) -> float:
    """Seconds of a recording that parts are going to be cut out of, once it is found to be whole.

    Raises:
        FileNotFoundError: there is no such file.
        AudioError: the file cannot be read, is empty, or holds less than its header promises.
    """
    name, file = _open(path)
    try:
        info = soundfile.info(file)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise _unreadable(name, error) from error
    _check_size(name, info.extra_info)
    if not 0 < info.frames < _UNKNOWN_LENGTH:
        raise AudioError(f"{name}: holds no samples, or does not say how many; convert it to WAV, or record it again")
    return info.frames / info.samplerate


def find_audio_files(folder: str | os.PathLike, suffixes: tuple[str, ...] = AUDIO_SUFFIXES) -> list[Path]:
    """Every file below a folder with one of the suffixes, sorted, hidden files and folders left out.

    Links to files are listed, whether or not they lead to one; links to folders are not followed, with a warning.

    Raises:
        FileNotFoundError: the folder does not exist or holds no audio file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    files = []
    for directory, folders, names in os.walk(folder):
        hidden = [name for name in folders if name.startswith(".")]
        links = [name for name in folders if os.path.islink(os.path.join(directory, name))]
        for name in links:
            logger.warning(f"{os.path.join(directory, name)} is a link to a folder, which is not followed")
        folders[:] = sorted({*folders} - {*hidden, *links})
        files += [
            Path(directory, name)
            for name in names
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith(".")
        ]
    files.sort()
    if not files:
        raise FileNotFoundError(f"no audio file below {folder}; looked for {', '.join(suffixes)}")
    return files


def expand_paths(inputs: Sequence[Path]) -> list[Path]:
    """Files as given, and the audio files below each folder; a path given twice counts once.

    Raises:
        FileNotFoundError: a folder holds no audio file.
    """
    paths = [path for given in inputs for path in (find_audio_files(given) if given.is_dir() else [given])]
    return list(dict.fromkeys(paths))


def _name(source) -> str:
    if isinstance(source, (str, os.PathLike)):
        return str(source)
    if isinstance(source, Mapping) and source.get("path"):
        return str(source["path"])
    return f"<{type(source).__name__}>"


def _decode(source, start: float | None, end: float | None) -> tuple[np.ndarray, int]:
    """Samples of shape (samples,) or (samples, channels), and their rate."""
    if isinstance(source, Mapping) and source.get("array") is not None:
        samples, rate = _channels_last(np.asarray(source["array"])), source["sampling_rate"]
        return _part(samples, rate, start, end, _name(source)), rate
    if hasattr(source, "get_all_samples"):  # torchcodec's AudioDecoder, what datasets >= 4 decodes to
        decoded = source.get_all_samples()
        rate = decoded.sample_rate
        return _part(decoded.data.numpy().T, rate, start, end, _name(source)), rate  # from (channels, samples)
    name, file = _open(source)
    if _is_video(name):
        return _decode_video(file, name, start, end)
    try:
        with soundfile.SoundFile(file) as sound:
            expected, rate, log = sound.frames, sound.samplerate, sound.extra_info
            if expected > _UNKNOWN_LENGTH:
                raise AudioError(f"{name}: does not say how long it is (it was streamed); convert it to WAV or FLAC")
            if start is not None:
                first, last = _bounds(expected, rate, start, end, name)
                sound.seek(first)
                expected = last - first
            samples = sound.read(expected, dtype="float32")
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        raise _unreadable(name, error) from error
    if len(samples) < expected:
        raise AudioError(
            f"{name}: truncated, {len(samples)} of {expected} samples could be read; copy it again from its source"
        )
    if start is None:
        _check_size(name, log)
    return samples, rate


def _check_size(name: str, log: str) -> None:
    """Raise AudioError where libsndfile's log says that a header promised more audio than there is."""
    if size := _DATA_SIZE.search(log):
        promised, found = map(int, size.groups())
        if found + _SIZE_TOLERANCE < promised < _STREAMED_SIZE:
            raise AudioError(
                f"{name}: truncated, {found} of {promised} bytes of audio are there; copy it again from its source"
            )


def _open(source) -> tuple[str, str | io.BytesIO]:
    """The name of a path, of bytes or of an undecoded row, and what a decoder can read."""
    name = _name(source)
    if isinstance(source, Mapping):
        source = source.get("path") if source.get("bytes") is None else source["bytes"]
    if isinstance(source, (bytes, bytearray)):
        if len(source) == 0:
            raise AudioError(f"{name}: the file is empty (0 bytes); copy it again from its source")
        return name, io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"cannot read audio from {type(source).__name__}; give a path, bytes or an Audio row")
    if not os.path.isfile(source):
        raise FileNotFoundError(f"{name}: no such audio file")
    if os.path.getsize(source) == 0:
        raise AudioError(f"{name}: the file is empty (0 bytes); copy it again from its source")
    return name, os.fspath(source)


def _unreadable(name: str, error: Exception) -> AudioError:
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
    return AudioError(
        f"{name}: truncated, damaged or not an audio file ({reason}); convert it to WAV or FLAC, or copy it again "
        "from its source"
    )


def _bounds(total: int, rate: int, start: float, end: float, name: str) -> tuple[int, int]:
    """First and last sample (exclusive) of a part of `total` samples."""
    if end > total / rate + END_TOLERANCE:
        raise AudioError(f"{name}: lasts {total / rate:.3f} s, so it has no {start} to {end} s; correct the times")
    return min(round(start * rate), total), min(round(end * rate), total)


def _part(samples: np.ndarray, rate: int, start: float | None, end: float | None, name: str) -> np.ndarray:
    if start is None:
        return samples
    first, last = _bounds(len(samples), rate, start, end, name)
    return samples[first:last]


def _is_video(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


@contextmanager
def _sound_track(file: str | io.BytesIO, name: str):
    """The opened container and its first audio stream."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            f"{name}: the sound of a video needs PyAV; run pip install 'lssed-hf[video]', or convert it to WAV"
        ) from error
    try:
        with av.open(file) as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: has no sound track; remove it or copy it again from its source")
            yield container, container.streams.audio[0]
    except av.FFmpegError as error:
        raise _unreadable(name, error) from error


def _decode_video(file: str | io.BytesIO, name: str, start: float | None, end: float | None) -> tuple[np.ndarray, int]:
    with _sound_track(file, name) as (container, stream):
        from av import AudioResampler

        rate = stream.rate
        if start:
            # To the frame before it, and early enough for a lossy codec to have settled.
            container.seek(int(max(start - _SETTLING, 0) / stream.time_base), stream=stream)
        resampler = AudioResampler(format="fltp", rate=rate)
        pieces, began = [], None
        for frame in container.decode(stream):
            if began is None:
                began = max(frame.time or 0.0, 0.0)
            pieces += [piece.to_ndarray() for piece in resampler.resample(frame)]
            if end is not None and frame.time is not None and frame.time > end:
                break
        else:
            pieces += [piece.to_ndarray() for piece in resampler.resample(None)]
    if not pieces:
        raise AudioError(f"{name}: its sound track holds no samples; copy it again from its source")
    samples = np.concatenate(pieces, axis=1).T  # from (channels, samples)
    if start is None:
        return samples, rate
    # Times of the part that was decoded, which begins at `began`.
    total = round(began * rate) + len(samples)
    first, last = _bounds(total, rate, start, end, name)
    skipped = round(began * rate)
    return samples[max(first - skipped, 0) : max(last - skipped, 0)], rate


def _sound_blocks(file: str | io.BytesIO, name: str) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks (samples,) or (samples, channels) of what libsndfile reads, and their rate."""
    try:
        with soundfile.SoundFile(file) as sound:
            expected, rate = sound.frames, sound.samplerate
            if expected > _UNKNOWN_LENGTH:
                raise AudioError(f"{name}: does not say how long it is (it was streamed); convert it to WAV or FLAC")
            _check_size(name, sound.extra_info)
            found = 0
            while len(block := sound.read(min(_BLOCK, expected - found), dtype="float32")):
                found += len(block)
                yield block, rate
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name that ends in .raw
        raise _unreadable(name, error) from error
    if found < expected:
        raise AudioError(
            f"{name}: truncated, {found} of {expected} samples could be read; copy it again from its source"
        )


def _video_blocks(file: str | io.BytesIO, name: str) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks (samples, channels) of the sound track of a video, and their rate."""
    with _sound_track(file, name) as (container, stream):
        from av import AudioResampler

        resampler = AudioResampler(format="fltp", rate=stream.rate)
        for frame in container.decode(stream):
            for piece in resampler.resample(frame):
                yield piece.to_ndarray().T, stream.rate  # from (channels, samples)
        for piece in resampler.resample(None):
            yield piece.to_ndarray().T, stream.rate


def _channels_last(samples: np.ndarray) -> np.ndarray:
    """(channels, samples), as torch and torchcodec keep audio, to (samples, channels)."""
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        samples = samples.T
    return samples
