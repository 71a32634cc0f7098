"""Paired tests against brute force, hand computations, scipy, and cases whose answer is known."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from lssed_hf.evaluation.intervals import SCORES, bootstrap_intervals, bootstrap_scores
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.significance import holm, mcnemar, paired_differences, two_sided


SIZE, SPEAKERS = 60, 5


@pytest.fixture
def data():
    return make_data(0, 0.7, 0.3)


def make_data(seed: int, share: float, other_share: float):
    """Return references, the predictions of two systems, and speakers."""
    rng = np.random.default_rng(seed)
    references = rng.choice(3, SIZE, p=[0.5, 0.3, 0.2])

    def predictions(share_right):
        return np.where(rng.random(SIZE) < share_right, references, rng.integers(3, size=SIZE))

    return references, predictions(share), predictions(other_share), rng.integers(SPEAKERS, size=SIZE)


def difference(references, first, second):
    one, other = score(references, first, 3), score(references, second, 3)
    return np.array([one[name] - other[name] for name in SCORES])


@pytest.mark.parametrize("seed", [0, 2, 5])
def test_p_is_the_share_of_swaps_by_brute_force(seed):
    references, first, second, speakers = make_data(seed, 0.6, 0.45)
    observed = difference(references, first, second)
    as_large = np.zeros(2)
    for swaps in product([False, True], repeat=SPEAKERS):
        swapped = np.array(swaps)[speakers]
        value = difference(references, np.where(swapped, second, first), np.where(swapped, first, second))
        as_large += np.abs(value) >= np.abs(observed) - 1e-12
    result = paired_differences(references, first, second, speakers, 3, num_resamples=2000)
    assert [result[name]["p"] for name in SCORES] == pytest.approx(as_large / 2**SPEAKERS)
    assert [result[name]["value"] for name in SCORES] == pytest.approx(observed)
    assert as_large[0] != as_large[1], "data whose p of WA and UA differ, or one could stand for the other"


def test_random_swaps_come_close_to_all_of_them(data):
    references, first, second, speakers = data
    second = np.where(np.arange(SIZE) % 3, first, second)
    exact = paired_differences(references, first, second, speakers, 3)
    drawn = paired_differences(references, first, second, [*speakers[:-10], *range(100, 110)], 3, num_resamples=900)
    allowed = paired_differences(
        references, first, second, [*speakers[:-10], *range(100, 110)], 3, num_resamples=2**16
    )
    for name in SCORES:
        assert 0 < exact[name]["p"] <= 1
        assert drawn[name]["p"] == pytest.approx(allowed[name]["p"], abs=0.06)


def test_the_interval_is_that_of_resampled_speakers_by_brute_force(data):
    references, first, second, speakers = data
    # All 5^5 equally likely resamples of five speakers.
    members = [np.flatnonzero(speakers == speaker) for speaker in range(SPEAKERS)]
    gained = (first == references).astype(int) - (second == references)
    resampled = []
    for chosen in product(range(SPEAKERS), repeat=SPEAKERS):
        rows = np.concatenate([members[speaker] for speaker in chosen])
        recalls = [gained[rows][references[rows] == label].mean() for label in np.unique(references[rows])]
        resampled.append((gained[rows].mean(), np.mean(recalls)))
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    result = paired_differences(references, first, second, speakers, 3, num_resamples=20_000)
    for index, name in enumerate(SCORES):
        assert result[name]["low"] == pytest.approx(low[index], abs=0.01)
        assert result[name]["high"] == pytest.approx(high[index], abs=0.01)


def test_identical_systems_do_not_differ(data):
    references, first, _, speakers = data
    for groups in (speakers, None):
        for row in paired_differences(references, first, first, groups, 3).values():
            assert (row["value"], row["low"], row["high"], row["p"], row["p_bootstrap"]) == (0, 0, 0, 1, 1)
    assert mcnemar(references, first, first) == {"only_first": 0, "only_second": 0, "p": 1}


def test_always_right_against_always_wrong(data):
    references, _, _, speakers = data
    wrong = (references + 1) % 3
    for row in paired_differences(references, references, wrong, speakers, 3, num_resamples=999).values():
        assert (row["value"], row["low"], row["high"]) == (1, 1, 1)
        assert row["p"] == 2 / 2**SPEAKERS, "the smallest that five speakers can give"
        assert row["p_bootstrap"] == 2 / 1000
    # As many clusters as utterances: random swaps.
    for row in paired_differences(references, references, wrong, None, 3, num_resamples=999).values():
        assert row["p"] == 1 / 1000
    assert mcnemar(references, references, wrong)["p"] == pytest.approx(2 * 0.5**SIZE)


def test_the_other_way_round_is_the_same_with_the_other_sign(data):
    references, first, second, speakers = data
    one = paired_differences(references, first, second, speakers, 3)
    other = paired_differences(references, second, first, speakers, 3)
    for name in SCORES:
        assert one[name]["p"] == other[name]["p"]
        assert one[name]["value"] == pytest.approx(-other[name]["value"])
        assert one[name]["low"] == pytest.approx(-other[name]["high"])


def test_speakers_who_disagree_weigh_more_than_utterances():
    # 40 utterances of two speakers: the first system has all of one, and none of the other.
    references, speakers = np.zeros(40, dtype=int), np.arange(40) % 2
    result = paired_differences(references, speakers, 1 - speakers, speakers, 2)["weighted_accuracy"]
    assert (result["value"], result["p"], result["low"], result["high"]) == (0, 1, -1, 1)


def test_several_runs_count_as_their_mean(data):
    references, first, second, speakers = data
    runs = np.stack([first, second])
    values, resampled = bootstrap_scores(references, [runs, first, second], speakers, 3)
    assert values[0] == pytest.approx((values[1] + values[2]) / 2)
    assert resampled[0] == pytest.approx((resampled[1] + resampled[2]) / 2)
    mixed = paired_differences(references, runs, second, speakers, 3)
    alone = paired_differences(references, first, second, speakers, 3)
    for name in SCORES:
        assert mixed[name]["value"] == pytest.approx(alone[name]["value"] / 2)
        assert mixed[name]["p"] == alone[name]["p"]


def test_one_system_alone_has_the_intervals_of_its_report(data):
    references, first, _, speakers = data
    _, resampled = bootstrap_scores(references, [first], speakers, 3, seed=4)
    intervals = bootstrap_intervals(references, first, speakers, 3, seed=4)
    assert np.quantile(resampled[0, 1], 0.025) == intervals["unweighted_accuracy"]["low"]


def test_a_single_speaker_tells_nothing(data):
    references, first, second, _ = data
    row = paired_differences(references, first, second, ["a"] * SIZE, 3)["unweighted_accuracy"]
    assert row["value"] != 0
    assert row["p"] is row["p_bootstrap"] is row["low"] is None


def test_mcnemar_is_scipys_binomial_test(data):
    references, first, second, _ = data
    right, other = first == references, second == references
    b, c = (right & ~other).sum(), (~right & other).sum()
    assert mcnemar(references, first, second) == {
        "only_first": b,
        "only_second": c,
        "p": pytest.approx(binomtest(b, b + c, 0.5).pvalue),
    }
    # By hand: 1 against 7 of 8 discordant pairs, 2 * (1 + 8) / 2^8.
    assert mcnemar([0] * 8, [0] + [1] * 7, [1] + [0] * 7)["p"] == pytest.approx(18 / 256)


@pytest.mark.parametrize(
    ("p_values", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm's own procedure, by hand
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, None, 0.04], [0.04, None, 0.04]),
        ([0.03], [0.03]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values, corrected):
    assert holm(p_values) == [None if p is None else pytest.approx(p) for p in corrected]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ["a"]}, "60 references but 1 groups"),
        ({"predictions": [0, 1]}, "60 references but 2 predictions"),
        ({"other_predictions": [7] * SIZE}, r"predictions\[0\] is 7"),
    ],
)
def test_bad_input_is_refused(data, changes, message):
    references, first, second, speakers = data
    arguments = {"predictions": first, "other_predictions": second, "groups": speakers, "num_labels": 3}
    with pytest.raises(ValueError, match=message):
        paired_differences(references, **(arguments | changes))


def test_two_sided_p_of_resamples():
    assert two_sided(np.array([0.1] * 99)) == pytest.approx(0.02)  # (0 + 1) / 100 on either side
    assert two_sided(np.array([0.1] * 90 + [-0.1] * 9)) == pytest.approx(0.2)
    assert two_sided(np.array([-0.1] * 90 + [0.1] * 9)) == pytest.approx(0.2)
    assert two_sided(np.zeros(99)) == 1.0  # no difference counts for both sides
