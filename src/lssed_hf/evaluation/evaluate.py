"""`lssed-hf evaluate`: score a saved model on a split of any corpus."""

import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import datasets
import numpy as np
from tqdm.auto import tqdm
from transformers import HfArgumentParser
from transformers.hf_argparser import HfArg

from ..corpora.loading import encode_labels, load_splits
from ..files import replacing
from ..inference import AudioClassifier, load_classifier
from .adversarial import adversarial_table, real_and_fake_probabilities
from .baselines import SpeakerArguments, baseline_markdown, speaker_classifiers, speakers_of, waveforms_of
from .report import evaluate_predictions, summary_table, write_predictions, write_report


EXAMPLE = (
    "example: lssed-hf evaluate --model_name_or_path outputs/pyresnet50 --dataset_name ravdess --data_dir RAVDESS "
    "--output_dir outputs/pyresnet50/test"
)
#: Columns whose groups are scored on their own.
GROUP_COLUMNS = ("gender", "gender_code", "age_group")


@dataclass
class EvaluateArguments:
    """What to score, and on what."""

    model_name_or_path: str = HfArg(help="Folder or Hub name of an audio classifier, or an exported folder.")
    dataset_name: str = HfArg(aliases=["--corpus"], help="A corpus of lssed_hf, or anything load_dataset takes.")
    output_dir: str = HfArg(help="Where results.json, report.md, confusion_matrix.png and predictions.csv go.")
    dataset_config_name: str | None = HfArg(default=None, help="Configuration; 'benchmark' for lssed_hf's corpora.")
    data_dir: str | None = HfArg(default=None, help="The folder that holds the corpus.")
    split_scheme: str | None = HfArg(default=None, help="How a corpus of lssed_hf is split, by speakers by default.")
    dataset_options: str | None = HfArg(default=None, help="Switches of a corpus of lssed_hf as JSON.")
    split: str = HfArg(default="test", help="Split to score.")
    audio_column_name: str = HfArg(default="audio", help="Column with the audio.")
    label_column_name: str = HfArg(default="emotion", help="Column with the label.")
    speaker_column_name: str = HfArg(default="speaker_id", help="Column with the speaker, if there is one.")
    speakers: str | None = HfArg(
        default=None, help="File of lssed-hf enroll with the statistics of every speaker, to normalise clips by."
    )
    batch_size: int = HfArg(default=8, help="Clips per forward pass.")
    adversarial_epsilon: float | None = HfArg(
        default=None,
        help="Also score FGSM versions of the clips, made against the model with this step, in standard deviations of "
        "normalised features (0.02 to 0.1 in Ren et al. 2020).",
    )
    trust_remote_code: bool = HfArg(default=False, help="Allow code from the model's repository to run.")


def main(argv: Sequence[str] | None = None) -> int:
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    parser = HfArgumentParser(
        (EvaluateArguments, SpeakerArguments), prog="lssed-hf evaluate", description=__doc__, epilog=EXAMPLE
    )
    args, speaker_args = parser.parse_args_into_dataclasses(argv)
    options = json.loads(args.dataset_options or "{}")
    dataset = load_splits(args.dataset_name, args.dataset_config_name, args.data_dir, args.split_scheme, options)
    if args.split not in dataset:
        raise ValueError(f"{args.dataset_name} has no split {args.split!r}; it has {', '.join(dataset)}")
    evaluate_model(
        args.model_name_or_path,
        encode_labels(dataset, args.label_column_name)[args.split],
        args.output_dir,
        audio_column=args.audio_column_name,
        label_column=args.label_column_name,
        speaker_column=args.speaker_column_name,
        speaker_normalization=speaker_args,
        speakers_file=args.speakers,
        batch_size=args.batch_size,
        adversarial_epsilon=args.adversarial_epsilon,
        trust_remote_code=args.trust_remote_code,
        context={"dataset": args.dataset_name, "split": args.split},
    )
    return 0


def evaluate_model(
    model_name_or_path: str | os.PathLike,
    dataset: datasets.Dataset,
    output_dir: str | os.PathLike,
    *,
    audio_column: str = "audio",
    label_column: str = "emotion",
    speaker_column: str = "speaker_id",
    speaker_normalization: SpeakerArguments | None = None,
    speakers_file: str | os.PathLike | None = None,
    majority_label: str | None = None,
    batch_size: int = 8,
    adversarial_epsilon: float | None = None,
    trust_remote_code: bool = False,
    context: Mapping[str, str] | None = None,
) -> dict:
    """Score a saved model on the whole clips of a dataset and write a report.

    Args:
        model_name_or_path: folder or Hub name of an audio classifier, or a folder that `lssed-hf export` wrote.
        dataset: with an audio column and a ClassLabel column.
        output_dir: gets `results.json`, `report.md`, `confusion_matrix.png` and `predictions.csv`.
        speaker_normalization: whose statistics clips are normalised by, by default the model's own. Clips of an
            enrolment are not scored.
        speakers_file: of `lssed-hf enroll`, to take statistics from instead.
        majority_label: what the majority row predicts, the dataset's own majority by default.
        adversarial_epsilon: also score the FGSM versions of the clips, made with this step (see `fgsm`).
        context: further lines for the report.

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
    classifier = load_classifier(model_name_or_path, batch_size=batch_size, trust_remote_code=trust_remote_code)
    if adversarial_epsilon is not None and not isinstance(classifier, AudioClassifier):
        raise ValueError(
            f"{os.fspath(model_name_or_path)} is no network of transformers, and has no gradients for adversarial "
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
    found: dict[int, np.ndarray] = {}
    with tqdm(total=len(dataset), desc="Scoring", unit="clip") as bar:
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
    answers = np.stack([found[row] for row in range(len(dataset))])
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
    context = {"model": os.fspath(model_name_or_path), **(context or {})}
    report = write_report(results, output_dir, title="Speech emotion recognition", context=context)
    path = os.path.join(output_dir, "predictions.csv")
    write_predictions(path, ids, references, probabilities, classifier.labels, speakers, groups)
    print(f"{summary_table(results)}\n")
    sections = [] if baseline is None else [baseline_markdown(baseline)]
    if adversarial_epsilon is not None:
        table = adversarial_table(results["adversarial"])
        sections.append(f"## Adversarial clips\n\n{table}")
        print(f"{table}\n")
    if sections:
        text = "\n\n".join([report.read_text(encoding="utf-8").rstrip("\n"), *sections])
        with replacing(report) as path:
            path.write_text(f"{text}\n", encoding="utf-8")
    print(f"Report: {report}")
    print(f"Confusion matrix: {report.with_name('confusion_matrix.png')}")
    return results


def match_labels(dataset: datasets.Dataset, label_column: str, model_labels: Sequence[str]) -> np.ndarray:
    """The dataset's labels as the model's class numbers, matched by name whatever the case.

    Raises:
        ValueError: a label that occurs in the dataset is not among the model's.
    """
    numbers = {label.lower(): number for number, label in enumerate(model_labels)}
    names = dataset.features[label_column].names
    labels = np.asarray(dataset[label_column])
    unknown = [names[label] for label in np.unique(labels) if names[label].lower() not in numbers]
    if unknown:
        raise ValueError(
            f"the dataset has labels that the model does not know: {', '.join(unknown)}; the model has "
            f"{', '.join(model_labels)}. Choose a configuration with the model's labels (e.g. "
            "--dataset_config_name benchmark), or train a model on all of them"
        )
    return np.asarray([numbers[names[label].lower()] for label in labels])


def _names(dataset: datasets.Dataset, column: str) -> list[str | None]:
    """A group column as names; -1, which stands for unknown in a ClassLabel, as None."""
    feature = dataset.features[column]
    if not isinstance(feature, datasets.ClassLabel):
        return list(dataset[column])
    return [None if value is None or value < 0 else feature.names[value] for value in dataset[column]]
