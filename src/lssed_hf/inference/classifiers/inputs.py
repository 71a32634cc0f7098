"""From waveforms to what a model takes."""

import inspect
from collections.abc import Sequence

import numpy as np
from transformers import BatchFeature, SequenceFeatureExtractor
from transformers.utils import logging


logger = logging.get_logger(__name__)


def model_inputs(
    feature_extractor: SequenceFeatureExtractor, waveforms: Sequence[np.ndarray], return_tensors: str = "pt"
) -> BatchFeature:
    """What an extractor makes of a batch of float32 waveforms (samples,) at its own sampling rate.

    Clips are padded to the longest, unless the extractor pads in a way of its own, as Whisper's does: to 30 s. It also
    cuts longer ones off, of which a warning tells.
    """
    longest = getattr(feature_extractor, "n_samples", None)
    if longest is not None and max(map(len, waveforms)) > longest:
        logger.warning_once(
            f"clips are longer than the {longest / feature_extractor.sampling_rate:g} s that this model takes, and "
            "what lies behind is cut off: `lssed-hf timeline` scores recordings of any length window by window"
        )
    padding = inspect.signature(feature_extractor.__call__).parameters.get("padding")
    own = padding.default if padding is not None and padding.default is not inspect.Parameter.empty else None
    return feature_extractor(
        list(waveforms),
        sampling_rate=feature_extractor.sampling_rate,
        padding=own or True,
        return_tensors=return_tensors,
    )
