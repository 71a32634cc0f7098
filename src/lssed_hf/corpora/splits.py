"""Dividing a corpus into training, validation and test sets."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np


def stratified_split(labels: Sequence[Hashable], test_fraction: float = 0.2, seed: int = 0) -> np.ndarray:
    """The paper's split (section 2.2): a shuffled share of the utterances with every class in equal proportion.

    The test set has `round(test_fraction * n)` utterances. Each class gets the whole part of its share and the rest
    goes to the largest remainders, ties to the smaller class; on the totals of the paper's Table 3 this gives its test
    column exactly. Speakers occur on both sides: scores on this split say little about new speakers.

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
    """Draw clips of every class at random: the fraction, at least one, and never all. A class of one gives none.

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
    """Divide speakers so that no one occurs in two splits, by their numbers of utterances.

    Args:
        speakers: the speaker of each utterance.
        fractions: the share of utterances that each split but the last aims at; the last takes the remaining speakers.
            Test 20 % and validation 10 % by default, the rest for training.
        seed: of the order in which speakers are dealt out.

    Returns:
        The speakers of each split.

    Raises:
        ValueError: fewer speakers than splits.
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
    """The split of each utterance by `speaker_split`'s default: 70 % train, 10 % validation, 20 % test.

    Args:
        speakers: the speaker of each utterance.

    Raises:
        ValueError: fewer speakers than splits.
    """
    split_of = {speaker: split for split, members in speaker_split(speakers).items() for speaker in members}
    return [split_of[speaker] for speaker in speakers]


def leave_one_out(speakers: Sequence[str], held_out: str) -> list[str]:
    """The split of each utterance where one speaker is for test, and all others for training.

    Args:
        speakers: the speaker of each utterance.
        held_out: the speaker for test.

    Raises:
        ValueError: nothing is spoken by `held_out`.
    """
    if held_out not in speakers:
        raise ValueError(
            f"no utterance of speaker {held_out} to test on; there are {', '.join(sorted(set(speakers)))}"
        )
    return ["test" if speaker == held_out else "train" for speaker in speakers]
