"""Speaker normalization of a data set: clips are normalised by the statistics of their speaker."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import datasets
import numpy as np
from tqdm.auto import tqdm
from transformers.hf_argparser import HfArg

from ..audio import load_audio
from .classifiers.checks import refusing
from .classifiers.classifier import NO_SCORES, Classifier
from .classifiers.speaker_statistics import SpeakerStatistics, choose_speaker, read_speakers
from .classifiers.statistics import measure_offset


@dataclass
class SpeakerArguments:
    """Origin of the statistics that clips are normalised by."""

    speaker_normalization: Literal["none", "all", "enrolment"] = HfArg(
        default="none",
        help="Normalise clips by the mean and deviation of their speaker, not of the corpus, in every split. They are "
        "measured on 'all' clips of the speaker in the split, without labels (so test clips enter too), or on a few "
        "clips for 'enrolment', which are not scored.",
    )
    enrolment_clips: int = HfArg(default=5, help="With enrolment: clips per speaker; more include fewer.")
    enrolment_label: str = HfArg(default="neutral", help="With enrolment: label of those clips, whatever the case.")
    enrolment_seed: int = HfArg(default=0, help="With enrolment: seed of the draw, whatever --seed is.")


def speakers_of(rows: datasets.Dataset, speaker_column: str) -> list[str | None]:
    """Return the speaker of each row, None where unknown.

    Raises:
        ValueError: There is no such column.
    """
    if speaker_column not in rows.column_names:
        raise ValueError(
            f"a speaker's own statistics need a column of speakers, and there is no {speaker_column!r} among "
            f"{', '.join(rows.column_names)}: name it with --speaker_column_name"
        )
    return [None if name in (None, "") else str(name) for name in rows[speaker_column]]


def statistics_rows(
    rows: datasets.Dataset, args: SpeakerArguments, speaker_column: str, label_column: str
) -> dict[str, list[int]]:
    """Return the rows that each speaker's statistics are measured on: none, all, or those of the enrolment.

    An enrolment is drawn from the clips of one speaker, sorted by their `id`, or by row without such a column. The
    draw depends on the seed and the speaker. It does not depend on other speakers, and more clips include fewer.

    Raises:
        ValueError: There is no column of speakers or no such label, or a speaker has too few clips of that label.
    """
    if args.speaker_normalization == "none":
        return {}
    numbers: dict[str, list[int]] = {}
    for number, speaker in enumerate(speakers_of(rows, speaker_column)):
        if speaker is not None:
            numbers.setdefault(speaker, []).append(number)
    if not numbers:
        raise ValueError(f"no row has a speaker in {speaker_column!r}, so there is nobody whose statistics to take")
    if args.speaker_normalization == "all":
        return numbers
    if args.enrolment_clips < 1 or args.enrolment_seed < 0:
        raise ValueError(
            f"--enrolment_clips must be 1 or more, and --enrolment_seed 0 or more, got {args.enrolment_clips} and "
            f"{args.enrolment_seed}"
        )
    names = rows.features[label_column].names
    chosen = [index for index, name in enumerate(names) if name.lower() == args.enrolment_label.lower()]
    if not chosen:
        raise ValueError(f"--enrolment_label {args.enrolment_label}: the labels are {', '.join(names)}")
    labels = rows[label_column]
    ids = rows["id"] if "id" in rows.column_names else range(len(rows))
    return {speaker: _enrolment(speaker, clips, labels, chosen, ids, args) for speaker, clips in numbers.items()}


def _enrolment(
    speaker: str, rows: Sequence[int], labels: Sequence, chosen: Sequence[int], ids: Sequence, args: SpeakerArguments
) -> list[int]:
    rows = sorted((row for row in rows if labels[row] in chosen), key=lambda row: (ids[row], row))
    if len(rows) < args.enrolment_clips:
        raise ValueError(
            f"speaker {speaker} has {len(rows)} clips labelled {args.enrolment_label}, fewer than --enrolment_clips "
            f"{args.enrolment_clips}: ask for fewer, or leave the speaker out"
        )
    order = np.random.default_rng([args.enrolment_seed, *speaker.encode()]).permutation(len(rows))
    return [rows[number] for number in order[: args.enrolment_clips]]


def scored_rows(count: int, clips: Mapping[str, Sequence[int]], args: SpeakerArguments) -> list[int]:
    """Return the numbers of the rows that are not part of an enrolment.

    Args:
        count: Number of rows.
        clips: Rows of each speaker, from `statistics_rows`.
        args: Origin of the statistics.

    Raises:
        ValueError: All rows are part of an enrolment.
    """
    taken = {row for rows in clips.values() for row in rows} if args.speaker_normalization == "enrolment" else set()
    left = [row for row in range(count) if row not in taken]
    if not left:
        raise ValueError("every clip belongs to an enrolment, and none is left to score: lower --enrolment_clips")
    return left


def speaker_classifiers(
    classifier: Classifier,
    rows: datasets.Dataset,
    args: SpeakerArguments,
    speakers_file: str | os.PathLike | None = None,
    *,
    audio_column: str,
    label_column: str,
    speaker_column: str,
) -> tuple[dict[str, Classifier], list[int], dict[str, Any] | None]:
    """Return a classifier for each speaker of a data set.

    Args:
        classifier: Model to normalise for.
        rows: Rows of the data set.
        args: Origin of the statistics.
        speakers_file: File of `lssed-hf enroll` to take the statistics from instead.
        audio_column: Name of the column with the audio.
        label_column: Name of the column with the label.
        speaker_column: Name of the column with the speaker.

    Returns:
        Three things. The classifier of each speaker with own statistics; all other rows belong to the model itself.
        The numbers of the rows to score. The entry `speaker_normalization` of `results.json`, None where statistics of
        speakers play no part: `statistics` ("all", "enrolment", "file" or "corpus"), `enrolment` (ids of the clips by
        speaker, None without), `num_without_speaker`, and the settings of the enrolment.

    Raises:
        ValueError: Both `args` and a file name statistics, or see `statistics_rows`, `read_speakers` and
            `Classifier.for_speaker`.
        AudioError, FileNotFoundError: A clip cannot be used.
    """
    kind = args.speaker_normalization if speakers_file is None else "file"
    if speakers_file is not None and args.speaker_normalization != "none":
        raise ValueError(
            f"--speakers and --speaker_normalization {args.speaker_normalization} both say whose statistics to take: "
            "give one"
        )
    clips = statistics_rows(rows, args, speaker_column, label_column)
    scored = scored_rows(len(rows), clips, args)
    if speakers_file is None:
        statistics = _measure_speakers(classifier, rows, clips, audio_column)
    else:
        enrolled = read_speakers(speakers_file, classifier)
        present = dict.fromkeys(name for name in speakers_of(rows, speaker_column) if name is not None)
        statistics = {name: choose_speaker(enrolled, name, speakers_file) for name in present}
    classifiers = {name: classifier.for_speaker(measured) for name, measured in statistics.items()}
    if not classifiers and not classifier.wants_speaker:
        return classifiers, scored, None
    facts: dict[str, Any] = {
        "statistics": kind if classifiers else "corpus",
        "enrolment": None,
        "num_without_speaker": speakers_of(rows, speaker_column).count(None) if classifiers else 0,
    }
    if kind == "enrolment":
        ids = list(rows["id"]) if "id" in rows.column_names else [str(number) for number in range(len(rows))]
        facts["enrolment"] = {name: [ids[number] for number in numbers] for name, numbers in clips.items()}
        facts |= {name: value for name, value in vars(args).items() if name.startswith("enrolment_")}
    return classifiers, scored, facts


def _measure_speakers(
    classifier: Classifier, rows: datasets.Dataset, clips: Mapping[str, Sequence[int]], audio_column: str
) -> dict[str, SpeakerStatistics]:
    statistics = {}
    for speaker, numbers in tqdm(
        clips.items(), desc="Measuring speakers", unit="speaker", disable=None if clips else True
    ):
        waveforms = inputs_of(classifier, rows.select(numbers), audio_column)
        statistics[speaker] = classifier.speaker_statistics(waveforms)
    return statistics


def compute_rows(
    classifiers: Sequence[Classifier],
    rows: datasets.Dataset,
    audio_column: str,
    compute: Callable[[Classifier, Iterator[np.ndarray]], Iterable[np.ndarray]],
    title: str,
) -> np.ndarray:
    """Return what a function yields for each row, (rows, ...), by the classifier of the row.

    Args:
        classifiers: Classifier of each row, (rows,).
        rows: Rows of a data set.
        audio_column: Name of the column with the audio.
        compute: Function of a classifier and of waveforms that yields a result for each waveform.
        title: Title of the progress bar.

    Raises:
        ValueError: A result is not finite; the message names the clip.
    """
    found: dict[int, np.ndarray] = {}
    with tqdm(total=len(rows), desc=title, unit="clip", disable=None) as bar:
        for classifier in {id(one): one for one in classifiers}.values():
            chosen = [row for row, one in enumerate(classifiers) if one is classifier]
            waveforms = inputs_of(classifier, rows.select(chosen), audio_column)
            for row, result in zip(chosen, compute(classifier, waveforms), strict=True):
                if not np.isfinite(result).all():
                    raise ValueError(f"{_clip_name(rows, row, audio_column)}: {NO_SCORES}")
                found[row] = result
                bar.update()
    return np.stack([found[row] for row in range(len(rows))])


def _clip_name(rows: datasets.Dataset, row: int, audio_column: str) -> str:
    """Return the id of a row, else the name of its file, else its number."""
    if "id" in rows.column_names:
        return str(rows["id"][row])
    audio = rows.cast_column(audio_column, datasets.Audio(decode=False))[row][audio_column]
    return audio["path"] or f"clip {row}"


def standardize_by_speaker(
    embeddings: np.ndarray, speakers: Iterable[Sequence[int]], **head: np.ndarray | float
) -> np.ndarray:
    """Return embeddings (clips, size) without the offset and deviation that each speaker's own clips have.

    Args:
        embeddings: Standardised embeddings, (clips, size).
        speakers: Numbers of the clips of each known speaker. All other clips stay as they are.
        **head: Further arguments of `measure_offset`.
    """
    standardized = embeddings.copy()
    for clips in speakers:
        offset, deviation = measure_offset(embeddings[clips], **head)
        standardized[clips] = (embeddings[clips] - offset) / deviation
    return standardized


def inputs_of(classifier: Classifier, rows: datasets.Dataset, audio_column: str) -> Iterator[np.ndarray]:
    """Return what a classifier takes of rows, one after the other: waveforms, or the values of a feature set.

    Raises:
        AudioError, FileNotFoundError, ValueError: A clip cannot be used; the message names it. The iterator raises it.
    """
    if classifier.input_type == "waveform":
        return waveforms_of(rows, audio_column, classifier.sampling_rate)
    return _features_of(classifier, rows, audio_column)


def _features_of(classifier: Classifier, rows: datasets.Dataset, column: str) -> Iterator[np.ndarray]:
    for number, row in enumerate(rows):
        values = np.asarray(row[column], np.float32)
        with refusing(row.get("id", f"clip {number}")):
            classifier.feature_extractor.extract(values)  # checks the shape
        yield values


def waveforms_of(rows: datasets.Dataset, audio_column: str, sampling_rate: int) -> Iterator[np.ndarray]:
    """Return the waveforms of rows, float32 (samples,), one after the other.

    Raises:
        AudioError, FileNotFoundError: A clip cannot be used; the message names its file. The iterator raises it.
    """
    audio = rows.cast_column(audio_column, datasets.Audio(decode=False))[audio_column]
    return (load_audio(clip, sampling_rate) for clip in audio)


__all__ = [
    "SpeakerArguments",
    "compute_rows",
    "inputs_of",
    "scored_rows",
    "speaker_classifiers",
    "speakers_of",
    "standardize_by_speaker",
    "statistics_rows",
    "waveforms_of",
]
