"""Inference with audio classifiers of transformers, by PyTorch."""

import copy
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification
from transformers.utils import logging as transformers_logging

from ...models.folding import fold_batch_norm
from .classifier import Classifier
from .hooks import frame_states, head_inputs
from .inputs import model_inputs
from .speaker_statistics import SpeakerStatistics, extraction_settings
from .statistics import StatisticsClassifier, temperature_of


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


class NetworkStatisticsClassifier(StatisticsClassifier, AudioClassifier):
    """Network of `lssed-hf train --probe_pooling statistics` or `--refit_head`, by PyTorch; see `AudioClassifier`.

    Attributes:
        corpus_model: Model with the mean and deviation of its corpus; `model` may have those of a speaker.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.corpus_model = self.model

    @property
    def front_end(self) -> dict[str, Any]:
        """Digest of all that a speaker's statistics depend on: front end, encoder and head."""
        return {"embedding": self._digest(self.corpus_model)}

    @property
    def encoder_digest(self) -> str:
        """Digest of all that embeddings depend on: front end and encoder."""
        return self._digest(self.corpus_model.base_model)

    def _digest(self, network: torch.nn.Module) -> str:
        """Return a digest of settings of the front end and the model, and of the weights of a network."""
        config, extractor = self.corpus_model.config, self.feature_extractor
        settings = {
            **extraction_settings(extractor),
            **{name: getattr(extractor, name) for name in ("normalization", "mean", "std")},
            **{name: getattr(config, name) for name in type(config).__annotations__},
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for name, tensor in sorted(network.state_dict().items()):
            digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
        return digest.hexdigest()

    def head(self) -> dict[str, np.ndarray]:
        model = self.corpus_model
        tensors = {
            "mean": model.embedding_mean,
            "std": model.embedding_std,
            "weight": model.classifier.weight,
            "bias": model.classifier.bias,
            "class_means": model.class_means,
            "within_variance": model.within_variance,
        }
        return {name: tensor.detach().double().cpu().numpy() for name, tensor in tensors.items()}

    def standardize_by(self, statistics: SpeakerStatistics) -> None:
        self.model = copy.copy(self.model)
        self.model._buffers = dict(self.model._buffers)
        self.model._modules = {**self.model._modules, "classifier": self._head_of(statistics.num_clips)}
        self.model.embedding_mean = torch.tensor(statistics.mean, dtype=torch.float32, device=self.device)
        self.model.embedding_std = torch.tensor(statistics.std, dtype=torch.float32, device=self.device)

    def _head_of(self, num_clips: int) -> torch.nn.Linear:
        temperature = temperature_of(float(self.model.speaker_temperature), num_clips)
        head = copy.deepcopy(self.model.classifier).requires_grad_(False)
        for parameter in head.parameters():
            parameter /= temperature
        return head

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        embeddings = torch.from_numpy(self._embeddings(batch)).to(self.device)
        with torch.inference_mode():
            return self.model.classify(embeddings).cpu().numpy()

    def pooled(self, batch: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return self.model.base_model(**self.inputs(batch)).pooler_output.float().cpu().numpy()

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        if not frames or self.config.model_type != "whisper_statistics":
            yield from super().embeddings(waveforms, frames)
            return
        for waveform in waveforms:
            inputs = self.inputs([waveform])
            with torch.inference_mode():
                states = self.model.whisper_statistics(**inputs).last_hidden_state[0]
            yield states[: (inputs.input_features.shape[1] + 1) // 2].float().cpu().numpy()  # without the margin's


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
    """Keep transformers from drawing a progress bar for loading or saving weights."""
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
