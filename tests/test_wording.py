"""Counts in sentences."""

import pytest

from lssed_hf.evaluation.text_tables import size_words
from lssed_hf.wording import count_left_out, counted


@pytest.mark.parametrize(("number", "expected"), [(0, "0 clips"), (1, "1 clip"), (2000, "2,000 clips")])
def test_counted(number, expected):
    assert counted(number, "clip") == expected


def test_count_left_out():
    assert count_left_out(1, "clip", "without any") == "1 clip without any is left out"
    assert count_left_out(2, "utterance") == "2 utterances are left out"


def test_sizes_of_reports():
    assert size_words({"num_utterances": 1, "num_speakers": 1}) == "1 utterance, 1 speaker"
    assert size_words({"num_utterances": 1200, "num_speakers": None}) == "1,200 utterances"
