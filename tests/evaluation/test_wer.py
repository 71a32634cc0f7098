import csv
import json
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf.evaluation.wer import (
    Normalization,
    count_errors,
    error_rate_interval,
    evaluate_transcripts,
    write_transcript_report,
    write_transcripts,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kids are talking by the door.", "kids are talking by the door"),
        ("  It’s  half-past\tseven –  at 'noon'! ", "it's half past seven at noon"),
        ("Das schwarze Stück Papier; Straße", "das schwarze stück papier straße"),
        ("ﬁve №5 (50 %)", "five no5 50"),
        ("rock 'n' roll's", "rock n roll's"),
        ("...", ""),
    ],
)
def test_transcripts_are_normalised(text, expected):
    assert Normalization()(text) == expected
    assert Normalization()(expected) == expected


def test_case_and_punctuation_can_be_kept():
    assert Normalization("upper")("It's a door.") == "IT'S A DOOR"
    assert Normalization("keep", punctuation=True)(" It’s  a well-known door. ") == "It's a well-known door."
    with pytest.raises(ValueError, match="case must be 'lower', 'upper' or 'keep', got 'title'"):
        Normalization("title")


@given(st.text(max_size=30), st.sampled_from(["lower", "upper", "keep"]), st.booleans())
def test_normalised_once_is_normalised_for_good(text, case, punctuation):
    normalization = Normalization(case, punctuation)
    once = normalization(text)
    assert once == once.strip() and "  " not in once
    # Lower-casing or upper-casing may itself leave what NFKC changes; once more it has settled.
    twice = normalization(once)
    assert normalization(twice) == twice


def edit_distance(left: list, right: list) -> int:
    """Levenshtein's distance as the books write it."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


texts = st.text(alphabet="ab ", max_size=12).map(str.split).map(" ".join)


@given(st.lists(st.tuples(texts.filter(bool), texts), min_size=1, max_size=5))
def test_errors_are_those_of_the_edit_distance(pairs):
    pytest.importorskip("jiwer")
    references, hypotheses = zip(*pairs)
    for unit, split in (("word", str.split), ("character", list)):
        counts = count_errors(references, hypotheses, unit)
        for (reference, hypothesis), (substituted, deleted, inserted, units) in zip(pairs, counts.tolist()):
            assert substituted + deleted + inserted == edit_distance(split(reference), split(hypothesis))
            assert units == len(split(reference))
            assert units - deleted + inserted == len(split(hypothesis))


def test_errors_are_told_apart():
    pytest.importorskip("jiwer")
    counts = count_errors(["a b c d", "a b", "a"], ["a x c", "a b b b", ""])
    assert counts.tolist() == [[1, 1, 0, 4], [0, 0, 2, 2], [0, 1, 0, 1]]
    assert count_errors(["ab c"], ["abc"], "character").tolist() == [[0, 1, 0, 4]]
    assert count_errors([], []).shape == (0, 4)


def test_what_has_no_rate_is_refused(monkeypatch):
    pytest.importorskip("jiwer")
    with pytest.raises(ValueError, match="2 references but 1 hypotheses"):
        count_errors(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"references\[1\] holds no word"):
        count_errors(["a", " "], ["a", "b"])
    with pytest.raises(ValueError, match="no utterances"):
        error_rate_interval(np.zeros((0, 4)))
    with pytest.raises(ValueError, match="2 utterances but 1 groups"):
        error_rate_interval(np.ones((2, 4)), ["x"])
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(ImportError, match="pip install jiwer"):
        count_errors(["a"], ["a"])


def simulated(seed=0, num_speakers=9, per_speaker=6):
    """Counts of utterances whose error rate depends on the speaker."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(num_speakers), per_speaker)
    units = rng.integers(3, 12, speakers.size)
    errors = rng.binomial(units, rng.beta(1, 3, num_speakers)[speakers])
    zeros = np.zeros_like(units)
    return np.stack([errors, zeros, zeros, units], axis=1), speakers


def test_the_interval_agrees_with_a_plain_loop_over_speakers():
    counts, speakers = simulated()
    fast = error_rate_interval(counts, speakers.tolist(), num_resamples=20_000)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
    resampled = []
    for _ in range(4_000):
        chosen = np.concatenate([members[index] for index in rng.integers(0, len(members), len(members))])
        resampled.append(counts[chosen, :3].sum() / counts[chosen, 3].sum())
    assert [fast["low"], fast["high"]] == pytest.approx(np.quantile(resampled, [0.025, 0.975]).tolist(), abs=0.01)
    assert fast["value"] == counts[:, 0].sum() / counts[:, 3].sum()
    of_utterances = error_rate_interval(counts)
    assert of_utterances["high"] - of_utterances["low"] < fast["high"] - fast["low"]
    assert error_rate_interval(counts, [None] * len(counts)) == {"value": fast["value"], "low": None, "high": None}


def test_results_are_written_whole(tmp_path):
    pytest.importorskip("jiwer")
    references, hypotheses = ["a b c d", "a b", "a"], ["a x c", "a b", "a"]
    results = evaluate_transcripts(references, hypotheses, ["1", "2", "2"])
    assert results["wer"]["value"] == 2 / 7 and results["wer"]["units"] == 7
    assert results["cer"]["value"] == 3 / 11
    assert results["sentence_error_rate"] == 1 / 3
    assert (results["num_utterances"], results["num_speakers"], results["interval_clusters"]) == (3, 2, "speaker")
    unknown = evaluate_transcripts(references, hypotheses, [None] * 3)
    assert (unknown["num_speakers"], unknown["interval_clusters"]) == (None, "utterance")

    report = write_transcript_report(
        {"toy": results, "unknown": unknown}, tmp_path, context={"model": "m"}, notes=["By hand."]
    )
    text = report.read_text()
    assert "| toy | 3 | 2 | 7 | 28.6 [0.0, 50.0] | 27.3 [0.0, 42.9] | 1/1/0 | 33.3 |" in text
    assert "- model: `m`" in text and text.endswith("By hand.\n")
    saved = json.loads((tmp_path / "results.json").read_text())
    assert saved["test_sets"]["toy"] == results and saved["context"] == {"model": "m"}
    path = write_transcripts(tmp_path / "t.csv", [{"id": "x", "reference": 'a "b"', "hypothesis": "a,b"}])
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"id": "x", "reference": 'a "b"', "hypothesis": "a,b"}]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["report.md", "results.json", "t.csv"]
