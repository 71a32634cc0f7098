"""Arrays of data sets, without the numpy format of `datasets`."""

import re
from pathlib import Path

import datasets
import numpy as np

import lssed_hf
from lssed_hf.training.arrays import column_array, frames_of


def test_frames_and_columns():
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(length, 3)).astype(np.float32) for length in (4, 1, 6)]
    states = rng.normal(size=(3, 2, 5)).astype(np.float32)
    columns = {"values": [clip.ravel() for clip in clips], "width": [3] * 3, "states": list(states)}
    kinds = datasets.Sequence(datasets.Value("float32"))
    features = {"values": kinds, "width": datasets.Value("int32"), "states": datasets.Sequence(kinds)}
    rows = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    for order in ([0, 1, 2], [2, 0]):
        for found, number in zip(frames_of(rows.select(order)), order, strict=True):
            np.testing.assert_array_equal(found, clips[number])
        np.testing.assert_array_equal(column_array(rows.select(order), "states"), states[order])


def test_nothing_takes_the_format_that_needs_an_old_torchvision():
    """Before 5, `with_format("numpy")` imports a class that torchvision 0.26 dropped."""
    for path in Path(lssed_hf.__file__).parent.rglob("*.py"):
        assert not re.search(r"with_format\(\"(numpy|torch)\"|set_format\(", path.read_text(encoding="utf-8")), path
