"""Choice of the clips to train on and to select a model by."""

import logging
from collections.abc import Sequence
from functools import partial

import datasets
import numpy as np

from ..corpora import corpus_builder
from ..corpora.sources import COLUMNS, encode_labels, find_source, load_splits, rename_columns
from ..corpora.splits import draw_clips, speaker_split
from ..corpora.streamed import take_clips
from ..labels import label_numbers
from ..wording import counted
from .arguments import DataArguments


logger = logging.getLogger(__name__)

#: `--train_split_name` for the clips of all splits, of which the validation split is held out.
ALL_SPLITS = "all"
_DRAWS = 50  # of speakers for validation, until each label is on both sides
_STRIDE = 1_000_003  # between their seeds, which other seeds of trainings do not reach
#: Column of the training split with the name of each clip's corpus, where there are several.
CORPUS_COLUMN = "corpus"


def training_splits(
    data_args: DataArguments,
    seed: int,
    dataset: datasets.DatasetDict | None = None,
    num_streamed: int = 0,
    problem_type: str | None = None,
) -> datasets.DatasetDict:
    """Load the splits that a training takes, with encoded labels and one split for validation.

    Args:
        data_args: Data set, and the choice of its clips.
        seed: Seed of draws.
        dataset: Data set in memory, in place of the one that `data_args` names.
        num_streamed: Number of training clips to take from a stream. Default: nothing is streamed.
        problem_type: Kind of problem. Of a regression, labels play no part in draws.

    Raises:
        ValueError: A split, a column or clips are missing.
    """
    label_column, take = None if problem_type == "regression" else data_args.label_column_name, None
    if num_streamed:
        names = data_args.train_split_name.split("+")
        take = partial(take_clips, limits=dict.fromkeys(names, num_streamed), seed=seed)
    if dataset is None:
        dataset = data_args.load(take=take, problem_type=problem_type)
    else:
        dataset = data_args.encode(dataset, problem_type)
    if data_args.test_speaker is not None:
        dataset = leave_speaker_out(dataset, data_args)
    elif data_args.train_split_name == ALL_SPLITS:
        dataset = datasets.DatasetDict({ALL_SPLITS: datasets.concatenate_datasets(list(dataset.values()))})
        dataset = with_extra_corpora(dataset, data_args)
    dataset = with_validation(dataset, data_args, seed, label_column, problem_type == "multi_label_classification")
    if data_args.max_train_speakers is not None:
        dataset[data_args.train_split_name] = few_speakers(dataset[data_args.train_split_name], data_args, seed)
    return dataset if data_args.train_split_name == ALL_SPLITS else with_extra_corpora(dataset, data_args)


def leave_speaker_out(dataset: datasets.DatasetDict, data_args: DataArguments) -> datasets.DatasetDict:
    """Return the clips of `data_args.test_speaker` for test and all other clips for training.

    Raises:
        ValueError: No clip is by that speaker, all are, or splits are named that are not there any more.
    """
    if data_args.train_split_name == ALL_SPLITS or "+" in data_args.train_split_name:
        raise ValueError(
            "--test_speaker trains on the other speakers' clips of all splits: leave out --train_split_name"
        )
    rows = datasets.concatenate_datasets(list(dataset.values()))
    speakers = np.array([speaker or "" for speaker in _speakers(rows, data_args.speaker_column_name)])
    is_test = speakers == data_args.test_speaker
    if not is_test.any() or is_test.all():
        known = ", ".join(np.unique(speakers[speakers != ""])) or "none"
        raise ValueError(f"--test_speaker {data_args.test_speaker}: speakers of {data_args.dataset_name} are {known}")
    chosen = {data_args.train_split_name: ~is_test, data_args.test_split_name: is_test}
    return datasets.DatasetDict({split: rows.select(np.flatnonzero(mask)) for split, mask in chosen.items()})


def with_validation(
    dataset: datasets.DatasetDict,
    data_args: DataArguments,
    seed: int,
    label_column: str | None = None,
    several: bool = False,
) -> datasets.DatasetDict:
    """Return the splits with one for validation, held out from the training split where it is missing.

    With a `validation_fraction` of 0, nothing is held out.

    Whole speakers are held out. Where fewer than two are known, clips of every class are drawn at random, with a
    warning. Clips of unknown speakers, and classes of one clip, stay in the training split.

    Args:
        dataset: Splits. A training split of several names, "train+validation", becomes one split of that name.
        data_args: Names of splits and columns, and the share to hold out.
        seed: Seed of the draw.
        label_column: Column with the label. Where each speaker has one label, as people have a diagnosis, speakers of
            every label are held out. Default: labels play no part.
        several: Whether a clip may have several classes, so that `choose_problem` checks them.

    Raises:
        ValueError: A split is missing, or the training split is too small to hold anything out.
    """
    dataset = _joined(dataset, data_args)
    train_split, validation_split = data_args.train_split_name, data_args.validation_split_name
    if validation_split not in dataset and data_args.validation_fraction:
        rows = dataset[train_split]
        held_out = _held_out_clips(rows, data_args, seed, label_column)
        logger.info(f"no split {validation_split!r}: {held_out.sum()} of {len(rows)} training clips are held out")
        chosen = {validation_split: held_out, train_split: ~held_out}
        parts = {split: rows.select(np.flatnonzero(mask)) for split, mask in chosen.items()}
        dataset = datasets.DatasetDict({**dataset, **parts})
    if label_column is not None and not several:
        names = dataset[train_split].features[label_column].names
        if validation_split in dataset:
            unseen = set(dataset[train_split][label_column]) - set(dataset[validation_split][label_column])
            if unseen:
                logger.warning(
                    f"validation has no clip of {', '.join(names[label] for label in sorted(unseen))}: scores on it "
                    "are those of the other classes"
                )
        learnt = set(dataset[train_split][label_column])
        if len(learnt) < 2:
            found = ", ".join(names[label] for label in learnt) or "missing"
            raise ValueError(f"all training clips are {found}: a classifier needs clips of two classes at least")
        if missing := sorted(set(range(len(names))) - learnt):
            logger.warning(
                f"no training clip of {', '.join(names[label] for label in missing)}: nothing is learnt of it"
            )
    return dataset


def _joined(dataset: datasets.DatasetDict, data_args: DataArguments) -> datasets.DatasetDict:
    """Return the splits with the training split among them, joined where it has several names."""
    train_split, joined = data_args.train_split_name, data_args.train_split_name.split("+")
    for name in joined:
        if name not in dataset:
            raise ValueError(f"{data_args.dataset_name} has no split {name!r}; it has {', '.join(dataset)}")
    if len(joined) == 1:
        return dataset
    if {data_args.validation_split_name, data_args.test_split_name} & set(joined):
        raise ValueError(
            f"--train_split_name {train_split} holds the split of validation or test; name another, e.g. "
            "--validation_split_name selection, for which training speakers are then held out"
        )
    rows = datasets.concatenate_datasets([dataset[name] for name in joined])
    return datasets.DatasetDict({**dataset, train_split: rows})


def _held_out_clips(
    rows: datasets.Dataset, data_args: DataArguments, seed: int, label_column: str | None
) -> np.ndarray:
    """Return a boolean array, True for the clips to hold out."""
    speakers = _speakers(rows, data_args.speaker_column_name)
    labels = [None] * len(rows) if label_column is None else list(rows[label_column])
    known = np.array([speaker is not None for speaker in speakers])
    groups = [speaker for speaker in speakers if speaker is not None]
    group_labels = [label for label, is_known in zip(labels, known) if is_known]
    names = None if label_column is None else rows.features[label_column].names
    if held_out := held_out_with_all_labels(groups, group_labels, data_args.validation_fraction, seed, names):
        if number := int((~known).sum()):
            verb = "stays" if number == 1 else "stay"
            logger.warning(f"{counted(number, 'clip')} of unknown speakers {verb} in the training split")
        return np.array([speaker in held_out for speaker in speakers])

    several = len(set(groups)) > 1
    reason = "too few speakers for each label" if several else "only one speaker" if groups else "no known speakers"
    logger.warning(f"{reason}: validation clips are drawn at random and share voices with the training clips")
    drawn = draw_clips(labels, data_args.validation_fraction, seed)
    if not drawn.any():
        raise ValueError(f"no training clip can be held out: {len(rows)} clips are too few, two of a class are needed")
    left = set(labels) - {label for label, is_drawn in zip(labels, drawn) if is_drawn}
    if label_column is not None and left:
        small = ", ".join(names[label] for label in sorted(left))
        logger.warning(f"too few clips to hold one out: {small}; all of them stay in the training split")
    return drawn


def held_out_with_all_labels(
    speakers: Sequence[str], labels: Sequence, fraction: float, seed: int, names: Sequence[str] | None = None
) -> set[str]:
    """Return speakers to hold out, drawn again until both sides have clips of every label that two speakers have.

    Where no draw does, the one that lacks the fewest labels is taken. A warning tells of another draw than the first.

    Args:
        speakers: Speaker of each clip.
        labels: Label of each clip.
        fraction: Share of the clips to hold out.
        seed: Seed of the first draw.
        names: Names of the labels. Default: the labels play no part.
    """
    if names is None:
        return held_out_speakers(speakers, labels, fraction, seed)
    by_speaker = set(zip(speakers, labels))
    shared = {label for label in set(labels) if sum(other == label for _, other in by_speaker) > 1}

    def missing(held_out: set[str]) -> set:
        sides = [{label for name, label in by_speaker if (name in held_out) == side} for side in (True, False)]
        return shared - (sides[0] & sides[1])

    held_out = best = held_out_speakers(speakers, labels, fraction, seed)
    for attempt in range(1, _DRAWS) if held_out else ():
        if not missing(best):
            break
        drawn = held_out_speakers(speakers, labels, fraction, seed + attempt * _STRIDE)
        best = min(best, drawn, key=lambda chosen: len(missing(chosen)))
    if best is not held_out:
        lost = ", ".join(names[label] for label in sorted(missing(held_out) - missing(best)))
        logger.warning(
            f"speakers for validation were drawn again, so that training and validation both have clips of {lost}"
        )
    return best


def _speakers(rows: datasets.Dataset, column: str) -> list[str | None]:
    """Return the speaker of each clip, None where unknown."""
    if column not in rows.column_names:
        return [None] * len(rows)
    return [None if speaker in (None, "") else str(speaker) for speaker in rows[column]]


def held_out_speakers(speakers: Sequence[str], labels: Sequence, fraction: float, seed: int) -> set[str]:
    """Return speakers to hold out: drawn from all, or from each label's where no speaker has two labels.

    Args:
        speakers: Speaker of each clip.
        labels: Label of each clip.
        fraction: Share of the clips to hold out.
        seed: Seed of the draw.

    Returns:
        Names, none where no label has two speakers.
    """
    label_of = dict(zip(speakers, labels))
    if len(set(zip(speakers, labels))) > len(label_of):
        label_of = dict.fromkeys(speakers)
    held_out: set[str] = set()
    for label in sorted(set(label_of.values()), key=str):
        same = [speaker for speaker in speakers if label_of[speaker] == label]
        if len(set(same)) > 1:
            held_out |= speaker_split(same, {"validation": fraction, "train": 1 - fraction}, seed)["validation"]
    return held_out


def with_extra_corpora(dataset: datasets.DatasetDict, data_args: DataArguments) -> datasets.DatasetDict:
    """Add the training clips of `data_args.extra_corpora` to those of the training split, with a column of corpora.

    With `ALL_SPLITS`, all clips of the corpora are training clips.

    Labels are matched by name, whatever the case. Speakers of other corpora are named after their corpus. All corpora
    are read in the same configuration.

    Raises:
        ValueError: A corpus has no training split, or labels that the first lacks.
    """
    if not data_args.extra_corpora:
        return dataset
    audio, label = data_args.audio_column_name, data_args.label_column_name
    speaker, rows = data_args.speaker_column_name, dataset[data_args.train_split_name]
    columns = [audio, label, *([speaker] if speaker in rows.column_names else [])]
    features = datasets.Features({column: rows.features[column] for column in columns})
    parts = [rows.select_columns(columns).add_column(CORPUS_COLUMN, [data_args.dataset_name or ""] * len(rows))]
    for text in data_args.extra_corpora:
        name, _, folder = text.partition("=")
        other = encode_labels(_load_extra(name, folder or None, data_args), label)
        if data_args.train_split_name == ALL_SPLITS:
            other = datasets.concatenate_datasets(list(other.values()))
        elif "train" in other:
            other = other["train"]
        else:
            raise ValueError(f"--extra_corpora {name} has no split 'train'; it has {', '.join(other)}")
        names, labels = other.features[label].names, np.asarray(other[label])
        numbers = np.array(label_numbers(names, rows.features[label].names))
        if unknown := sorted(names[number].lower() for number in np.unique(labels) if numbers[number] < 0):
            raise ValueError(
                f"--extra_corpora {name} has labels that {data_args.dataset_name} lacks: {', '.join(unknown)}; choose "
                "a configuration that both share (--dataset_config_name benchmark)"
            )
        added = {label: numbers[labels].tolist()}
        if speaker in columns:
            known = other[speaker] if speaker in other.column_names else [None] * len(other)
            added[speaker] = [person if person is None else f"{name}_{person}" for person in known]
        part = other.select_columns([audio]).cast_column(audio, features[audio])
        part = datasets.concatenate_datasets([part, datasets.Dataset.from_dict(added)], axis=1)
        part = part.select_columns(columns).cast(features)
        parts.append(part.add_column(CORPUS_COLUMN, [name] * len(part)))
    logger.info(f"training clips by corpus: {', '.join(str(len(part)) for part in parts)}")
    return datasets.DatasetDict({**dataset, data_args.train_split_name: datasets.concatenate_datasets(parts)})


def _load_extra(name: str, folder: str | None, data_args: DataArguments) -> datasets.DatasetDict:
    """Load another corpus in the configuration and under the column names of the first."""
    source, first = find_source(name, folder), find_source(data_args.dataset_name, data_args.data_dir).corpus
    config_name, options = data_args.dataset_config_name, {}
    if source.corpus is None:
        return load_splits(name, config_name, folder)
    if first is not None:
        config_name = config_name or corpus_builder(first).TRAINING_CONFIG_NAME
    if source.corpus == "folder" and source.manifest is None:
        options = data_args.options() if first == "folder" else {"label_set": "lssed"}
    dataset = load_splits(name, config_name, folder, options=options)
    return rename_columns(dataset, {usual: getattr(data_args, flag) for flag, usual in COLUMNS.items()})


def few_speakers(rows: datasets.Dataset, data_args: DataArguments, seed: int) -> datasets.Dataset:
    """Return the rows of `max_train_speakers` speakers. A seed has one order of speakers: more include fewer.

    Raises:
        ValueError: The speakers are unknown, or fewer.
    """
    number, column = data_args.max_train_speakers, data_args.speaker_column_name
    if column not in rows.column_names:
        raise ValueError(f"--max_train_speakers needs a column {column!r}; there are {', '.join(rows.column_names)}")
    speakers = np.array(["" if speaker is None else speaker for speaker in _speakers(rows, column)])
    names = np.unique(speakers[speakers != ""])
    if not 1 <= number <= len(names):
        raise ValueError(f"--max_train_speakers {number}: {data_args.dataset_name} has {len(names)} training speakers")
    chosen = np.random.default_rng(seed).permutation(names)[:number]
    logger.info(f"training speakers: {', '.join(chosen)}")
    return rows.select(np.flatnonzero(np.isin(speakers, chosen)))


__all__ = [
    "few_speakers",
    "held_out_speakers",
    "leave_speaker_out",
    "training_splits",
    "with_extra_corpora",
    "with_validation",
]
