"""One table of recordings as people bring them: each is read to the right number of samples, or refused by reason.

A case makes its own file. `frame` is the codec's frame in samples: an encoder may add or drop as much.
"""

import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
from recordings import av_file, chunk, mp3, sound_file, tone, wav

from lssed_hf.audio import AudioError, audio_duration, read_audio


SECONDS = 2.0


@dataclass(frozen=True)
class Case:
    """A recording.

    Attributes:
        make: Function that returns the content of the file.
        rate: Sampling rate that it is read at, its own.
        frame: Samples of a frame of the codec, 0 for exact lengths.
        note: Part of the note that reading it gives. Default: no note.
        refused: Pattern of the reason why it is refused. Default: it is read.
        seconds: Length of the source in seconds.
        suffix: Suffix of the file, which does not count.
    """

    make: Callable[[], bytes]
    rate: int = 16000
    frame: int = 0
    note: str | None = None
    refused: str | None = None
    seconds: float = SECONDS
    suffix: str = ".wav"


def libsndfile(format: str, subtype: str | None = None, rate: int = 16000, channels: int = 1, gain: float = 1.0):
    samples = tone(SECONDS, rate) * gain
    return lambda: sound_file(
        samples if channels == 1 else np.repeat(samples[:, None], channels, 1), rate, format, subtype
    )


def pyav(container: str, codec: str, rate: int, layout: str = "mono", bit_rate: int | None = 64000, **options: str):
    samples = tone(SECONDS, rate)
    if layout == "stereo":
        samples = np.repeat(samples[:, None], 2, 1)
    return lambda: av_file(samples, container, codec, rate, layout, bit_rate, options)


def cut(make: Callable[[], bytes], share: float = 0.5) -> Callable[[], bytes]:
    return lambda: (content := make())[: int(share * len(content))]


def patched(make: Callable[[], bytes], mark: bytes, shift: int, value: bytes) -> Callable[[], bytes]:
    """Return a function that replaces bytes at a distance from the first mark."""

    def content() -> bytes:
        found = make()
        at = found.index(mark) + shift
        return found[:at] + value + found[at + len(value) :]

    return content


def aac_in_wav() -> bytes:
    stream = av_file(tone(SECONDS, 44100), "adts", "aac", 44100)
    fmt = struct.pack("<HHIIHHH", 0x1600, 1, 44100, 8000, 1024, 0, 0)
    body = b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", stream)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def index_first() -> bytes:
    """Return an M4A whose index stands before its samples, for which FFmpeg opens its own file once more."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.m4a")
        with av.open(path, "w", format="ipod", container_options={"movflags": "faststart"}) as output:
            stream = output.add_stream("aac", rate=44100, layout="mono")
            frame = av.AudioFrame.from_ndarray((tone(SECONDS, 44100)[None] * 32767).astype(np.int16), "s16", "mono")
            frame.rate = 44100
            output.mux([*stream.encode(frame), *stream.encode(None)])
        return path.read_bytes()


def stereo(left: np.ndarray, right: np.ndarray) -> Callable[[], bytes]:
    return lambda: sound_file(np.stack([left, right], axis=1), subtype="FLOAT")


TO_THE_END = "read to the end of the file, 2.00 s"
ID3 = b"ID3\x03\0\0\0\0\x02\0" + bytes(256)
WHOLE = wav(tone(SECONDS))
JUNK = chunk(b"JUNK", bytes(28)) + chunk(b"FLLR", bytes(4008))
SILENT = np.zeros(round(SECONDS * 16000), np.float32)
MP3_FRAME, AAC_FRAME, OPUS_FRAME, AC3_FRAME = 1152, 1024, 960, 1536
# An MP3 decoder's delay comes on top of a frame at each end, where no Xing frame tells of it.
MP3_ENDS = 3 * MP3_FRAME

CASES = {
    # Plain files of libsndfile.
    **{f"WAV {kind}": Case(libsndfile("WAV", kind)) for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32")},
    **{f"WAV {kind}": Case(libsndfile("WAV", kind)) for kind in ("FLOAT", "DOUBLE", "ULAW", "ALAW")},
    "WAV IMA_ADPCM": Case(libsndfile("WAV", "IMA_ADPCM"), frame=1017),
    "WAV MS_ADPCM": Case(libsndfile("WAV", "MS_ADPCM"), frame=1012),
    "WAV GSM610": Case(libsndfile("WAV", "GSM610", 8000), rate=8000, frame=320),
    "WAV of 96 kHz": Case(libsndfile("WAV", "PCM_24", 96000), rate=96000),
    "WAV of 8 channels": Case(libsndfile("WAV", "PCM_16", channels=8)),
    "M4A, index first": Case(index_first, rate=44100, frame=2 * AAC_FRAME, suffix=".m4a"),
    "WAVEX": Case(libsndfile("WAVEX", "PCM_16", channels=2)),
    "RF64": Case(libsndfile("RF64")),
    "Wave64": Case(libsndfile("W64")),
    "CAF": Case(libsndfile("CAF")),
    "AIFF": Case(libsndfile("AIFF"), suffix=".aif"),
    "AIFC mu-law": Case(libsndfile("AIFF", "ULAW"), suffix=".aifc"),
    "Sun AU": Case(libsndfile("AU"), suffix=".au"),
    "NIST SPHERE": Case(libsndfile("NIST"), suffix=".sph"),
    "Creative VOC": Case(libsndfile("VOC"), suffix=".voc"),
    "FLAC": Case(libsndfile("FLAC"), suffix=".flac"),
    "FLAC of 24 bits": Case(libsndfile("FLAC", "PCM_24", 48000), rate=48000, suffix=".flac"),
    "FLAC behind an ID3 tag": Case(lambda: ID3 + libsndfile("FLAC")()),
    "Ogg Vorbis": Case(libsndfile("OGG", "VORBIS", 44100), rate=44100, suffix=".ogg"),
    "Ogg Opus": Case(libsndfile("OGG", "OPUS", 48000), rate=48000, frame=OPUS_FRAME, suffix=".opus"),
    "MP3 of libsndfile": Case(libsndfile("MP3", None, 44100), rate=44100, frame=MP3_FRAME, suffix=".mp3"),
    # Files that only PyAV reads.
    "M4A with AAC": Case(pyav("ipod", "aac", 44100), rate=44100, frame=AAC_FRAME, suffix=".m4a"),
    "M4A with ALAC": Case(pyav("ipod", "alac", 44100), rate=44100, suffix=".m4a"),
    "AAC in ADTS": Case(pyav("adts", "aac", 44100), rate=44100, frame=2 * AAC_FRAME, suffix=".aac"),
    "AAC inside WAV": Case(aac_in_wav, rate=44100, frame=2 * AAC_FRAME),
    "WebM of a browser": Case(pyav("webm", "libopus", 48000, live="1"), rate=48000, frame=OPUS_FRAME, suffix=".webm"),
    "Matroska with Opus": Case(pyav("matroska", "libopus", 48000), rate=48000, frame=OPUS_FRAME, suffix=".mka"),
    "MP4 in fragments": Case(
        pyav("mp4", "aac", 44100, movflags="frag_every_frame+empty_moov+default_base_moof"),
        rate=44100,
        frame=2 * AAC_FRAME,
    ),
    "QuickTime": Case(pyav("mov", "pcm_s16le", 16000), suffix=".mov"),
    "AVI": Case(pyav("avi", "pcm_s16le", 16000), suffix=".avi"),
    "Flash video": Case(pyav("flv", "aac", 44100), rate=44100, frame=2 * AAC_FRAME, suffix=".flv"),
    "3GP with AMR": Case(pyav("3gp", "libopencore_amrnb", 8000, bit_rate=12200), rate=8000, frame=160, suffix=".3gp"),
    "AMR": Case(pyav("amr", "libopencore_amrnb", 8000, bit_rate=12200), rate=8000, frame=160, suffix=".amr"),
    "Windows Media 2": Case(pyav("asf", "wmav2", 44100), rate=44100, frame=2048, suffix=".wma"),
    "AC-3": Case(pyav("ac3", "ac3", 48000), rate=48000, frame=AC3_FRAME, suffix=".ac3"),
    "MPEG transport stream": Case(pyav("mpegts", "ac3", 48000), rate=48000, frame=AC3_FRAME, suffix=".mts"),
    "MP2": Case(pyav("mp2", "mp2", 44100), rate=44100, frame=2 * MP3_FRAME, suffix=".mp2"),
    "WavPack": Case(pyav("wv", "wavpack", 44100), rate=44100, suffix=".wv"),
    "True Audio": Case(pyav("tta", "tta", 44100), rate=44100, suffix=".tta"),
    "G.722 inside WAV": Case(pyav("wav", "g722", 16000), frame=320),
    "M4A under .wav, stereo": Case(pyav("ipod", "aac", 44100, "stereo"), rate=44100, frame=AAC_FRAME),
    "MP4 under .mp3": Case(pyav("mp4", "aac", 44100), rate=44100, frame=AAC_FRAME, suffix=".mp3"),
    # MP3 and what its header says.
    "MP3 with a Xing frame": Case(
        lambda: mp3(tone(SECONDS, 44100), header=True), rate=44100, frame=MP3_FRAME, suffix=".mp3"
    ),
    "MP3 of constant rate without a Xing frame": Case(
        lambda: mp3(tone(SECONDS, 44100)), rate=44100, frame=MP3_ENDS, suffix=".mp3"
    ),
    "MP3 of variable rate without a Xing frame": Case(
        lambda: mp3(tone(1.0, 44100), bit_rate=320_000) + mp3(tone(5.0, 44100), bit_rate=32_000),
        rate=44100,
        frame=2 * MP3_ENDS,
        seconds=6.0,
        suffix=".mp3",
    ),
    "two MP3s in one": Case(
        lambda: 2 * mp3(tone(SECONDS, 44100), header=True), rate=44100, frame=2 * MP3_ENDS, seconds=4.0
    ),
    "MP3 inside WAV": Case(pyav("wav", "mp3", 44100), rate=44100, frame=MP3_ENDS),
    "MP3 between tags": Case(
        lambda: ID3 + mp3(tone(SECONDS, 44100), header=True) + b"TAG" + bytes(125), rate=44100, frame=MP3_FRAME
    ),
    # WAV and what its header says.
    "data size 0": Case(lambda: wav(tone(SECONDS), size=0), note=TO_THE_END),
    "data and RIFF size 0": Case(lambda: wav(tone(SECONDS), size=0, riff=0), note=TO_THE_END),
    "data size 0 behind junk, after a crash": Case(
        lambda: wav(tone(SECONDS), size=0, riff=4088, before=JUNK), note=TO_THE_END
    ),
    "data size -1": Case(lambda: wav(tone(SECONDS), size=0xFFFFFFFF), note=TO_THE_END),
    "data size of 2 GB": Case(lambda: wav(tone(SECONDS), size=0x7FFFFFFF), note=TO_THE_END),
    "data size of a quarter": Case(lambda: wav(tone(SECONDS), size=16000), note="says 0.50 s; " + TO_THE_END),
    "RF64 of size 0": Case(patched(libsndfile("RF64"), b"ds64", 16, bytes(8)), note=TO_THE_END),
    "AU of unknown size": Case(patched(libsndfile("AU"), b".snd", 8, b"\xff" * 4)),
    "AVI of size 0": Case(patched(pyav("avi", "pcm_s16le", 16000), b"RIFF", 4, bytes(4))),
    "LIST behind the samples": Case(lambda: wav(tone(SECONDS), behind=chunk(b"LIST", b"INFO" + bytes(3000)))),
    "zeros behind the samples": Case(lambda: wav(tone(SECONDS), behind=bytes(9000)), note="no audio and were left"),
    "a second WAV behind the first": Case(lambda: WHOLE + WHOLE, note="a second WAV file follows"),
    "junk before the format": Case(lambda: wav(tone(SECONDS), before=JUNK)),
    # Samples.
    "floats in the scale of 16 bits": Case(libsndfile("WAV", "FLOAT", gain=32768.0), note="scale of 16-bit integers"),
    "floats over full scale": Case(libsndfile("WAV", "FLOAT", gain=4.0)),
    "channels that cancel": Case(stereo(tone(SECONDS), -tone(SECONDS)), note="the channels cancel"),
    "a silent channel": Case(stereo(tone(SECONDS), SILENT), note="the right channel is silent"),
    "a constant channel": Case(stereo(SILENT + 0.25, tone(SECONDS)), note="the left channel is constant"),
    "digital silence": Case(lambda: wav(SILENT)),
    "one sample": Case(lambda: wav(tone(1 / 16000)), seconds=1 / 16000),
    # Refused.
    "no samples": Case(lambda: wav(tone(0)), refused="holds no samples"),
    "no bytes": Case(lambda: b"", refused="is empty"),
    "NaN samples": Case(libsndfile("WAV", "FLOAT", gain=np.nan), refused="NaN or infinite"),
    "infinite samples": Case(
        lambda: sound_file(np.full(9000, np.inf, np.float32), subtype="FLOAT"), refused="NaN or infinite"
    ),
    "floats beyond any scale": Case(libsndfile("WAV", "FLOAT", gain=1e30), refused="float samples of up to 3e.29"),
    "a rate of 1 Hz": Case(lambda: wav(tone(SECONDS), rate=1), refused="a sampling rate of 1 Hz"),
    "half a WAV": Case(cut(lambda: WHOLE), refused="truncated"),
    "half a FLAC": Case(cut(libsndfile("FLAC")), refused="truncated"),
    "half a CAF": Case(cut(libsndfile("CAF")), refused="truncated"),
    "half an AIFF": Case(cut(libsndfile("AIFF")), refused="truncated"),
    "half an M4A": Case(cut(pyav("ipod", "aac", 44100)), refused="truncated"),
    "half an M4A, index first": Case(cut(index_first), refused="truncated"),
    "half an MP3 with a Xing frame": Case(cut(lambda: mp3(tone(SECONDS, 44100), header=True)), refused="truncated"),
    "half an MP3 inside WAV": Case(cut(pyav("wav", "mp3", 44100)), refused="truncated"),
    "Git LFS pointer": Case(
        lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n",
        refused="is a Git LFS pointer, not the recording; run git lfs pull",
    ),
    "git-annex pointer": Case(lambda: b"/annex/objects/SHA256E-s99--00.wav\n", refused="git-annex pointer"),
    "web page": Case(lambda: b"<!DOCTYPE html><title>404</title>", refused="is a web page, not a recording"),
    "text": Case(lambda: b"angry,1\n" * 100, refused="not an audio file"),
    "picture": Case(lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), refused="not an audio file"),
    "ZIP archive": Case(lambda: b"PK\3\4" + bytes(500), refused="not an audio file"),
    "noise": Case(lambda: np.random.default_rng(0).bytes(5000), refused="not an audio file"),
    "playlist": Case(lambda: b"#EXTM3U\n#EXTINF:2,\nclip.mp3\n", refused="not an audio file"),
}


def test_there_are_sixty():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_every_kind_is_read_to_its_length_or_refused_by_reason(name, tmp_path):
    case = CASES[name]
    path = tmp_path / f"clip{case.suffix}"
    path.write_bytes(case.make())
    if case.refused is not None:
        with pytest.raises(AudioError, match=rf"clip\{case.suffix}: .*{case.refused}"):
            read_audio(path, case.rate)
        return
    found = read_audio(path, case.rate)
    expected = round(case.seconds * case.rate)
    assert abs(len(found.samples) - expected) <= case.frame
    assert audio_duration(path) * case.rate == pytest.approx(len(found.samples), abs=case.frame + 1)
    notes = " ".join(found.notes)
    assert case.note in notes if case.note else not notes
