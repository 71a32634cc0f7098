"""Inference with audio classifiers of transformers."""

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
from transformers.utils import logging as transformers_logging

from ...models.folding import fold_batch_norm
from .classifier import Classifier
from .hooks import frame_states, head_inputs
from .inputs import model_inputs


class AudioClassifier(Classifier):
    """Audio classifier of transformers and its feature extractor.

    On the CPU the batch norms are folded into the convolutions, which changes logits by rounding only.

    Args:
        model_name_or_path: Folder or Hub name of an audio classifier with a feature extractor.
        batch_size: Clips per forward pass. With models that mask padding, as PyResNet does, it changes no prediction.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
    ):
        self.name = os.fspath(model_name_or_path)
        self.device = choose_device(device)
        with no_loading_bar():
            self.feature_extractor = AutoFeatureExtractor.from_pretrained(
                self.name, trust_remote_code=trust_remote_code
            )
            self.model = AutoModelForAudioClassification.from_pretrained(
                self.name, trust_remote_code=trust_remote_code
            )
        self.model.eval().to(self.device, torch.float32)  # the type of its inputs, whatever it was saved in
        self.config = self.model.config
        self.batch_size = batch_size
        if self.device.type == "cpu":
            self.model = fold_batch_norm(self.model, self.inputs(_noise(self.sampling_rate)))

    def inputs(self, batch: list[np.ndarray]):
        """Return the model's padded inputs for float32 waveforms (samples,)."""
        return model_inputs(self.feature_extractor, batch).to(self.device)

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return self.model(**self.inputs(batch)).logits.float().cpu().numpy()

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        for waveform in waveforms:
            # One clip at a time: no padding enters an average over time.
            with (frame_states if frames else head_inputs)(self.model) as found, torch.inference_mode():
                self.model(**self.inputs([waveform]))
            states = found[0][0].float().cpu().numpy()
            yield own_frames(states, waveform, self.feature_extractor) if frames else states


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return a device of torch that is there.

    Args:
        device: Name such as `cpu`, `cuda` or `cuda:1`; by default the GPU if there is one, else the CPU.

    Raises:
        ValueError: No device has that name, or this machine has no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all three
        found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device {str(device)!r} is not there: this machine has {', '.join(found)}; leave it out for the best one"
        ) from error
    return chosen


def own_frames(states: np.ndarray, waveform: np.ndarray, feature_extractor) -> np.ndarray:
    """Return the states (frames, size) of the clip without padding, if the extractor pads clips to one length."""
    padded = getattr(feature_extractor, "n_samples", None) or len(waveform)
    return states[: max(1, math.ceil(len(states) * min(1.0, len(waveform) / padded)))]


@contextmanager
def no_loading_bar() -> Iterator[None]:
    """Keep transformers from drawing a progress bar for loading weights."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _noise(sampling_rate: int) -> list[np.ndarray]:
    """Return two clips of noise, of 1.5 and 1 s."""
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, round(seconds * sampling_rate)).astype(np.float32) for seconds in (1.5, 1.0)]
