"""Inference with any audio classifier of transformers."""

import os

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from ..models.folding import fold_batch_norm
from .base import Classifier
from .inputs import model_inputs


class AudioClassifier(Classifier):
    """A saved audio classifier and its feature extractor.

    On the CPU its batch norms are folded into its convolutions, which changes logits by rounding only.

    Args:
        model_name_or_path: a folder or Hub name of an audio classifier with a feature extractor.
        batch_size: clips per forward pass. With models that mask padding, as PyResNet does, it changes no prediction.
        device: a torch device, the GPU if there is one by default.
        trust_remote_code: allow code from the model's repository to run.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
    ):
        name = os.fspath(model_name_or_path)
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.feature_extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code)
        self.model = AutoModelForAudioClassification.from_pretrained(name, trust_remote_code=trust_remote_code)
        self.model.eval().to(self.device, torch.float32)  # as its inputs, whatever it was saved in
        self.config = self.model.config
        self.batch_size = batch_size
        if self.device.type == "cpu":
            self.model = fold_batch_norm(self.model, self.inputs(_noise(self.sampling_rate)))

    def inputs(self, batch: list[np.ndarray]):
        """What the model takes, padded, for float32 waveforms (samples,)."""
        return model_inputs(self.feature_extractor, batch).to(self.device)

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return self.model(**self.inputs(batch)).logits.float().cpu().numpy()


def _noise(sampling_rate: int) -> list[np.ndarray]:
    """Two clips, of 1.5 and 1 s."""
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, round(seconds * sampling_rate)).astype(np.float32) for seconds in (1.5, 1.0)]
