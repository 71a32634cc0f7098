"""Headers of WAV and MPEG audio, read to find files whose length is wrong."""

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO


STREAMED_SIZE = 0x7FFFF000  # bytes; sox and ffmpeg write this or more where they cannot know the size
SIZE_TOLERANCE = 64  # bytes; some writers count the header in

_CHUNKS = 1000  # chunks in front of the samples; only a hostile file has more
_KNOWN_CHUNKS = {b"LIST", b"bext", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"fact", b"PEAK", b"JUNK", b"PAD ", b"iXML"}
_TAGS = (b"TAG", b"ID3", b"APETAGEX")  # players append these to any file, outside of its chunks
_SHORTEST = 0.05  # seconds; anything shorter behind the samples is no recording
_SPHERE_SIZES = (b"sample_count", b"sample_n_bytes", b"channel_count")
_UNKNOWN_SIZES = (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True)
class WavData:
    """Chunk of samples in a WAV, RF64 or BW64 file.

    Args:
        promised: Bytes of audio by the header, None if the header leaves it open.
        found: Bytes from the first sample to the end of the file.
        byte_rate: Bytes per second of audio.
        unfinished: Whether samples go on behind the promised ones, up to the end of the file.
        note: Remark for the listener about bytes behind the samples, or an empty string.
    """

    promised: int | None
    found: int
    byte_rate: int
    unfinished: bool
    note: str = ""


def wav_data(file: BinaryIO, head: bytes) -> WavData | None:
    """Find the samples of a WAV file, and check the length that its header gives.

    Args:
        file: Seekable file. Its position changes.
        head: First bytes of the file.

    Returns:
        Chunk of samples, or None for a file that is no WAV or has no such chunk.
    """
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        return None
    total = file.seek(0, 2)
    position, byte_rate, long_size = 12, 0, None
    for _ in range(_CHUNKS):
        chunk = head[position : position + 32]  # header of the chunk, and the content that is read below
        if len(chunk) < 32:
            file.seek(position)
            chunk = file.read(32)
        if len(chunk) < 8:
            return None
        name, size = struct.unpack_from("<4sI", chunk)
        if name == b"ds64" and len(chunk) >= 24:
            long_size = struct.unpack_from("<Q", chunk, 16)[0]
        elif name == b"fmt " and len(chunk) >= 20:
            byte_rate = struct.unpack_from("<I", chunk, 16)[0]
        elif name == b"data":
            break
        position += 8 + size + size % 2
    else:
        return None
    if size == 0xFFFFFFFF and long_size is not None:
        size = long_size
    begin = position + 8
    found = total - begin
    # ffmpeg and sox write a size from STREAMED_SIZE on into a pipe; one that large may also be true.
    if size in _UNKNOWN_SIZES or (size >= STREAMED_SIZE and found < size):
        return WavData(None, found, byte_rate, unfinished=False)
    rest = found - size
    if rest < 8 or _is_chunk(file, begin + size, rest) or (size % 2 and _is_chunk(file, begin + size + 1, rest - 1)):
        return WavData(size, found, byte_rate, unfinished=False)
    file.seek(begin + size + size % 2)
    beginning = file.read(8)
    if beginning[:4] in (b"RIFF", b"RF64"):
        return WavData(size, found, byte_rate, False, "a second WAV file follows the first one and was left out")
    if size and (beginning.startswith(_TAGS) or rest < _SHORTEST * byte_rate or _is_zero(file, begin + size)):
        note = f"{rest} bytes behind the samples are no audio and were left out" if rest > SIZE_TOLERANCE else ""
        return WavData(size, found, byte_rate, False, note)
    return WavData(size, found, byte_rate, unfinished=True)


def container_promise(file: BinaryIO, head: bytes) -> tuple[int, int] | None:
    """Return the bytes of a CAF, W64, AVI or NIST SPHERE file that are there, and those that its header promises.

    Args:
        file: Seekable file. Its position changes.
        head: First bytes of the file.

    Returns:
        Both numbers, or None for other files and for headers that leave the size open.
    """
    total = file.seek(0, 2)
    if head.startswith(b"riff\x2e\x91\xcf\x11") and len(head) >= 24:
        size = struct.unpack_from("<Q", head, 16)[0]
        return (total, size) if size < 2**62 else None  # a larger one comes from a pipe
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        size = struct.unpack_from("<I", head, 4)[0]
        return (total, 8 + size) if size < STREAMED_SIZE else None
    if head.startswith(b"NIST_1A\n"):
        file.seek(0)
        fields = dict(re.findall(rb"(\w+) -(?:i|s\d+) (\S{1,40})\n", file.read(1024)))
        numbers = [head[8:16].strip(), *(fields.get(name, b"") for name in _SPHERE_SIZES)]
        if b"," in fields.get(b"sample_coding", b"") or not all(number.isdigit() for number in numbers):
            return None  # compressed, or without a length
        begin, count, width, channels = map(int, numbers)
        return total, begin + count * width * channels
    if head[:4] == b"caff":
        position = 8
        for _ in range(_CHUNKS):
            file.seek(position)
            name, size = struct.unpack(">4sq", file.read(12).ljust(12, b"\0"))
            if name == b"data":
                return (total, position + 12 + size) if size >= 0 else None
            if size < 0 or (position := position + 12 + size) >= total:
                break
    return None


def is_mpeg(file: BinaryIO, head: bytes) -> bool:
    """Return whether a file is MPEG audio (MP3, MP2): a frame, or an ID3 tag that no other format follows."""
    begin = _id3_size(head)
    if begin:
        file.seek(begin)
        return not file.read(4).startswith((b"fLaC", b"OggS", b"RIFF", b"FORM"))
    # Sync, and a layer, a bit rate and a sampling rate that exist; layer 0 is AAC.
    return (
        len(head) >= 4
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 0x06 != 0
        and head[1] & 0x18 != 0x08
        and head[2] & 0xF0 != 0xF0
        and head[2] & 0x0C != 0x0C
    )


@dataclass(frozen=True)
class MpegPromise:
    """Length of an MP3 by its Xing, Info or VBRI header.

    Args:
        frames: Number of frames, None if the header does not give it.
        size: Bytes from the first frame to the end of the last one, None if the header does not give them.
        found: Bytes from the first frame to the end of the file.
    """

    frames: int | None
    size: int | None
    found: int


def mpeg_promise(file: BinaryIO, head: bytes) -> MpegPromise:
    """Read the length of an MP3 by its header."""
    begin = _id3_size(head)
    found = file.seek(0, 2) - begin
    file.seek(begin)
    frame = file.read(64)
    if header := re.search(rb"(?:Xing|Info)(.{4})(.{4})(.{4})", frame, re.DOTALL):
        flags, *fields = (int.from_bytes(group, "big") for group in header.groups())
        frames = fields.pop(0) if flags & 1 else None
        return MpegPromise(frames, fields.pop(0) if flags & 2 else None, found)
    if header := re.search(rb"VBRI.{6}(.{4})(.{4})", frame, re.DOTALL):
        size, frames = (int.from_bytes(group, "big") for group in header.groups())
        return MpegPromise(frames, size, found)
    return MpegPromise(None, None, found)


def _id3_size(head: bytes) -> int:
    """Return the size in bytes of the ID3v2 tag that a file begins with, 0 without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _is_chunk(file: BinaryIO, position: int, room: int) -> bool:
    file.seek(position)
    header = file.read(8)
    if len(header) < 8 or header[:4] in (b"RIFF", b"RF64"):
        return False
    name, size = struct.unpack("<4sI", header)
    return name in _KNOWN_CHUNKS or (all(0x20 <= byte < 0x7F for byte in name) and size <= room - 8)


def _is_zero(file: BinaryIO, position: int) -> bool:
    file.seek(position)
    while block := file.read(2**20):
        if block.count(0) != len(block):
            return False
    return True
