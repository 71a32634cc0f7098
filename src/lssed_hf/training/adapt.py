"""`lssed-hf adapt`: a classifier whose head is refitted on a few labelled clips, see `head_adaptation`."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch import nn

from ..evaluation.text_tables import FEW_SPEAKERS
from ..files import check_writable, naming, write_json
from ..hub.cards.model_card import write_model_card
from ..inference import AudioClassifier, load_classifier
from ..inference.classifiers.classifier import Classifier
from ..inference.classifiers.network import no_loading_bar, open_trained
from ..inference.classifiers.statistics import StatisticsClassifier
from ..inference.predict import speakers_of_paths
from ..inference.speaker_normalization import SpeakerArguments, compute_rows, speaker_classifiers, speakers_of
from ..labels import emotion_of_word, label_numbers
from ..wording import counted
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .head_adaptation import BY_SPEAKER, ENOUGH_CLIPS, WITHOUT_SPEAKERS, Adapter, cross_validate
from .pretrained import label_maps
from .record import record_training
from .selection import ALL_SPLITS
from .statistics import Embeddings, Head, set_head


#: File with the scores before and after, beside an adapted model.
RECORD = "adapt.json"
_FEW_CLIPS = 5  # a warning below


@dataclass(frozen=True)
class AdaptSettings:
    """Settings of an adaptation, which `training.json` holds in place of a network's recipe."""

    head: str
    C: float
    recalibrated: bool


def adapt(
    model: str | os.PathLike | None,
    data: str | os.PathLike | datasets.Dataset | datasets.DatasetDict,
    output_dir: str | os.PathLike,
    *,
    speaker_from: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
    **corpus: Any,
) -> dict[str, Any]:
    """Refit the head of a classifier on a few labelled clips, as `lssed-hf adapt` does.

    ```python
    import lssed_hf

    scores = lssed_hf.adapt("outputs/pyresnet50", "my_recordings", "outputs/adapted", dataset_config_name="benchmark")
    scores["unweighted_accuracy"]["without speakers"]["after"]["value"]
    lssed_hf.predict("recordings/", "outputs/adapted")
    ```

    Args:
        model: Folder or Hub name of a classifier; None for the built-in model.
        data: Folder of recordings, prepared folder, name of a corpus or of a data set on the Hub; or a data set.
        output_dir: Folder for the adapted model, its card and `adapt.json`.
        speaker_from: Where the speaker of each clip is told: "path", "recording" or a CSV file (see `predict`). By
            default the column of speakers, if there is one.
        data_dir: Folder of a corpus that `data` names.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
        **corpus: Further fields of `CorpusArguments`, such as `label_map={"wut": "angry"}` or `label_column_name`.

    Returns:
        Contents of `adapt.json` (see `cross_validate` and docs/adapt.md).

    Raises:
        FileNotFoundError: There is no such folder, model or clip.
        ValueError: The head of the model is not one linear layer, or the clips are all of one class.
    """
    in_memory = isinstance(data, (datasets.Dataset, datasets.DatasetDict))
    arguments = DataArguments(
        dataset_name=None if in_memory else os.fspath(data),
        data_dir=None if data_dir is None else os.fspath(data_dir),
        train_split_name=ALL_SPLITS,
        **corpus,
    )
    if isinstance(data, datasets.Dataset):
        data = datasets.DatasetDict({ALL_SPLITS: data})
    splits = arguments.encode(data) if in_memory else arguments.load(undivided=True)
    rows = datasets.concatenate_datasets(list(splits.values()))
    return adapt_model(model, rows, arguments, output_dir, speaker_from, device, trust_remote_code)


def adapt_model(
    model: str | os.PathLike | None,
    rows: datasets.Dataset,
    data_args: DataArguments,
    output_dir: str | os.PathLike,
    speaker_from: str | os.PathLike | None = None,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Score and save a model that is adapted to clips.

    Args:
        model: Folder or Hub name of a classifier; None for the built-in model.
        rows: Clips with an encoded label.
        data_args: Names of the data set and of its columns.
        output_dir: Folder for the adapted model, its card and `adapt.json`.
        speaker_from: See `adapt`.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.

    Returns:
        Contents of `adapt.json`.

    Raises:
        ValueError: See `adapt`.
    """
    if model is not None and os.path.realpath(model) == os.path.realpath(output_dir):
        raise ValueError(f"--output_dir {output_dir} is the folder of the model to adapt: choose another one")
    check_writable(Path(output_dir, RECORD))  # before the work
    classifier = load_classifier(model, 1, device, trust_remote_code)
    classifier.check_single_label("adapt")
    linear = linear_head(classifier)
    names, labels, matched = _labels(rows, data_args.label_column_name, classifier.labels)
    rows = _with_speakers(rows, data_args, speaker_from)
    speakers = rows[data_args.speaker_column_name]
    known = classifier.suits_speakers and any(speaker is not None for speaker in speakers)
    statistics = isinstance(classifier, StatisticsClassifier)
    # A model that standardises embeddings by speaker does so behind them, and others in front.
    by_speaker, _, _ = speaker_classifiers(
        classifier,
        rows,
        SpeakerArguments(speaker_normalization="all" if known and not statistics else "none"),
        audio_column=data_args.audio_column_name,
        label_column=data_args.label_column_name,
        speaker_column=data_args.speaker_column_name,
    )
    classifiers = [by_speaker.get(speaker, classifier) for speaker in speakers]
    values = compute_rows(
        classifiers, rows, data_args.audio_column_name, lambda model, clips: model.embeddings(clips), "Embedding"
    ).astype(np.float64)
    # Refuses a model whose outputs behind the embeddings are not finite; one clip tells.
    first, audio_column = rows.select([0]), data_args.audio_column_name
    compute_rows(classifiers[:1], first, audio_column, lambda model, clips: model.scores(clips), "Scoring")
    clips = Embeddings(values[:, None], labels, speakers, [""] * len(rows))
    head = statistics_head(classifier) if statistics else _network_head(linear, values)
    views = (BY_SPEAKER,) if known else (WITHOUT_SPEAKERS,)
    if known and statistics:
        views = (WITHOUT_SPEAKERS, BY_SPEAKER)
    adapter = Adapter(head, len(names), matched is not None, views)

    results = {
        "labels": names,
        "matched_labels": matched,
        "num_clips": len(rows),
        "clips_by_label": {names[label]: count for label, count in sorted(Counter(labels.tolist()).items())},
        "num_speakers": len(set(speakers) - {None}),
        **cross_validate(adapter, clips),
    }
    adapted = adapter.fit(clips)
    temperatures = results["temperatures"]
    if temperatures:
        adapted = adapted.divided(*temperatures)
    results["notes"] = _notes(results, classifier.labels)
    with naming(output_dir):
        num_parameters = save(classifier, adapted, names, output_dir, trust_remote_code)
    write_json(Path(output_dir, RECORD), results)
    record_training(
        data_args,
        ModelArguments(model_name_or_path=classifier.name, speaker_normalization="all" if known else "none"),
        RecipeArguments(output_dir=os.fspath(output_dir)),
        datasets.DatasetDict({ALL_SPLITS: rows}),
        num_parameters,
        recipe=AdaptSettings("adapted" if matched else "new", adapter.C, bool(temperatures)),
    )
    write_model_card(output_dir, notes=_card_notes(results))
    return results


def linear_head(classifier: Classifier) -> nn.Linear:
    """Return the head of a classifier.

    Raises:
        ValueError: The head is not one linear layer on the embedding.
    """
    network = getattr(classifier, "model", None)
    head = getattr(network, "classifier", None)
    projected = isinstance(getattr(network, "projector", None), nn.Module)
    if not isinstance(classifier, AudioClassifier) or not isinstance(head, nn.Linear) or projected:
        raise ValueError(
            f"{classifier.name} cannot be adapted: its head is not one linear layer on the embedding. Networks of "
            "lssed_hf.list_models() and models of train --probe_pooling statistics have such a head"
        )
    return head


def statistics_head(classifier: StatisticsClassifier) -> Head:
    """Return the head of a model of `train --probe_pooling statistics`."""
    parts = classifier.head()
    within_variance = float(parts.pop("within_variance"))
    temperature = float(classifier.corpus_model.speaker_temperature)
    return Head(0, 0.0, **parts, within_variance=within_variance, speaker_temperature=temperature)


def _network_head(linear: nn.Linear, values: np.ndarray) -> Head:
    """Return the head of a network, for embeddings that are centred and divided by one number.

    A deviation of each value would take more clips than there are.
    """
    mean = values.mean(axis=0)
    std = np.full_like(mean, max(float(np.sqrt(values.var(axis=0).mean())), 1e-6))
    weight, bias = (tensor.detach().double().cpu().numpy() for tensor in (linear.weight, linear.bias))
    return Head(0, 0.0, mean, std, weight * std, bias + weight @ mean, np.zeros_like(weight), 0.0)


def _labels(
    rows: datasets.Dataset, column: str, model_labels: Sequence[str]
) -> tuple[list[str], np.ndarray, dict[str, str] | None]:
    """Return class names of the adapted model, the class number of each clip, and the model's label of each label.

    The last is None where not all labels are the model's, or two labels are the same one. Names are matched whatever
    their case, then as words for emotions.

    Raises:
        ValueError: All clips are of one class.
    """
    names, labels = rows.features[column].names, np.asarray(rows[column])
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(f"all clips are {names[present[0]]}: a classifier needs clips of two classes at least")
    emotions = {emotion_of_word(label): number for number, label in enumerate(model_labels)}
    own = {}
    for number, exact in zip(present, label_numbers([names[number] for number in present], model_labels)):
        emotion = emotion_of_word(names[number])
        own[number] = exact if exact >= 0 or emotion is None else emotions.get(emotion, -1)
    if min(own.values()) >= 0 and len(set(own.values())) == len(own):
        matched = {names[number]: model_labels[label] for number, label in own.items()}
        return list(model_labels), np.array([own[label] for label in labels]), matched
    return [names[number] for number in present], np.searchsorted(present, labels), None


def _with_speakers(
    rows: datasets.Dataset, data_args: DataArguments, speaker_from: str | os.PathLike | None
) -> datasets.Dataset:
    """Return rows whose column of speakers says what `speaker_from` tells, None where unknown."""
    audio_column, column = data_args.audio_column_name, data_args.speaker_column_name
    if speaker_from is None:
        speakers = speakers_of(rows, column) if column in rows.column_names else [None] * len(rows)
    else:
        audio = rows.cast_column(audio_column, datasets.Audio(decode=False))[audio_column]
        speakers = speakers_of_paths([Path(clip["path"]) for clip in audio], os.fspath(speaker_from))
    pairs = set(zip(speakers, rows[data_args.label_column_name]))
    if speaker_from == "path" and len(pairs) == len(set(speakers)):
        raise ValueError(
            "--speaker_from path takes each folder for a speaker, and the folders here are those of labels: name "
            "speakers by a level of folders, a column, --speaker_pattern or a CSV file"
        )
    rows = rows.remove_columns([column] if column in rows.column_names else [])
    return rows.add_column(column, speakers, feature=datasets.Value("string"))


def _notes(results: dict[str, Any], model_labels: Sequence[str]) -> list[str]:
    """Return reasons to distrust an adaptation, a sentence each."""
    counts, notes = results["clips_by_label"], []
    if results["matched_labels"] is None:
        notes.append(
            f"the labels are not those of the model ({', '.join(model_labels)}): it gets a new head, which knows "
            "nothing but these clips"
        )
    elif missing := [label for label in model_labels if label not in counts]:
        notes.append(f"no clips of {', '.join(missing)}: what the model knows of them stays")
    if few := [label for label, count in counts.items() if count < _FEW_CLIPS]:
        notes.append(f"fewer than {_FEW_CLIPS} clips of {', '.join(few)}: expect little, and wide intervals")
    if results["folds"] == "clips":
        notes.append(
            "fewer than two speakers are known: the same voices are on both sides of a fold, so scores say little "
            "about new speakers"
        )
    elif results["num_speakers"] < FEW_SPEAKERS:
        notes.append(f"{counted(results['num_speakers'], 'speaker')}: intervals are too narrow")
    if results["confidence"] is None:
        notes.append("too few clips for cross-validation: how good the adapted model is, is unknown")
    changes = {view: scores["change"] for view, scores in results["unweighted_accuracy"].items() if scores["change"]}
    if worse := [view for view, change in changes.items() if change["value"] <= 0]:
        notes.append(
            f"{' and '.join(worse)}, the adapted model does no better on these clips than the model as it is, which "
            "you may keep"
        )
    chance = 1 / len(counts)
    new = {view: scores["after"] for view, scores in results["unweighted_accuracy"].items() if not scores["before"]}
    if unsure := [view for view, score in new.items() if score and (score["low"] or 0) <= chance]:
        notes.append(
            f"{' and '.join(unsure)}, the new head may be no better than chance, UA {chance:.3f}: give it more clips"
        )
    if results["temperatures"] is None:
        notes.append(f"fewer than {ENOUGH_CLIPS} clips: confidence is not calibrated anew")
    return notes


def _card_notes(results: dict[str, Any]) -> list[str]:
    lines = []
    for view, scores in results["unweighted_accuracy"].items():
        if scores["after"]:
            before = f"{scores['before']['value']:.3f} before, " if scores["before"] else ""
            lines.append(
                f"UA on the clips that it was adapted to, {view}, by cross-validation with {results['num_folds']} "
                f"folds of {results['folds']}: {before}{scores['after']['value']:.3f} after."
            )
    return lines


@no_loading_bar()
def save(
    classifier: AudioClassifier,
    head: Head,
    labels: Sequence[str],
    output_dir: str | os.PathLike,
    trust_remote_code: bool = False,
) -> int:
    """Write a model with another head, and its front end, and return the number of its parameters.

    Args:
        classifier: Model with the old head.
        head: New head.
        labels: Class names of the new head.
        output_dir: Folder to write to.
        trust_remote_code: Whether code from the model's repository may run.
    """
    # Anew, because batch norms of the open model are folded into its convolutions.
    model = open_trained(classifier.name, trust_remote_code)
    model.classifier = nn.Linear(head.weight.shape[1], len(labels), dtype=model.classifier.weight.dtype)
    if isinstance(classifier, StatisticsClassifier):
        model.class_means = torch.zeros(head.class_means.shape, dtype=model.class_means.dtype)
        set_head(model, head)
    else:
        weight = head.weight / head.std
        bias = head.bias - weight @ head.mean
        model.classifier.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    for name, value in label_maps(labels).items():
        setattr(model.config, name, value)
    model.num_labels = len(labels)
    model.save_pretrained(output_dir)
    classifier.feature_extractor.save_pretrained(output_dir)
    return model.num_parameters()


__all__ = ["RECORD", "adapt", "adapt_model", "linear_head", "save", "statistics_head"]
