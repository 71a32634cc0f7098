"""`stream_audio` against `load_audio`."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from lssed_hf import audio
from lssed_hf.audio import AudioError, load_audio, stream_audio


def noise(shape, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_stream_is_the_whole_file_at_any_rate_and_number_of_channels(tmp_path, rate, channels):
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise((150_001, channels)), rate)
    blocks = list(stream_audio(path))
    assert len(blocks) > 1 and all(block.dtype == np.float32 and len(block) for block in blocks)
    whole = load_audio(path)
    streamed = np.concatenate(blocks)
    assert len(streamed) == len(whole)
    np.testing.assert_allclose(streamed, whole, atol=1e-6)  # of samples in [-0.5, 0.5]


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_compressed_files_of_many_blocks(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    soundfile.write(path, noise(160_000), 16000)
    np.testing.assert_allclose(np.concatenate(list(stream_audio(path))), load_audio(path), atol=1e-6)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.integers(4, 400), st.sampled_from([8000, 16000, 44100]), st.integers(7, 97))
def test_the_size_of_blocks_changes_nothing(tmp_path_factory, length, rate, block):
    path = tmp_path_factory.mktemp("stream") / "clip.wav"
    soundfile.write(path, noise(length), rate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audio, "_BLOCK", block)
        np.testing.assert_allclose(np.concatenate(list(stream_audio(path))), load_audio(path), atol=1e-6)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_truncated_file_is_an_error_as_it_is_to_load_audio(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    soundfile.write(path, noise(300_000), 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(AudioError, match=rf"clip\{suffix}: truncated"):
        load_audio(path)
    with pytest.raises(AudioError, match=rf"clip\{suffix}: truncated"):
        list(stream_audio(path))


def test_what_cannot_be_used_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        list(stream_audio(tmp_path / "nowhere.wav"))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is text")
    soundfile.write(tmp_path / "none.wav", noise(0), 16000)
    late = noise(100_000)
    late[90_000] = np.nan
    soundfile.write(tmp_path / "late.wav", late, 16000, subtype="FLOAT")
    reasons = {"empty": "0 bytes", "text": "not an audio file", "none": "no samples", "late": "sample 90000 is NaN"}
    for name, reason in reasons.items():
        with pytest.raises(AudioError, match=rf"{name}\.wav.*{reason}"):
            list(stream_audio(tmp_path / f"{name}.wav"))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["WAV", "MP3", "unfinished WAV", "float WAV in the scale of integers"])
def test_memory_does_not_grow_with_the_recording(tmp_path, format):
    peaks = []
    for number, seconds in enumerate((12, 120)):
        path = tmp_path / f"{number}.wav"
        scale, subtype = (32768, "FLOAT") if format.startswith("float") else (1, None)
        samples = noise((seconds * 22050, 2)) * scale
        soundfile.write(path, samples, 22050, format="MP3" if format == "MP3" else "WAV", subtype=subtype)
        if format.startswith("unfinished"):
            content = bytearray(path.read_bytes())
            content[40:44] = bytes(4)
            path.write_bytes(content)
            del content
        del samples
        for _ in range(2):  # the first time imports things
            tracemalloc.start()
            for _block in stream_audio(path):
                pass
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[-1] < 1.2 * peaks[1] < 12e6
