"""The smallest classifier that all of the package takes, with random weights."""

from collections.abc import Sequence
from pathlib import Path

from lssed_hf import PyResNetFeatureExtractor, create_model


TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}


def write_classifier(folder: Path, labels: Sequence[str], normalization: str = "utterance", **fields) -> Path:
    """Save a PyResNet and its feature extractor, which has statistics unless it normalises each utterance."""
    create_model("pyresnet50", id2label=dict(enumerate(labels)), **TINY, **fields).save_pretrained(folder)
    statistics = {"mean": [-50.0] * 128, "std": [20.0] * 128} if normalization != "utterance" else {}
    PyResNetFeatureExtractor(normalization=normalization, **statistics).save_pretrained(folder)
    return folder
