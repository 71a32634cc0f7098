from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lssed_hf.corpora.splits import assign_speakers, leave_one_out, speaker_split, stratified_split


# The paper's Table 3: utterances in all and in the test set. (Its first two headings are swapped.)
TABLE_3 = {
    "angry": (6490, 1298),
    "neutral": (60461, 12092),
    "happy": (27033, 5406),
    "sad": (12051, 2410),
    "disappointed": (8905, 1781),
    "bored": (2916, 583),
    "disgusted": (3179, 636),
    "excited": (5228, 1046),
    "surprised": (1656, 331),
    "fearful": (628, 126),
    "other": (18478, 3696),
}


class TestStratifiedSplit:
    @pytest.mark.parametrize("seed", [0, 1])
    def test_gives_table_3_exactly(self, seed):
        labels = np.repeat(list(TABLE_3), [total for total, _ in TABLE_3.values()]).tolist()
        np.random.default_rng(seed).shuffle(labels)
        test = stratified_split(labels, seed=seed)
        assert Counter(label for label, held_out in zip(labels, test) if held_out) == {
            emotion: held_out for emotion, (_, held_out) in TABLE_3.items()
        }
        assert test.sum() == 29405 and (~test).sum() == 117620

    def test_ties_go_to_the_smaller_class(self):
        labels = ["a"] * 13 + ["b"] * 8 + ["c"] * 3  # shares 2.6, 1.6 and 0.6; of 5, two are left to give
        test = stratified_split(labels)
        assert Counter(np.array(labels)[test]) == {"a": 2, "b": 2, "c": 1}

    @given(labels=st.lists(st.sampled_from("abcde"), max_size=200), fraction=st.floats(0.05, 0.5))
    def test_sizes(self, labels, fraction):
        test = stratified_split(labels, fraction)
        assert test.dtype == bool and test.shape == (len(labels),) and test.sum() == round(fraction * len(labels))
        held_out = Counter(label for label, chosen in zip(labels, test) if chosen)
        assert all(abs(held_out[label] - fraction * count) < 1 + 1e-6 for label, count in Counter(labels).items())

    def test_is_a_function_of_the_seed(self):
        labels = ["a", "b"] * 500
        np.testing.assert_array_equal(stratified_split(labels, seed=3), stratified_split(labels, seed=3))
        assert (stratified_split(labels, seed=3) != stratified_split(labels, seed=4)).any()

    def test_takes_from_all_over(self):
        positions = np.flatnonzero(stratified_split(["a"] * 1000))
        assert positions.min() < 100 and positions.max() > 900


speakers = st.lists(st.integers(0, 30).map(str), min_size=1, max_size=300)


class TestSpeakerSplit:
    @given(names=speakers.filter(lambda names: len(set(names)) >= 3), seed=st.integers(0, 99))
    def test_disjoint_complete_not_empty_and_repeatable(self, names, seed):
        splits = speaker_split(names, seed=seed)
        assert set(splits) == {"train", "validation", "test"} and all(splits.values())
        assert sum(map(len, splits.values())) == len(set(names)) and set().union(*splits.values()) == set(names)
        assert speaker_split(names[::-1], seed=seed) == splits  # the order of the rows does not matter

    @given(seed=st.integers(0, 99))
    def test_sizes_come_near_the_fractions(self, seed):
        names = [f"s{speaker}" for speaker in range(100) for _ in range(10)]
        sizes = {split: 10 * len(members) for split, members in speaker_split(names, seed=seed).items()}
        assert sizes == {"test": 200, "validation": 100, "train": 700}

    def test_one_speaker_with_most_of_the_corpus(self):
        for seed in range(20):
            splits = speaker_split(["talker"] * 1000 + ["a", "b", "c", "d"], seed=seed)
            assert all(splits.values())

    def test_other_fractions(self):
        splits = speaker_split([str(speaker) for speaker in range(10)], {"dev": 0.5, "rest": 0.5})
        assert {split: len(members) for split, members in splits.items()} == {"dev": 5, "rest": 5}

    def test_seeds_differ(self):
        names = [str(speaker) for speaker in range(50)]
        assert speaker_split(names, seed=0) != speaker_split(names, seed=1)

    def test_too_few_speakers(self):
        with pytest.raises(ValueError, match=r"2 speakers cannot fill 3 speaker-disjoint splits"):
            speaker_split(["a", "b", "a"])


@given(names=speakers.filter(lambda names: len(set(names)) >= 3))
def test_assign_speakers_follows_speaker_split(names):
    members = speaker_split(names)
    splits = assign_speakers(names)
    assert len(splits) == len(names) and all(name in members[split] for name, split in zip(names, splits))


def test_leave_one_out():
    assert leave_one_out(["a", "b", "a", "c"], "a") == ["test", "train", "test", "train"]
    with pytest.raises(ValueError, match="no utterance of speaker d to test on; there are a, b"):
        leave_one_out(["b", "a", "b"], "d")
