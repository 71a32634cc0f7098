"""Conversion of waveforms to the inputs of a model."""

import inspect
import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np


if TYPE_CHECKING:
    from transformers import BatchFeature, SequenceFeatureExtractor

_warn_once = cache(logging.getLogger(__name__).warning)


def model_inputs(
    feature_extractor: "SequenceFeatureExtractor", waveforms: Sequence[np.ndarray], return_tensors: str = "pt"
) -> "BatchFeature":
    """Return the features of a batch of clips, padded to the longest clip.

    An extractor with another default pads by it, such as Whisper's: to 30 s. Whisper's also cuts longer clips off; a
    warning says so.

    Args:
        feature_extractor: Front end of the model.
        waveforms: Clips, float32 (samples,), at the extractor's sampling rate.
        return_tensors: Kind of arrays, "pt" or "np".
    """
    longest = getattr(feature_extractor, "n_samples", None)
    if longest is not None and max(map(len, waveforms)) > longest:
        _warn_once(
            f"clips are longer than the {longest / feature_extractor.sampling_rate:g} s that this model takes, and "
            "what lies behind is cut off: `lssed-hf timeline` scores recordings of any length window by window"
        )
    padding = inspect.signature(feature_extractor.__call__).parameters.get("padding")
    default = padding.default if padding is not None and padding.default is not inspect.Parameter.empty else None
    return feature_extractor(
        list(waveforms),
        sampling_rate=feature_extractor.sampling_rate,
        padding=default or True,
        return_tensors=return_tensors,
    )
