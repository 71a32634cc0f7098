"""Inference with networks of `lssed-hf export`, by ONNX Runtime or OpenVINO on the CPU."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...models.pyresnet.front_end_pyresnet import NumpyFrontEnd
from .checks import (
    check_front_end_settings,
    check_labels,
    check_statistics,
    one_line,
    read_settings_file,
    refusing,
)
from .classifier import Classifier
from .inputs import model_inputs
from .onnx_files import check_weights


#: File that makes a folder an exported one. `ExportSettings` and docs/inference.md describe its contents.
MARKER = "export.json"
#: Format -> file of the network.
MODEL_FILES = {"onnx": "model.onnx", "openvino": "openvino_model.xml"}

_LONGEST = 2**20  # of `min_length`, in frames or samples

# Function from arrays by name of the input to logits (batch, num_labels).
Network = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an exported network.

    Attributes:
        format: Key of `MODEL_FILES`.
        inputs: Names of the inputs, the features first.
        min_length: Length (frames, or samples of waveforms) to which shorter batches are padded with zeros.
        by_length: Whether clips of unequal length have to be run apart, because padding would change their scores.
    """

    format: str
    inputs: tuple[str, ...]
    min_length: int
    by_length: bool


class ExportedClassifier(Classifier):
    """Exported audio classifier and its feature extractor. It runs with as many threads as torch would.

    Args:
        folder: Folder of `lssed-hf export`.
        batch_size: Clips per forward pass.
        device: Device, None or "cpu".
        trust_remote_code: Whether code from the folder may run, if its feature extractor is neither from transformers
            nor from this package.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file cannot be read, or the device is not the CPU.
        ImportError: The runtime is not installed.
    """

    def __init__(self, folder: str | os.PathLike, batch_size: int = 8, device=None, trust_remote_code: bool = False):
        if not on_cpu(device):
            raise ValueError(f"{folder} holds an exported network, which runs on the CPU and not on {device}")
        self.name, self.batch_size = os.fspath(folder), batch_size
        self.open(Path(folder))
        self.config = _read_config(folder)
        self.feature_extractor = _read_front_end(folder, trust_remote_code)
        self.try_out()

    def open(self, folder: Path) -> None:
        """Open the network and its settings."""
        self.settings = read_settings(folder)
        self.network = open_network(folder / MODEL_FILES[self.settings.format], self.settings.format)

    def check_speakers(self) -> None:
        if self.config.model_type == "whisper_statistics" or getattr(self.config, "standardize_embedding", False):
            raise ValueError(
                f"{self.name} takes no speaker's own statistics: they standardise embeddings, which an exported "
                "network does not give; name the model that it was exported from"
            )
        super().check_speakers()

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        return self.run(self.network, batch)

    def run(self, network: Network, batch: list[np.ndarray]) -> np.ndarray:
        """Return what a network gives, (batch, ...), for float32 waveforms (samples,)."""
        return run_network(network, self.settings, model_inputs(self.feature_extractor, batch, "np"))

    def try_out(self) -> None:
        """Classify noise of 1 s and of 0.2 s, because neither the network nor its weights can be looked into.

        Raises:
            ValueError: The network fails, gives another number of scores than there are labels, or no finite ones.
        """
        noise = np.random.default_rng(0).normal(0, 0.1, self.sampling_rate).astype(np.float32)
        for length in (len(noise), len(noise) // 5):
            with refusing(self.name, "its files do not fit each other, export the model again"):
                scores = self.logits([noise[:length]])
            if scores.shape != (1, len(self.outputs.names)) or not np.isfinite(scores).all():
                raise ValueError(
                    f"{self.name}: the network gives {np.size(scores)} scores, {np.isfinite(scores).sum()} of them "
                    f"finite, and config.json names {len(self.outputs.names)} labels; export the model again"
                )


def on_cpu(device: Any) -> bool:
    """Return whether a device, by its name or torch's object, is the CPU; None is."""
    return device is None or str(device).partition(":")[0] == "cpu"


def _read_config(folder: str | os.PathLike) -> SimpleNamespace:
    """Return `config.json` as transformers reads it, without its import: labels by index, and other settings."""
    path = Path(folder, "config.json")
    settings = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, **read_settings_file(path)}
    check_labels(settings, path)
    settings["id2label"] = {int(index): label for index, label in settings["id2label"].items()}
    return SimpleNamespace(**{**settings, "num_labels": len(settings["id2label"])})


def _read_front_end(folder: str | os.PathLike, trust_remote_code: bool) -> Any:
    """Return the feature extractor: this package's without an import of transformers, or any other."""
    path = Path(folder, "preprocessor_config.json")
    settings = read_settings_file(path)
    if settings.get("feature_extractor_type") != "PyResNetFeatureExtractor":
        from .network import open_front_end

        return open_front_end(folder, trust_remote_code)
    check_front_end_settings(settings, folder)
    with refusing(path):
        front_end = NumpyFrontEnd(**settings)
    check_statistics(front_end, folder)
    return front_end


def read_settings(folder: str | os.PathLike) -> ExportSettings:
    """Return the settings in `export.json`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or from another version.
    """
    path = Path(folder, MARKER)
    try:
        return parse_settings(read_settings_file(path))
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not one that this version writes ({one_line(error)}); export the model again"
        ) from error


def parse_settings(content: Mapping[str, Any]) -> ExportSettings:
    """Return the settings of a network from their JSON.

    Raises:
        KeyError: A setting is missing.
        ValueError: A setting is out of its range, or of another type.
    """
    format, inputs, min_length, by_length = (content[name] for name in ExportSettings.__dataclass_fields__)
    if format not in MODEL_FILES:
        raise ValueError(f"format={format!r}")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(name, str) for name in inputs):
        raise ValueError(f"inputs={inputs!r}")
    if type(min_length) is not int or not 1 <= min_length <= _LONGEST:
        raise ValueError(f"min_length={min_length!r}")
    if not isinstance(by_length, bool):
        raise ValueError(f"by_length={by_length!r}")
    return ExportSettings(format, tuple(inputs), min_length, by_length)


def run_network(network: Network, settings: ExportSettings, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return logits (batch, num_labels).

    Args:
        network: Network of `open_network`.
        settings: Settings of the network.
        inputs: Output of the feature extractor: features (batch, length, ...), and a mask or none.
    """
    if missing := [name for name in settings.inputs if name not in inputs]:
        raise ValueError(f"the front end gives {', '.join(inputs)} and no {missing[0]}, an input in {MARKER}")
    inputs = {name: np.asarray(inputs[name]) for name in settings.inputs}
    if not settings.by_length or "attention_mask" not in inputs:
        return _run_padded(network, settings, inputs)
    lengths = inputs["attention_mask"].sum(axis=1)
    rows_of = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
    found = [
        _run_padded(network, settings, {name: value[rows, : lengths[rows[0]]] for name, value in inputs.items()})
        for rows in rows_of
    ]
    return np.concatenate(found)[np.concatenate(rows_of).argsort()]


def _run_padded(network: Network, settings: ExportSettings, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    missing = max(0, settings.min_length - inputs[settings.inputs[0]].shape[1])
    feed = {}
    for name, value in inputs.items():
        value = value.astype(np.int64 if name == "attention_mask" else np.float32, copy=False)
        feed[name] = np.pad(value, [(0, 0), (0, missing), *[(0, 0)] * (value.ndim - 2)]) if missing else value
    return network(feed)


def open_network(path: Path, format: str) -> Network:
    """Return the network in a file as a function.

    Args:
        path: File of the network.
        format: Key of `MODEL_FILES`.

    Raises:
        FileNotFoundError: The file is missing.
        ValueError: The file cannot be read.
        ImportError: The runtime is not installed.
    """
    files = [path, path.with_suffix(".bin")] if format == "openvino" else [path]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing; export the model again")
    try:
        return OnnxNetwork(path) if format == "onnx" else _open_openvino(path)
    except ImportError as error:
        raise ImportError(f"{path} needs {error.name}; run pip install 'lssed-hf[{format}]'") from error
    except Exception as error:  # both runtimes raise many kinds of errors, most of them their own
        raise ValueError(f"{path} cannot be read, export the model again: {one_line(error)}") from error


class OnnxNetwork:
    """File of ONNX on the CPU. Weights outside of the file must lie in its folder (see `check_weights`).

    Attributes:
        metadata: Texts by their keys, from the file.
    """

    def __init__(self, path: Path):
        import onnxruntime

        check_weights(path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads()
        # Threads that wait would take turns away from decoders, and from other calls of the session.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # warnings are about optimisations of the runtime, and errors are raised
        self._session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map

    def __call__(self, feed: Mapping[str, np.ndarray], output: str = "logits") -> np.ndarray:
        return self._session.run([output], dict(feed))[0]


def num_threads() -> int:
    """Return the number of threads that torch has or would have, a thread for each core by default."""
    if torch := sys.modules.get("torch"):
        return torch.get_num_threads()
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(first) if first.isdecimal() and int(first) else (os.cpu_count() or 1)


def _open_openvino(path: Path) -> Network:
    import openvino

    core = openvino.Core()
    # Without the hint OpenVINO takes bfloat16 on some processors, which changes scores in the third digit.
    options = {
        "INFERENCE_NUM_THREADS": num_threads(),
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(path), "CPU", options)
    return lambda feed: compiled(dict(feed))["logits"]


__all__ = [
    "MARKER",
    "MODEL_FILES",
    "ExportSettings",
    "ExportedClassifier",
    "OnnxNetwork",
    "num_threads",
    "on_cpu",
    "open_network",
    "read_settings",
    "run_network",
]
