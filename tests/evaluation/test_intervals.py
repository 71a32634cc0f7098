import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lssed_hf.evaluation.intervals import SCORES, bootstrap_intervals, majority_row
from lssed_hf.evaluation.ser_metrics.ser_metrics import score


def simulated(seed=0, num_speakers=30, per_speaker=12, num_labels=4):
    """Utterances whose recognition rate depends on the speaker: references, predictions, speakers."""
    rng = np.random.default_rng(seed)
    speakers = np.repeat(np.arange(num_speakers), per_speaker)
    references = rng.integers(0, num_labels, speakers.size)
    right = rng.random(speakers.size) < rng.beta(2, 2, num_speakers)[speakers]
    return references, np.where(right, references, rng.integers(0, num_labels, speakers.size)), speakers


def plain_loop(references, predictions, groups, num_resamples, seed):
    """Run the cluster bootstrap as the books write it: draw speakers, gather their utterances, score."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    resampled = []
    for _ in range(num_resamples):
        chosen = np.concatenate([members[index] for index in rng.integers(0, len(members), len(members))])
        hit = references[chosen] == predictions[chosen]
        recalls = [hit[references[chosen] == label].mean() for label in np.unique(references[chosen])]
        resampled.append((hit.mean(), np.mean(recalls)))
    return np.quantile(resampled, [0.025, 0.975], axis=0).T


@pytest.mark.parametrize("num_labels", [4, 9])  # with 9 labels some resamples lack a class
def test_agrees_with_a_plain_loop(num_labels):
    references, predictions, speakers = simulated(num_speakers=8, per_speaker=5, num_labels=num_labels)
    fast = bootstrap_intervals(references, predictions, speakers, num_resamples=20_000)
    slow = plain_loop(references, predictions, speakers, num_resamples=4_000, seed=1)
    for name, bounds in zip(SCORES, slow, strict=True):
        assert [fast[name]["low"], fast[name]["high"]] == pytest.approx(bounds.tolist(), abs=0.015)
        assert fast[name]["value"] == score(references, predictions)[name]


def test_without_groups_the_interval_is_the_binomial_one():
    references, predictions = np.zeros(1000, dtype=int), np.repeat([0, 1], [700, 300])
    interval = bootstrap_intervals(references, predictions)["weighted_accuracy"]
    half_width = 1.96 * np.sqrt(0.7 * 0.3 / 1000)
    assert (interval["low"], interval["high"]) == pytest.approx((0.7 - half_width, 0.7 + half_width), abs=0.004)


def test_each_utterance_as_its_own_group_equals_no_groups():
    references, predictions, _ = simulated(3)
    names = [f"u{index}" for index in range(len(references))]
    assert bootstrap_intervals(references, predictions, names) == bootstrap_intervals(references, predictions)


def test_clustering_by_speaker_widens_the_interval():
    references, predictions, speakers = simulated(5)
    clustered = bootstrap_intervals(references, predictions, speakers)["weighted_accuracy"]
    independent = bootstrap_intervals(references, predictions)["weighted_accuracy"]
    assert clustered["high"] - clustered["low"] > 1.2 * (independent["high"] - independent["low"])


@settings(max_examples=settings.default.max_examples // 2)
@given(st.integers(0, 10_000), st.integers(20, 40), st.integers(2, 6))
def test_intervals_are_ordered_bounded_and_hold_the_value(seed, num_speakers, num_labels):
    references, predictions, speakers = simulated(seed, num_speakers, 10, num_labels)
    wide = bootstrap_intervals(references, predictions, speakers, num_resamples=500, seed=seed)
    narrow = bootstrap_intervals(references, predictions, speakers, num_resamples=500, seed=seed, confidence=0.5)
    for name in SCORES:
        assert 0 <= wide[name]["low"] <= wide[name]["value"] <= wide[name]["high"] <= 1
        assert wide[name]["low"] <= narrow[name]["low"] <= narrow[name]["high"] <= wide[name]["high"]


def test_seed_decides_and_order_does_not():
    references, predictions, speakers = simulated(7)
    first = bootstrap_intervals(references, predictions, speakers, seed=1)
    assert first == bootstrap_intervals(references, predictions, speakers, seed=1)
    assert first != bootstrap_intervals(references, predictions, speakers, seed=2)
    order = np.random.default_rng(0).permutation(len(references))
    shuffled = bootstrap_intervals(references[order], predictions[order], speakers[order], seed=1)
    for name in SCORES:
        assert shuffled[name] == pytest.approx(first[name])


def test_perfect_predictions_have_the_interval_one_to_one():
    references, _, speakers = simulated(9)
    for interval in bootstrap_intervals(references, references, speakers).values():
        assert interval == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_a_single_speaker_has_no_interval():
    with pytest.warns(UserWarning, match="one cluster"):
        intervals = bootstrap_intervals([0, 1, 1], [0, 1, 0], ["anna"] * 3)
    assert intervals["weighted_accuracy"] == {"value": pytest.approx(2 / 3), "low": None, "high": None}
    assert intervals["unweighted_accuracy"] == {"value": 0.75, "low": None, "high": None}


def test_unknown_speakers_form_one_cluster():
    references, predictions = [0, 1, 0, 1, 0], [0, 1, 1, 1, 0]
    named = bootstrap_intervals(references, predictions, ["a", "x", "b", "x", "x"])
    assert bootstrap_intervals(references, predictions, ["a", None, "b", None, None]) == named


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": ["a"]}, "2 references but 1 groups"),
        ({"confidence": 95}, "confidence must lie between 0 and 1, got 95"),
        ({"num_labels": 1}, r"references\[1\] is 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals([0, 1], [0, 1], **arguments)


def test_majority_row_of_lssed_equals_five_rows_of_table_5():
    references = np.repeat(range(4), [1298, 12092, 5406, 2410])
    row = majority_row(references)
    assert row["label"] == 1
    assert round(row["weighted_accuracy"], 3) == 0.570
    assert row["unweighted_accuracy"] == 0.25


def test_majority_of_the_training_set_may_lose():
    row = majority_row([0, 0, 0, 1], train_references=[1, 1, 0], num_labels=4)
    assert row == {"label": 1, "weighted_accuracy": 0.25, "unweighted_accuracy": 0.5}
    assert majority_row([0, 1], train_references=[3])["weighted_accuracy"] == 0
    assert majority_row([2, 1, 2, 1])["label"] == 1
    with pytest.raises(ValueError, match=r"references\[0\] is 4"):
        majority_row([0, 1], train_references=[4], num_labels=4)
