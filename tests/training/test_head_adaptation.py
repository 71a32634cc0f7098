"""Adapted heads on made-up embeddings."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from lssed_hf.training.head_adaptation import (
    BY_SPEAKER,
    WITHOUT_SPEAKERS,
    Adapter,
    cross_validate,
    fit_from_prior,
    make_folds,
)
from lssed_hf.training.statistics import Embeddings, fit_head


BOTH = (WITHOUT_SPEAKERS, BY_SPEAKER)
SIZE = 12
UA = "unweighted_accuracy"


def made_up(seed: int, count: int, shift: float = 0.0, num_labels: int = 3, speakers: int = 4) -> Embeddings:
    """Return embeddings that lie around the mean of their class, of speakers at their own offsets.

    `shift` moves all of them: another microphone.
    """
    labels = np.arange(count) % num_labels
    people = np.arange(count) // num_labels % speakers
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, SIZE)) + 0.5 * rng.normal(size=(speakers, SIZE))[people]
    values[np.arange(count), labels] += 2.5
    values[:, :num_labels] += shift * np.array([1.0, -1.0, 0.0])[:num_labels]
    return Embeddings(values[:, None], labels, [f"s{person}" for person in people], [""] * count)


@pytest.fixture(scope="module")
def head():
    return fit_head(made_up(0, 600), 3, 0, 0.1, both=True)


def accuracy(head, clips):
    return (head.logits(clips, both=False)[0].argmax(axis=1) == clips.labels).mean()


class TestPrior:
    def test_from_zero_it_is_scikit_learns_regression_without_an_intercept_of_its_own(self):
        clips = made_up(1, 60)
        inputs, weights = clips.values[:, 0], np.linspace(0.5, 1.5, 60)
        weight, bias = fit_from_prior(inputs, clips.labels, np.zeros((3, SIZE)), np.zeros(3), 0.3, weights)
        with_ones = np.column_stack([inputs, np.ones(60)])
        reference = LogisticRegression(C=0.3, fit_intercept=False, max_iter=1000, tol=1e-8)
        reference.fit(with_ones, clips.labels, sample_weight=weights)
        expected = reference.predict_proba(with_ones)
        np.testing.assert_allclose(softmax(inputs @ weight.T + bias, axis=1), expected, atol=1e-3)

    @pytest.mark.parametrize("trust", [1e-9, 1e9])
    def test_trust_leads_from_the_old_head_to_the_clips_alone(self, head, trust):
        clips = made_up(2, 30, shift=4.0)
        adapted = Adapter(head, 3, True, trust=trust).fit(clips)
        if trust < 1:
            np.testing.assert_allclose(adapted.weight, head.weight, atol=1e-6)
        else:
            assert accuracy(adapted, clips) == 1 > accuracy(head, clips)

    def test_classes_without_clips_keep_their_weights(self, head):
        clips = made_up(3, 30)
        adapted = Adapter(head, 3, True).fit(clips.select(np.flatnonzero(clips.labels != 1)))
        np.testing.assert_array_equal(adapted.weight[1], head.weight[1])
        assert np.abs(adapted.weight[[0, 2]] - head.weight[[0, 2]]).min() > 0
        one = Adapter(head, 3, True).fit(clips.select(np.flatnonzero(clips.labels == 1)))
        np.testing.assert_array_equal(one.weight, head.weight)


class TestAdapter:
    def test_a_clip_of_each_class_does_not_ruin_it(self, head):
        test = made_up(99, 600)
        adapted = [accuracy(Adapter(head, 3, True, BOTH).fit(made_up(seed, 3)), test) for seed in range(1, 11)]
        assert min(adapted) > accuracy(head, test) - 0.05
        new = [accuracy(Adapter(head, 3, False).fit(made_up(seed, 3)), test) for seed in range(1, 11)]
        assert np.mean(new) < np.mean(adapted) - 0.1

    def test_a_few_clips_make_up_for_another_microphone(self, head):
        test = made_up(99, 600, shift=2.0)
        before = accuracy(head, test)
        by_amount = [
            np.mean(
                [accuracy(Adapter(head, 3, True).fit(made_up(seed, 3 * n, shift=2.0)), test) for seed in range(1, 6)]
            )
            for n in (1, 5, 20)
        ]
        assert before < by_amount[0] < by_amount[1] < by_amount[2] and by_amount[2] > before + 0.1

    def test_classes_of_unequal_size_count_alike(self, head):
        clips = made_up(4, 300, shift=2.0)
        rows = np.concatenate([np.flatnonzero(clips.labels == 0)[:4], np.flatnonzero(clips.labels != 0)])
        uneven = Adapter(head, 3, True).fit(clips.select(rows))
        test = made_up(99, 600, shift=2.0)
        found = uneven.logits(test, both=False)[0].argmax(axis=1)
        assert (found[test.labels == 0] == 0).mean() > 0.6

    def test_variance_within_a_speaker_grows_with_the_weights(self, head):
        clips = made_up(5, 90, shift=2.0)
        adapted = Adapter(head, 3, True, BOTH).fit(clips)
        measured = fit_head(clips, 3, 0, 0.1, both=True)
        assert adapted.within_variance != head.within_variance and adapted.within_variance > 0
        assert measured.within_variance > 0
        halved = adapted.divided(2.0, 3.0)
        np.testing.assert_allclose(halved.weight, adapted.weight / 2)
        assert halved.within_variance == adapted.within_variance / 4 and halved.speaker_temperature == 1.5


class TestFolds:
    def test_keep_speakers_apart(self):
        clips = made_up(0, 60)
        kind, folds = make_folds(clips)
        assert kind == "speakers" and len(folds) == 4
        for test in folds:
            inside = {clips.speakers[row] for row in test}
            assert len(inside) == 1 and not inside & {clips.speakers[row] for row in set(range(60)) - set(test)}
        many = dataclasses.replace(clips, speakers=[f"s{row // 3}" for row in range(60)])
        assert len(make_folds(many)[1]) == 10

    @pytest.mark.parametrize("speakers", [["s"] * 30, [None] * 30, [None, *["s", "t"] * 14, "t"]])
    def test_deal_out_the_clips_of_each_class_without_two_known_speakers(self, speakers):
        clips = dataclasses.replace(made_up(0, 30), speakers=speakers)
        kind, folds = make_folds(clips)
        assert kind == "clips" and [np.bincount(clips.labels[test]).tolist() for test in folds] == [[2, 2, 2]] * 5

    @pytest.mark.parametrize("count", [2, 3, 4, 7])
    def test_of_few_clips_hold_each_clip_once(self, count):
        clips = dataclasses.replace(made_up(0, count), speakers=[None] * count)
        _, folds = make_folds(clips)
        assert sorted(np.concatenate(folds)) == list(range(count)) and all(len(test) < count for test in folds)


class TestCrossValidation:
    def test_tests_on_clips_that_the_head_has_not_seen(self, head):
        noise = dataclasses.replace(made_up(0, 120), labels=np.random.default_rng(2).permutation(120) % 3)
        found = cross_validate(Adapter(head, 3, False, BOTH), noise)
        for scores in found[UA].values():
            assert scores["before"] is None and scores["change"] is None
            assert scores["after"]["low"] < 1 / 3 < scores["after"]["high"] and scores["after"]["value"] < 0.45
        assert all(row["confidence"] < 0.55 for row in found["confidence"].values())  # not sure of noise

    def test_shows_what_is_gained(self, head):
        found = cross_validate(Adapter(head, 3, True, BOTH), made_up(7, 120, shift=2.0))
        assert list(found[UA]) == list(BOTH) and found["num_folds"] == 4
        scores = found[UA][WITHOUT_SPEAKERS]
        assert scores["after"]["value"] - scores["before"]["value"] == pytest.approx(scores["change"]["value"])
        assert scores["change"]["value"] > 0.05 and scores["change"]["low"] > 0
        assert len(found["temperatures"]) == 2
        for row in found["confidence"].values():
            assert abs(row["confidence"] - row["accuracy"]) < 0.1

    def test_certainty_does_not_come_from_a_few_clips(self, head):
        clips = made_up(8, 21)
        clips = dataclasses.replace(clips, values=clips.values + 20 * np.eye(SIZE)[clips.labels][:, None])  # easy
        found = cross_validate(Adapter(head, 3, True), clips)
        assert found[UA][WITHOUT_SPEAKERS]["after"]["value"] == 1
        assert 0.8 < found["confidence"][WITHOUT_SPEAKERS]["confidence"] < 0.95

    def test_does_not_calibrate_on_fewer_than_20_clips(self, head):
        assert cross_validate(Adapter(head, 3, True), made_up(8, 18))["temperatures"] is None

    def test_of_new_labels_needs_two_classes_in_each_fold(self, head):
        found = cross_validate(Adapter(head, 2, False), made_up(8, 2, num_labels=2))
        assert found[UA][WITHOUT_SPEAKERS] == {"before": None, "after": None, "change": None}
        assert found["confidence"] is None and found["temperatures"] is None
