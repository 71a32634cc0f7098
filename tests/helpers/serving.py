"""transformers' pipeline for models of every kind of problem."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import transformers
from packaging.version import Version
from transformers import pipeline


_FUNCTIONS = {"multi_label_classification": "sigmoid", "regression": "none"}


def serve(folder: Path) -> Callable[..., list[dict]]:
    """Open a saved folder in a pipeline, which before transformers 5.23 has to be told the model's problem."""
    classify = pipeline("audio-classification", model=str(folder), device="cpu")
    if Version(transformers.__version__) >= Version("5.23"):
        return classify
    # Not when it is made: a call without it would take a softmax again.
    return partial(classify, function_to_apply=_FUNCTIONS.get(classify.model.config.problem_type, "softmax"))
