import datasets
import numpy as np
import pytest
import soundfile

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.corpora.emovo import EMOTION_CODES, SENTENCES
from lssed_hf.preparation.prepare import prepare
from lssed_hf.testing.synthesize import synthesize


SPEAKERS = ("f1", "f2", "f3", "m1", "m2", "m3")
AUDIO = datasets.Audio(decode=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_clip):
    """Write a mono clip of each actor in each state."""
    folder = tmp_path_factory.mktemp("emovo")
    for speaker in SPEAKERS:
        for code in EMOTION_CODES:
            write_clip(folder / "EMOVO" / speaker / f"{code}-{speaker}-b1.wav")
    return folder


@pytest.fixture
def load(tmp_path):
    def load(folder, *args, **kwargs) -> datasets.DatasetDict:
        splits = load_corpus("emovo", folder, *args, cache_dir=tmp_path / "cache", **kwargs)
        return splits.cast_column("audio", AUDIO)

    return load


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("emovo")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.fixture
def stereo(tmp_path):
    """Write a clip of each actor at 48 kHz, 400 Hz on the left and 1,000 Hz on the right."""
    time = np.arange(4800) / 48000
    channels = np.stack([0.3 * np.sin(2 * np.pi * hertz * time) for hertz in (400, 1000)], axis=1)
    for speaker in SPEAKERS:
        path = tmp_path / "stereo" / speaker / f"rab-{speaker}-l1.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, channels, 48000)
    return tmp_path / "stereo"


def loudest_frequency(samples: np.ndarray) -> float:
    """Return the frequency in Hz with the most power, of samples at 16 kHz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * 16000 / len(samples))


def test_the_fixed_split(folder, load):
    splits = load(folder)
    assert {name: set(rows["speaker_id"]) for name, rows in splits.items()} == {
        "train": {"f1", "f2", "m1"},
        "validation": {"m2"},
        "test": {"f3", "m3"},
    }
    assert set(splits["test"]["gender"]) == {0, 1}


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_one_speaker_is_left_out(folder, load, speaker):
    splits = load(folder, "benchmark", split_scheme=f"speaker_{speaker}")
    assert set(splits["test"]["speaker_id"]) == {speaker} and len(splits["test"]) == 4
    assert set(splits["train"]["speaker_id"]) == {*SPEAKERS} - {speaker} and len(splits["train"]) == 20


def test_emotions(folder, load):
    rows = load(folder)["validation"]
    label = rows.features["emotion"]
    assert {name[:3]: label.int2str(emotion) for name, emotion in zip(rows["id"], rows["emotion"])} == {
        "dis": "disgusted",
        "gio": "happy",
        "neu": "neutral",
        "pau": "fearful",
        "rab": "angry",
        "sor": "surprised",
        "tri": "sad",
    }


def test_one_row(folder, load):
    row = next(row for row in load(folder)["test"] if row["id"] == "tri-f3-b1")
    assert row == {
        "id": "tri-f3-b1",
        "audio": {"bytes": None, "path": str(folder / "EMOVO" / "f3" / "tri-f3-b1.wav")},
        "emotion": 3,
        "secondary_emotions": [],
        "gender": 0,
        "age_group": -1,
        "age": None,
        "speaker_id": "f3",
        "session_id": None,
        "start": None,
        "end": None,
        "transcript": "Gli operai si alzano presto.",
    }


def test_the_left_channel_is_loaded(stereo, load):
    for rows in load(stereo).values():
        for row in rows:
            assert row["audio"]["path"] == f"{row['id']}.flac"
            samples = load_audio(row["audio"])
            assert loudest_frequency(samples) == 400
            expected = load_audio(stereo / row["speaker_id"] / f"{row['id']}.wav", channel="left")
            assert np.abs(samples - expected).max() < 2**-15  # stored in 16 bit


def test_the_left_channel_is_prepared(stereo, tmp_path):
    prepare("emovo", stereo, tmp_path / "out")
    splits = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    rows = [row for rows in splits.cast_column("audio", AUDIO).values() for row in rows]
    assert len(rows) == 6 and {loudest_frequency(load_audio(row["audio"])) for row in rows} == {400}


def test_a_damaged_clip_is_named(stereo, load, tmp_path):
    (stereo / "f1" / "rab-f1-l1.wav").write_bytes(b"Gentile Signora,\n")
    with pytest.raises(CorpusDataError, match=r"emovo: .*rab-f1-l1.wav: .*not an audio file"):
        load(stereo)
    manifest = prepare("emovo", stereo, tmp_path / "out")
    assert "not an audio file" in (tmp_path / "out" / "rejects.csv").read_text(encoding="utf-8")
    assert (manifest["counts"]["written"], manifest["counts"]["rejected"]) == (5, 1)


def test_sentences(tmp_path, write_clip, read):
    for code in (*SENTENCES, "x9"):
        write_clip(tmp_path / "data" / f"sor-m1-{code}.wav")
    assert len(SENTENCES) == 14
    utterances, rejects = read(tmp_path / "data")
    assert {row.id[7:]: row.transcript for row in utterances} == {**SENTENCES, "x9": None} and not rejects


def test_a_clip_in_two_formats_is_read_once(folder, tmp_path, write_clip, read):
    for name in ("rab-f1-b1.wav", "flac/rab-f1-b1.flac", "flac/neu-m2-b1.flac"):
        write_clip(tmp_path / "data" / name)
    utterances, (reject,) = read(tmp_path / "data")
    assert [row.path[-14:] for row in utterances] == ["neu-m2-b1.flac", "/rab-f1-b1.wav"]
    assert reject.by_rule and reject.source.endswith("rab-f1-b1.flac")


@pytest.mark.parametrize("name", ["rab-f4-b1", "rab-f1", "xyz-f1-b1", "rab_f1_b1", "rab-f1-b1-2"])
def test_unknown_names_are_named(tmp_path, load, write_clip, name):
    write_clip(tmp_path / "data" / "rab-f1-b1.wav")
    write_clip(tmp_path / "data" / f"{name}.wav")
    with pytest.raises(CorpusDataError, match=rf"1 of 2 utterances .*{name}\.wav .*not one of EMOVO's"):
        load(tmp_path / "data")


def test_another_corpus(tmp_path, load, write_clip):
    write_clip(tmp_path / "data" / "wav" / "03a01Fa.wav")
    with pytest.raises(CorpusDataError, match=r"is not EMOVO: looked for clips such as f1/rab-f1-b1.wav, found wav;"):
        load(tmp_path / "data")


def test_the_release(tmp_path, load):
    pytest.importorskip("espeakng_loader")
    release = synthesize("emovo", tmp_path / "release", num_speakers=4)
    splits = load(release)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 14, "validation": 14, "test": 28}
    path = release / "f3" / "rab-f3-b1.wav"
    assert (soundfile.info(path).samplerate, soundfile.info(path).channels) == (48000, 2)
    row = next(row for row in splits["test"] if row["id"] == path.stem)
    left, mix = (load_audio(path, channel=channel) for channel in ("left", "mix"))
    samples = load_audio(row["audio"])
    assert np.abs(samples - left).max() < 0.001 < np.abs(samples - mix).max()
    with pytest.raises(ValueError, match="EMOVO has 6 actors, got num_speakers=7"):
        synthesize("emovo", tmp_path / "many", num_speakers=7)


def test_the_real_corpus(shared_data, load):
    """Load the copy, which has the four benchmark emotions, mono."""
    if not (shared_data / "emovo").is_dir():
        pytest.skip(f"no EMOVO in {shared_data}")
    splits = load(shared_data / "emovo", "benchmark")
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 168, "validation": 56, "test": 112}
    assert all(set(rows["emotion"]) == {0, 1, 2, 3} for rows in splits.values())
    assert {row["transcript"] for row in splits["validation"]} == {*SENTENCES.values()}
    assert 0.5 < len(load_audio(splits["test"][0]["audio"])) / 16000 < 15
