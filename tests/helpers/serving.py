"""transformers' pipeline for models of every kind of problem."""

import inspect
from pathlib import Path

from transformers import AudioClassificationPipeline, pipeline


_FUNCTIONS = {"multi_label_classification": "sigmoid", "regression": "none"}


def serve(folder: Path) -> AudioClassificationPipeline:
    """Open a saved folder in a pipeline, which before transformers 5.24 has to be told the model's problem."""
    classify = pipeline("audio-classification", model=str(folder), device="cpu")
    if "problem_type" not in inspect.getsource(AudioClassificationPipeline.postprocess):
        function = _FUNCTIONS.get(classify.model.config.problem_type, "softmax")
        classify = pipeline("audio-classification", model=str(folder), device="cpu", function_to_apply=function)
    return classify
