"""Facts on a model for the page: where it was tested, how well it did, and one caveat."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from huggingface_hub import EvalResult, ModelCard
from yaml import YAMLError

from ..inference.classifiers.pretrained import DEFAULT_MODEL, is_built_in, pretrained_folder


NO_SCORE = "no score recorded"
_CAVEAT = "It may do worse on other speakers, languages and microphones: test it on your own clips first."
_LEFT_OUT = "corpora that were left out of the training"
_BUILT_IN_CAVEAT = "It was trained on acted speech: on everyday speech it is often wrong."


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model for the people who use it.

    Attributes:
        score: Score and test set, such as "UA 0.70 on emodb, split test", or `NO_SCORE`.
        caveat: One sentence on where the model fails.
        speech_only: Whether recordings without speech get no label.
    """

    score: str = NO_SCORE
    caveat: str = _CAVEAT
    speech_only: bool = False


def read_model_facts(path: str | os.PathLike | None = None) -> ModelFacts:
    """Read the first score in a model folder: from its card, else from `results.json`. Of built-in models: the mean.

    Args:
        path: Folder of a model, a name of `list_pretrained`, a name on the Hub (nothing is fetched, so no score is
            found), or None for the default model.
    """
    folder = Path(DEFAULT_MODEL) if path is None else pretrained_folder(path) or Path(path)
    card = folder / "README.md"
    if folder.parent == Path(DEFAULT_MODEL).parent:  # each score of its card is on a corpus that was left out
        scores = [result.metric_value for result in _card_results(card) if _is_ua(result)]
        score = f"UA {fmean(scores):.2f} on {_LEFT_OUT}"
    else:
        score = _card_score(card) or _results_score(folder / "results.json") or NO_SCORE
    if is_built_in(path):
        return ModelFacts(score, _BUILT_IN_CAVEAT, speech_only=True)
    return ModelFacts(score)


def _card_score(card: Path) -> str | None:
    """Return the UA in a card's metadata, else its first score; None without any."""
    results = _card_results(card)
    best = next(filter(_is_ua, results), results[0] if results else None)
    if best is None or not isinstance(best.metric_value, (int, float)):
        return None
    metric = "UA" if _is_ua(best) else best.metric_name or best.metric_type
    return f"{metric} {best.metric_value:.2f} on {_test_set(best.dataset_name, best.dataset_split)}"


def _card_results(card: Path) -> list[EvalResult]:
    if not card.is_file():
        return []
    try:
        return ModelCard.load(card).data.eval_results or []
    except (ValueError, KeyError, TypeError, AttributeError, YAMLError):  # a card is free text: many have no score
        return []


def _is_ua(result: EvalResult) -> bool:
    return result.metric_type == "recall" and (result.metric_args or {}).get("average") == "macro"


def _results_score(file: Path) -> str | None:
    """Return the UA that `lssed-hf evaluate` wrote; None if the file is absent or another tool's."""
    try:
        results: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        score, context = float(results["metrics"]["unweighted_accuracy"]), results.get("context") or {}
        return f"UA {score:.2f} on {_test_set(context['dataset'], context.get('split'))}"
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None


def _test_set(dataset: str, split: str | None) -> str:
    name = Path(dataset).name
    return f"{name}, split {split}" if split else name
