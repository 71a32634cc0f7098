"""Batched inference with any audio classifier, on waveforms."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification


class AudioClassifier:
    """A saved audio classifier and its feature extractor.

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
        self.model = AutoModelForAudioClassification.from_pretrained(name, trust_remote_code=trust_remote_code)
        self.model.eval().to(self.device)
        self.feature_extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code)
        self.batch_size = batch_size

    @property
    def labels(self) -> list[str]:
        """Class names, in the order of the probabilities."""
        return [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    @property
    def sampling_rate(self) -> int:
        """What the waveforms must have, in Hz."""
        return self.feature_extractor.sampling_rate

    def probabilities(self, waveforms: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Class probabilities (num_labels,) of each float32 waveform (samples,), in order."""
        waveforms = iter(waveforms)
        while batch := list(islice(waveforms, self.batch_size)):
            inputs = self.feature_extractor(
                batch, sampling_rate=self.sampling_rate, padding=True, return_tensors="pt"
            ).to(self.device)
            with torch.inference_mode():
                yield from self.model(**inputs).logits.float().softmax(dim=-1).cpu().numpy()
