"""Clips for validation where a data set has no such split."""

import datasets
import numpy as np
import pytest

from lssed_hf.training.arguments import DataArguments
from lssed_hf.training.selection import with_extra_corpora, with_validation


NAMES = ["angry", "happy", "sad"]


def splits(labels, speakers=None, **more):
    columns = {"emotion": labels, "number": list(range(len(labels)))}
    if speakers is not None:
        columns["speaker_id"] = speakers
    features = {"emotion": datasets.ClassLabel(names=NAMES), "number": datasets.Value("int64")}
    features |= {"speaker_id": datasets.Value("string")} if speakers is not None else {}
    return datasets.DatasetDict(
        train=datasets.Dataset.from_dict(columns, features=datasets.Features(features)), **more
    )


@pytest.mark.parametrize(
    ("speakers", "reason"),
    [
        (None, "no known speakers"),
        ([None] * 30, "no known speakers"),
        ([""] * 30, "no known speakers"),
        (["a"] * 29 + [None], "only one speaker"),
        (["a"] * 10 + ["b"] * 10 + ["c"] * 10, "too few speakers for each label"),
    ],
)
def test_clips_are_drawn_where_speakers_cannot_be_held_out(caplog, speakers, reason):
    dataset = splits([0] * 10 + [1] * 10 + [2] * 10, speakers)
    with caplog.at_level("WARNING"):
        divided = with_validation(dataset, DataArguments("x", validation_fraction=0.2), 0, "emotion")
    assert sorted(divided["validation"]["emotion"]) == [0, 0, 1, 1, 2, 2]
    assert sorted([*divided["train"]["number"], *divided["validation"]["number"]]) == list(range(30))
    line = f"{reason}: validation clips are drawn at random and share voices with the training clips"
    assert caplog.messages == [line]
    others = with_validation(dataset, DataArguments("x", validation_fraction=0.2), 1, "emotion")
    assert others["validation"]["number"][:] != divided["validation"]["number"][:]


def test_small_classes_give_one_clip_or_stay(caplog):
    with caplog.at_level("WARNING"):
        divided = with_validation(splits([0] * 6 + [1] * 2 + [2]), DataArguments("x"), 0, "emotion")
    assert sorted(divided["validation"]["emotion"]) == [0, 1]
    assert "too few clips to hold one out: sad; all of them stay in the training split" in caplog.messages
    with pytest.raises(ValueError, match="no training clip can be held out: 3 clips are too few"):
        with_validation(splits([0, 1, 2]), DataArguments("x"), 0, "emotion")


def test_clips_of_unknown_speakers_stay(caplog):
    speakers = [*"aabbccddee", None, ""]
    with caplog.at_level("WARNING"):
        divided = with_validation(splits([0, 1] * 6, speakers), DataArguments("x"), 0, "emotion")
    assert len(set(divided["validation"]["speaker_id"])) == 1 and len(divided["validation"]) == 2
    assert {10, 11} <= set(divided["train"]["number"])
    assert caplog.messages[0] == "2 clips of unknown speakers stay in the training split"


def test_speakers_are_drawn_again_until_both_sides_have_every_class(caplog):
    """Seed 0 alone would choose epochs on a speaker with one class, as the issue found it."""
    speakers, labels = [], []
    for index in range(9):
        of_speaker = (0, 1, 2) if index % 3 == 0 else (0,)
        speakers += [f"s{index}"] * 3 * len(of_speaker)
        labels += [label for label in of_speaker for _ in range(3)]
    drawn_again = 0
    for seed in range(8):
        caplog.clear()
        with caplog.at_level("WARNING"):
            divided = with_validation(splits(labels, speakers), DataArguments("x"), seed, "emotion")
        for side in divided.values():
            assert set(side["emotion"]) == {0, 1, 2}
        assert set(divided["train"]["speaker_id"]).isdisjoint(divided["validation"]["speaker_id"])
        drawn_again += any(
            "speakers for validation were drawn again, so that training and validation both have clips of happy, sad"
            in m
            for m in caplog.messages
        )
    assert 0 < drawn_again < 8


def test_a_validation_split_without_a_class_is_said(caplog):
    given = datasets.DatasetDict({**splits([0, 1, 2] * 2), "validation": splits([0, 1])["train"]})
    with caplog.at_level("WARNING"):
        with_validation(given, DataArguments("x"), 0, "emotion")
    assert "validation has no clip of sad: scores on it are those of the other classes" in caplog.messages


@pytest.mark.parametrize("validated", [True, False])
def test_classes_without_a_training_clip_are_named(caplog, validated):
    dataset = splits([0, 1] * 4, list("abcd") * 2)
    more = {"validation": splits([1])["train"]} if validated else {}
    with caplog.at_level("WARNING"):
        with_validation(datasets.DatasetDict({**dataset, **more}), DataArguments("x"), 0, "emotion")
    assert "no training clip of sad: nothing is learnt of it" in caplog.messages


def test_one_class_alone_is_refused():
    with pytest.raises(ValueError, match="all training clips are angry: a classifier needs clips of two classes"):
        with_validation(splits([0] * 4, list("abcd")), DataArguments("x"), 0, "emotion")


def test_labels_play_no_part_without_a_column():
    divided = with_validation(splits([0, 1, 2] * 10), DataArguments("x"), 0)
    assert len(divided["validation"]) == 3 and np.ptp(divided["validation"]["number"]) > 3


@pytest.fixture
def own(tmp_path, write_clip, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    lines = ["file,mood,who,split"]
    for index, mood in enumerate(("joy", "rage", "sad", "fear")):
        write_clip(tmp_path / "own" / f"{index}.wav")
        lines.append(f"{index}.wav,{mood},p{index},train")
    (tmp_path / "own" / "metadata.csv").write_text("\n".join(lines))
    return tmp_path / "own"


@pytest.fixture
def ravdess(tmp_path, own, write_clip):
    for actor in (1, 17):
        for emotion in (1, 3, 4, 5, 6):
            write_clip(tmp_path / "ravdess" / f"03-01-{emotion:02}-01-01-01-{actor:02}.wav")
    return tmp_path / "ravdess"


def added(data_args: DataArguments) -> list[tuple[str, str]]:
    """Return label and speaker of the training clips, with those of other corpora."""
    rows = with_extra_corpora(data_args.load(), data_args)["train"]
    names = rows.features[data_args.label_column_name].names
    labels = [names[label] for label in rows[data_args.label_column_name]]
    return list(zip(labels, rows[data_args.speaker_column_name]))


def test_own_recordings_beside_a_corpus(own, ravdess):
    """Check that own recordings are read as the corpus is: under four names of LSSED."""
    text = (own / "metadata.csv").read_text()
    for old, new in {"mood": "label", "rage": "anger", "who": "speaker"}.items():
        text = text.replace(old, new)
    (own / "metadata.csv").write_text(text)
    data_args = DataArguments("ravdess", str(ravdess), extra_corpora=[f"folder={own}"])
    assert added(data_args)[4:] == [("happy", "folder_p0"), ("angry", "folder_p1"), ("sad", "folder_p2")]


def test_a_corpus_beside_own_recordings(own, ravdess):
    columns = {"label_column_name": "mood", "speaker_column_name": "who"}
    pairs = ["joy=happy", "rage=angry", "fear=fearful"]
    data_args = DataArguments(None, str(own), label_map=pairs, extra_corpora=[f"ravdess={ravdess}"], **columns)
    with pytest.raises(ValueError, match="--extra_corpora ravdess has labels that folder lacks: neutral"):
        added(data_args)
    data_args.dataset_config_name = "benchmark"
    data_args.label_map, data_args.label_set = pairs[1:2], "lssed"
    assert [label for label, _ in added(data_args)] == ["happy", "angry", "sad", "neutral", "happy", "sad", "angry"]
    assert {speaker for _, speaker in added(data_args)} == {"p0", "p1", "p2", "ravdess_01"}
