"""Facts on a model for the page: where it was tested, how well it did, and one caveat."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard
from yaml import YAMLError

from ..inference.classifiers.loading import DEFAULT_MODEL


NO_SCORE = "no score recorded"
_CAVEAT = "It may do worse on other speakers, languages and microphones: test it on your own clips first."
# Test set of the first evaluation in the built-in model's card.
_DEFAULT_TEST = "eight RAVDESS actors it had not heard"
_DEFAULT_CAVEAT = "It was trained on acted speech: on everyday speech it is often wrong."


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
    """Read the first score in a model folder: from its card, else from `results.json`.

    Args:
        path: Folder of a model, a name on the Hub (nothing is fetched, so no score is found), or None for the built-in
            model.
    """
    if path is None:
        score = _card_score(Path(DEFAULT_MODEL, "README.md"), _DEFAULT_TEST) or NO_SCORE
        return ModelFacts(score, _DEFAULT_CAVEAT, speech_only=True)
    folder = Path(path)
    return ModelFacts(_card_score(folder / "README.md") or _results_score(folder / "results.json") or NO_SCORE)


def _card_score(card: Path, test: str | None = None) -> str | None:
    """Return the UA in a card's metadata, else its first score; None without any.

    Args:
        card: Path of the card.
        test: Name of the test set for people (default: the one in the card).
    """
    if not card.is_file():
        return None
    try:
        results = ModelCard.load(card).data.eval_results or []
    except (ValueError, KeyError, TypeError, AttributeError, YAMLError):  # a card is free text: many have no score
        return None
    best = next(filter(_is_ua, results), results[0] if results else None)
    if best is None or not isinstance(best.metric_value, (int, float)):
        return None
    metric = "UA" if _is_ua(best) else best.metric_name or best.metric_type
    return f"{metric} {best.metric_value:.2f} on {test or _test_set(best.dataset_name, best.dataset_split)}"


def _is_ua(result: EvalResult) -> bool:
    return result.metric_type == "recall" and (result.metric_args or {}).get("average") == "macro"


def _results_score(file: Path) -> str | None:
    """Return the UA that `lssed-hf evaluate` wrote; None if the file is absent or another tool's."""
    try:
        results: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        score, context = float(results["metrics"]["unweighted_accuracy"]), results.get("context") or {}
        return f"UA {score:.2f} on {_test_set(context['dataset'], context.get('split'))}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _test_set(dataset: str, split: str | None) -> str:
    name = Path(dataset).name
    return f"{name}, split {split}" if split else name
