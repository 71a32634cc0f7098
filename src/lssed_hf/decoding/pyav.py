"""Decoding by PyAV, which brings FFmpeg: phone and browser recordings, MPEG audio, videos and unfinished WAV files."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import BinaryIO

import numpy as np

from .source import AudioError, part_bounds, truncated, unreadable


# FFmpeg's readers of files. The others read no audio, or open other files that a file names, such as playlists.
_READERS = (
    "3gp,aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpeg,mpegts,mxf,"
    "nistsphere,nut,ogg,rm,shn,tak,tta,voc,w64,wav,webm,wv"
)
_SEEKABLE = ("mov", "matroska", "wav")  # the times of their frames are right after a jump
_CHECKED = ("wavpack", "tta")  # FFmpeg says nothing of a wrong checksum unless asked
_SETTLING = 0.5  # seconds after a jump in which the output of a lossy codec is not yet right
_LOST = 0.5  # seconds by which a recording may be shorter than its header says
_SPARE_PACKETS = 2  # difference between the ways in which encoders count the frames of an MP3


class PyavSound:
    """First sound track of a file that FFmpeg reads.

    Args:
        name: Name of the file for messages.
        file: File at its beginning, which is left open.
        notes: Remarks about the file, for the listener.
        options: Options of FFmpeg's reader.
        packets: Number of packets that the file should hold, None if unknown.
        incomplete: Error of a file that is known to be truncated, raised when all of it is asked for.

    Raises:
        ImportError: PyAV is missing.
        av.FFmpegError: FFmpeg does not know the format.
        AudioError: There is no sound track, or nothing in it.
    """

    def __init__(
        self,
        name: str,
        file: BinaryIO,
        notes: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        packets: int | None = None,
        incomplete: AudioError | None = None,
    ) -> None:
        import av

        self.name, self.notes = name, list(notes)
        self._av, self._promised_packets, self._incomplete = av, packets, incomplete
        # Never by name: FFmpeg takes "http:" and "concat:" in names for protocols.
        self._container = av.open(
            file, options={"format_whitelist": _READERS, **(options or {})}, metadata_errors="replace"
        )
        try:
            if not self._container.streams.audio:
                raise AudioError(f"{name}: has no sound track; remove it or copy it again from its source")
            self._stream = self._container.streams.audio[0]
            if self._stream.codec_context is None:
                raise unreadable(name, "no decoder for its sound track")
            if self._stream.codec.name in _CHECKED:
                self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
            self._good = self._bad = 0
            self._decoded = self._decode()
            # The header may understate rate and channels (HE-AAC), so the first frame is asked.
            self._first = next(self._decoded, None)
            if self._first is None:
                self._check_packets()
                raise AudioError(f"{name}: its sound track holds no samples; copy it again from its source")
        except BaseException:
            self.close()
            raise
        self._layout, self._origin = self._first.layout, self._first.time or 0.0
        self.sampling_rate, self.channels = self._first.sample_rate, self._layout.nb_channels
        self.is_float = self._stream.codec.name.startswith("pcm_f")

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._container.close()

    def whole_length(self) -> int | None:
        """Return the number of samples by the index of an MP4 file, None for formats that only guess it."""
        stream = self._stream
        if self._is_reader("mov") and stream.frames and stream.duration:
            return round(stream.duration * stream.time_base * self.sampling_rate)
        return None

    def blocks(self, size: int, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
        """Decode a part, or all without a start: float32 (samples, channels)."""
        if start is None and self._incomplete:
            raise self._incomplete
        frames, position = self._part_frames(start)
        first, last = (
            (0, None) if start is None else (round(start * self.sampling_rate), round(end * self.sampling_rate))
        )
        held, pieces = 0, []
        for piece in self._pieces(frames):
            begin = max(first - position, 0)
            position += len(piece)
            if last is not None and position > last:
                piece = piece[: len(piece) - (position - last)]
            if begin < len(piece):
                pieces.append(piece[begin:])
                held += len(pieces[-1])
            if held >= size:
                yield np.concatenate(pieces)
                held, pieces = 0, []
            if last is not None and position >= last:
                break
        else:
            if start is None:
                self._check_end(position)
            else:
                part_bounds(position, self.sampling_rate, start, end, self.name)
        if held:
            yield np.concatenate(pieces)
        self._check_packets()

    def _is_reader(self, name: str) -> bool:
        return name in self._container.format.name.split(",")

    def _decode(self) -> Iterator:
        """Yield frames and count damaged packets."""
        av = self._av
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    self._bad += 1
                    continue
                self._good += packet.size > 0  # the last packet is empty: it flushes the decoder
                yield from frames
        except (av.FFmpegError, IndexError) as error:  # IndexError: PyAV missed a stream at first
            raise unreadable(self.name, error) from error

    def _part_frames(self, start: float | None) -> tuple[Iterator, int]:
        """Return frames that begin some time before the start, and the position of the first one in samples."""
        if not start or start <= _SETTLING or not any(map(self._is_reader, _SEEKABLE)):
            return chain([self._first], self._decoded), 0
        try:
            for target in (start - _SETTLING, 0):
                self._container.seek(int((self._origin + target) / self._stream.time_base), stream=self._stream)
                self._decoded = self._decode()
                first = next(self._decoded, None)
                if first is not None:  # else the target is behind the end
                    position = round(((first.time or 0.0) - self._origin) * self.sampling_rate) if target else 0
                    return chain([first], self._decoded), position
        except self._av.FFmpegError as error:
            raise unreadable(self.name, error) from error
        return iter(()), 0

    def _pieces(self, frames: Iterator) -> Iterator[np.ndarray]:
        """Yield float32 (samples, channels) at the rate and with the channels of the first frame."""
        resampler = setup = None
        try:
            for frame in frames:
                found = (frame.format.name, frame.layout.name, frame.sample_rate)
                if found != setup:  # files of several kinds may have been joined
                    if resampler is not None:
                        yield from self._arrays(resampler.resample(None))
                    resampler = self._av.AudioResampler(format="flt", layout=self._layout, rate=self.sampling_rate)
                    setup = found
                yield from self._arrays(resampler.resample(frame))
            if resampler is not None:
                yield from self._arrays(resampler.resample(None))
        except self._av.FFmpegError as error:  # a frame of an impossible layout or rate
            raise unreadable(self.name, error) from error

    def _arrays(self, frames: Sequence) -> list[np.ndarray]:
        # Interleaved: of planar frames of eight channels or more, PyAV 18 reads planes that are not there.
        return [frame.to_ndarray().reshape(-1, self.channels) for frame in frames if frame is not None]

    def _check_packets(self) -> None:
        if self._bad >= max(self._good, 1):
            raise unreadable(self.name, f"{self._bad} of {self._bad + self._good} packets cannot be decoded")
        if self._bad:
            self.notes.append(f"{self._bad} of {self._bad + self._good} packets are damaged and were left out")

    def _check_end(self, found: int) -> None:
        """Compare the number of decoded samples with the promise of the header."""
        packets = self._good + self._bad
        if self._promised_packets is not None and packets + _SPARE_PACKETS < self._promised_packets:
            raise truncated(self.name, packets, self._promised_packets, "frames could be read")
        length = self.whole_length()
        if length is not None and length - found > _LOST * self.sampling_rate:
            raise truncated(self.name, found, length)
        if self._is_reader("matroska") and self._container.duration and not self._container.streams.video:
            promised, seconds = self._container.duration / 1e6, found / self.sampling_rate
            if promised - seconds > _LOST:
                self.notes.append(f"the header says {promised:.2f} s, but {seconds:.2f} s could be read")
