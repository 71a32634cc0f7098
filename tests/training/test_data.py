from dataclasses import fields, make_dataclass
from itertools import pairwise
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import Wav2Vec2FeatureExtractor

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.training.arguments import RecipeArguments, changes_of_flags
from lssed_hf.training.data import (
    Augmentation,
    BalancedSampler,
    ClipCollator,
    EpochCallback,
    LengthSampler,
    SpeechDataset,
    by_length,
    frame_counts,
    spec_augment,
    stretch_and_shift,
)
from lssed_hf.training.perturbation import Perturbation


BINS = 8
FRAMES = (100, 40, 7, 64, 33, 90)
PLAIN = PyResNetFeatureExtractor(num_mel_bins=BINS, normalization="none")


def rows(clips: list[np.ndarray], labels: list[int] | None = None) -> datasets.Dataset:
    """Return rows as `compute_features` gives them."""
    features = datasets.Features(
        {
            "values": datasets.Sequence(datasets.Value("float32")),
            "width": datasets.Value("int32"),
            "emotion": datasets.ClassLabel(num_classes=4),
        }
    )
    labels = [index % 4 for index in range(len(clips))] if labels is None else labels
    columns = {"values": [clip.ravel() for clip in clips], "width": [clip.shape[1] for clip in clips]}
    return datasets.Dataset.from_dict({**columns, "emotion": labels}, features=features)


# Frame f of clip c holds 1000 c + f + 1 in every bin, so that values tell where they come from.
COUNTING = rows([np.repeat(1000 * c + 1 + np.arange(n)[:, None], BINS, 1) for c, n in enumerate(FRAMES)])
RANDOM = rows([np.random.default_rng(c).normal(-40, 10, (n, BINS)) for c, n in enumerate(FRAMES)])
CROP = 31 * 512 / 16000  # seconds; such a clip has 32 frames
AUGMENTATION = Augmentation(freq_mask=3, time_mask=10, freq_shift=2, time_stretch=0.2, gain_db=6.0)


def everything(dataset: SpeechDataset) -> list[dict]:
    return [dataset[index] for index in range(len(dataset))]


def assert_same(first: list[dict], second: list[dict]) -> None:
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one["values"], other["values"])
        np.testing.assert_array_equal(one["labels"], other["labels"])


def differ(first: list[dict], second: list[dict]) -> bool:
    return any(
        one["values"].shape != other["values"].shape or (one["values"] != other["values"]).any()
        for one, other in zip(first, second, strict=True)
    )


class TestClips:
    def test_whole_clips(self):
        dataset = SpeechDataset(COUNTING, PLAIN, "emotion")
        assert [clip["values"].shape for clip in everything(dataset)] == [(frames, BINS) for frames in FRAMES]
        assert [clip["labels"] for clip in everything(dataset)] == [0, 1, 2, 3, 0, 1]
        assert dataset[0]["values"].dtype == np.float32

    def test_normalised_by_the_extractor(self):
        mean, std = np.arange(BINS, dtype=float), np.arange(1, BINS + 1, dtype=float)
        dataset = SpeechDataset(RANDOM, PyResNetFeatureExtractor(num_mel_bins=BINS, mean=mean, std=std), "emotion")
        raw = SpeechDataset(RANDOM, PLAIN, "emotion")
        np.testing.assert_allclose(dataset[2]["values"], (raw[2]["values"] - mean) / std, rtol=1e-5)

    def test_crops_are_pieces_of_the_clip(self):
        dataset = SpeechDataset(COUNTING, PLAIN, "emotion", crop_seconds=CROP)
        for epoch in range(20):
            dataset.set_epoch(epoch)
            for index, clip in enumerate(everything(dataset)):
                values = clip["values"][:, 0]
                assert len(values) == min(32, FRAMES[index])
                assert (np.diff(values) == 1).all()
                assert 1000 * index + 1 <= values[0] and values[-1] <= 1000 * index + FRAMES[index]

    def test_crops_reach_both_ends(self):
        dataset = SpeechDataset(COUNTING, PLAIN, "emotion", crop_seconds=CROP)
        starts = set()
        for epoch in range(40):
            dataset.set_epoch(epoch)
            starts.add(int(dataset[4]["values"][0, 0]) - 4001)  # a clip of 33 frames
        assert starts == {0, 1}

    @pytest.mark.parametrize("augmentation", [None, AUGMENTATION, Augmentation(mixup=0.4)])
    def test_a_function_of_seed_epoch_and_index(self, augmentation):
        def dataset(seed=0):
            return SpeechDataset(RANDOM, PLAIN, "emotion", CROP, augmentation, num_labels=4, seed=seed)

        first, again = dataset(), dataset()
        epoch_0 = everything(first)
        assert_same(epoch_0, everything(first))
        assert_same(epoch_0, everything(again))
        assert_same(epoch_0[::-1], [again[index] for index in reversed(range(len(again)))])
        first.set_epoch(1)
        again.set_epoch(1)
        assert differ(epoch_0, everything(first))
        assert_same(everything(first), everything(again))
        first.set_epoch(0)
        assert_same(epoch_0, everything(first))
        assert differ(epoch_0, everything(dataset(seed=1)))

    def test_evaluation_does_not_depend_on_the_epoch(self):
        dataset = SpeechDataset(RANDOM, PLAIN, "emotion")
        before = everything(dataset)
        dataset.set_epoch(3)
        assert_same(before, everything(dataset))

    def test_the_rows_stay_as_they_are(self):
        dataset = SpeechDataset(RANDOM, PLAIN, "emotion", CROP, AUGMENTATION)
        everything(dataset)
        plain = everything(SpeechDataset(RANDOM, PLAIN, "emotion"))
        np.testing.assert_allclose(plain[1]["values"].ravel(), RANDOM[1]["values"])


class TestMixup:
    @given(seed=st.integers(0, 1000), alpha=st.floats(0.1, 5))
    def test_labels_are_distributions_and_clips_are_mixed_alike(self, seed, alpha):
        dataset = SpeechDataset(COUNTING, PLAIN, "emotion", None, Augmentation(mixup=alpha), num_labels=4, seed=seed)
        clip = dataset[3]
        assert clip["labels"].shape == (4,) and clip["labels"].dtype == np.float32
        assert clip["labels"].sum() == pytest.approx(1, abs=1e-5) and (clip["labels"] >= 0).all()
        # Frame 0 is weight * 3001 + (1 - weight) * (1000 * partner + 1); the labels tell weight and partner's class.
        weight = clip["labels"][3]
        mixed = (clip["values"][0, 0] - 1) / 1000
        if weight < 1 - 1e-6:
            partner_class = int(np.argmax(np.delete(clip["labels"], 3)))
            partners = [partner for partner in range(6) if partner % 4 == partner_class]
            assert min(abs(mixed - (3 * weight + (1 - weight) * partner)) for partner in partners) < 1e-2
        assert len(clip["values"]) in FRAMES and len(clip["values"]) <= FRAMES[3]

    def test_off_by_default(self):
        assert SpeechDataset(RANDOM, PLAIN, "emotion", None, Augmentation(), num_labels=4)[0]["labels"] == 0


frames_and_bins = st.tuples(st.integers(1, 60), st.integers(1, 40))


class TestAugmentation:
    @given(shape=frames_and_bins, widest=st.integers(0, 50), count=st.integers(0, 3), seed=st.integers(0, 99))
    def test_masks_are_few_and_at_most_so_wide(self, shape, widest, count, seed):
        features = np.ones(shape, np.float32)
        for axis, names in ((0, ("time_mask", "num_time_masks")), (1, ("freq_mask", "num_freq_masks"))):
            augmentation = Augmentation(**dict(zip(names, (widest, count))))
            masked = spec_augment(features, augmentation, np.random.default_rng(seed))
            lines = masked.all(axis=1 - axis)
            assert (masked.any(axis=1 - axis) == lines).all()  # whole lines
            gaps = np.count_nonzero(np.diff(lines.astype(int), prepend=1) == -1)
            assert gaps <= count and np.count_nonzero(~lines) <= count * min(widest, shape[axis] // 2)
        assert (features == 1).all()

    def test_masks_reach_their_width_and_every_place(self):
        augmentation = Augmentation(freq_mask=3, num_freq_masks=1)
        widths, places = set(), set()
        for seed in range(300):
            masked = np.flatnonzero(spec_augment(np.ones((2, 8)), augmentation, np.random.default_rng(seed))[0] == 0)
            widths.add(len(masked))
            places.update(masked.tolist())
        assert widths == {0, 1, 2, 3} and places == set(range(8))

    @given(shape=frames_and_bins, stretch=st.floats(0.01, 0.9), seed=st.integers(0, 99))
    def test_stretching(self, shape, stretch, seed):
        features = np.repeat(np.linspace(0, 1, shape[0], dtype=np.float32)[:, None], shape[1], axis=1)
        stretched = stretch_and_shift(features, Augmentation(time_stretch=stretch), np.random.default_rng(seed))
        low, high = (max(1, round(shape[0] * (1 + sign * stretch))) for sign in (-1, 1))
        assert low <= len(stretched) <= high and stretched.shape[1] == shape[1] and stretched.dtype == np.float32
        # A ramp stays a ramp between the same ends.
        np.testing.assert_allclose(stretched[:, 0], np.linspace(0, features[-1, 0], len(stretched)), atol=1e-5)

    @given(shape=frames_and_bins, widest=st.integers(1, 50), seed=st.integers(0, 99))
    def test_shifting(self, shape, widest, seed):
        features = np.repeat(np.arange(shape[1], dtype=np.float32)[None], shape[0], axis=0)
        shifted = stretch_and_shift(features, Augmentation(freq_shift=widest), np.random.default_rng(seed))
        bins = np.arange(shape[1])
        candidates = [np.clip(bins - shift, 0, shape[1] - 1) for shift in range(-widest, widest + 1)]
        assert shifted.shape == shape and any((shifted == candidate).all() for candidate in candidates)

    def test_shifts_go_both_ways(self):
        features = np.arange(8, dtype=np.float32)[None]
        firsts = {
            float(stretch_and_shift(features, Augmentation(freq_shift=2), np.random.default_rng(seed))[0, 4])
            for seed in range(100)
        }
        assert firsts == {2, 3, 4, 5, 6}

    @given(gain=st.floats(0.1, 20), seed=st.integers(0, 99))
    def test_gain(self, gain, seed):
        features = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
        change = stretch_and_shift(features, Augmentation(gain_db=gain), np.random.default_rng(seed)) - features
        assert np.ptp(change) < 1e-5 and abs(change).max() <= gain + 1e-5

    @pytest.mark.parametrize("bins", [8, 64])
    def test_a_filter_is_smooth_and_alike_in_all_frames(self, bins):
        features, changed = np.zeros((5, bins), np.float32), []
        for seed in range(50):
            rng = np.random.default_rng(seed)
            changed.append(stretch_and_shift(features, Augmentation(eq_db=6.0), rng))
            assert changed[-1].dtype == np.float32 and (changed[-1] == changed[-1][0]).all()
        assert 4 < np.abs(changed).max() <= 6
        assert np.abs(np.diff(changed, axis=2)).max() <= 12 * 5 / (bins - 1) + 1e-5

    def test_none_by_default(self):
        features = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
        rng = np.random.default_rng(0)
        np.testing.assert_array_equal(stretch_and_shift(features, Augmentation(), rng), features)
        np.testing.assert_array_equal(spec_augment(features, Augmentation(), rng), features)


class TestFlags:
    @pytest.mark.parametrize("kind", [Augmentation, Perturbation])
    def test_every_change_has_a_flag_with_the_same_default(self, kind):
        flags = {field.name: field.default for field in fields(RecipeArguments)}
        for field in fields(kind):
            assert field.name in flags, f"{kind.__name__}.{field.name}"
            assert flags[field.name] == field.default

    def test_a_change_without_a_flag_is_named(self):
        kind = make_dataclass("Augmentation", [("mix_up", float, 0.0)])
        with pytest.raises(ValueError, match=r"Augmentation.mix_up has no flag: .*; did you mean mixup\?"):
            changes_of_flags(kind, RecipeArguments(output_dir="unused"))


class TestCollator:
    def test_pads_and_masks(self):
        dataset = SpeechDataset(COUNTING, PLAIN, "emotion")
        batch = ClipCollator(PLAIN)(everything(dataset))
        assert set(batch) == {"input_features", "attention_mask", "labels"}
        assert batch["input_features"].shape == (6, 100, BINS) and batch["input_features"].dtype == torch.float32
        assert batch["attention_mask"].sum(dim=1).tolist() == list(FRAMES)
        assert batch["labels"].dtype == torch.int64 and batch["labels"].tolist() == [0, 1, 2, 3, 0, 1]
        for row, mask, clip in zip(batch["input_features"], batch["attention_mask"].bool(), everything(dataset)):
            np.testing.assert_array_equal(row[mask], clip["values"])
            assert not row[~mask].any()

    def test_mixed_labels_are_floats(self):
        dataset = SpeechDataset(RANDOM, PLAIN, "emotion", CROP, Augmentation(mixup=1.0), num_labels=4)
        labels = ClipCollator(PLAIN)(everything(dataset))["labels"]
        assert labels.shape == (6, 4) and labels.dtype == torch.float32


class TestOtherExtractors:
    """Check a waveform model of transformers: waveforms are cropped, and its own extractor makes the batch."""

    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    waveforms = rows([np.arange(n, dtype=np.float32)[:, None] for n in (1000, 400, 2000)])

    def test_crops_of_samples(self):
        dataset = SpeechDataset(self.waveforms, self.extractor, "emotion", crop_seconds=0.05)
        for epoch in range(5):
            dataset.set_epoch(epoch)
            clips = [clip["values"] for clip in everything(dataset)]
            assert [clip.shape for clip in clips] == [(800,), (400,), (800,)]
            assert all((np.diff(clip) == 1).all() for clip in clips)

    def test_no_augmentation(self):
        dataset = SpeechDataset(self.waveforms, self.extractor, "emotion", None, AUGMENTATION, num_labels=4)
        np.testing.assert_array_equal(dataset[1]["values"], np.arange(400))

    def test_collates_as_the_extractor_does(self):
        clips = everything(SpeechDataset(self.waveforms, self.extractor, "emotion"))
        batch = ClipCollator(self.extractor)(clips)
        expected = self.extractor(
            [clip["values"] for clip in clips], sampling_rate=16000, padding=True, return_tensors="pt"
        )
        assert batch["labels"].tolist() == [0, 1, 2]
        torch.testing.assert_close(batch["input_values"], expected["input_values"])
        assert batch["attention_mask"].sum(dim=1).tolist() == [1000, 400, 2000]


class TestBalancedSampler:
    labels = np.repeat([0, 1, 3], [900, 90, 10])  # class 2 has no clip

    def test_classes_are_equally_frequent(self):
        drawn = np.bincount(self.labels[list(BalancedSampler(self.labels))])
        assert drawn[2] == 0 and drawn.sum() == 1000
        np.testing.assert_allclose(drawn[[0, 1, 3]], 1000 / 3, rtol=0.15)

    def test_every_clip_of_a_class_is_equally_likely(self):
        drawn = np.bincount(list(BalancedSampler(self.labels)), minlength=1000)[-10:]
        assert drawn.min() > 10 and drawn.max() < 70

    def test_corpora_are_drawn_by_the_root_of_their_size_and_their_classes_alike(self):
        labels, corpora = np.array([0] * 300 + [1] * 100 + [0] * 20 + [2] * 80), ["a"] * 400 + ["b"] * 100
        probabilities = BalancedSampler(labels, corpora=corpora).probabilities
        by_class = [probabilities[:300].sum(), probabilities[300:400].sum(), probabilities[400:420].sum()]
        np.testing.assert_allclose(by_class, [1 / 3, 1 / 3, 1 / 6])
        assert probabilities.sum() == pytest.approx(1)

    def test_a_function_of_seed_and_epoch(self):
        sampler, other = BalancedSampler(self.labels, seed=1), BalancedSampler(self.labels, seed=1)
        first = list(sampler)
        assert first == list(sampler) == list(other) and len(first) == len(sampler) == 1000
        sampler.set_epoch(1)
        assert first != list(sampler)
        sampler.set_epoch(0)
        assert first == list(sampler) != list(BalancedSampler(self.labels, seed=2))


class TestLengthSampler:
    @given(st.lists(st.integers(1, 500), min_size=1, max_size=200), st.integers(1, 16), st.integers(0, 3))
    def test_batches_are_of_about_one_length(self, lengths, batch_size, epoch):
        sampler = LengthSampler(lengths, batch_size, seed=1, pool=10**6)
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert sorted(order) == list(range(len(lengths))) and len(sampler) == len(lengths)
        assert order == list(sampler)
        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        # Sorted as a whole, batches do not overlap in length.
        spans = sorted((min(lengths[i] for i in batch), max(lengths[i] for i in batch)) for batch in batches)
        assert all(first[1] <= second[0] for first, second in pairwise(spans))

    def test_epochs_differ_in_order(self):
        sampler = LengthSampler(list(range(100)), 4, seed=0)
        first = list(sampler)
        sampler.set_epoch(1)
        assert list(sampler) != first
        assert list(LengthSampler(list(range(100)), 4, seed=1)) != first


def test_shares_of_the_draws_are_normalised_by_speakers_and_by_recordings():
    extractor, speaker = (
        PyResNetFeatureExtractor(num_mel_bins=BINS, mean=[mean] * BINS, std=[10.0] * BINS) for mean in (-40, -240)
    )
    shares = {"speaker_share": 0.5, "recording_share": 0.25}
    clips = SpeechDataset(
        RANDOM,
        extractor,
        "emotion",
        front_ends=[speaker] * len(FRAMES),
        augmentation=Augmentation(eq_db=2.0),
        **shares,
    )
    means = []
    for epoch in range(100):
        clips.set_epoch(epoch)
        means += [item["values"].mean(axis=0) for item in everything(clips)]
    by_speaker = np.mean(means, axis=1) > 10
    assert 0.4 < by_speaker.mean() < 0.6
    means = np.array(means)
    assert len(np.unique(means[by_speaker], axis=0)) == len(FRAMES), "no filter where a speaker's statistics are"
    assert len(np.unique(means[~by_speaker], axis=0)) == (~by_speaker).sum()
    whole = SpeechDataset(RANDOM, extractor, "emotion")
    assert_same(everything(clips.unchanged()), everything(whole))


def test_lengths_are_those_of_the_crops():
    assert SpeechDataset(COUNTING, PLAIN, "emotion").lengths.tolist() == list(FRAMES)
    cropped = SpeechDataset(COUNTING, PLAIN, "emotion", CROP)
    assert cropped.lengths.tolist() == [len(clip["values"]) for clip in everything(cropped)]


def test_rows_by_length():
    assert frame_counts(by_length(COUNTING)) == sorted(FRAMES)
    labels = by_length(COUNTING)["emotion"]
    assert list(labels) == [int(np.argsort(FRAMES)[index]) % 4 for index in range(len(FRAMES))]


def test_any_number_of_workers_gives_the_same_batches():
    def batches(num_workers: int) -> list[dict]:
        dataset = SpeechDataset(RANDOM, PLAIN, "emotion", CROP, AUGMENTATION)
        sampler = BalancedSampler(dataset.labels)
        loader = torch.utils.data.DataLoader(
            dataset, 2, sampler=sampler, num_workers=num_workers, collate_fn=ClipCollator(PLAIN)
        )
        batches = []
        for epoch in (0, 1):
            dataset.set_epoch(epoch)
            sampler.set_epoch(epoch)
            batches += list(loader)
        return batches

    alone, together = batches(0), batches(2)
    assert len(alone) == 6
    for one, other in zip(alone, together, strict=True):
        assert set(one) == set(other)
        for name in one:
            assert torch.equal(one[name], other[name])
    assert not torch.equal(alone[0]["input_features"], alone[3]["input_features"])


@pytest.mark.parametrize(("passed", "epoch"), [(None, 0), (0.0, 0), (2.0, 2), (2.9999999, 3), (2.5, 2)])
def test_the_callback_tells_the_epoch(passed, epoch):
    dataset = SpeechDataset(RANDOM, PLAIN, "emotion")
    EpochCallback(dataset).on_epoch_begin(None, SimpleNamespace(epoch=passed), None)
    assert dataset.epoch == epoch
