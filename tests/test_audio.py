import doctest
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from recordings import sound_file as encoded
from recordings import tone

from lssed_hf import audio
from lssed_hf.audio import AudioError, load_audio
from lssed_hf.decoding import source
from lssed_hf.scan import find_audio_files


RATE = 16000


@pytest.fixture
def write(tmp_path):
    def write(content: bytes, name: str = "clip.wav") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def assert_close(estimate: np.ndarray, reference: np.ndarray, snr: float) -> None:
    """Check that the signal-to-error ratio exceeds `snr` in dB."""
    assert estimate.shape == reference.shape and estimate.dtype == np.float32
    error = np.square(estimate - reference, dtype=np.float64).sum()
    assert 10 * np.log10(np.square(reference, dtype=np.float64).sum() / max(error, 1e-20)) > snr


class TestGoodFiles:
    @pytest.mark.parametrize(
        ("format", "snr"), [("WAV", 80), ("FLAC", 80), ("AIFF", 80), ("AU", 80), ("W64", 80), ("CAF", 80), ("OGG", 15)]
    )
    def test_formats(self, write, format, snr):
        path = write(encoded(tone(), format=format), f"clip.{format.lower()}")
        assert_close(load_audio(path), tone(), snr)

    def test_mp3(self, write):
        samples = load_audio(write(encoded(tone(1.0), format="MP3"), "clip.mp3"))
        assert len(samples) == RATE and np.abs(samples).max() == pytest.approx(0.3, abs=0.05)

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
    def test_wav_encodings(self, write, subtype):
        samples = load_audio(write(encoded(tone(), subtype=subtype)))
        assert_close(samples, tone(), 25)

    def test_path_as_text_and_raw_bytes(self, write):
        path = write(encoded(tone()))
        np.testing.assert_array_equal(load_audio(str(path)), load_audio(path))
        np.testing.assert_array_equal(load_audio(path.read_bytes()), load_audio(path))
        np.testing.assert_array_equal(load_audio(bytearray(path.read_bytes())), load_audio(path))

    def test_the_name_does_not_decide_the_format(self, write):
        assert_close(load_audio(write(encoded(tone(), format="FLAC"), "clip.wav")), tone(), 80)

    @pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
    def test_other_rates_are_resampled(self, write, rate):
        samples = load_audio(write(encoded(tone(1.0, rate), rate)))
        assert_close(samples[800:-800], tone(1.0)[800:-800], 40)

    def test_any_target_rate(self, write):
        samples = load_audio(write(encoded(tone(1.0))), sampling_rate=8000)
        assert_close(samples[800:-800], tone(1.0, 8000)[800:-800], 40)

    def test_48_khz_stereo_is_averaged(self, write):
        left, right = tone(1.0, 48000, 300), tone(1.0, 48000, 700)
        samples = load_audio(write(encoded(np.stack([left, right], axis=1), 48000)))
        expected = (tone(1.0, RATE, 300) + tone(1.0, RATE, 700)) / 2
        assert_close(samples[800:-800], expected[800:-800], 40)

    def test_opposite_channels_cancel(self, write):
        samples = load_audio(write(encoded(np.stack([tone(), -tone()], axis=1), subtype="FLOAT")))
        assert not samples.any()

    def test_silence_and_ten_milliseconds(self, write):
        assert not load_audio(write(encoded(np.zeros(RATE, np.float32)))).any()
        assert load_audio(write(encoded(tone(0.01)))).shape == (160,)
        assert load_audio(write(encoded(tone(0.01, 48000), 48000))).shape == (160,)

    @pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000 + 36])
    def test_wav_from_a_pipe_whose_header_does_not_know_its_length(self, write, size):
        content = bytearray(encoded(tone()))
        content[40:44] = struct.pack("<I", size)  # what ffmpeg and sox write
        assert_close(load_audio(write(bytes(content))), tone(), 80)

    def test_wav_whose_writer_counted_the_header_in(self, write):
        content = bytearray(encoded(tone()))
        content[40:44] = struct.pack("<I", len(content))
        assert len(load_audio(write(bytes(content)))) == len(tone())


class TestDatasetsRows:
    def test_bytes_and_path(self, write):
        path = write(encoded(tone()))
        expected = load_audio(path)
        np.testing.assert_array_equal(load_audio({"bytes": path.read_bytes(), "path": "gone.wav"}), expected)
        np.testing.assert_array_equal(load_audio({"bytes": path.read_bytes(), "path": None}), expected)
        np.testing.assert_array_equal(load_audio({"bytes": None, "path": str(path)}), expected)

    def test_array(self):
        np.testing.assert_array_equal(load_audio({"array": tone(), "sampling_rate": RATE}), tone())
        np.testing.assert_array_equal(load_audio({"array": tone().tolist(), "sampling_rate": RATE}), tone())
        resampled = load_audio({"array": tone(1.0, 48000).astype(np.float64), "sampling_rate": 48000})
        assert_close(resampled[800:-800], tone(1.0)[800:-800], 40)

    @pytest.mark.parametrize("axis", [0, 1])
    def test_array_of_two_channels_either_way_round(self, axis):
        row = {"array": np.stack([tone(), 0 * tone()], axis=axis), "sampling_rate": RATE}
        np.testing.assert_array_equal(load_audio(row), tone() / 2)

    @pytest.mark.parametrize("dtype", [np.int16, np.int32])
    def test_array_of_integer_pcm_is_scaled(self, dtype):
        scale = -float(np.iinfo(dtype).min)
        samples = load_audio({"array": (tone() * scale).astype(dtype), "sampling_rate": RATE})
        np.testing.assert_allclose(samples, tone(), atol=1 / 32768)

    def test_array_of_other_integers_is_refused(self):
        with pytest.raises(AudioError, match=r"clip\.wav.*uint8"):
            load_audio({"array": np.zeros(9, np.uint8), "sampling_rate": RATE, "path": "clip.wav"})

    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("length", [1, 2, 8000])
    def test_audio_decoder(self, channels, length):
        """Read the decoder that datasets 5 gives with torchcodec; its samples are (channels, samples)."""
        data = torch.arange(channels * length).reshape(channels, length) / 20000
        decoder = SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=data, sample_rate=RATE))
        np.testing.assert_allclose(load_audio(decoder), data.mean(dim=0).numpy(), rtol=1e-6)

    def test_audio_decoder_at_another_rate(self):
        data = torch.from_numpy(tone(1.0, 48000))[None]
        decoder = SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=data, sample_rate=48000))
        assert_close(load_audio(decoder)[800:-800], tone(1.0)[800:-800], 40)

    def test_audio_decoder_without_samples(self):
        decoder = SimpleNamespace(get_all_samples=lambda: SimpleNamespace(data=torch.zeros(1, 0), sample_rate=RATE))
        with pytest.raises(AudioError, match="no samples"):
            load_audio(decoder)

    @pytest.mark.parametrize("row", [{"bytes": None, "path": None}, 3.0, None])
    def test_what_is_no_audio(self, row):
        with pytest.raises(TypeError, match="give a path, bytes or an Audio row"):
            load_audio(row)


def header_of(format: str) -> bytes:
    return encoded(np.zeros(0, np.float32), format=format)


class TestBadFiles:
    """Check that every message names the file and a remedy."""

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nowhere\.wav: no such file or folder"):
            load_audio(tmp_path / "nowhere.wav")
        with pytest.raises(FileNotFoundError, match=r"nowhere\.wav"):
            load_audio({"bytes": None, "path": str(tmp_path / "nowhere.wav")})

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            pytest.param(b"", "empty.*copy it again", id="no bytes"),
            pytest.param(b"Dear Sir or Madam,\n" * 50, "not an audio file.*convert it", id="text"),
            pytest.param(b"\x89PNG\r\n" + bytes(range(256)) * 20, "not an audio file.*convert it", id="picture"),
            pytest.param(header_of("WAV"), "no samples.*remove it", id="WAV without samples"),
            pytest.param(encoded(tone())[:20], "truncated.*copy it again", id="WAV cut in its header"),
            pytest.param(encoded(tone())[:9000], "truncated.*copy it again", id="WAV cut in its audio"),
            pytest.param(encoded(tone(), format="AIFF")[:9000], "truncated.*copy it again", id="AIFF cut"),
            pytest.param(encoded(tone(), format="AU")[:9000], "truncated.*copy it again", id="AU cut"),
            pytest.param(encoded(tone(2.0), format="MP3")[:3000], "truncated.*copy it again", id="MP3 cut"),
            pytest.param(encoded(tone(), 48000)[:9000], "truncated.*copy it again", id="48 kHz WAV cut"),
            pytest.param(
                encoded(tone(1 / 48000, 48000), 48000), "no samples.*remove it", id="nothing after resampling"
            ),
        ],
    )
    def test_broken(self, write, content, message):
        path = write(content, "broken.wav")
        with pytest.raises(AudioError, match=f"(?s)broken.wav: .*{message}") as error:
            load_audio(path)
        assert str(path) in str(error.value)
        with pytest.raises(AudioError, match=message):
            load_audio(content)
        with pytest.raises(AudioError, match=f"broken.wav: .*{message}"):
            load_audio({"bytes": content, "path": "broken.wav"})

    @pytest.mark.parametrize("kept", [0.02, 0.1, 0.5, 0.9, 0.99])
    def test_truncated_flac(self, write, kept):
        content = encoded(np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32), format="FLAC")
        path = write(content[: int(kept * len(content))], "cut.flac")
        with pytest.raises(AudioError, match=r"cut\.flac: truncated.*copy it again"):
            load_audio(path)

    def test_flac_truncated_between_its_frames(self, write):
        content = encoded(np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32), format="FLAC")
        starts = [at for at in range(len(content)) if content[at : at + 2] == b"\xff\xf8"]
        with pytest.raises(AudioError, match=r"cut\.flac: truncated"):
            load_audio(write(content[: starts[len(starts) // 2]], "cut.flac"))

    def test_damaged_flac(self, write):
        content = bytearray(encoded(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32), format="FLAC"))
        content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
        with pytest.raises(AudioError, match=r"bad\.flac: .*damaged"):
            load_audio(write(bytes(content), "bad.flac"))

    def test_flac_from_a_pipe_that_does_not_say_its_length(self, write):
        content = bytearray(encoded(tone(), format="FLAC"))
        content[21] &= 0xF0  # the 36 bits of the number of samples
        content[22:26] = bytes(4)
        assert_close(load_audio(write(bytes(content), "piped.flac")), tone(), 80)

    def test_headerless_audio(self, write):
        with pytest.raises(AudioError, match=r"clip\.raw: .*convert it to WAV or FLAC"):
            load_audio(write(bytes(3200), "clip.raw"))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("rate", [RATE, 48000])
    def test_nan_and_infinity(self, write, value, rate):
        samples = tone(0.5, rate)
        samples[1234] = value
        path = write(encoded(samples, rate, subtype="FLOAT"), "nan.wav")
        with pytest.raises(AudioError, match=rf"nan\.wav: sample 1234 of {len(samples)} is NaN or infinite; repair"):
            load_audio(path)

    def test_a_folder(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            load_audio(tmp_path)


def test_originals_agree_with_the_converted_corpus(shared_data):
    """Compare RAVDESS at 48 kHz, one file in stereo, with a copy that another tool resampled to 16 kHz."""
    originals = find_audio_files(shared_data / "ravdess_original")
    assert {soundfile.info(path).channels for path in originals} == {1, 2}
    for path in originals:
        converted = shared_data / "ravdess" / path.parent.name / f"{path.stem}.flac"
        ours, theirs = load_audio(path), load_audio(converted)
        length = min(len(ours), len(theirs))
        assert abs(len(ours) - len(theirs)) <= 1  # rounding decides on the last sample
        assert_close(ours[:length], theirs[:length], 45)


@pytest.mark.parametrize("module", [audio, source])
def test_examples(module):
    results = doctest.testmod(module)
    assert results.attempted and not results.failed
