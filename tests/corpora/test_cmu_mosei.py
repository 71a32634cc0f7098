import datasets
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.corpora.cmu_mosei import FOLDS


HEADER = (
    "HITId,Input.VIDEO_ID,Input.CLIP,Answer.anger,Answer.disgust,Answer.fear,Answer.happiness,Answer.sadness,"
    "Answer.surprise,Answer.sentiment"
)


@pytest.fixture
def write(tmp_path, write_clip):
    """Return a function that writes a video with segments of 0.1 s, and what raters say of them."""

    def write(*ratings: str, video: str = "-aB_1", place: str = "Raw", sound: bool = True, table: str = "a.csv"):
        root = tmp_path / "data" / place
        for folder in ("Labels", "Transcript/Segmented/Combined"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        rows = [f"1,{video},{rating},0" for rating in ratings]
        (root / "Labels" / table).write_text("\n".join([HEADER, *rows]), encoding="utf-8")
        lines = [
            f"{video}___{clip}___{0.1 * clip - 0.05:.2f}___{0.1 * clip + 0.05:.2f}______Yes, {clip}."
            for clip in range(9)
        ]
        path = root / "Transcript" / "Segmented" / "Combined" / f"{video}.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        if sound:
            write_clip(root / "Audio" / "Full" / "WAV_16000" / f"{video}.wav", seconds=1)
        return tmp_path / "data"

    return write


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("cmu_mosei")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.mark.parametrize("place", ["", "Raw", "CMU_MOSEI/Raw", "CMU-MOSEI"])
def test_labels_are_the_highest_means_of_the_raters(write, read, place):
    ratings = [
        *("0,0,0,0,3,0,0", "0,0,0,0,2,1,0"),  # happy, a little sad
        *("1,1,2,0,0,0,0", "1,2,1,0,0,0,0", "1,2,0,1,0,0,0"),  # angry and disgusted, a little fearful
        *("2,0,0,0,0,0,0", "2,0,0,0,0,0,0"),  # neutral
        *("3,1,1,0,0,0,0", "3,1,1,0,0,0,0"),  # divided
        "4,0,0,0,0,0,3",  # surprised
    ]
    utterances, (reject,) = read(write(*ratings, place=place))
    assert [(row.id, row.emotion, row.secondary_emotions) for row in utterances] == [
        ("-aB_1_0", "happy", ("sad",)),
        ("-aB_1_1", "angry", ("disgusted", "fearful")),
        ("-aB_1_2", "neutral", ()),
        ("-aB_1_4", "surprised", ()),
    ]
    assert reject.by_rule and "share the highest mean" in reject.reason
    assert (utterances[0].start, utterances[0].end, utterances[0].transcript) == (0, 0.05, "Yes, 0.")
    assert {(row.speaker_id, row.session_id, row.cut) for row in utterances} == {("-aB_1", "-aB_1", True)}


def test_answers_in_several_tables_are_pooled(write, read):
    write("0,2,0,0,0,0,0", table="a.csv")
    folder = write("0,0,0,0,0,3,0", table="b.csv")
    (row,), _ = read(folder)
    assert (row.emotion, row.secondary_emotions) == ("sad", ("angry",))


def test_segments_are_cut_or_read_from_clips(write, write_clip, tmp_path):
    folder = write("1,0,0,0,3,0,0", "2,3,0,0,0,0,0")
    write("1,0,0,0,3,0,0", video="x", table="b.csv")
    write("1,0,0,0,3,0,0", video="y", table="c.csv")
    write_clip(folder / "Raw" / "Audio" / "Segmented_Audio" / "train" / "-aB_1_2.wav", seconds=0.3)
    splits = load_corpus("cmu_mosei", folder, cache_dir=tmp_path / "cache")
    rows = {
        row["id"]: row for rows in splits.values() for row in rows.cast_column("audio", datasets.Audio(decode=False))
    }
    assert set(splits) == {"train", "validation", "test"}
    assert len(load_audio(rows["-aB_1_1"]["audio"])) == 1600 and len(load_audio(rows["-aB_1_2"]["audio"])) == 4800


def test_what_is_left_out(write, read):
    write("0,0,0,0,3,0,0", video="silent", sound=False, table="b.csv")
    folder = write("0,3,0,0,0,0,0", "99,3,0,0,0,0,0", "1,x,0,0,0,0,0")
    utterances, rejects = read(folder)
    assert [row.id for row in utterances] == ["-aB_1_0"]
    assert {reject.id: (reject.by_rule, reject.reason) for reject in rejects} == {
        "silent_0": (True, "the sound of its video is not there"),
        "-aB_1_99": (True, "its video's transcript lacks its times, or they are empty"),
        "-aB_1_1": (False, "lacks a video, a clip or the answer for an emotion"),
    }


def test_the_official_split(write, tmp_path):
    for fold in ("a", "b", "c", "d"):
        folder = write("0,3,0,0,0,0,0", "1,0,0,0,3,0,0", video=fold, table=f"{fold}.csv")
    with pytest.raises(CorpusDataError, match=f"'official' needs {FOLDS} of CMU-MultimodalSDK"):
        load_corpus("cmu_mosei", folder, split_scheme="official", cache_dir=tmp_path / "cache")
    text = (
        "import os\nstandard_train_fold=['a',\n 'z']\nstandard_valid_fold = ['b']\nstandard_test_fold = ['c']\n1 / 0\n"
    )
    (folder / FOLDS).write_text(text)
    splits = load_corpus("cmu_mosei", folder, split_scheme="official", cache_dir=tmp_path / "cache")
    assert {split: set(rows["session_id"]) for split, rows in splits.items()} == {
        "train": {"a"},
        "validation": {"b"},
        "test": {"c"},
    }


def test_another_corpus(tmp_path, write_clip, read):
    write_clip(tmp_path / "data" / "clip.wav")
    with pytest.raises(CorpusDataError, match=r"is not CMU-MOSEI: looked for Labels/\*.csv in it and in Raw/"):
        read(tmp_path / "data")
    (tmp_path / "data" / "Labels").mkdir()
    (tmp_path / "data" / "Labels" / "a.csv").write_text("video,label\nx,sad\n")
    with pytest.raises(CorpusDataError, match=r"a.csv has no input.video_id column"):
        read(tmp_path / "data")
