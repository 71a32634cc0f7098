"""Inference with audio classifiers of transformers, by PyTorch."""

import copy
import hashlib
import json
import math
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as torch_module
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    FeatureExtractionMixin,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.utils import ModelOutput, cached_file
from transformers.utils import logging as transformers_logging
from transformers.utils.hub import get_checkpoint_shard_files

from ...models.encoders import encoder_of
from ...models.folding import fold_batch_norm
from .checks import (
    COPY_AGAIN,
    check_front_end_settings,
    check_labels,
    check_names,
    check_range,
    check_statistics,
    count_weights,
    refusing,
    training_weights,
)
from .classifier import Classifier
from .hooks import frame_states, head_inputs
from .inputs import model_inputs
from .speaker_statistics import SpeakerStatistics, extraction_settings
from .statistics import StatisticsClassifier, temperature_of


#: Fields of configurations that files of `lssed-hf enroll` are older than, at the values that change nothing.
_LATER = {"dimensions": [], "num_mel_bins": None}


class AudioClassifier(Classifier):
    """Audio classifier of transformers and its feature extractor.

    On the CPU the batch norms are folded into the convolutions, which changes logits by rounding only.

    Args:
        model_name_or_path: Folder or Hub name of an audio classifier with a feature extractor.
        batch_size: Clips per forward pass. With models that mask padding, as PyResNet does, it changes no prediction.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.
        trained_head: Whether the head has to be trained, as for anything but embeddings.
    """

    def __init__(
        self,
        model_name_or_path: str | os.PathLike,
        batch_size: int = 8,
        device: str | torch.device | None = None,
        trust_remote_code: bool = False,
        trained_head: bool = True,
    ):
        self.name = os.fspath(model_name_or_path)
        self.device = choose_device(device)
        self.feature_extractor = open_front_end(self.name, trust_remote_code)
        with _errors_only():
            self.model = (open_trained if trained_head else open_encoder)(self.name, trust_remote_code)
        self.model.eval().to(self.device, torch.float32)  # the type of its inputs, whatever it was saved in
        self.config = self.model.config
        self.batch_size = batch_size
        if self.device.type == "cpu":
            with refusing(self.name, "its front end and its network do not fit each other"):
                self.model = fold_batch_norm(self.model, self.inputs(_noise(self.feature_extractor)))

    def inputs(self, batch: list[np.ndarray]):
        """Return the model's padded inputs for float32 waveforms (samples,)."""
        return model_inputs(self.feature_extractor, batch).to(self.device)

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return joined_logits(self.model(**self.inputs(batch))).float().cpu().numpy()

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
        self.check_head()

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
            **{
                name: getattr(config, name)
                for name in type(config).__annotations__
                if name not in _LATER or getattr(config, name) != _LATER[name]
            },
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

    @property
    def speaker_temperature(self) -> float:
        return float(self.corpus_model.speaker_temperature)

    def standardize_by(self, statistics: SpeakerStatistics) -> None:
        self.model = copy.copy(self.model)
        self.model._buffers = dict(self.model._buffers)
        self.model._modules = {**self.model._modules, "classifier": self._head_of(statistics.num_clips)}
        self.model.embedding_mean = torch.tensor(statistics.mean, dtype=torch.float32, device=self.device)
        self.model.embedding_std = torch.tensor(statistics.std, dtype=torch.float32, device=self.device)

    def _head_of(self, num_clips: int) -> torch.nn.Linear:
        temperature = temperature_of(self.speaker_temperature, num_clips)
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


def joined_logits(outputs: ModelOutput) -> torch.Tensor:
    """Return the logits of a classifier, with the ratings of its second head behind them where it has one."""
    dimensions = getattr(outputs, "dimensions", None)
    return outputs.logits if dimensions is None else torch.cat([outputs.logits, dimensions], dim=-1)


def open_front_end(name: str | os.PathLike, trust_remote_code: bool = False) -> SequenceFeatureExtractor:
    """Open the feature extractor of a model.

    Args:
        name: Folder or Hub name.
        trust_remote_code: Whether code from there may run.

    Raises:
        OSError: There is no such model or file.
        ValueError: The file cannot be read, or its numbers are unfit; see `check_front_end_settings`.
    """
    with refusing(f"{os.fspath(name)}/preprocessor_config.json"):
        settings, _ = FeatureExtractionMixin.get_feature_extractor_dict(name)
        check_front_end_settings(settings, name)
        feature_extractor = AutoFeatureExtractor.from_pretrained(name, trust_remote_code=trust_remote_code)
        check_statistics(feature_extractor, name)
    return feature_extractor


def open_trained(name: str | os.PathLike, trust_remote_code: bool = False, **settings: Any) -> PreTrainedModel:
    """Open a trained model of transformers, by default a classifier: all of its weights are in its files, and finite.

    Args:
        name: Folder or Hub name.
        trust_remote_code: Whether code from there may run.
        **settings: Further arguments of `open_network`.

    Raises:
        OSError: There is no such model or file.
        ValueError: See `open_network`, or weights are missing, unexpected or not finite.
    """
    with _errors_only():  # its report of weights that do not fit has many lines, and the error has one
        model, loading = open_network(name, trust_remote_code, ignore_mismatched_sizes=True, **settings)
    path = _weight_files(name)[0]
    check_names(loading["missing_keys"], loading["unexpected_keys"], path)
    for key, stored, needed in loading["mismatched_keys"]:
        raise ValueError(
            f"{path}: {key} has the shape {tuple(stored)}, and the network of config.json needs {tuple(needed)}; "
            f"{COPY_AGAIN}"
        )
    _check_finite(model, path)
    return model


def open_encoder(name: str | os.PathLike, trust_remote_code: bool = False, **settings: Any) -> PreTrainedModel:
    """Open a network whose encoder is trained; its head may be new.

    Args:
        name: Folder or Hub name.
        trust_remote_code: Whether code from there may run.
        **settings: Further arguments of `from_pretrained`.

    Raises:
        OSError: There is no such model or file.
        ValueError: See `open_network`, or the encoder lacks weights, or they are not finite.
    """
    model, loading = open_network(name, trust_remote_code, ignore_mismatched_sizes=True, **settings)
    encoder = encoder_of(model)
    if encoder is not None:
        own = {id(parameter) for parameter in encoder.parameters()}
        missing = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
        missing &= {key for key, value in model.named_parameters() if id(value) in own}
        if missing := missing - {*training_weights(missing)}:
            raise ValueError(
                f"{name} has no weights for {len(missing)} parameters of the encoder, such as {min(missing)}: its "
                f"files are not those of a model of the type {model.config.model_type}"
            )
    _check_finite(model, _weight_files(name)[0])
    return model


def _check_finite(model: PreTrainedModel, path: Path) -> None:
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and tensor.numel():
            check_range(key, *(float(bound) for bound in tensor.aminmax()), path)


def open_network(
    name: str | os.PathLike,
    trust_remote_code: bool = False,
    auto_class: Any = AutoModelForAudioClassification,
    **settings: Any,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Open a network of transformers, and refuse hostile files before they take memory.

    Args:
        name: Folder or Hub name.
        trust_remote_code: Whether code from there may run.
        auto_class: Class with `from_pretrained`. Default: networks with a classifier's head.
        **settings: Further arguments of `from_pretrained`.

    Returns:
        The network, and the names of weights that did not fit, as `output_loading_info` gives them.

    Raises:
        OSError: There is no such model or file.
        ValueError: A file is damaged, the network is larger than its weights, or a weight has another shape.
    """
    path = f"{os.fspath(name)}/config.json"
    with refusing(path):
        check_labels(PreTrainedConfig.get_config_dict(name)[0], path)
        if "config" not in settings:
            settings["config"] = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
    with refusing(name), no_loading_bar():
        paths = _weight_files(name)
        with _no_larger_than(*count_weights(paths), name):
            model, loading = auto_class.from_pretrained(
                name, trust_remote_code=trust_remote_code, output_loading_info=True, **settings
            )
    return model, loading


def _weight_files(name: str | os.PathLike) -> list[Path]:
    """Return the files of a model's weights, of which those on the Hub are downloaded."""
    for file in (
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ):
        path = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
        if path is not None and Path(path).is_file():
            found = get_checkpoint_shard_files(name, path)[0] if file.endswith(".json") else [path]
            return [Path(one) for one in found]
    raise FileNotFoundError(f"{name} holds no model.safetensors; {COPY_AGAIN}")


@contextmanager
def _no_larger_than(num_tensors: int, num_values: int, name: str | os.PathLike) -> Iterator[None]:
    """Refuse networks that have far more weights than their files, as soon as too many are made.

    transformers makes them without memory, and gives them memory later. A new head may come on top of a file.
    """
    thread, left = threading.get_ident(), {"tensors": 2 * num_tensors + 256, "values": 2 * num_values + 2**24}

    def count(module: torch.nn.Module, key: str, tensor: torch.Tensor | None) -> None:
        if tensor is None or threading.get_ident() != thread:
            return
        left["tensors"] -= 1
        left["values"] -= tensor.numel()
        if min(left.values()) < 0:
            raise ValueError(
                f"{os.fspath(name)}/config.json asks for a larger network than its files hold weights of: they have "
                f"{num_values:,} in {num_tensors} tensors; {COPY_AGAIN}"
            )

    with ExitStack() as hooks:
        for kind in ("parameter", "buffer"):
            register = getattr(torch_module, f"register_module_{kind}_registration_hook")
            hooks.callback(register(count).remove)
        yield


@contextmanager
def _errors_only() -> Iterator[None]:
    """Keep transformers from warnings."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


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


def _noise(feature_extractor: SequenceFeatureExtractor) -> list[np.ndarray]:
    """Return two clips of noise: waveforms of 1.5 and 1 s, or spectrograms of 48 and 32 frames."""
    shape, unit = (), feature_extractor.sampling_rate
    if getattr(feature_extractor, "input_type", "waveform") == "spectrogram":
        shape, unit = (1, feature_extractor.num_mel_bins), 32
    generator = np.random.default_rng(0)
    return [generator.normal(0, 0.1, (*shape, round(length * unit))).astype(np.float32) for length in (1.5, 1.0)]
