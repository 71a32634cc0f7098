"""HTML of the page."""

import html
import re

import numpy as np

from lssed_hf.inference.classifiers.outputs import Outputs
from lssed_hf.inference.timeline.scoring import TimelineSegment
from lssed_hf.web.markup import facts_markup, note_markup, problem_markup, scores_markup, timeline_description
from lssed_hf.web.model_facts import ModelFacts


OUTPUTS = Outputs(("angry", "sad"))


def windows(*best: int) -> list[TimelineSegment]:
    return [TimelineSegment(start, start + 3, np.eye(2, dtype=np.float32)[index]) for start, index in enumerate(best)]


def test_words_of_others_are_no_markup():
    foreign = "<script>${1}</script>&"
    pages = (
        facts_markup(foreign, ModelFacts(f"UA {foreign}", foreign), 4),
        scores_markup([(foreign, 1.0)]),
        note_markup(foreign, [foreign]),
        problem_markup(foreign),
    )
    for page in pages:
        assert "<script" not in page and html.escape(foreign) in page


def test_bars_are_as_long_as_the_percentages_beside_them():
    bars = scores_markup([("sad", 0.754), ("angry", 0.2459), ("happy", 0.0001)])
    assert re.findall(r'"label">(\w+)<', bars) == ["sad", "angry", "happy"]
    assert re.findall(r"\* ([\d.]+)\)", bars) == ["0.7540", "0.2459", "0.0001"]
    assert re.findall(r">(\d+%)<", bars) == ["75%", "25%", "0%"]


def test_notes_share_a_line_and_its_full_stop():
    assert re.sub("<[^>]*>", "", note_markup("2 s.", ["silent", "a sentence."])) == "2 s. Note: silent; a sentence."
    assert re.sub("<[^>]*>", "", note_markup("2 s.", [])) == "2 s."


def test_a_timeline_is_told_in_words():
    text = timeline_description(windows(0, 0, 1, 1, 0), OUTPUTS)
    assert text == "Most likely emotion over time: angry from 0 s, sad from 2 s, angry from 4 s."
    long = timeline_description(windows(*[0, 1] * 10), OUTPUTS)
    assert long.endswith("sad from 11 s, and 8 more changes.")
