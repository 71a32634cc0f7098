"""Decoded recordings against their source, for codecs of every family."""

import numpy as np
import pytest
import scipy.signal
from recordings import av_file, mp3, sound_file

from lssed_hf.audio import read_audio


RATE = 16000
#: Samples at 16 kHz that an encoder may add at the ends.
LOSSLESS, FRAME = 1, 4000
#: Codec -> function that encodes samples at 48 kHz, and the samples that it may add.
CODECS = {
    "pcm": (lambda x: sound_file(x, 48000, "WAV", "PCM_16"), LOSSLESS),
    "pcm of 24 bits": (lambda x: sound_file(x, 48000, "W64", "PCM_24"), LOSSLESS),
    "floats": (lambda x: sound_file(x, 48000, "AU", "FLOAT"), LOSSLESS),
    "mu-law": (lambda x: sound_file(x, 48000, "AIFF", "ULAW"), LOSSLESS),
    "IMA ADPCM": (lambda x: sound_file(x, 48000, "WAV", "IMA_ADPCM"), FRAME),
    "Microsoft ADPCM": (lambda x: sound_file(x, 48000, "WAV", "MS_ADPCM"), FRAME),
    "GSM in WAV": (lambda x: sound_file(x[::6], 8000, "WAV", "GSM610"), FRAME),
    "FLAC": (lambda x: sound_file(x, 48000, "FLAC"), LOSSLESS),
    "Vorbis": (lambda x: sound_file(x, 48000, "OGG", "VORBIS"), FRAME),
    "Opus": (lambda x: sound_file(x, 48000, "OGG", "OPUS"), FRAME),
    "Opus in WebM": (lambda x: av_file(x, "webm", "libopus", 48000, bit_rate=64000), FRAME),
    "ALAC": (lambda x: av_file(x, "ipod", "alac", 48000), LOSSLESS),
    "WavPack": (lambda x: av_file(x, "wv", "wavpack", 48000), LOSSLESS),
    "True Audio": (lambda x: av_file(x, "tta", "tta", 48000), LOSSLESS),
    "AAC": (lambda x: av_file(x, "ipod", "aac", 48000, bit_rate=96000), FRAME),
    "AAC in ADTS": (lambda x: av_file(x, "adts", "aac", 48000, bit_rate=96000), FRAME),
    "AAC in a video": (lambda x: av_file(x, "mp4", "aac", 48000, bit_rate=96000), FRAME),
    "MP3": (lambda x: mp3(x, 48000, 96000), FRAME),
    "MP3 with its length": (lambda x: mp3(x, 48000, 96000, header=True), FRAME),
    "MP2": (lambda x: av_file(x, "mp2", "mp2", 48000, bit_rate=128000), FRAME),
    "AC-3": (lambda x: av_file(x, "ac3", "ac3", 48000, bit_rate=128000), FRAME),
    "E-AC-3": (lambda x: av_file(x, "eac3", "eac3", 48000, bit_rate=128000), FRAME),
    "Windows Media": (lambda x: av_file(x, "asf", "wmav2", 48000, bit_rate=128000), FRAME),
    "G.722": (lambda x: av_file(x[::3], "wav", "g722", 16000), FRAME),
    "AMR": (lambda x: av_file(x[::6], "amr", "libopencore_amrnb", 8000, bit_rate=12200), FRAME),
}
SPEECH_CODECS = {"AMR": 0.5, "GSM in WAV": 0.95}  # they model a voice, not its waveform
CUT = {"Windows Media": 300}  # samples that the encoder leaves out at the end


@pytest.fixture(scope="module")
def source() -> np.ndarray:
    """Return 3 s of a gliding voice below 3 kHz with pauses, float32 at 48 kHz."""
    time = np.arange(3 * 48000) / 48000
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.8 * time)) / 48000
    voice = sum(np.sin(k * phase + k) / k for k in range(1, 16))
    return (0.15 * voice * np.clip(np.sin(2 * np.pi * 1.5 * time) + 0.5, 0, 1)).astype(np.float32)


@pytest.mark.parametrize("codec", CODECS)
def test_decoded_equals_the_source(source, codec):
    encode, spare = CODECS[codec]
    recording = read_audio(encode(source), RATE)
    expected = source[::3]
    assert recording.notes == ()
    assert len(expected) - CUT.get(codec, LOSSLESS) <= len(recording.samples) <= len(expected) + spare
    lags = scipy.signal.correlate(recording.samples, expected, "full", "fft")
    lag = int(np.argmax(lags)) - len(expected) + 1
    assert abs(lag) <= spare
    decoded = recording.samples[max(lag, 0) :][: len(expected)]
    aligned = expected[max(-lag, 0) :][: len(decoded)]
    decoded = decoded[: len(aligned)]
    assert np.corrcoef(decoded, aligned)[0, 1] >= SPEECH_CODECS.get(codec, 0.98)
    assert np.std(decoded) == pytest.approx(np.std(aligned), rel=0.1)
