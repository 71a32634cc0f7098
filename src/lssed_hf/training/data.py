"""Data sets and samplers of the Trainer: random crops and augmentation in training, whole clips in evaluation.

Every random draw is a function of seed, epoch and index alone. A resumed run therefore sees exactly what an
uninterrupted one would have seen, for any number of loader workers.
"""

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import datasets
import numpy as np
import pyarrow.compute as pc
import torch
from transformers import SequenceFeatureExtractor, TrainerCallback

from ..inference.classifiers.inputs import model_inputs
from .arrays import row_frames
from .features import FrameExtractor, decibel, is_cacheable


_EQ_POINTS = 6  # of the mel axis where a random filter draws its gains


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training clips, off by default as in the paper.

    Attributes:
        freq_mask: Widest band of mel bins that is set to the mean (SpecAugment, Park et al. 2019).
        num_freq_masks: Number of such bands.
        time_mask: Longest stretch of frames that is set to the mean.
        num_time_masks: Number of such stretches.
        freq_shift: Largest shift along the mel axis in bins, up or down, as of another voice.
        time_stretch: Largest change of speed, 0.1 for factors of 0.9 to 1.1.
        gain_db: Largest change of level in decibels, up or down (logarithmic features only).
        eq_db: Largest change of a random smooth filter in decibels, up or down, as of another microphone: gains of
            six points of the mel axis, with straight lines between them (after FilterAugment, Nam et al. 2022).
        mixup: Parameter of mixup's Beta distribution (Zhang et al. 2018), 0 for none.
    """

    freq_mask: int = 0
    num_freq_masks: int = 2
    time_mask: int = 0
    num_time_masks: int = 2
    freq_shift: int = 0
    time_stretch: float = 0.0
    gain_db: float = 0.0
    eq_db: float = 0.0
    mixup: float = 0.0


class SpeechDataset(torch.utils.data.Dataset):
    """Clips of a dataset from `compute_features`, ready for `ClipCollator`.

    Args:
        dataset: Rows with `values`, `width` and the label column.
        feature_extractor: Front end. Its `normalize` is applied where features were cached.
        label_column: Name of the column with class numbers, -1 for none. If a label is missing, all labels are
            distributions over the classes, and that of a clip without label is zero.
        crop_seconds: Length of random crops. Default: whole clips.
        augmentation: Random changes, for cached features only.
        num_labels: Number of classes. Mixup, which makes labels distributions, and missing labels need it.
        seed: Seed of crops and augmentation.
        copies: Perturbed versions of the same rows. Every time, a clip is drawn from `dataset` and these.
        teachers: Predictions of each teacher for the unchanged clips, (clips, size). Mixup mixes them too.
        front_ends: Front end of each row, whose `normalize` replaces that of `feature_extractor`.
        speaker_share: Share of the draws that are normalised by `front_ends`.
        recording_share: Share of the draws from which a random part of the clip's own mean is subtracted instead.
        targets: Labels in place of class numbers, float32 (clips, num_labels): 1 for each class of a clip, or ratings.
        ratings: Ratings for a second head, float32 (clips, num_dimensions). Mixup mixes both.
        corpora: Corpus of each row, for `BalancedSampler`. Default: one corpus.
    """

    def __init__(
        self,
        dataset: datasets.Dataset,
        feature_extractor: SequenceFeatureExtractor,
        label_column: str,
        crop_seconds: float | None = None,
        augmentation: Augmentation | None = None,
        num_labels: int | None = None,
        seed: int = 0,
        copies: Sequence[datasets.Dataset] = (),
        teachers: Sequence[np.ndarray] = (),
        front_ends: Sequence[FrameExtractor] | None = None,
        corpora: Sequence[str] | None = None,
        speaker_share: float = 1.0,
        recording_share: float = 0.0,
        targets: np.ndarray | None = None,
        ratings: np.ndarray | None = None,
    ):
        # Arrow's format has a fraction of numpy's overhead.
        self.versions = [rows.select_columns(["values", "width"]).with_format("arrow") for rows in (dataset, *copies)]
        self.labels = np.asarray(dataset[label_column])
        self.soft = bool((self.labels < 0).any())
        if self.soft and not teachers:
            raise ValueError(f"{(self.labels < 0).sum()} clips have no {label_column}, and nothing else to learn from")
        self.teachers = teachers
        self.targets = targets
        self.ratings = ratings
        self.corpora = corpora
        self.speaker_share = speaker_share
        self.recording_share = recording_share
        self.feature_extractor = feature_extractor
        self.front_ends = front_ends
        self.cacheable = is_cacheable(feature_extractor)
        self.augmentation = augmentation if self.cacheable else None
        self.num_labels = num_labels
        self.seed = seed
        self.epoch = 0
        self.crop_length = None
        if crop_seconds is not None:
            samples = round(crop_seconds * feature_extractor.sampling_rate)
            # As many frames as a clip of that many samples has.
            self.crop_length = 1 + samples // feature_extractor.hop_length if self.cacheable else samples
        #: Lengths of the clips that come out, but for stretching and mixup.
        self.lengths = np.minimum(frame_counts(dataset), self.crop_length or np.inf).astype(int)

    def __len__(self) -> int:
        return len(self.labels)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which all draws depend on."""
        self.epoch = epoch

    def unchanged(self) -> "SpeechDataset":
        """Return the same clips, whole, without random changes and normalised by the corpus."""
        clips = copy.copy(self)
        clips.versions = self.versions[:1]
        clips.augmentation = clips.crop_length = clips.front_ends = None
        clips.recording_share = 0.0
        return clips

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        values, partner, weight = self._clip(index, rng), None, 1.0
        if self.augmentation is not None and self.augmentation.mixup:
            partner = int(rng.integers(len(self)))
            weight = rng.beta(self.augmentation.mixup, self.augmentation.mixup)
            other = self._clip(partner, rng)
            length = min(len(values), len(other))
            values = weight * values[:length] + (1 - weight) * other[:length]

        def mixed(row_of: Callable[[int], np.ndarray]) -> np.ndarray:
            return row_of(index) if partner is None else weight * row_of(index) + (1 - weight) * row_of(partner)

        item = {"values": values, "labels": int(self.labels[index])}
        if self.targets is not None:
            item["labels"] = mixed(self.targets.__getitem__)
        elif self.soft or partner is not None:
            item["labels"] = mixed(self._soft_label)
        if self.teachers:
            item["teachers"] = [mixed(teacher.__getitem__) for teacher in self.teachers]
        if self.ratings is not None:
            item["ratings"] = mixed(self.ratings.__getitem__)
        return item

    def _soft_label(self, index: int) -> np.ndarray:
        label = np.zeros(self.num_labels, dtype=np.float32)
        if self.labels[index] >= 0:
            label[self.labels[index]] = 1
        return label

    def _clip(self, index: int, rng: np.random.Generator) -> np.ndarray:
        version = int(rng.integers(len(self.versions))) if len(self.versions) > 1 else 0
        values = row_frames(self.versions[version][index])
        front_end, own_mean, augmentation = self.feature_extractor, 0.0, self.augmentation
        mixed = self.speaker_share < 1 or self.recording_share > 0
        draw = rng.random() if mixed else 0.0
        if self.front_ends is not None and draw < self.speaker_share:
            front_end = self.front_ends[index]
            if mixed and augmentation is not None:  # a filter would only spoil the speaker's normalisation
                augmentation = dataclasses.replace(augmentation, eq_db=0.0, gain_db=0.0)
        elif draw >= 1 - self.recording_share:
            own_mean = rng.random()
        if augmentation is not None:
            values = stretch_and_shift(values, augmentation, rng, decibel(self.feature_extractor))
        if own_mean:
            values = values - own_mean * (values.mean(axis=0) - np.asarray(front_end.mean, np.float32))
        if self.crop_length is not None and len(values) > self.crop_length:
            start = int(rng.integers(len(values) - self.crop_length + 1))
            values = values[start : start + self.crop_length]
        if not self.cacheable:
            return values[:, 0].copy()  # what Arrow holds cannot be written to
        values = front_end.normalize(values).astype(np.float32)
        return values if self.augmentation is None else spec_augment(values, self.augmentation, rng)


def frame_counts(rows: datasets.Dataset) -> list[int]:
    """Return the number of frames (of waveforms: samples) of each row of `compute_features`, without reading them."""
    counts: list[int] = []
    for batch in rows.select_columns(["values", "width"]).with_format("arrow").iter(1000):
        counts += pc.divide(pc.list_value_length(batch["values"]), batch["width"]).to_pylist()
    return counts


def by_length(rows: datasets.Dataset) -> datasets.Dataset:
    """Sort the rows of `compute_features`, the shortest first, so that batches in this order pad little."""
    return rows.select(np.argsort(frame_counts(rows), kind="stable"))


def stretch_and_shift(
    features: np.ndarray, augmentation: Augmentation, rng: np.random.Generator, decibel: float = 1.0
) -> np.ndarray:
    """Change speed, level, spectrum and the position on the mel axis of (frames, num_mel_bins) log-mel features."""
    if augmentation.time_stretch:
        factor = rng.uniform(1 - augmentation.time_stretch, 1 + augmentation.time_stretch)
        length = max(1, round(len(features) * factor))
        position = np.linspace(0, len(features) - 1, length)
        low = position.astype(int)
        high = np.minimum(low + 1, len(features) - 1)
        share = (position - low).astype(np.float32)[:, None]
        features = features[low] * (1 - share) + features[high] * share
    if augmentation.freq_shift:
        shift = int(rng.integers(-augmentation.freq_shift, augmentation.freq_shift + 1))
        bins = np.clip(np.arange(features.shape[1]) - shift, 0, features.shape[1] - 1)
        features = features[:, bins]
    if augmentation.gain_db:
        features = features + np.float32(decibel * rng.uniform(-augmentation.gain_db, augmentation.gain_db))
    if augmentation.eq_db:
        bins = features.shape[1]
        gains = rng.uniform(-augmentation.eq_db, augmentation.eq_db, _EQ_POINTS)
        curve = np.interp(np.arange(bins), np.linspace(0, bins - 1, _EQ_POINTS), gains)
        features = features + (decibel * curve).astype(np.float32)
    return features


def spec_augment(features: np.ndarray, augmentation: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Set random bands of normalised features to 0, their mean (SpecAugment without warping, arXiv 1904.08779)."""
    features = features.copy()
    for axis, widest, count in (
        (0, augmentation.time_mask, augmentation.num_time_masks),
        (1, augmentation.freq_mask, augmentation.num_freq_masks),
    ):
        size = features.shape[axis]
        for _ in range(count if widest else 0):
            width = int(rng.integers(min(widest, size // 2) + 1))
            start = int(rng.integers(size - width + 1))
            features[(slice(None),) * axis + (slice(start, start + width),)] = 0
    return features


class ClipCollator:
    """Collator that pads clips to a batch with the feature extractor, which also makes the attention mask."""

    def __init__(self, feature_extractor: SequenceFeatureExtractor):
        self.feature_extractor = feature_extractor
        self.cacheable = is_cacheable(feature_extractor)

    def __call__(self, clips: Sequence[dict]) -> dict[str, torch.Tensor]:
        values = [clip["values"] for clip in clips]
        if self.cacheable:
            batch = self.feature_extractor.pad({"input_features": values}, return_tensors="pt")
        else:
            batch = model_inputs(self.feature_extractor, values)
        batch["labels"] = torch.as_tensor(np.asarray([clip["labels"] for clip in clips]))
        if "ratings" in clips[0]:
            batch["ratings"] = torch.as_tensor(np.stack([clip["ratings"] for clip in clips]))
        if "teachers" in clips[0]:
            batch["teachers"] = [
                torch.as_tensor(np.stack(rows)) for rows in zip(*(clip["teachers"] for clip in clips))
            ]
        return dict(batch)


class LengthSampler(torch.utils.data.Sampler):
    """Sampler of every clip once an epoch, with clips of about one length in a batch, and batches in random order.

    The order is a function of seed and epoch alone.

    Args:
        lengths: Lengths of the clips.
        batch_size: Number of clips in a batch.
        seed: Seed of the order.
        pool: Number of batches whose clips are drawn together and sorted by length.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int = 0, pool: int = 50):
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.pool = pool
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the order depends on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order = rng.permutation(len(self.lengths))
        size = self.batch_size * self.pool
        pools = [order[start : start + size] for start in range(0, len(order), size)]
        order = np.concatenate([pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools])
        batches = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
        # The short batch stays last: the loader cuts the order anew into batches.
        full, rest = [b for b in batches if len(b) == self.batch_size], batches[len(order) // self.batch_size :]
        for batch in [*(full[index] for index in rng.permutation(len(full))), *rest]:
            yield from batch.tolist()


class BalancedSampler(torch.utils.data.Sampler):
    """Sampler with replacement that draws every class equally often. An epoch has as many draws as clips.

    Args:
        labels: Class number of each clip.
        seed: Seed of the draws.
        corpora: Corpus of each clip. Corpora are drawn by the root of their number of clips, and the classes of each
            one equally often. Default: one corpus.
    """

    def __init__(self, labels: np.ndarray, seed: int = 0, corpora: Sequence[str] | None = None):
        corpora = [""] * len(labels) if corpora is None else corpora
        _, corpus, sizes = np.unique(corpora, return_inverse=True, return_counts=True)
        cells, cell, counts = np.unique([corpus, labels], axis=1, return_inverse=True, return_counts=True)
        num_classes = np.bincount(cells[0])
        weights = np.sqrt(sizes)[corpus] / num_classes[corpus] / counts[cell.ravel()]
        self.probabilities = weights / weights.sum()
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the order depends on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        return iter(rng.choice(len(self), size=len(self), p=self.probabilities).tolist())


class EpochCallback(TrainerCallback):
    """Callback that tells the training set which epoch it is, also after resuming and with several processes."""

    def __init__(self, dataset: SpeechDataset):
        self.dataset = dataset

    def on_epoch_begin(self, args, state, control, **kwargs) -> None:
        self.dataset.set_epoch(int((state.epoch or 0) + 1e-6))
