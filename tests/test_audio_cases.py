"""Recordings that other programs read wrongly, each kind made here."""

import io
import os
import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from recordings import av_file, chunk, mp3, sound_file, tone, wav

from lssed_hf import audio
from lssed_hf.audio import AudioError, audio_duration, load_audio, num_channels, read_audio, stream_audio
from lssed_hf.decoding.headers import container_promise
from lssed_hf.scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES


RATE = 16000

# Suffix -> encoder of a recording: libsndfile's format and subtype, or container, codec and rate of PyAV.
SOUND_FILES = {
    ".wav": ("WAV", None),
    ".flac": ("FLAC", None),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "OPUS"),
    ".opus": ("OGG", "OPUS"),
    ".aiff": ("AIFF", None),
    ".aif": ("AIFF", None),
    ".aifc": ("AIFF", "ULAW"),
    ".au": ("AU", None),
    ".snd": ("AU", "ULAW"),
    ".w64": ("W64", None),
    ".rf64": ("RF64", None),
    ".caf": ("CAF", None),
    ".sph": ("NIST", None),
    ".mp3": ("MP3", None),
}
AV_FILES = {
    ".m4a": ("ipod", "aac", 44100),
    ".m4b": ("ipod", "alac", 44100),
    ".aac": ("adts", "aac", 44100),
    ".mka": ("matroska", "libopus", 48000),
    ".weba": ("webm", "libopus", 48000),
    ".amr": ("amr", "libopencore_amrnb", 8000),
    ".wma": ("asf", "wmav2", 44100),
    ".mp2": ("mp2", "mp2", 44100),
    ".wv": ("wv", "wavpack", 44100),
    ".tta": ("tta", "tta", 44100),
    ".ac3": ("ac3", "ac3", 48000),
    ".mp4": ("mp4", "aac", 44100),
    ".m4v": ("mp4", "aac", 22050),
    ".avi": ("avi", "pcm_s16le", 16000),
    ".mkv": ("matroska", "aac", 44100),
    ".mov": ("mov", "pcm_s16le", 16000),
    ".flv": ("flv", "aac", 44100),
    ".webm": ("webm", "libopus", 48000),
    ".mpg": ("mpeg", "mp2", 44100),
    ".mpeg": ("mpeg", "mp2", 44100),
    ".wmv": ("asf", "wmav1", 44100),
    ".asf": ("asf", "wmav2", 44100),
    ".3gp": ("3gp", "libopencore_amrnb", 8000),
    ".3g2": ("3g2", "aac", 44100),
    ".ogv": ("ogg", "libopus", 48000),
    ".mts": ("mpegts", "ac3", 48000),
    ".m2ts": ("mpegts", "aac", 44100),
}
DECODED_ALONE = {".spx": "speex", ".awb": "amrwb"}  # FFmpeg decodes these and encodes neither


def recording(suffix: str, seconds: float = 1.5) -> bytes:
    if suffix in SOUND_FILES:
        format, subtype = SOUND_FILES[suffix]
        return sound_file(tone(seconds), RATE, format, subtype)
    container, codec, rate = AV_FILES[suffix]
    return av_file(tone(seconds, rate), container, codec, rate, bit_rate=12200 if "amr" in codec else 64000)


_recording = lru_cache(recording)


def assert_is_tone(samples: np.ndarray, seconds: float, tolerance: float = 0.08, frequency: float = 440.0) -> None:
    assert samples.dtype == np.float32
    assert len(samples) / RATE == pytest.approx(seconds, abs=tolerance)
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(frequency, abs=3 * RATE / len(middle))
    assert np.std(middle) == pytest.approx(0.3 / np.sqrt(2), rel=0.25)


@pytest.fixture
def write(tmp_path):
    def write(content: bytes, name: str = "clip.wav"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


class TestFormats:
    def test_every_suffix_is_made_here_or_has_a_decoder(self):
        assert {*SOUND_FILES, *AV_FILES, *DECODED_ALONE} == {*AUDIO_SUFFIXES, *VIDEO_SUFFIXES}
        for codec in DECODED_ALONE.values():
            assert av.Codec(codec, "r").type == "audio"

    @pytest.mark.parametrize("suffix", [*SOUND_FILES, *AV_FILES])
    def test_content_decides_and_every_way_gives_the_same(self, write, suffix):
        content = recording(suffix)
        path = write(content, f"clip{suffix}")
        samples = load_audio(path)
        assert_is_tone(samples, 1.5)
        for source in (content, {"bytes": content, "path": "clip.xyz"}, {"bytes": None, "path": str(path)}):
            np.testing.assert_array_equal(load_audio(source), samples)
        for name in ("other.wav", "other.mp3", "other.raw", "other"):
            np.testing.assert_array_equal(load_audio(write(content, name)), samples)
        assert audio_duration(path) == audio_duration(content) == pytest.approx(len(samples) / RATE, abs=0.05)
        assert num_channels(path) == 1
        np.testing.assert_allclose(np.concatenate(list(stream_audio(path))), samples, atol=1e-6)

    @pytest.mark.parametrize("suffix", [*SOUND_FILES, *AV_FILES])
    def test_a_part_is_that_of_the_whole(self, suffix):
        content = recording(suffix, 3.0)
        whole, part = load_audio(content), load_audio(content, start=1.6, end=2.1)
        assert len(part) == 8000
        lags = range(-120, 121)  # libsndfile starts Opus 6.5 ms late, and Matroska counts in milliseconds
        errors = [np.abs(whole[25600 + lag : 33600 + lag] - part)[200:-200].mean() for lag in lags]
        assert min(errors) < 0.02
        if ".webm" not in suffix and suffix not in (".ogg", ".oga", ".opus", ".ogv", ".weba", ".mka", ".mkv"):
            assert abs(lags[int(np.argmin(errors))]) <= 1
        with pytest.raises(AudioError, match=r"lasts [23]\.\d+ s, so it has no 2\.5 to 3\.5 s"):
            load_audio(content, start=2.5, end=3.5)
        with pytest.raises(AudioError, match=r"lasts [23]\.\d+ s, so it has no 7 to 8 s"):
            load_audio(content, start=7, end=8)

    @pytest.mark.parametrize("suffix", [".m4a", ".mka", ".mov"])
    def test_a_part_is_decoded_alone(self, suffix):
        container, codec, rate = AV_FILES[suffix]
        samples = np.random.default_rng(0).normal(0, 0.1, 40 * rate).astype(np.float32)
        content = av_file(samples, container, codec, rate, bit_rate=64000)
        damaged = bytearray(content)
        damaged[len(content) // 8 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 8)
        expected = read_audio(content, start=35, end=36)
        found = read_audio(bytes(damaged), start=35, end=36)
        np.testing.assert_allclose(found.samples, expected.samples, atol=2e-2)
        assert not found.notes

    @pytest.mark.parametrize("container", ["webm", "mp4"])
    def test_written_while_it_was_recorded(self, write, container):
        """Read recordings without duration and index, as the MediaRecorder of browsers writes them."""
        options = {"webm": {"live": "1"}, "mp4": {"movflags": "frag_every_frame+empty_moov+default_base_moof"}}
        codec, rate = {"webm": ("libopus", 48000), "mp4": ("aac", 44100)}[container]
        content = av_file(tone(2.0, rate), container, codec, rate, options=options[container])
        path = write(content, "recording.wav")
        assert_is_tone(load_audio(path), 2.0)
        assert audio_duration(path) == pytest.approx(len(load_audio(path)) / RATE, abs=1e-4)
        assert_is_tone(load_audio(path, start=1, end=2), 1.0)

    def test_sound_beside_a_picture(self, write):
        path = write(b"", "clip.mp4")
        with av.open(path, "w") as output:
            video, audio = output.add_stream("mpeg4", rate=25), output.add_stream("aac", rate=44100, layout="mono")
            video.width = video.height = 64
            for _ in range(30):
                output.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
            frame = av.AudioFrame.from_ndarray((tone(1.2, 44100)[None] * 32767).astype(np.int16), "s16", "mono")
            frame.rate = 44100
            output.mux([*video.encode(None), *audio.encode(frame), *audio.encode(None)])
        assert_is_tone(load_audio(path), 1.2)

    def test_a_video_without_sound(self, write):
        path = write(b"", "clip.mp4")
        with av.open(path, "w") as output:
            video = output.add_stream("mpeg4", rate=25)
            video.width = video.height = 64
            output.mux(
                [*video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))), *video.encode(None)]
            )
        with pytest.raises(AudioError, match=r"clip\.mp4: has no sound track; remove it"):
            load_audio(path)

    def test_aac_inside_wav(self):
        content = av_file(tone(1.5, 44100), "adts", "aac", 44100)
        fmt = struct.pack("<HHIIHHH", 0x1600, 1, 44100, 8000, 1024, 0, 0)
        body = b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", content)
        assert_is_tone(load_audio(struct.pack("<4sI", b"RIFF", len(body)) + body), 1.5)

    def test_mp3_inside_wav(self):
        content = av_file(tone(1.5, 44100), "wav", "mp3", 44100)
        assert content[20:22] == b"\x55\0"
        assert_is_tone(load_audio(content), 1.5)
        with pytest.raises(AudioError, match=r"truncated, \d+ of \d+ bytes are there"):
            load_audio(content[: len(content) // 2])

    @pytest.mark.parametrize("kind", ["moov first", "no moov"])
    def test_truncated_mp4(self, write, kind):
        path = write(b"", "clip.m4a")
        options = {"movflags": "faststart"} if kind == "moov first" else {}
        with av.open(path, "w", format="ipod", container_options=options) as output:
            audio = output.add_stream("aac", rate=44100, layout="mono")
            frame = av.AudioFrame.from_ndarray((tone(5.0, 44100)[None] * 32767).astype(np.int16), "s16", "mono")
            frame.rate = 44100
            output.mux([*audio.encode(frame), *audio.encode(None)])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        for read in (load_audio, lambda path: list(stream_audio(path))):
            with pytest.raises(AudioError, match=r"clip\.m4a: truncated"):
                read(path)

    def test_a_truncated_webm_is_read_as_far_as_it_goes_with_a_note(self):
        content = av_file(tone(4.0, 48000), "webm", "libopus")
        found = read_audio(content[: len(content) // 2])
        assert 1.5 < len(found.samples) / RATE < 2.5
        assert any("the header says 4.01 s, but" in note for note in found.notes)

    def test_a_damaged_packet_is_counted(self):
        content = av_file(tone(2.0, 8000), "amr", "libopencore_amrnb", 8000, bit_rate=12200)
        assert read_audio(content[:-5]).notes == ("1 of 101 packets are damaged and were left out",)

    def test_metadata_that_is_not_utf_8(self):
        content = av_file(tone(1.0, 44100), "adts", "aac", 44100)
        tag = b"TIT2" + struct.pack(">IH", 6, 0) + b"\x03caf\xe9\0"
        assert_is_tone(load_audio(b"ID3\x04\0\0" + bytes([0, 0, 0, len(tag)]) + tag + content), 1.0)

    @pytest.mark.parametrize(("channels", "layout"), [(6, "5.1"), (8, "7.1"), (16, "hexadecagonal"), (24, "22.2")])
    @pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "libopus"])
    def test_more_channels_than_two(self, channels, layout, codec):
        if channels > 8 and not codec.startswith("pcm"):
            pytest.skip("Opus has no such layout")
        samples = np.stack([tone(1.0, 48000, 440)] * channels, axis=1)
        content = av_file(samples, "matroska", codec, 48000, layout)
        assert num_channels(content) == channels
        assert_is_tone(load_audio(content), 1.0)


class TestMpeg:
    def test_constant_rate_without_a_xing_frame(self, write):
        path = write(mp3(tone(3.0, 44100)), "cbr.mp3")
        assert_is_tone(load_audio(path), 3.0)
        assert audio_duration(path) == pytest.approx(3.0, abs=0.08)

    def test_variable_rate_without_a_xing_frame(self, write):
        content = mp3(tone(1.0, 44100), bit_rate=320_000) + mp3(tone(5.0, 44100), bit_rate=32_000)
        path = write(content, "vbr.mp3")
        assert_is_tone(load_audio(path), 6.0, 0.15)
        assert audio_duration(path) == pytest.approx(6.0, abs=0.15)
        np.testing.assert_allclose(np.concatenate(list(stream_audio(path))), load_audio(path), atol=1e-6)

    def test_a_xing_frame_gives_the_exact_length(self):
        assert len(load_audio(mp3(tone(3.0), 16000, header=True))) == 3 * RATE

    @pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
    def test_truncated_with_a_xing_frame(self, kept):
        content = mp3(tone(3.0, 44100), header=True)
        with pytest.raises(AudioError, match=r"truncated, .*copy it again"):
            load_audio(content[: int(kept * len(content))])
        with pytest.raises(AudioError, match="truncated"):
            audio_duration(content[: int(kept * len(content))])

    def test_truncated_with_a_number_of_frames_alone(self):
        content = bytearray(mp3(tone(3.0, 44100), header=True))
        flags = max(content.find(b"Xing"), content.find(b"Info")) + 7
        content[flags] &= ~2  # no size
        content[flags + 5 : flags + 9] = b""  # the fields close up
        content[flags + 200 : flags + 200] = bytes(4)
        load_audio(bytes(content))
        with pytest.raises(AudioError, match=r"truncated, \d+ of \d+ frames could be read"):
            load_audio(bytes(content[: len(content) // 2]))

    def test_two_files_in_one(self):
        content = mp3(tone(2.0, 44100), header=True)
        assert_is_tone(load_audio(content + content), 4.0, 0.15)

    def test_two_files_of_different_kinds_in_one(self):
        content = mp3(tone(2.0, 44100)) + mp3(tone(3.0, 32000), 32000)
        assert_is_tone(load_audio(content), 5.0, 0.3)

    def test_tags_at_both_ends(self):
        content = mp3(tone(2.0, 44100), header=True)
        tagged = b"ID3\x03\0\0\0\0\x02\0" + bytes(256) + content + b"TAG" + bytes(125)
        np.testing.assert_array_equal(load_audio(tagged), load_audio(content))

    def test_flac_with_an_id3_tag_is_still_flac(self):
        content = sound_file(tone(), format="FLAC")
        tagged = b"ID3\x03\0\0\0\0\x02\0" + bytes(256) + content
        np.testing.assert_array_equal(load_audio(tagged), load_audio(content))
        with pytest.raises(AudioError, match="truncated"):
            load_audio(tagged[: -len(content) // 2])


class TestWavHeaders:
    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(wav(tone(2.0), size=0), id="data 0"),
            pytest.param(wav(tone(2.0), size=0, riff=0), id="RIFF 0 too"),
            pytest.param(wav(tone(2.0), size=0, riff=36), id="RIFF as without samples"),
            pytest.param(
                wav(tone(2.0), size=0, riff=4088, before=chunk(b"JUNK", bytes(28)) + chunk(b"FLLR", bytes(4008))),
                id="AVAudioFile after a crash",
            ),
        ],
    )
    def test_never_finished(self, write, content):
        path = write(content)
        found = read_audio(path)
        np.testing.assert_array_equal(found.samples, load_audio(wav(tone(2.0))))
        assert found.notes == ("the WAV header says 0.00 s; read to the end of the file, 2.00 s",)
        np.testing.assert_array_equal(np.concatenate(list(stream_audio(path))), found.samples)
        np.testing.assert_array_equal(load_audio(path, start=0.5, end=1.5), found.samples[8000:24000])
        assert audio_duration(path) == audio_duration(content) == 2.0

    @pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
    def test_unknown_length(self, size):
        found = read_audio(wav(tone(2.0), size=size))
        np.testing.assert_array_equal(found.samples, load_audio(wav(tone(2.0))))
        assert found.notes == ("the WAV header says no length; read to the end of the file, 2.00 s",)

    @pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_never_finished_in_other_encodings(self, subtype, channels):
        samples = np.repeat(tone(1.0)[:, None], channels, axis=1)
        content = bytearray(sound_file(samples, subtype=subtype))
        expected = load_audio(bytes(content))
        at = content.find(b"data") + 4
        content[at : at + 4] = bytes(4)
        found = read_audio(bytes(content))
        np.testing.assert_allclose(found.samples, expected, atol=1e-4 if subtype == "ULAW" else 0)
        assert "the WAV header says 0.00 s" in found.notes[0]

    def test_header_that_says_less_than_there_is(self):
        content = wav(tone(2.0), size=RATE)
        found = read_audio(content)
        np.testing.assert_array_equal(found.samples, load_audio(wav(tone(2.0))))
        assert found.notes == ("the WAV header says 0.50 s; read to the end of the file, 2.00 s",)

    def test_rf64_never_finished(self):
        content = bytearray(sound_file(tone(2.0), format="RF64"))
        expected = load_audio(bytes(content))
        at = content.find(b"ds64") + 8
        content[at + 8 : at + 16] = bytes(8)
        np.testing.assert_array_equal(load_audio(bytes(content)), expected)

    def test_rf64(self):
        found = read_audio(sound_file(tone(2.0), format="RF64"))
        assert len(found.samples) == 2 * RATE and not found.notes

    @pytest.mark.parametrize(
        "behind",
        [
            pytest.param(chunk(b"LIST", b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"), id="LIST"),
            pytest.param(chunk(b"bext", bytes(602)), id="bext"),
            pytest.param(chunk(b"id3 ", b"ID3" + bytes(5001)), id="odd id3"),
            pytest.param(chunk(b"cue ", bytes(28)) + chunk(b"_PMX", b"<x/>" * 2000), id="two chunks"),
            pytest.param(struct.pack("<4sI", b"LIST", 10**6) + bytes(5000), id="a chunk that is cut"),
            pytest.param(b"TAG" + bytes(5000), id="a tag"),
            pytest.param(bytes(9000), id="zeros to the end of a block"),
            pytest.param(b"\x01\x02" * 300, id="a bit of rubbish"),
        ],
    )
    def test_what_stands_behind_the_samples_is_no_sound(self, behind):
        found = read_audio(wav(tone(2.0), behind=behind))
        np.testing.assert_array_equal(found.samples, load_audio(wav(tone(2.0))))
        if behind[:4].isalnum() or behind[:4] in (b"id3 ", b"cue "):
            assert not found.notes
        else:
            assert found.notes == (f"{len(behind)} bytes behind the samples are no audio and were left out",)

    @pytest.mark.parametrize("padded", [True, False])
    def test_samples_of_an_odd_size(self, padded):
        content = sound_file(tone(16001 / RATE), subtype="PCM_U8")
        at = content.find(b"data")
        (size,) = struct.unpack_from("<I", content, at + 4)
        assert size % 2
        found = read_audio(content[: at + 8 + size] + bytes(padded) + chunk(b"LIST", b"INFO" + bytes(3000)))
        assert len(found.samples) == size and not found.notes

    def test_a_second_file_behind_the_first(self):
        found = read_audio(wav(tone(2.0)) + wav(tone(3.0)))
        assert len(found.samples) == 2 * RATE
        assert found.notes == ("a second WAV file follows the first one and was left out",)

    def test_no_samples_and_a_list(self):
        with pytest.raises(AudioError, match="no samples"):
            load_audio(wav(tone(0), behind=chunk(b"LIST", b"INFO" + bytes(4000))))

    def test_a_hundred_thousand_chunks_in_front(self):
        assert len(load_audio(wav(tone(0.1), before=chunk(b"JUNK", b"") * 100_000))) == 1600


class TestFloatScale:
    @pytest.mark.parametrize(("bits", "scale"), [(16, 2**15), (24, 2**23), (32, 2**31)])
    @pytest.mark.parametrize("format", ["WAV", "AIFF", "CAF"])
    def test_integers_written_as_floats(self, write, bits, scale, format):
        samples = np.stack([tone(5.0), 0.5 * tone(5.0)], axis=1)
        path = write(sound_file(samples * scale, format=format, subtype="FLOAT"))
        found = read_audio(path)
        np.testing.assert_allclose(found.samples, 0.75 * tone(5.0), atol=1e-6)
        assert len(found.notes) == 1 and f"scale of {bits}-bit integers" in found.notes[0]
        np.testing.assert_array_equal(np.concatenate(list(stream_audio(path))), found.samples)

    def test_a_quiet_part_has_the_scale_of_its_recording(self, write):
        samples = np.concatenate([tone(1.0) * 1e-4, tone(1.0)]) * 32768
        content = sound_file(samples, subtype="FLOAT")
        for source in (write(content), content):
            np.testing.assert_allclose(load_audio(source, start=0, end=1), tone(1.0) * 1e-4, atol=1e-9)

    def test_at_another_rate(self, write):
        path = write(sound_file(tone(3.0, 44100) * 32768, 44100, subtype="DOUBLE"))
        assert_is_tone(load_audio(path), 3.0)
        np.testing.assert_allclose(np.concatenate(list(stream_audio(path))), load_audio(path), atol=1e-6)

    def test_rows_of_arrays(self):
        found = read_audio({"array": tone() * 32768, "sampling_rate": RATE})
        np.testing.assert_array_equal(found.samples, tone())
        assert "16-bit" in found.notes[0]

    @pytest.mark.parametrize("peak", [0.5, 1.0, 3.0, 60.0])
    def test_loud_floats_stay(self, peak):
        found = read_audio(sound_file(tone() / 0.3 * peak, subtype="FLOAT"))
        assert np.abs(found.samples).max() == pytest.approx(peak, rel=1e-3)
        assert not found.notes

    def test_beyond_any_scale(self):
        with pytest.raises(AudioError, match=r"float samples of up to 3e\+29; repair"):
            load_audio(sound_file(tone() * 1e30, subtype="FLOAT"))


class TestChannels:
    left, right = tone(1.0, frequency=300), tone(1.0, frequency=700)

    def stereo(self, left, right) -> bytes:
        return sound_file(np.stack([left, right], axis=1), subtype="FLOAT")

    def test_choice(self, write):
        path = write(self.stereo(self.left, self.right))
        expected = {"left": self.left, "right": self.right, "mix": (self.left + self.right) / 2}
        for channel, samples in expected.items():
            np.testing.assert_allclose(load_audio(path, channel=channel), samples, atol=1e-7)
            np.testing.assert_allclose(np.concatenate(list(stream_audio(path, channel=channel))), samples, atol=1e-7)
        assert num_channels(path) == 2 and not read_audio(path).notes

    def test_choice_in_rows(self):
        row = {"array": np.stack([self.left, self.right]), "sampling_rate": RATE}
        np.testing.assert_array_equal(load_audio(row, channel="right"), self.right)
        assert num_channels(row) == 2 and num_channels({"array": self.left, "sampling_rate": RATE}) == 1

    def test_choice_in_compressed_files(self):
        samples = np.stack([tone(1.0, 44100, 300), tone(1.0, 44100, 700)], axis=1)
        content = av_file(samples, "ipod", "aac", 44100, "stereo")
        assert_is_tone(load_audio(content, channel="left"), 1.0, frequency=300)
        assert_is_tone(load_audio(content, channel="right"), 1.0, frequency=700)

    def test_mono(self, write):
        path = write(sound_file(tone()))
        np.testing.assert_array_equal(load_audio(path, channel="left"), load_audio(path))
        with pytest.raises(AudioError, match=r"clip\.wav: is mono, so it has no right channel"):
            load_audio(path, channel="right")
        with pytest.raises(AudioError, match="no right channel"):
            list(stream_audio(path, channel="right"))
        with pytest.raises(ValueError, match="channel='center' is unknown; give one of mix, left, right"):
            load_audio(path, channel="center")

    @pytest.mark.parametrize("noise", [0, 0.02])
    def test_channels_that_cancel(self, noise):
        rest = np.random.default_rng(0).normal(0, noise, len(self.left)).astype(np.float32)
        content = self.stereo(self.left, rest - self.left)
        assert read_audio(content).notes == (
            "the channels cancel each other when averaged; choose the left or the right one",
        )
        assert not read_audio(content, channel="left").notes

    @pytest.mark.parametrize(("level", "word"), [(0.0, "silent"), (0.25, "constant")])
    def test_a_channel_without_sound(self, level, word):
        dead = np.full_like(self.left, level)
        note = f"the left channel is {word} while another is not"
        assert read_audio(self.stereo(dead, self.right)).notes == (note,)
        assert read_audio(self.stereo(dead, self.right), channel="left").notes == (note,)
        assert not read_audio(self.stereo(dead, self.right), channel="right").notes

    def test_a_silent_one_of_many(self):
        content = sound_file(np.stack([self.left, self.right, 0 * self.left, self.left], axis=1))
        assert read_audio(content).notes == ("channel 3 is silent while another is not",)

    def test_silence_on_both_and_two_unrelated_voices(self):
        assert not read_audio(self.stereo(0 * self.left, 0 * self.left)).notes
        rng = np.random.default_rng(0)
        assert not read_audio(sound_file(rng.normal(0, 0.1, (RATE, 2)), subtype="FLOAT")).notes

    def test_notes_are_logged_once_with_the_name(self, write, caplog):
        path = write(self.stereo(self.left, -self.left), "opposite.wav")
        for start in (0, 0.2, 0.4):
            load_audio(path, start=start, end=start + 0.5)
        list(stream_audio(path))
        assert [record.message.partition("opposite.wav: ")[2] for record in caplog.records] == [
            "the channels cancel each other when averaged; choose the left or the right one"
        ]


class TestOtherContent:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 99\n",
                "is a Git LFS pointer, not the recording; run git lfs pull",
            ),
            (b"/annex/objects/SHA256E-s99--00.wav\n", "is a git-annex pointer.*run git annex get"),
            (b"\n<!DOCTYPE html><title>404</title>", "is a web page, not a recording; download it again"),
        ],
    )
    def test_placeholders(self, write, content, message):
        for read in (load_audio, audio_duration, num_channels, lambda path: list(stream_audio(path))):
            with pytest.raises(AudioError, match=rf"clip\.m4a: {message}"):
                read(write(content, "clip.m4a"))

    def test_a_playlist_does_not_open_other_files(self, write):
        secret = write(mp3(tone(1.0, 44100)), "secret.mp3")
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n"
        with pytest.raises(AudioError, match="not an audio file"):
            load_audio(write(playlist.encode(), "list.wav"))
        with pytest.raises(AudioError, match="not an audio file"):
            load_audio(write(f"ffconcat version 1.0\nfile {secret}\n".encode(), "list.mp3"))

    @pytest.mark.parametrize("rate", [1, 999, 2_000_000])
    def test_an_impossible_rate(self, rate):
        with pytest.raises(AudioError, match=f"damaged or not an audio file .a sampling rate of {rate} Hz"):
            load_audio(wav(tone(), rate=rate))

    @pytest.mark.parametrize("format", ["CAF", "W64", "RF64", "NIST", "VOC", "MAT4", "AVI"])
    def test_half_a_file_is_refused(self, write, format):
        whole = _recording(".avi") if format == "AVI" else sound_file(tone(), format=format, subtype="PCM_16")
        assert load_audio(whole).size and not read_audio(whole).notes
        half = whole[: len(whole) // 2]
        for read in (load_audio, lambda path: list(stream_audio(path))):
            with pytest.raises(AudioError, match=r"clip\.any: truncated"):
                read(write(half, "clip.any"))
        if format in ("CAF", "W64", "RF64", "NIST"):  # parts that are there can be had
            assert load_audio(half, start=0.0, end=0.1).size == 1600

    @pytest.mark.parametrize("size", [0, 2**32 - 1])
    def test_an_avi_from_a_pipe_has_no_length(self, size):
        whole = _recording(".avi")
        assert len(load_audio(whole[:4] + size.to_bytes(4, "little") + whole[8:])) == len(load_audio(whole))

    @pytest.mark.parametrize("coding", [b"pcm", b"pcm,embedded-shorten-v2.00", None])
    def test_a_compressed_sphere_file_promises_no_size(self, coding):
        fields = [b"channel_count -i 2", b"sample_count -i 1000", b"sample_n_bytes -i 2"]
        fields += [] if coding is None else [b"sample_coding -s%d %s" % (len(coding), coding)]
        head = b"NIST_1A\n   1024\n" + b"\n".join([*fields, b"end_head\n"])
        promise = container_promise(io.BytesIO(head), head)
        assert promise == (None if coding and b"," in coding else (len(head), 5024))
        assert container_promise(io.BytesIO(b""), b"NIST_1A\n   many\n") is None

    @pytest.mark.parametrize(("format", "codec"), [("wv", "wavpack"), ("tta", "tta")])
    def test_a_wrong_checksum_is_noted(self, format, codec):
        whole = av_file(tone(24.0), format, codec, RATE, "mono")
        assert not read_audio(whole).notes
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 0x10
        [note] = read_audio(bytes(damaged)).notes
        assert re.fullmatch(r"1 of \d+ packets are damaged and were left out", note)

    @pytest.mark.fuzz
    @pytest.mark.parametrize("suffix", [".m4a", ".webm", ".mp3", ".amr", ".avi", ".mts", ".rf64", ".caf"])
    @given(data=st.data())
    def test_damage_anywhere_is_an_audio_error_or_passes(self, suffix, data):
        content = bytearray(_recording(suffix))
        place = st.integers(0, len(content) - 1) | st.integers(0, 100)
        for position, value in data.draw(st.lists(st.tuples(place, st.integers(0, 255)), max_size=5)):
            content[position] = value
        content = bytes(content[: data.draw(st.just(len(content)) | st.integers(1, len(content)))])
        for times in ({}, {"start": 0.7, "end": 1.1}):
            try:
                assert load_audio(content, **times).size
            except AudioError as error:
                assert "<bytes>" in str(error)

    def test_noise_is_no_recording(self):
        for seed in range(5):
            with pytest.raises(AudioError, match="not an audio file"):
                load_audio(np.random.default_rng(seed).bytes(200_000))

    @pytest.mark.skipif(sys.platform != "linux", reason="other systems keep names in Unicode")
    @pytest.mark.parametrize("suffix", [".wav", ".m4a"])
    def test_a_name_that_is_not_utf_8(self, tmp_path, suffix, caplog):
        path = tmp_path / os.fsdecode(b"caf\xe9" + suffix.encode())
        path.write_bytes(recording(suffix))
        assert_is_tone(load_audio(path), 1.5)
        assert_is_tone(load_audio(str(path)), 1.5)
        assert_is_tone(np.concatenate(list(stream_audio(path))), 1.5)
        assert audio_duration(path) == pytest.approx(1.5, abs=0.05)
        path.write_bytes(b"no recording")
        with pytest.raises(AudioError) as error:
            load_audio(path)
        assert "caf\\udce9" in str(error.value).encode("utf-8").decode()
        path.write_bytes(wav(tone(2.0), size=0))
        load_audio(path)
        assert all(record.message.encode("utf-8") for record in caplog.records) and caplog.records

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(recording(".m4a"), id="m4a"),
            pytest.param(recording(".mp3"), id="mp3"),
            pytest.param(wav(tone(), size=0), id="unfinished WAV"),
        ],
    )
    def test_without_pyav_one_file_fails(self, write, content, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        path = write(content, "clip.m4a")
        for read in (load_audio, audio_duration, num_channels, lambda path: list(stream_audio(path))):
            with pytest.raises(AudioError, match=r"clip\.m4a: .*run pip install av") as error:
                read(path)
            assert "video" not in str(error.value)
        assert_is_tone(load_audio(sound_file(tone(1.0))), 1.0)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_a_pipe(self, tmp_path):
        pipe = tmp_path / "pipe.wav"
        os.mkfifo(pipe)
        for read in (load_audio, audio_duration, lambda path: list(stream_audio(path))):
            with pytest.raises(AudioError, match=r"pipe\.wav: the file is empty"):  # nobody writes
                read(pipe)
        code = f"import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, open({str(pipe)!r}, 'wb'))"
        keeper = os.open(pipe, os.O_RDWR)  # a writer is there from the beginning
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as writer:
            writer.stdin.write(sound_file(tone(0.2)))
            writer.stdin.close()
            reader = ThreadPoolExecutor(1).submit(load_audio, pipe)
            assert writer.wait(60) == 0
            os.close(keeper)
            assert_is_tone(reader.result(60), 0.2, frequency=440.0)

    def test_a_file_that_may_not_be_read(self, write, monkeypatch):
        def refuse(*_args, **_kwargs):
            raise PermissionError(13, "Permission denied")

        path = write(sound_file(tone()))
        monkeypatch.setattr("builtins.open", refuse)
        with pytest.raises(AudioError, match=r"clip\.wav: cannot be opened \(Permission denied\); check its perm"):
            load_audio(path)


def test_sound_files_are_read_bit_for_bit_as_libsndfile_reads_them(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 200_000)
    for format, subtype in (("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_24"), ("OGG", "VORBIS")):
        content = sound_file(samples, format=format, subtype=subtype)
        path = tmp_path / "clip"
        path.write_bytes(content)
        np.testing.assert_array_equal(load_audio(content), soundfile.read(path, dtype="float32")[0])


class TestMemory:
    """Files that are small and take much memory."""

    def test_a_recording_too_long_for_memory(self, write, monkeypatch):
        monkeypatch.setattr(audio, "_MOST_SAMPLES", 20_000)
        path = write(sound_file(tone(1.3, 16000)))
        with pytest.raises(AudioError, match=r"clip\.wav: is too long .* \(over 0\.0 h\); read it in parts"):
            load_audio(path)
        with pytest.raises(AudioError, match=r"is too long .* at 48000 Hz"):
            load_audio(path, 48000, start=0.0, end=0.5)
        assert len(load_audio(path, start=0.1, end=0.6)) == 8000
        assert sum(map(len, stream_audio(path))) == 20800

    @pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
    def test_too_little_memory_is_an_error_of_the_file(self, write):
        # 10 million samples at 1,000 Hz are 640 MB at 16,000 Hz.
        path = write(sound_file(np.zeros(10_000_000, np.int16), 1000, "FLAC"), "zeros.flac")
        assert os.path.getsize(path) < 100_000
        code = """
import resource, sys
from lssed_hf.audio import AudioError, load_audio, stream_audio
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
try:
    load_audio(sys.argv[1])
except AudioError as error:
    print(error)
print(sum(map(len, stream_audio(sys.argv[1]))))
"""
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
        message, streamed = done.stdout.splitlines()
        assert "zeros.flac: needs more memory than there is" in message
        assert streamed == "160000000"
