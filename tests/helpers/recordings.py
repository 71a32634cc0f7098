"""Recordings as phones, browsers and recorders leave them, made in memory."""

import io
import struct
from fractions import Fraction

import av
import numpy as np
import soundfile


def tone(seconds: float = 1.0, rate: int = 16000, frequency: float = 440.0) -> np.ndarray:
    """Return a tone, float32 (samples,)."""
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def sound_file(samples: np.ndarray, rate: int = 16000, format: str = "WAV", subtype: str | None = None) -> bytes:
    """Encode samples with libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def av_file(
    samples: np.ndarray,
    container: str,
    codec: str,
    rate: int = 48000,
    layout: str = "mono",
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode samples, float (samples,) or (samples, channels) at `rate`, with PyAV."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, container_options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        stream.codec_context.open()
        pcm = np.ascontiguousarray((samples * 32767).astype(np.int16)).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, "s16", layout)
        frame.rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)  # so that a delay of the codec is stored
        context = stream.codec_context
        converter = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size)
        for piece in (*converter.resample(frame), *converter.resample(None), None):
            output.mux(stream.encode(piece))
    return file.getvalue()


def mp3(samples: np.ndarray, rate: int = 44100, bit_rate: int = 64000, header: bool = False) -> bytes:
    """Encode an MP3 without tags, with or without the Xing header that tells its length."""
    options = {"write_xing": str(int(header)), "id3v2_version": "0"}
    return av_file(samples, "mp3", "mp3", rate, bit_rate=bit_rate, options=options)


def wav(
    samples: np.ndarray,
    *,
    rate: int = 16000,
    size: int | None = None,
    before: bytes = b"",
    behind: bytes = b"",
    riff: int | None = None,
) -> bytes:
    """Write a 16-bit WAV by hand.

    Args:
        samples: float (samples,) or (samples, channels).
        rate: Sampling rate in Hz.
        size: Bytes of audio that the header claims, default the truth.
        before: Chunks between the format and the samples.
        behind: Bytes behind the samples.
        riff: Size of the file that the header claims, default the truth.
    """
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = np.rint(samples * 32767).astype("<i2").tobytes()
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    body = b"WAVE" + fmt + before + struct.pack("<4sI", b"data", len(data) if size is None else size) + data + behind
    return struct.pack("<4sI", b"RIFF", len(body) if riff is None else riff) + body


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a RIFF chunk with its padding."""
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)
