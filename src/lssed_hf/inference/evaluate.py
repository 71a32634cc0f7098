"""Scoring a model on a data set: predictions, scores, report."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from tqdm.auto import tqdm

from ..corpora.corpus_arguments import CorpusArguments
from ..corpora.own.label_names import is_emotion, label_map_flag
from ..corpora.sources import encode_labels
from ..evaluation.report import adversarial_table, evaluate_predictions, summary_table, write_predictions, write_report
from ..labels import BENCHMARK_EMOTIONS, EMOTIONS, emotion_of_word
from . import AudioClassifier, load_classifier
from .classifiers.classifier import Classifier
from .fgsm import real_and_fake_probabilities
from .speaker_normalization import SpeakerArguments, baseline_markdown, speaker_classifiers, speakers_of, waveforms_of


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
    """Score a model, as `lssed-hf evaluate` does.

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
        speaker_normalization: Clips that each speaker's own statistics come from: "none", "all" or "enrolment".
        speakers: File of `lssed-hf enroll` to take the statistics from instead.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
        **corpus: Further fields of `CorpusArguments`, such as `label_map={"wut": "angry"}` or `label_column_name`.

    Returns:
        Contents of `results.json`: `metrics`, `intervals`, `labels` and more (see docs/api.md).

    Raises:
        FileNotFoundError: There is no such folder, model or clip.
        ValueError: No such split, or labels that the model does not know.
    """
    in_memory = isinstance(data, (datasets.Dataset, datasets.DatasetDict))
    name = None if in_memory else os.fspath(data)
    arguments = CorpusArguments(
        dataset_name=name, data_dir=None if data_dir is None else os.fspath(data_dir), **corpus
    )
    if not in_memory:
        data = arguments.load()
    elif isinstance(data, datasets.Dataset):
        data, split = datasets.DatasetDict({"all": data}), "all"
    return evaluate_model(
        model,
        select_split(encode_labels(data, arguments.label_column_name), split, name or "the data set"),
        output_dir,
        audio_column=arguments.audio_column_name,
        label_column=arguments.label_column_name,
        speaker_column=arguments.speaker_column_name,
        speaker_normalization=SpeakerArguments(speaker_normalization=speaker_normalization),
        speakers_file=speakers,
        batch_size=batch_size,
        device=device,
        trust_remote_code=trust_remote_code,
        context={"dataset": name or "in memory", "split": split},
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
    for part in names:
        if part not in dataset:
            raise ValueError(f"{name} has no split {part!r}; it has {', '.join(dataset)}: choose with --split, or all")
    return datasets.concatenate_datasets([dataset[part] for part in names])


def evaluate_model(
    model_name_or_path: str | os.PathLike | None,
    dataset: datasets.Dataset,
    output_dir: str | os.PathLike | None,
    *,
    audio_column: str = "audio",
    label_column: str = "emotion",
    speaker_column: str = "speaker_id",
    speaker_normalization: SpeakerArguments | None = None,
    speakers_file: str | os.PathLike | None = None,
    majority_label: str | None = None,
    batch_size: int = 8,
    device: str | None = None,
    adversarial_epsilon: float | None = None,
    trust_remote_code: bool = False,
    context: Mapping[str, str] | None = None,
) -> dict:
    """Score a saved model on the whole clips of a dataset, print the scores and write a report.

    Args:
        model_name_or_path: Folder or Hub name of an audio classifier, or a folder of `lssed-hf export`; None for the
            built-in model.
        dataset: Dataset with an audio column and a ClassLabel column.
        output_dir: Folder for `results.json`, `report.md`, `confusion_matrix.png` and `predictions.csv`; None for no
            files.
        audio_column: Name of the column with the audio.
        label_column: Name of the column with the label.
        speaker_column: Name of the column with the speaker.
        speaker_normalization: Origin of the statistics that clips are normalised by, by default the model's own. Clips
            of an enrolment are not scored.
        speakers_file: File of `lssed-hf enroll` to take statistics from instead.
        majority_label: Label that the majority row predicts, by default the dataset's own majority.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        adversarial_epsilon: Step of the FGSM versions of the clips to score too (see `fgsm`).
        trust_remote_code: Whether code from the model's repository may run.
        context: Further lines for the report.

    Returns:
        What `results.json` holds (see `evaluate_predictions`); with an `adversarial_epsilon` also `adversarial`: its
        `epsilon`, and `metrics` and `intervals` of the `real` clips and of the `fake` ones. Where speakers have
        statistics of their own, or the model wants them, also `speaker_normalization`: `statistics` ("all",
        "enrolment", "file", or "corpus"), `enrolment` (ids of the clips by speaker, None without),
        `num_without_speaker`, and the settings of the enrolment.

    Raises:
        ValueError: the dataset holds a label that the model does not know, or adversarial clips are asked of
            what is no network of transformers; a speaker without statistics, or a model that takes none (see
            `baseline_clips`, `read_speakers`).
        AudioError, FileNotFoundError: a clip cannot be used; the message names its file.
    """
    classifier = load_classifier(model_name_or_path, batch_size, device, trust_remote_code)
    if adversarial_epsilon is not None and not isinstance(classifier, AudioClassifier):
        raise ValueError(
            f"{classifier.name} is no network of transformers, and has no gradients for adversarial "
            "clips: of an exported network, give the model that it was exported from"
        )
    references = match_labels(dataset, label_column, classifier.labels)
    own, scored, baseline = speaker_classifiers(
        classifier,
        dataset,
        speaker_normalization or SpeakerArguments(),
        speakers_file,
        audio_column=audio_column,
        label_column=label_column,
        speaker_column=speaker_column,
    )
    dataset, references = dataset.select(scored), references[scored]
    owners = speakers_of(dataset, speaker_column) if own else [None] * len(dataset)
    answers = _answers(own, classifier, dataset, owners, audio_column, adversarial_epsilon)
    probabilities = answers if adversarial_epsilon is None else answers[:, 0]
    ids = list(dataset["id"]) if "id" in dataset.column_names else [str(index) for index in range(len(dataset))]
    speakers = list(dataset[speaker_column]) if speaker_column in dataset.column_names else None
    groups = {column: _names(dataset, column) for column in GROUP_COLUMNS if column in dataset.column_names}
    results = evaluate_predictions(
        references,
        probabilities,
        classifier.labels,
        ids=ids,
        speakers=speakers,
        groups=groups,
        majority_label=None if majority_label is None else classifier.labels.index(majority_label),
    )
    if adversarial_epsilon is not None:
        fake = evaluate_predictions(references, answers[:, 1], classifier.labels, speakers=speakers)
        results["adversarial"] = {"epsilon": adversarial_epsilon}
        for name, scores in (("real", results), ("fake", fake)):
            results["adversarial"][name] = {key: scores[key] for key in ("metrics", "intervals")}
    if baseline is not None:
        results["speaker_normalization"] = baseline
    print(f"{summary_table(results)}\n")
    sections = [] if baseline is None else [baseline_markdown(baseline)]
    if adversarial_epsilon is not None:
        table = adversarial_table(results["adversarial"])
        sections.append(f"## Adversarial clips\n\n{table}")
        print(f"{table}\n")
    if output_dir is not None:
        context = {"model": model_name_or_path or "built-in", **(context or {})}
        context = {key: os.fspath(value) for key, value in context.items()}
        title = "Speech emotion recognition"
        report = write_report(results, output_dir, title=title, context=context, sections=sections)
        path = Path(output_dir, "predictions.csv")
        write_predictions(path, ids, references, probabilities, classifier.labels, speakers, groups)
        print(f"Report: {report}")
        print(f"Confusion matrix: {report.with_name('confusion_matrix.png')}")
    return results


def _answers(
    own: Mapping[str, Classifier],
    classifier: Classifier,
    dataset: datasets.Dataset,
    owners: list[str | None],
    audio_column: str,
    adversarial_epsilon: float | None,
) -> np.ndarray:
    """Return probabilities (rows, num_labels), with an epsilon those of real and fake clips (rows, 2, num_labels)."""
    found: dict[int, np.ndarray] = {}
    with tqdm(total=len(dataset), desc="Scoring", unit="clip", disable=None) as bar:
        for owner in dict.fromkeys(owners):
            rows = [row for row, name in enumerate(owners) if name == owner]
            waveforms = waveforms_of(dataset.select(rows), audio_column, classifier.sampling_rate)
            one = own.get(owner, classifier)
            if adversarial_epsilon is None:
                part = one.probabilities(waveforms)
            else:
                part = real_and_fake_probabilities(one, waveforms, adversarial_epsilon)
            for row, answer in zip(rows, part, strict=True):
                found[row] = answer
                bar.update()
    return np.stack([found[row] for row in range(len(dataset))])


def match_labels(dataset: datasets.Dataset, label_column: str, model_labels: Sequence[str]) -> np.ndarray:
    """Return the dataset's labels as the model's class numbers, matched by name whatever the case.

    Raises:
        ValueError: A label that occurs in the dataset is not among the model's.
    """
    numbers = {label.lower(): number for number, label in enumerate(model_labels)}
    names = dataset.features[label_column].names
    labels = np.asarray(dataset[label_column])
    unknown = [names[label] for label in np.unique(labels) if names[label].lower() not in numbers]
    if unknown:
        raise ValueError(
            f"the model does not know the labels {', '.join(unknown)}; it has {', '.join(model_labels)}. "
            f"{_label_advice(unknown, model_labels)}"
        )
    return np.asarray([numbers[names[label].lower()] for label in labels])


def _label_advice(unknown: Sequence[str], model_labels: Sequence[str]) -> str:
    """Return what to do about labels that a model does not know, with the flags to paste."""
    known = [label.lower() for label in model_labels]
    if not set(known) <= set(EMOTIONS) or not any(emotion_of_word(label) or is_emotion(label) for label in unknown):
        pair = shlex.quote(f"{unknown[0]}={model_labels[0]}")
        return f"Rename yours, e.g. --label_map {pair}, or train a model on them"
    flags = ["--dataset_config_name benchmark" if set(known) == set(BENCHMARK_EMOTIONS) else "--label_set lssed"]
    if foreign := [label for label in unknown if not is_emotion(label)]:
        flags.append(label_map_flag(foreign))
    return f"To score the clips of labels that both have, add {' '.join(flags)}"


def _names(dataset: datasets.Dataset, column: str) -> list[str | None]:
    """A group column as names; -1, which stands for unknown in a ClassLabel, as None."""
    feature = dataset.features[column]
    if not isinstance(feature, datasets.ClassLabel):
        return list(dataset[column])
    return [None if value is None or value < 0 else feature.names[value] for value in dataset[column]]
