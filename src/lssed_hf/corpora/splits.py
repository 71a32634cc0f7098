"""Dividing a corpus into training, validation and test sets."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np


def stratified_split(labels: Sequence[Hashable], test_fraction: float = 0.2, seed: int = 0) -> np.ndarray:
    """Draw a test set with an equal share of every class, as section 2.2 of the LSSED paper (Fan et al., 2021) does.

    The test set has `round(test_fraction * n)` utterances. Each class gets the whole part of its share. The rest goes
    to the largest remainders, ties to the smaller class. On the totals of the paper's Table 3 this gives its test
    column exactly. Speakers occur on both sides, so scores say little about new speakers.

    Args:
        labels: Label of each utterance.
        test_fraction: Share of the utterances for test.
        seed: Seed of the draw.

    Returns:
        Boolean array, True for test.
    """
    counts = Counter(labels)
    shares = {label: count * test_fraction for label, count in counts.items()}
    sizes = {label: int(share + 1e-9) for label, share in shares.items()}
    missing = round(len(labels) * test_fraction) - sum(sizes.values())
    by_remainder = sorted(counts, key=lambda label: (-round(shares[label] - sizes[label], 9), counts[label]))
    for label in by_remainder[:missing]:
        sizes[label] += 1

    test = np.zeros(len(labels), dtype=bool)
    positions: dict[Hashable, list[int]] = {label: [] for label in counts}
    for index in np.random.default_rng(seed).permutation(len(labels)):
        positions[labels[index]].append(index)
    for label, size in sizes.items():
        test[positions[label][:size]] = True
    return test


def draw_clips(labels: Sequence[Hashable], fraction: float, seed: int = 0) -> np.ndarray:
    """Draw clips of every class at random: the fraction, but at least one and never all.

    A class of one clip gives none.

    Args:
        labels: Label of each clip.
        fraction: Share to draw of each class.
        seed: Seed of the draw.

    Returns:
        Boolean array, True for the clips that are drawn.
    """
    counts = Counter(labels)
    wanted = {label: min(max(1, round(fraction * count)), count - 1) for label, count in counts.items()}
    drawn = np.zeros(len(labels), dtype=bool)
    for index in np.random.default_rng(seed).permutation(len(labels)):
        drawn[index] = wanted[labels[index]] > 0
        wanted[labels[index]] -= 1
    return drawn


def speaker_split(
    speakers: Sequence[str], fractions: Mapping[str, float] | None = None, seed: int = 0
) -> dict[str, set[str]]:
    """Divide speakers among splits by their numbers of utterances. No speaker is in two splits.

    Args:
        speakers: Speaker of each utterance.
        fractions: Share of the utterances that each split aims at; the last split takes the remaining speakers.
            Default: 20 % for test, 10 % for validation, the rest for training.
        seed: Seed of the order in which speakers are dealt out.

    Returns:
        Speakers of each split.

    Raises:
        ValueError: There are fewer speakers than splits.
    """
    fractions = {"test": 0.2, "validation": 0.1, "train": 0.7} if fractions is None else dict(fractions)
    counts = Counter(speakers)
    if len(counts) < len(fractions):
        raise ValueError(
            f"{len(counts)} speakers cannot fill {len(fractions)} speaker-disjoint splits ({', '.join(fractions)})"
        )
    names = sorted(counts)
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    splits: dict[str, set[str]] = {}
    for rank, (split, fraction) in enumerate(fractions.items()):
        later = len(fractions) - rank - 1
        taken: set[str] = set()
        size = 0
        wanted = fraction * len(speakers)
        while len(order) > later and (later == 0 or not taken or size + counts[order[0]] / 2 < wanted):
            size += counts[order[0]]
            taken.add(order.pop(0))
        splits[split] = taken
    return splits


def assign_speakers(speakers: Sequence[str]) -> list[str]:
    """Return the split of each utterance by the default of `speaker_split`: 70 % train, 10 % validation, 20 % test.

    Args:
        speakers: Speaker of each utterance.

    Raises:
        ValueError: There are fewer speakers than splits.
    """
    split_of = {speaker: split for split, members in speaker_split(speakers).items() for speaker in members}
    return [split_of[speaker] for speaker in speakers]


def leave_one_out(speakers: Sequence[str], held_out: str) -> list[str]:
    """Return the split of each utterance: one speaker is for test, and all others are for training.

    Args:
        speakers: Speaker of each utterance.
        held_out: Speaker for test.

    Raises:
        ValueError: No utterance is by that speaker.
    """
    if held_out not in speakers:
        raise ValueError(
            f"no utterance of speaker {held_out} to test on; there are {', '.join(sorted(set(speakers)))}"
        )
    return ["test" if speaker == held_out else "train" for speaker in speakers]
