"""Check of whether an experiment is the paper's own, so that the paper's figures may stand beside its scores."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..corpora import corpus_builder, list_corpora
from ..corpora.sources import Source, find_source, is_synthetic
from ..labels import BENCHMARK_EMOTIONS
from .runs import data_arguments


#: Test clips of four classes in the paper's Table 3.
PAPERS_CLIPS = 21_206
#: Participants, and depressed ones, that the figures of the paper's Table 6 fit.
PAPERS_PEOPLE = (35, 12)


def corpus_source(settings: Mapping[str, Any]) -> Source:
    """Return the origin of the data of a training, by the manifest of a prepared folder and not by its name.

    Data that are not there any more are of the corpus that the settings name, or of no known one.
    """
    data_args = data_arguments(dict(settings))
    try:
        return find_source(data_args.dataset_name, data_args.data_dir)
    except FileNotFoundError:
        name = data_args.dataset_name
        return Source(name if name in list_corpora() else None, None)


def corpus_title(settings: Mapping[str, Any]) -> str:
    """Return the name of the corpus of a training for a report, which says so where the speech is synthetic."""
    name = data_arguments(dict(settings)).dataset_name
    title = Path(name).name if os.path.isabs(name) else name
    return f"{title} (synthetic speech)" if is_synthetic_corpus(settings) else title


def is_synthetic_corpus(settings: Mapping[str, Any]) -> bool:
    """Return whether the corpus of a training is synthetic speech."""
    path = corpus_source(settings).path
    return path is not None and is_synthetic(path)


def table5_difference(settings: Mapping[str, Any], comparison: Mapping[str, Any]) -> str | None:
    """Return how a test set differs from that of the paper's Table 5, "" for not at all, None for another task.

    Args:
        settings: Settings of one of the trainings.
        comparison: Result of `compare_systems`.
    """
    source = corpus_source(settings)
    if source.corpus != "lssed" or {label.lower() for label in comparison["labels"]} != set(BENCHMARK_EMOTIONS):
        return None
    differences = ["the speech is synthetic"] if is_synthetic_corpus(settings) else []
    schemes = source.manifest["split_schemes"] if source.manifest else corpus_builder("lssed").SPLIT_SCHEMES
    scheme = settings.get("split_scheme") or schemes[0]
    if "test_speaker" in settings:
        differences.append(
            "each speaker is left out in turn, and the paper's split has the same speakers on both sides"
        )
    elif scheme != "paper":
        differences.append(f"the split scheme is {scheme}, and the paper's has the same speakers on both sides")
    if comparison["num_utterances"] != PAPERS_CLIPS:
        differences.append(
            f"there are {comparison['num_utterances']:,} test clips, and the paper has {PAPERS_CLIPS:,}"
        )
    return "; ".join(differences)


def table6_difference(settings: Mapping[str, Any], comparison: Mapping[str, Any]) -> str | None:
    """Return how participants differ from those of the paper's Table 6, "" for not at all, None for another corpus.

    Args:
        settings: Settings of one of the trainings.
        comparison: Result of `compare_depression`.
    """
    if corpus_source(settings).corpus != "daic_woz":
        return None
    people = comparison["num_participants"], comparison["num_depressed"]
    synthetic = is_synthetic_corpus(settings)
    if people == PAPERS_PEOPLE and settings["test_split_name"] == "validation" and not synthetic:
        return ""
    number, depressed = PAPERS_PEOPLE
    return (
        f"they fit the {number} participants of the development set, {depressed} of them depressed, and here are "
        f"{people[0]}, {people[1]} of them depressed{', of synthetic speech' if synthetic else ''}"
    )
