import pytest

from lssed_hf import load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.corpora.esd import EMOTION_FOLDERS


SPEAKERS = [f"{number:04}" for number in range(1, 21)]


@pytest.fixture
def folder(tmp_path, write_clip):
    """Write a clip of each speaker in each emotion, without folders of splits."""
    for speaker in SPEAKERS:
        for block, name in enumerate(("Neutral", "Angry", "Happy", "Sad", "Surprise")):
            write_clip(tmp_path / "data" / "ESD" / speaker / name / f"{speaker}_{350 * block + 51:06}.wav")
    return tmp_path / "data"


@pytest.fixture
def read(tmp_path):
    def read(folder, **options):
        return corpus_builder("esd")(cache_dir=str(tmp_path / "cache"), **options).read(folder)

    return read


def test_speakers_and_emotions(folder, read):
    utterances, rejects = read(folder)
    assert len(utterances) == 100 and not rejects
    assert {row.emotion for row in utterances} == set(EMOTION_FOLDERS.values())
    men = {row.speaker_id for row in utterances if row.gender == "male"}
    assert men == {"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"}


def test_the_fixed_split_has_both_languages_and_genders_everywhere(folder, tmp_path):
    splits = load_corpus("esd", folder, "benchmark", cache_dir=tmp_path / "cache")
    speakers = {split: set(rows["speaker_id"]) for split, rows in splits.items()}
    assert speakers["validation"] == {"0009", "0010", "0019", "0020"}
    assert speakers["test"] == {"0007", "0008", "0014", "0018"}
    assert speakers["train"] == {*SPEAKERS} - speakers["validation"] - speakers["test"]
    assert all(set(rows["gender"]) == {0, 1} and set(rows["emotion"]) == {0, 1, 2, 3} for rows in splits.values())


@pytest.mark.parametrize(
    ("language", "kept"), [("English", SPEAKERS[10:]), ("Mandarin", SPEAKERS[:10]), (None, SPEAKERS)]
)
def test_one_language(folder, tmp_path, language, kept):
    splits = load_corpus("esd", folder, language=language, cache_dir=tmp_path / "cache")
    assert sorted({row for rows in splits.values() for row in rows["speaker_id"]}) == kept


def test_unknown_languages(folder, tmp_path):
    with pytest.raises(ValueError, match="language='Greek'; ESD has English, Mandarin"):
        load_corpus("esd", folder, language="Greek", cache_dir=tmp_path / "cache")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("0011/Angry/train/0011_000351.wav", "train"),
        ("0011/Angry/evaluation/0011_000400.wav", "validation"),
        ("0011/Angry/test/0011_000700.wav", "test"),
        ("0011/Angry/0011_000351.wav", "validation"),
        ("0011/Angry/0011_000370.wav", "validation"),
        ("0011/Angry/0011_000371.wav", "test"),
        ("0011/Angry/0011_000400.wav", "test"),
        ("0011/Angry/0011_000401.wav", "train"),
        ("0011/Angry/0011_000700.wav", "train"),
    ],
)
def test_the_official_split_comes_from_folders_or_numbers(tmp_path, write_clip, path, split):
    write_clip(tmp_path / "data" / path)
    splits = load_corpus("esd", tmp_path / "data", split_scheme="official", cache_dir=tmp_path / "cache")
    assert list(splits) == [split]


@pytest.mark.parametrize(
    ("speaker", "encoding", "text"),
    [
        ("0001", "gb2312", "打远一看"),
        ("0001", "utf-16", "打远一看"),
        ("0001", "utf-8", "打远一看"),
        ("0016", "latin-1", "It's a café."),
        ("0016", "utf-8-sig", "It's a café."),
    ],
)
def test_transcripts_in_all_encodings(tmp_path, write_clip, read, speaker, encoding, text):
    write_clip(tmp_path / "data" / speaker / "Sad" / "train" / f"{speaker}_001200.wav")
    lines = ["no transcript", f"{speaker}_001200\t{text}\tSad", f"{speaker}_001201\t"]
    (tmp_path / "data" / speaker / f"{speaker}.txt").write_bytes("\r\n".join(lines).encode(encoding))
    (row,), _ = read(tmp_path / "data")
    assert row.transcript == text


def test_clips_in_no_folder_of_an_emotion(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "0011" / "0011_000001.wav")
    write_clip(tmp_path / "data" / "0011" / "Calm" / "0011_000002.wav")
    write_clip(tmp_path / "data" / "0011" / "happy" / "0011_000701.wav")
    utterances, rejects = read(tmp_path / "data")
    assert [row.emotion for row in utterances] == ["happy"]
    assert all("in no folder of an emotion" in reject.reason for reject in rejects) and len(rejects) == 2


def test_another_corpus(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "0021" / "Sad" / "0021_000001.wav")
    with pytest.raises(CorpusDataError, match=r"is not ESD: looked for clips such as 0011/Angry/0011_000371.wav"):
        read(tmp_path / "data")
