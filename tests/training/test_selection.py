"""Clips for validation where a data set has no such split."""

import datasets
import numpy as np
import pytest

from lssed_hf.training.arguments import DataArguments
from lssed_hf.training.selection import with_validation


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


@pytest.mark.parametrize("validated", [True, False])
def test_classes_without_a_training_clip_are_named(caplog, validated):
    dataset = splits([0] * 4, list("abcd"))
    more = {"validation": splits([1])["train"]} if validated else {}
    with caplog.at_level("WARNING"):
        with_validation(datasets.DatasetDict({**dataset, **more}), DataArguments("x"), 0, "emotion")
    assert "no training clip of happy, sad: nothing is learnt of it" in caplog.messages


def test_labels_play_no_part_without_a_column():
    divided = with_validation(splits([0, 1, 2] * 10), DataArguments("x"), 0)
    assert len(divided["validation"]) == 3 and np.ptp(divided["validation"]["number"]) > 3
