"""Words for where a training starts and for what it trains, as in the rows of the paper's Table 6."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files import read_json
from ..hub.training_record import start_facts
from ..inference.classifiers.checks import check_labels
from ..inference.classifiers.svm import CLASSICAL
from ..labels import emotion_of_word
from ..models.registry import list_models


#: Endings of the names of architectures that recognise speech.
_RECOGNISERS = ("ForConditionalGeneration", "ForSpeechSeq2Seq", "ForCTC", "ForTDT", "ForRNNT")


def describe_start(model: str) -> str:
    """Return what a model is before the training, for people: "SER: lssed", "ASR: librispeech" or "scratch".

    A classifier of other things than emotions is named by "classifier". Where the training data are unknown, the name
    of the model follows.

    Args:
        model: Name in the zoo, or folder or Hub name of a model.

    Raises:
        ValueError: The labels in the model's configuration are unfit.
    """
    if model in list_models() or model in CLASSICAL:
        return f"scratch: {model}"
    path = Path(model, "config.json")
    config = read_json(path) if path.is_file() else {}
    if config.get("id2label"):
        check_labels(config, path)
    corpora = start_facts(model)["corpora"]
    names = ", ".join(
        dict.fromkeys("synthetic " * corpus.get("synthetic", False) + corpus["name"] for corpus in corpora or ())
    )
    return f"{_kind(config)}: {names or f'unknown data ({Path(model).name})'}"


def _kind(config: Mapping[str, Any]) -> str:
    architecture = next(iter(config.get("architectures") or ()), "")
    if architecture.endswith(_RECOGNISERS):
        return "ASR"
    labels = [str(label) for label in (config.get("id2label") or {}).values()]
    if labels and any(emotion_of_word(label) for label in labels):
        return "SER"
    return "classifier" if "Classif" in architecture else "pretrained"


def describe_trained(record: Mapping[str, Any], num_trainable_stages: int | None = None) -> str:
    """Return which part of a model a training changed, for people.

    Args:
        record: Contents of its `training.json`.
        num_trainable_stages: Number of last stages that were trained, where that was asked for.
    """
    trained = record.get("trained")
    if trained is None:
        return "not recorded"
    part = trained["part"]
    if part not in ("all", "head") and num_trainable_stages:
        part = f"head and last {num_trainable_stages} stages"
    return (
        "all" if part == "all" else f"{part}, {trained['num_parameters']:,} of {record['num_parameters']:,} parameters"
    )
