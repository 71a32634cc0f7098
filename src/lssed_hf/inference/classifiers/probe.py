"""Inference with linear probes on frozen encoders, from `lssed-hf train --probe`."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import SequenceFeatureExtractor

from ...models.encoders import encoder_of
from .checks import check_finite, check_labels, read_settings_file, refusing
from .classifier import Classifier
from .inputs import model_inputs
from .network import choose_device, open_encoder, open_front_end, own_frames
from .outputs import SINGLE_LABEL


#: File that makes a folder a probe: the chosen layer, and how it was chosen.
MARKER = "probe.json"
#: File with weight (num_labels, hidden_size) and bias (num_labels,) of the regression, and folder of the encoder.
WEIGHTS, ENCODER = "probe.safetensors", "encoder"


def layer_states(
    encoder: torch.nn.Module, feature_extractor: SequenceFeatureExtractor, waveform: np.ndarray
) -> list[torch.Tensor]:
    """Return the hidden states of a clip, (frames, hidden_size) of every layer, with the input of the first layer.

    If the extractor pads clips to one length, as Whisper's does, the frames of the padding are left out.

    Args:
        encoder: Network that returns hidden states.
        feature_extractor: Front end of the encoder.
        waveform: float32 (samples,).

    Raises:
        ValueError: The states of the encoder are no sequences of vectors.
    """
    inputs = model_inputs(feature_extractor, [waveform])
    inputs.pop("attention_mask", None)  # a single clip has no padding to mask
    device = next(encoder.parameters()).device
    with torch.inference_mode():
        states = encoder(**inputs.to(device), output_hidden_states=True).hidden_states
    if states is None or states[0].dim() != 3:
        raise ValueError(
            f"{type(encoder).__name__} has no hidden states (batch, time, hidden_size) for a probe: use "
            "--num_trainable_stages 0, which trains its own head alone"
        )
    return [own_frames(state[0], waveform, feature_extractor) for state in states]


def pooled_states(
    encoder: torch.nn.Module, feature_extractor: SequenceFeatureExtractor, waveform: np.ndarray
) -> torch.Tensor:
    """Return the means over time of `layer_states`, (layers + 1, hidden_size)."""
    return torch.stack([state.mean(dim=0) for state in layer_states(encoder, feature_extractor, waveform)])


class ProbeClassifier(Classifier):
    """Logistic regression, or a linear one of ratings, on the mean of one layer of a frozen encoder.

    Args:
        folder: Folder of `lssed-hf train --probe`.
        batch_size: Clips per batch, without effect, because clips are run one by one.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the folder may run.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or the files do not belong together.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
    ):
        folder = Path(folder)
        for part in (WEIGHTS, ENCODER):
            if not (folder / part).exists():
                raise FileNotFoundError(f"{folder / part} is missing; train the probe again")
        self.name, self.device = os.fspath(folder), choose_device(device)
        encoder = folder / ENCODER
        self.feature_extractor = open_front_end(encoder, trust_remote_code)
        model = open_encoder(encoder, trust_remote_code, dtype=torch.float32)
        self.model = encoder_of(model).eval().to(self.device)
        self.config = model.config
        self.batch_size = batch_size
        advice = "it is no readable probe, train it again"
        with refusing(folder / MARKER, advice):
            settings = read_settings_file(folder / MARKER, advice)
            self.layer = int(settings["layer"])
            # That of the regression on top, whatever the encoder was trained for.
            self.config.problem_type = settings.get("problem_type", SINGLE_LABEL)
            check_labels({"problem_type": self.config.problem_type}, folder / MARKER)
        with refusing(folder / WEIGHTS, advice):
            weights = load_file(folder / WEIGHTS)
            check_finite({name: tensor.float().numpy() for name, tensor in weights.items()}, folder / WEIGHTS)
            self.weight, self.bias = weights["weight"].to(self.device), weights["bias"].to(self.device)
        if self.weight.shape != (self.config.num_labels, self.config.hidden_size):
            raise ValueError(
                f"{folder / WEIGHTS} has a weight of shape {tuple(self.weight.shape)}, but the encoder has "
                f"{self.config.num_labels} labels and {self.config.hidden_size} features; train the probe again"
            )

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        states = [pooled_states(self.model, self.feature_extractor, clip)[self.layer] for clip in batch]
        with torch.inference_mode():
            return (torch.stack(states) @ self.weight.T + self.bias).cpu().numpy()

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        for waveform in waveforms:
            state = layer_states(self.model, self.feature_extractor, waveform)[self.layer]
            yield (state if frames else state.mean(dim=0)).cpu().numpy()
