"""Inputs of the kinds that people reported in public, of other libraries too: docs/contributing/public_reports.md."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from recordings import av_file, chunk, mp3, sound_file, tone, wav

from lssed_hf import AudioError, load_audio, load_corpus
from lssed_hf.audio import audio_duration, read_audio


ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "contributing" / "public_reports.md"
RATE = 16000
OPUS = av_file(tone(2.0, 48000), "webm", "libopus", options={"live": "1"})
M4A = av_file(tone(2.0, 44100), "ipod", "aac", 44100)
TWO_RATES = mp3(tone(1.0, 44100), bit_rate=320_000) + mp3(tone(1.0, 44100), bit_rate=32_000)
ZEROS = chunk(b"LIST", bytes(393164))
BEXT = chunk(b"bext", bytes(858))


def format_behind(before: bytes) -> bytes:
    """Return a WAV with a chunk in front of its format."""
    whole = wav(tone(2.0))
    body = b"WAVE" + before + whole[12:]
    return struct.pack("<4sI", b"RIFF", len(body)) + body


#: Reference -> content of a file that has to be read as a tone of 2 s, whatever the suffix.
READ: dict[str, Callable[[], bytes]] = {
    "librosa/librosa#477": lambda: sound_file(tone(2.0), subtype="PCM_24"),
    "beetbox/audioread#67": lambda: M4A,
    "bastibe/python-soundfile#389": lambda: M4A,
    "jiaaro/pydub#406": lambda: M4A,
    "jiaaro/pydub#775": lambda: M4A,
    "jiaaro/pydub#102": lambda: sound_file(tone(2.0), format="AIFF", subtype="ULAW"),
    "bastibe/python-soundfile#443": lambda: TWO_RATES,
    "libsndfile/libsndfile#1001": lambda: mp3(tone(2.0, 44100)),
    "libsndfile/libsndfile#1086": lambda: mp3(tone(2.0, 44100), bit_rate=320_000),
    "libsndfile/libsndfile#370": lambda: wav(tone(2.0), before=ZEROS),
    "libsndfile/libsndfile#542": lambda: wav(tone(2.0), before=ZEROS),
    "IPS-LMU/emuR#166": lambda: format_behind(BEXT),
    "JamesHeinrich/getID3#468": lambda: wav(tone(2.0), size=0, riff=0),
    "naudio/NAudio#688": lambda: wav(tone(2.0), size=0xFFFFFFFF, riff=0xFFFFFFFF),
    "dancasimiro/WAV.jl#109": lambda: wav(tone(2.0), riff=1000),
    "pytorch/audio#3753": lambda: sound_file(tone(2.0, 48000), 48000, "OGG", "OPUS"),
    "pytorch/audio#1778": lambda: sound_file(tone(2.0, 48000), 48000, "OGG", "OPUS"),
    "pytorch/audio#2792": lambda: OPUS,
    "CrispStrobe/CrispASR#417": lambda: OPUS,
    "chris-rudmin/opus-recorder#207": lambda: OPUS,
}


@pytest.mark.parametrize("reference", READ)
def test_read_to_its_end_by_path_and_as_bytes(reference, tmp_path):
    content = READ[reference]()
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    for source in (path, content):
        samples = load_audio(source)
        assert len(samples) / RATE == pytest.approx(2.0, abs=0.13)
        assert audio_duration(source) == pytest.approx(len(samples) / RATE, abs=0.05)
        middle = samples[RATE // 2 : 3 * RATE // 2]
        assert np.argmax(np.abs(np.fft.rfft(middle))) == pytest.approx(440, abs=3)


def test_a_header_that_promises_more_is_refused(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(wav(tone(4.0))[:RATE])
    with pytest.raises(AudioError, match=r"clip\.wav: truncated"):
        load_audio(path)


def test_samples_that_are_not_finite_are_refused(tmp_path):
    samples = tone(1.0)
    samples[700] = np.nan
    soundfile.write(tmp_path / "clip.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"clip\.wav: .*NaN or infinite"):
        load_audio(tmp_path / "clip.wav")


def test_integers_in_a_float_array_are_scaled_with_a_note():
    found = read_audio({"array": tone() * 32768, "sampling_rate": RATE})
    np.testing.assert_allclose(found.samples, tone(), atol=1e-6)
    assert "scale of 16-bit integers" in found.notes[0]


def test_both_orders_of_channels_are_averaged_over_channels():
    stereo = np.stack([tone(), tone()], axis=1)
    for array in (stereo, stereo.T):
        np.testing.assert_allclose(load_audio({"array": array, "sampling_rate": RATE}), tone(), atol=1e-6)


def test_a_row_of_datasets_decodes_without_torchcodec(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "clip.flac", tone(), RATE)
    monkeypatch.setattr(datasets.config, "TORCHCODEC_AVAILABLE", False, raising=False)
    rows = datasets.Dataset.from_dict({"audio": [str(tmp_path / "clip.flac")]})
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    assert len(load_audio(rows[0]["audio"])) == RATE


class TestFolders:
    @pytest.fixture
    def load(self, tmp_path):
        return lambda: load_corpus("folder", tmp_path / "data", cache_dir=tmp_path / "cache", split_scheme="none")

    def write(self, tmp_path, names, table=None):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(0.2), RATE)
        if table:
            (tmp_path / "data" / "metadata.csv").write_text(table)

    def test_clips_beside_the_table(self, tmp_path, load):
        self.write(tmp_path, ["a.wav", "b.wav"], "file_name,emotion\n./a.wav,sad\n./b.wav,angry\n")
        assert sum(len(rows) for rows in load().values()) == 2

    def test_clips_below_the_table(self, tmp_path, load):
        self.write(tmp_path, ["data/a.wav", "data/b.wav"], "file_name,emotion\ndata/a.wav,sad\ndata/b.wav,angry\n")
        assert sum(len(rows) for rows in load().values()) == 2

    def test_names_that_are_not_there_are_named(self, tmp_path, load):
        self.write(tmp_path, ["a.wav", "b.wav"], "file_name,emotion\na.wav,sad\nfilename2.mp3,angry\n")
        with pytest.raises(ValueError, match=r"metadata\.csv, line 3 .*filename2\.mp3"):
            load()

    def test_names_of_splits_in_names_of_clips_divide_nothing(self, tmp_path, load):
        names = [f"{label}/{name}.wav" for label in ("sad", "angry") for name in ("train_1", "test_2", "x3")]
        self.write(tmp_path, names)
        assert {split: len(rows) for split, rows in load().items()} == {"train": 6}


def test_the_page_names_tests_that_exist():
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| [")]
    assert len(rows) >= 25
    listed = {re.search(r"\[(.+?) #(\d+)\]", row[0]).expand(r"\1#\2") for row in rows}
    assert set(READ) <= listed
    for row in rows:
        reference = re.search(r"\[(.+?) #(\d+)\]\(https://github\.com/(.+?)/(?:issues|pull)/(\d+)\)", row[0])
        assert reference and reference[1] == reference[3] and reference[2] == reference[4], row[0]
        file, *names = re.search(r"`(tests/[\w/.]+)::([\w:]+)`", row[-1]).expand(r"\1::\2").split("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            assert re.search(rf"(def|class) {name}\b", text), f"{file} has no {name}"
