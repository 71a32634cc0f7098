"""Scoring a model on a data set: predictions, then scores, then a report."""

import dataclasses
import logging
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from ..corpora.corpus_arguments import CorpusArguments
from ..corpora.feature_sets import feature_set_of
from ..corpora.omissions import Omission, gathering, write_left_out
from ..corpora.own.label_names import is_emotion, label_map_flag
from ..corpora.own.label_tables import UNLABELLED
from ..corpora.prepared import applied_steps
from ..corpora.sources import find_source
from ..evaluation.multi_label import evaluate_multi_label
from ..evaluation.multi_label_report import multi_label_columns, multi_label_table
from ..evaluation.rating_report import rating_columns, rating_table
from ..evaluation.ratings import evaluate_ratings
from ..evaluation.report import (
    adversarial_scores,
    adversarial_table,
    evaluate_predictions,
    summary_table,
    write_columns,
    write_predictions,
    write_report,
)
from ..evaluation.text_tables import majority_note
from ..files import check_writable, read_json, replacing
from ..labels import BENCHMARK_EMOTIONS, EMOTIONS, emotion_of_word, label_numbers
from ..wording import count_left_out, counted
from . import AudioClassifier
from .classifiers.classifier import Classifier
from .classifiers.loading import find_model, load_scorer
from .classifiers.outputs import Outputs
from .classifiers.pretrained import DEFAULT_MODEL
from .fgsm import real_and_fake_probabilities
from .speaker_normalization import SpeakerArguments, compute_rows, speaker_classifiers, speakers_of
from .targets import ratings_of, several_labels, too_large_ratings
from .trained_on import training_baselines, training_warning


logger = logging.getLogger(__name__)

#: Columns whose groups are scored on their own.
GROUP_COLUMNS = ("gender", "gender_code", "age_group")


def evaluate(
    data: str | os.PathLike | datasets.Dataset | datasets.DatasetDict,
    model: str | os.PathLike | None = None,
    output_dir: str | os.PathLike | None = None,
    *,
    split: str = "test",
    data_dir: str | os.PathLike | None = None,
    speaker_normalization: str = "none",
    speakers: str | os.PathLike | None = None,
    batch_size: int = 8,
    device: str | None = None,
    trust_remote_code: bool = False,
    **corpus: Any,
) -> dict[str, Any]:
    """Score a model on a data set, as `lssed-hf evaluate` does.

    ```python
    import lssed_hf

    scores = lssed_hf.evaluate("my_recordings", "outputs/mine")
    scores["metrics"]["unweighted_accuracy"]
    ```

    Args:
        data: Folder of recordings, prepared folder, name of a corpus or of a data set on the Hub; or a data set.
        model: Folder or Hub name of a classifier; by default the built-in model.
        output_dir: Folder for the report, predictions and confusion matrix; by default nothing is written.
        split: Split to score, several as in "train+test", or "all".
        data_dir: Folder of a corpus that `data` names.
        speaker_normalization: Clips that the statistics of each speaker come from: "none", "all" or "enrolment".
        speakers: File of `lssed-hf enroll` to take the statistics from instead.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
        **corpus: Further fields of `CorpusArguments`, such as `label_map={"wut": "angry"}` or `label_column_name`.

    Returns:
        Contents of `results.json`: `metrics`, `intervals`, `labels` and more (see docs/api.md).

    Raises:
        FileNotFoundError: There is no such folder, model or clip.
        ValueError: There is no such split, or the model does not know a label.
    """
    in_memory = isinstance(data, (datasets.Dataset, datasets.DatasetDict))
    classifier = load_scorer(model, batch_size, device, trust_remote_code)
    kind = classifier.outputs.problem_type
    name = None if in_memory else os.fspath(data)
    arguments = CorpusArguments(
        dataset_name=name, data_dir=None if data_dir is None else os.fspath(data_dir), **corpus
    )
    if isinstance(data, datasets.Dataset):
        data, split = datasets.DatasetDict({"all": data}), "all"
    with gathering() as left_out:
        if in_memory:
            splits = arguments.encode(data, kind)
        else:
            splits = arguments.load(undivided=split == "all", problem_type=kind)
    rows = select_split(splits, split, name or "the data set")
    return evaluate_model(
        classifier,
        rows,
        output_dir,
        audio_column=arguments.audio_column_name,
        label_column=arguments.label_column_name,
        speaker_column=arguments.speaker_column_name,
        speaker_normalization=SpeakerArguments(speaker_normalization=speaker_normalization),
        speakers_file=speakers,
        left_out=left_out,
        context={"model": model or "built-in", **describe_test(model, arguments, split, rows)},
        **training_baselines(model),
    )


def describe_test(
    model: str | os.PathLike | None, args: CorpusArguments, split: str, rows: datasets.Dataset
) -> dict[str, str]:
    """Return the facts on a test that head its report, and log a warning if the model may know the clips.

    Args:
        model: Folder or Hub name of the model; None for the built-in one.
        args: Data set that is scored; its name is None for one in memory.
        split: Name or names of the splits.
        rows: Clips that are scored.
    """
    context = {"dataset": args.dataset_name or "in memory", "split": split}
    warnings = [training_warning(model, args, rows), _applied_twice(model, args)]
    for warning in filter(None, warnings):
        logger.warning(warning)
        context["warning"] = " ".join(filter(None, warnings))
    return context


def _applied_twice(model: str | os.PathLike | None, args: CorpusArguments) -> str | None:
    """Return a warning if a model's front end repeats steps that a prepared folder stores, None if it does not."""
    if args.dataset_name is None:
        return None
    applied = applied_steps(find_source(args.dataset_name, args.data_dir).manifest)
    path = Path(find_model(DEFAULT_MODEL if model is None else model), "preprocessor_config.json")
    settings = read_json(path) if applied and path.is_file() else {}
    twice = [name for name, off in applied.items() if settings.get(name, off) != off]
    if not twice:
        return None
    return (
        f"The clips were prepared with what the model's front end does again ({', '.join(twice)}): scores are of "
        "clips that went through it twice. Test on the corpus prepared without --denoise and --gain."
    )


def select_split(dataset: datasets.DatasetDict, split: str, name: str) -> datasets.Dataset:
    """Return a split, several of them joined as in "train+test", or "all".

    Args:
        dataset: Data set in splits.
        split: Name or names of splits.
        name: Name of the data set, for messages.

    Raises:
        ValueError: There is no such split.
    """
    names = list(dataset) if split == "all" and "all" not in dataset else split.split("+")
    for one in names:
        if one not in dataset:
            raise ValueError(f"{name} has no split {one!r}; it has {', '.join(dataset)}: choose with --split, or all")
    return datasets.concatenate_datasets([dataset[one] for one in names])


def evaluate_model(
    model: str | os.PathLike | Classifier | None,
    dataset: datasets.Dataset,
    output_dir: str | os.PathLike | None,
    *,
    audio_column: str = "audio",
    label_column: str = "emotion",
    speaker_column: str = "speaker_id",
    speaker_normalization: SpeakerArguments | None = None,
    speakers_file: str | os.PathLike | None = None,
    majority_label: str | None = None,
    training_means: Mapping[str, float] | None = None,
    batch_size: int = 8,
    device: str | None = None,
    adversarial_epsilon: float | None = None,
    trust_remote_code: bool = False,
    left_out: Sequence[Omission] = (),
    context: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Score a saved model on the whole clips of a dataset, print the scores and write a report.

    Args:
        model: Folder or Hub name of an audio classifier, a folder of `lssed-hf export`, or a classifier that is open;
            None for the built-in model.
        dataset: Dataset with an audio column and a ClassLabel column; ratings are in columns named as the dimensions.
        output_dir: Folder for `results.json`, `report.md`, `confusion_matrix.png`, `predictions.csv` and, of rows that
            are left out, `left_out.csv`; None for no files.
        audio_column: Name of the column with the audio.
        label_column: Name of the column with the label.
        speaker_column: Name of the column with the speaker.
        speaker_normalization: Origin of the statistics that clips are normalised by, by default the model's own.
        speakers_file: File of `lssed-hf enroll` to take statistics from instead.
        majority_label: Label that the majority row predicts, by default the dataset's own majority.
        training_means: Mean rating of each dimension, which the baseline predicts, by default the dataset's own.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        adversarial_epsilon: Step of the FGSM versions of the clips, which are scored too (see `fgsm`).
        trust_remote_code: Whether code from the model's repository may run.
        left_out: Rows that loading the data left out.
        context: Further lines for the report.

    Returns:
        Contents of `results.json` (see `score_predictions`), with `source`, `reason` and `count` of the rows in
        `left_out`, if there are any.

    Raises:
        ValueError: See `predict_dataset`.
        OSError: Nothing can be written to the folder.
        AudioError, FileNotFoundError: A clip cannot be used; the message names its file.
    """
    if output_dir is not None:
        check_writable(Path(output_dir, "results.json"))  # before the work
    name = model.name if isinstance(model, Classifier) else model or "built-in"
    if not isinstance(model, Classifier):
        model = load_scorer(model, batch_size, device, trust_remote_code)
    predictions = predict_dataset(
        model,
        dataset,
        audio_column=audio_column,
        label_column=label_column,
        speaker_column=speaker_column,
        speaker_normalization=speaker_normalization or SpeakerArguments(),
        speakers_file=speakers_file,
        adversarial_epsilon=adversarial_epsilon,
    )
    results = score_predictions(predictions, majority_label, training_means)
    if left_out:
        results["left_out"] = [omission.summary for omission in left_out]
    if output_dir is not None:
        write_left_out(output_dir, left_out)
    report_scores(results, predictions, output_dir, {"model": name, **(context or {})})
    return results


@dataclass(frozen=True)
class DatasetPredictions:
    """Scores that a model gives to the clips of a data set, and facts on the clips.

    Attributes:
        outputs: Names of the model's classes and of the dimensions that are scored, and its kind of problem.
        ids: Name of each clip, (N,).
        references: True class number of each clip, int64 (N,); where a clip may have several classes, whether it has
            each one, boolean (N, num_labels); of a regression None.
        probabilities: float32 (N, num_labels).
        speakers: Speaker of each clip, (N,), None where unknown; None without such a column.
        groups: Value of each clip by attribute, (N,), None where unknown.
        epsilon: Step of the FGSM versions; None without them.
        fake_probabilities: Probabilities of the FGSM versions, float32 (N, num_labels); None without them.
        speaker_normalization: Facts on the statistics of speakers (see `speaker_classifiers`); None where they play no
            part.
        ratings: True ratings, float32 (N, num_dimensions), NaN where unknown; None without dimensions.
        predicted_ratings: Predicted ratings, float32 (N, num_dimensions); None without dimensions.
        num_unrated: Number of clips without ratings that a regression leaves out.
    """

    outputs: Outputs
    ids: list[str]
    references: np.ndarray | None
    probabilities: np.ndarray
    speakers: list[str | None] | None
    groups: dict[str, list[str | None]]
    epsilon: float | None = None
    fake_probabilities: np.ndarray | None = None
    speaker_normalization: dict[str, Any] | None = None
    ratings: np.ndarray | None = None
    predicted_ratings: np.ndarray | None = None
    num_unrated: int = 0

    @property
    def labels(self) -> list[str]:
        """Class names of the model, (num_labels,)."""
        return list(self.outputs.labels)


def predict_dataset(
    classifier: Classifier,
    dataset: datasets.Dataset,
    *,
    audio_column: str,
    label_column: str,
    speaker_column: str,
    speaker_normalization: SpeakerArguments,
    speakers_file: str | os.PathLike | None = None,
    adversarial_epsilon: float | None = None,
) -> DatasetPredictions:
    """Score the clips of a data set by a model.

    Args:
        classifier: Classifier of `load_classifier`.
        dataset: Dataset with an audio column and a ClassLabel column; ratings are in columns named as the dimensions.
        audio_column: Name of the column with the audio.
        label_column: Name of the column with the label.
        speaker_column: Name of the column with the speaker.
        speaker_normalization: Origin of the statistics that clips are normalised by. Clips of an enrolment are left
            out.
        speakers_file: File of `lssed-hf enroll` to take statistics from instead.
        adversarial_epsilon: Step of the FGSM versions of the clips, which are classified too (see `fgsm`).

    Raises:
        ValueError: The dataset holds a label that the model does not know or no ratings, FGSM versions are asked of a
            model without gradients, or see `speaker_classifiers`.
        AudioError, FileNotFoundError: A clip cannot be used; the message names its file.
    """
    if adversarial_epsilon is not None and not isinstance(classifier, AudioClassifier):
        raise ValueError(
            f"{classifier.name} is no network of transformers, and has no gradients for adversarial "
            "clips: of an exported network, give the model that it was exported from"
        )
    _check_input_type(classifier, dataset, audio_column)
    dataset, scored_outputs, num_unrated = _rated_rows(dataset, classifier.outputs)
    references = _references(dataset, label_column, classifier.outputs)
    by_speaker, scored, facts = speaker_classifiers(
        classifier,
        dataset,
        speaker_normalization,
        speakers_file,
        audio_column=audio_column,
        label_column=label_column,
        speaker_column=speaker_column,
    )
    dataset = dataset.select(scored)
    speakers = speakers_of(dataset, speaker_column) if by_speaker else [None] * len(dataset)
    classifiers = [by_speaker.get(speaker, classifier) for speaker in speakers]

    def compute(model: Classifier, waveforms: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        if adversarial_epsilon is None:
            return (row[None] for row in model.scores(waveforms))
        return real_and_fake_probabilities(model, waveforms, adversarial_epsilon)

    # (clips, 1 or 2, outputs): of the clip, and of its FGSM version
    scores = compute_rows(classifiers, dataset, audio_column, compute, "Scoring")
    probabilities, values = classifier.outputs.split(scores[:, 0])
    columns, dimensions = dataset.column_names, list(scored_outputs.dimensions)
    is_rated = bool(dimensions) and values.shape[1] > 0
    chosen = [classifier.outputs.dimensions.index(name) for name in dimensions]
    return DatasetPredictions(
        scored_outputs,
        list(dataset["id"]) if "id" in columns else [str(index) for index in range(len(dataset))],
        None if references is None else references[scored],
        probabilities,
        list(dataset[speaker_column]) if speaker_column in columns else None,
        {column: _names(dataset, column) for column in GROUP_COLUMNS if column in columns},
        adversarial_epsilon,
        None if adversarial_epsilon is None else classifier.outputs.split(scores[:, 1])[0],
        facts,
        ratings_of(dataset, dimensions) if is_rated else None,
        values[:, chosen] if is_rated else None,
        num_unrated,
    )


def _references(rows: datasets.Dataset, label_column: str, outputs: Outputs) -> np.ndarray | None:
    """Return the true classes of rows, see `DatasetPredictions`."""
    if not outputs.labels:
        return None
    numbers = match_labels(rows, label_column, outputs.labels)
    return several_labels(rows, numbers, outputs.labels) if outputs.several else numbers


def _rated_rows(rows: datasets.Dataset, outputs: Outputs) -> tuple[datasets.Dataset, Outputs, int]:
    """Return the rows that a model can be scored on, its outputs with the dimensions that have ratings, and a count.

    A regression needs a rating for each row, and other rows are counted. Dimensions beside classes need none.

    Raises:
        ValueError: A regression is to be scored on rows without any rating.
    """
    columns = [name for name in outputs.dimensions if name in rows.column_names]
    if too_large := too_large_ratings(rows, columns):
        logger.warning(f"ratings that are no finite numbers count as missing: {too_large}; correct them")
    known = ~np.isnan(ratings_of(rows, columns)) if columns else np.zeros((len(rows), 0), bool)
    rated = [name for name, column in zip(columns, known.T) if column.any()]
    if missing := [name for name in outputs.dimensions if name not in rated]:
        text = f"the data have no ratings of {', '.join(missing)}; the columns are {', '.join(rows.column_names)}"
        if not outputs.labels and not rated:
            raise ValueError(f"{text}. Name columns of your own table by --columns {missing[0]}=COLUMN")
        logger.warning(f"{text}: not scored")
    outputs = dataclasses.replace(outputs, dimensions=tuple(rated))
    if outputs.labels or known.any(axis=1).all():
        return rows, outputs, 0
    kept = np.flatnonzero(known.any(axis=1))
    unrated = len(rows) - len(kept)
    logger.warning(f"of {counted(len(rows), 'clip')}, {count_left_out(unrated, 'clip', 'without a rating')}")
    return rows.select(kept), outputs, unrated


def score_predictions(
    predictions: DatasetPredictions,
    majority_label: str | None = None,
    training_means: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Score the predictions for a data set.

    Args:
        predictions: Predictions from `predict_dataset`.
        majority_label: Label that the majority row predicts, by default the dataset's own majority.
        training_means: Mean rating of each dimension, which the baseline predicts, by default the dataset's own.

    Returns:
        Contents of `results.json`, see `evaluate_predictions`. With FGSM versions there is an entry `adversarial` (see
        `adversarial_scores`), and where speakers have statistics of their own, or the model wants them, an entry
        `speaker_normalization` (see `speaker_classifiers`). A model of several classes a clip has the results of
        `evaluate_multi_label`, a regression those of `evaluate_ratings`, each with a `problem_type`. Where dimensions
        are rated beside classes, their results are in an entry `ratings`.
    """
    labels, references, outputs = predictions.labels, predictions.references, predictions.outputs
    facts = {"speakers": predictions.speakers, "groups": predictions.groups}
    majority = labels.index(majority_label) if majority_label in labels else None
    results: dict[str, Any] = {}
    if outputs.several:
        scores = evaluate_multi_label(references, predictions.probabilities, labels, majority_label=majority, **facts)
        results = {"problem_type": outputs.problem_type, **scores}
    elif labels:
        results = evaluate_predictions(
            references, predictions.probabilities, labels, ids=predictions.ids, majority_label=majority, **facts
        )
    if predictions.ratings is not None:
        known = training_means is not None and set(outputs.dimensions) <= set(training_means)
        means = [training_means[name] for name in outputs.dimensions] if known else None
        ratings = evaluate_ratings(
            predictions.ratings, predictions.predicted_ratings, outputs.dimensions, training_means=means, **facts
        )
        if results:
            results["ratings"] = ratings
        else:
            results = {"problem_type": outputs.problem_type, "num_unrated": predictions.num_unrated, **ratings}
    if predictions.fake_probabilities is not None:
        fake = evaluate_predictions(references, predictions.fake_probabilities, labels, speakers=predictions.speakers)
        results["adversarial"] = adversarial_scores(results, fake, predictions.epsilon)
    if predictions.speaker_normalization is not None:
        results["speaker_normalization"] = predictions.speaker_normalization
    return results


def report_scores(
    results: Mapping[str, Any],
    predictions: DatasetPredictions,
    output_dir: str | os.PathLike | None,
    context: Mapping[str, str | os.PathLike],
) -> None:
    """Print scores and write `results.json`, `report.md`, `predictions.csv` and, of classes, `confusion_matrix.png`.

    Args:
        results: Scores from `score_predictions`.
        predictions: Predictions that were scored.
        output_dir: Folder for the files; None for no files.
        context: Facts on the run, for the report.
    """
    for part in score_parts(results):
        print(f"{part}\n")
    if output_dir is None:
        return
    context = {key: os.fspath(value) for key, value in context.items()}
    is_depression = not {"depressed", "phq8_score"}.isdisjoint(predictions.outputs.names)
    subject = "Depression detection, by utterance" if is_depression else "Speech emotion recognition"
    with replacing(Path(output_dir, "predictions.csv")) as path:  # the files of the report with it, or none
        _write_predictions(path, predictions)
        report = write_report(results, output_dir, title=subject, context=context)
    print(f"Report: {report}")
    if "problem_type" not in results:
        print(f"Confusion matrix: {report.with_name('confusion_matrix.png')}")


def score_parts(results: Mapping[str, Any]) -> list[str]:
    """Return the tables of scores that are printed, Markdown, with a sentence on the row of the largest class."""
    first = {"regression": rating_table, "multi_label_classification": multi_label_table}
    parts = [first.get(results.get("problem_type"), summary_table)(results)]
    parts += [majority_note(results)] if "majority_from" in results else []
    parts += [rating_table(results["ratings"])] if "ratings" in results else []
    return parts + ([adversarial_table(results["adversarial"])] if "adversarial" in results else [])


def _write_predictions(path: Path, predictions: DatasetPredictions) -> None:
    """Write the predictions of the clips as CSV."""
    labels, facts = predictions.labels, predictions.groups
    rated = {}
    if predictions.ratings is not None:
        rated = rating_columns(predictions.outputs.dimensions, predictions.ratings, predictions.predicted_ratings)
    if labels and not predictions.outputs.several:
        scores = (predictions.references, predictions.probabilities, labels)
        write_predictions(path, predictions.ids, *scores, predictions.speakers, facts, rated)
        return
    if labels:
        rated = multi_label_columns(labels, predictions.references, predictions.probabilities) | rated
    if predictions.speakers is not None:
        facts = {"speaker": predictions.speakers, **facts}
    write_columns(path, predictions.ids, facts, rated)


def _check_input_type(classifier: Classifier, dataset: datasets.Dataset, column: str) -> None:
    """Check that the clips are of the kind that the model takes."""
    found = feature_set_of(dataset.features[column]) or "waveform"
    if found != classifier.input_type:
        wanted, found = (
            "recordings" if kind == "waveform" else f"{kind} features" for kind in (classifier.input_type, found)
        )
        advice = f"give --dataset_config_name {classifier.input_type}"
        if classifier.input_type == "waveform":
            advice = "leave --dataset_config_name out, or choose a configuration of recordings"
        raise ValueError(f"{classifier.name} takes {wanted}, and the data set holds {found}: {advice}")


def match_labels(dataset: datasets.Dataset, label_column: str, model_labels: Sequence[str]) -> np.ndarray:
    """Return the class number of the model for each row, int64 (N,). Names are matched whatever their case.

    Args:
        dataset: Dataset with a ClassLabel column.
        label_column: Name of the column with the label.
        model_labels: Class names of the model, (num_labels,).

    Raises:
        ValueError: A label that occurs in the dataset is not among the model's.
    """
    names = dataset.features[label_column].names
    if names == [UNLABELLED]:
        raise ValueError(
            f"the data have no labels, and the model tells {', '.join(model_labels)}: name the column with labels, "
            "--columns emotion=COLUMN, or score a model of ratings on them"
        )
    labels = np.asarray(dataset[label_column])
    numbers = np.array(label_numbers(names, model_labels))
    if unknown := [names[label] for label in np.unique(labels) if numbers[label] < 0]:
        raise ValueError(
            f"the model does not know the labels {', '.join(unknown)}; it has {', '.join(model_labels)}. "
            f"{_label_advice(unknown, model_labels)}"
        )
    return numbers[labels]


def _label_advice(unknown: Sequence[str], model_labels: Sequence[str]) -> str:
    """Return the flags to paste for labels that a model does not know."""
    known = [label.lower() for label in model_labels]
    if not set(known) <= set(EMOTIONS) or not any(emotion_of_word(label) or is_emotion(label) for label in unknown):
        pair = shlex.quote(f"{unknown[0]}={model_labels[0]}")
        return f"Rename yours, e.g. --label_map {pair}, or train a model on them"
    flags = ["--dataset_config_name benchmark" if set(known) == set(BENCHMARK_EMOTIONS) else "--label_set lssed"]
    if foreign := [label for label in unknown if not is_emotion(label)]:
        flags.append(label_map_flag(foreign))
    return f"To score the clips of labels that both have, add {' '.join(flags)}"


def _names(dataset: datasets.Dataset, column: str) -> list[str | None]:
    """Return a group column as names; -1, which stands for unknown in a ClassLabel, becomes None."""
    feature = dataset.features[column]
    if not isinstance(feature, datasets.ClassLabel):
        return list(dataset[column])
    return [None if value is None or value < 0 else feature.names[value] for value in dataset[column]]
