"""Export of audio classifiers for ONNX Runtime or OpenVINO, in floating point or quantised to 8 bits.

`lssed-hf export` compares the result with PyTorch before it keeps it. `lssed-hf predict`, `lssed-hf evaluate` and
`lssed_hf.load_classifier` take the new folder like the folder of a model.
"""

import contextlib
import dataclasses
import importlib.metadata
import logging
import operator
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from .. import __version__
from ..audio import load_audio
from ..escaping import one_line, printable
from ..files import new_folder, write_json
from ..inference.classifiers.checks import check_takes_recordings
from ..inference.classifiers.exported import (
    MARKER,
    MODEL_FILES,
    ExportedClassifier,
    ExportSettings,
    Network,
    open_network,
    run_network,
)
from ..inference.classifiers.inputs import model_inputs
from ..inference.classifiers.loading import find_model
from ..inference.classifiers.network import joined_logits, no_loading_bar, open_front_end, open_trained
from ..inference.trained_on import RECORD
from ..models.folding import fold_batch_norm, merge_small_groups
from ..scan import expand_paths
from .quantization import errors_only, quantize_onnx, quantize_openvino


#: Greatest allowed difference between a logit of a network in floating point and PyTorch's. Where the largest logit of
#: the batch exceeds 1, the difference is a share of it.
TOLERANCE = 1e-4
#: Packages that the extra of each format installs.
PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino", "nncf")}


class ExportError(ValueError):
    """Error of a model that cannot be exported. The message says why."""


@dataclasses.dataclass
class Source:
    """Model to export.

    Attributes:
        name: Name or folder of the model.
        model: Model in `eval` mode.
        extractor: Feature extractor of the model.
        inputs: Names of the inputs, the features first.
        tail: Axes of the features behind (batch, length).
        example_length: Length of the clips that trace the network, long enough to be no special case of its layers.
        check_lengths: Lengths of the clips for the comparison with PyTorch, from the shortest.
    """

    name: str
    model: nn.Module
    extractor: Any
    inputs: tuple[str, ...]
    tail: tuple[int, ...]
    example_length: int
    check_lengths: tuple[int, ...]

    def batch(self, lengths: Sequence[int], seed: int = 0) -> dict[str, torch.Tensor]:
        """Make normally distributed features of clips of these lengths, with zeros behind their ends and a mask."""
        generator = torch.Generator().manual_seed(seed)
        features = torch.randn(len(lengths), max(lengths), *self.tail, generator=generator)
        mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        features[~mask] = 0
        return dict(zip(self.inputs, (features, mask.long())))

    def example(self) -> dict[str, torch.Tensor]:
        """Make the batch that traces the network."""
        length = self.example_length
        return self.batch([length, length * 3 // 4, length * 2 // 3])

    def logits(self, inputs) -> np.ndarray:
        """Return PyTorch's logits (batch, num_outputs)."""
        with torch.inference_mode():
            return joined_logits(self.model(**inputs)).float().numpy()


def export_model(
    model_name_or_path: str | os.PathLike,
    output_dir: str | os.PathLike,
    format: str = "onnx",
    *,
    int8: bool = False,
    calibration_data: Sequence[str | os.PathLike] = (),
    num_calibration_clips: int = 128,
    trust_remote_code: bool = False,
) -> dict[str, Any]:
    """Export an audio classifier for any number of clips of any length.

    The folder then holds the network (`model.onnx`, or `openvino_model.xml` and `.bin`), `config.json`,
    `preprocessor_config.json` and their code, `export.json`, and the record of the training if there is one. It is
    written whole or not at all.

    Args:
        model_name_or_path: Folder or Hub name of an audio classifier.
        output_dir: Folder of the result, new or empty.
        format: "onnx" or "openvino".
        int8: Whether to quantise weights and activations to 8 bits after training.
        calibration_data: Audio files, or folders of them, for the ranges of activations.
        num_calibration_clips: Number of clips for the ranges, drawn at random with a fixed seed.
        trust_remote_code: Whether code from the model's repository may run.

    Returns:
        Contents of `export.json`.

    Raises:
        ExportError: The model depends on the length of its input, or its export gives other logits than PyTorch.
        ValueError: Quantisation lacks calibration data, or none of its clips can be read.
        FileNotFoundError: A file is missing.
        FileExistsError: The output folder is there already and not empty.
        ImportError: Packages of the extra are missing.
    """
    _check_arguments(format, int8, calibration_data, num_calibration_clips)
    versions = _versions(format)
    with new_folder(output_dir) as folder:
        source = open_source(model_name_or_path, trust_remote_code)
        clips, skipped = _load_clips(calibration_data, num_calibration_clips, source) if int8 else ([], {})
        network_file = folder / MODEL_FILES[format]
        _write_network(source, network_file, format)
        settings, parity = check_parity(source, open_network(network_file, format), format)
        facts = {
            **dataclasses.asdict(settings),
            "inputs": list(settings.inputs),
            "precision": "int8" if int8 else "float32",
            "source": Path(source.name).name if os.path.isdir(source.name) else source.name,
            "versions": versions,
            "float32_parity": parity,
        }
        if int8:
            calibration = [_calibration_inputs(source, settings, clip) for clip in clips]
            (quantize_onnx if format == "onnx" else quantize_openvino)(network_file, calibration)
        _write_configs(source, folder)
        write_json(folder / MARKER, facts)
        classifier = ExportedClassifier(folder, trust_remote_code=trust_remote_code)  # as users will open it
        if int8:
            facts["int8_agreement"] = {**_agreement(source, classifier, clips), "skipped_files": skipped}
            write_json(folder / MARKER, facts)
    return facts


def _check_arguments(format: str, int8: bool, calibration_data: Sequence, num_calibration_clips: int) -> None:
    if format not in MODEL_FILES:
        raise ValueError(f"format={format!r} is not one of {', '.join(MODEL_FILES)}")
    if int8 and not calibration_data:
        raise ValueError("int8 needs clips to calibrate with: give files or folders with --calibration_data")
    if calibration_data and not int8:
        raise ValueError("--calibration_data is for --int8, which is not given")
    if num_calibration_clips < 1:
        raise ValueError(f"num_calibration_clips={num_calibration_clips} must be at least 1")


def _versions(format: str) -> dict[str, str]:
    versions = {"lssed_hf": __version__}
    for package in ("torch", "transformers", *PACKAGES[format]):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as error:
            raise ImportError(f"{format} needs {package}; run pip install 'lssed-hf[{format}]'") from error
    return versions


@no_loading_bar()
def open_source(model_name_or_path: str | os.PathLike, trust_remote_code: bool) -> Source:
    """Open an audio classifier to export, in floating point.

    Raises:
        ExportError: Clips of all lengths give inputs of one length, or inputs that cannot be exported.
        ValueError: The model was exported already.
    """
    name = os.fspath(find_model(model_name_or_path))
    if Path(name, MARKER).is_file():
        raise ValueError(f"{name} was exported already; give the folder of its model")
    extractor = open_front_end(name, trust_remote_code)
    check_takes_recordings(extractor, name)
    model = open_trained(name, trust_remote_code).eval().float()
    rate = extractor.sampling_rate
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * rate).astype(np.float32)
    short, long = (model_inputs(extractor, [clip], "np") for clip in (noise[:rate], noise))
    features = model.main_input_name
    if features not in long or set(long) - {features, "attention_mask"}:
        raise ExportError(f"{name}: takes {', '.join(long)}; only {features} and attention_mask can be exported")
    if short[features].shape[1] >= long[features].shape[1]:
        raise ExportError(
            f"{name}: its feature extractor gives (batch, frames, ...) of one length for clips of any length; only "
            "models with a length of their own for each clip can be exported"
        )
    if long[features].ndim == 2:  # waveforms
        example, check = 2 * rate, tuple(round(seconds * rate) for seconds in (0.2, 0.5, 1.1, 3))
    else:
        example, check = 161, (1, 2, 8, 17, 31, 33, 50, 64, 65, 98, 130, 157, 300)
    inputs = tuple(name for name in (features, "attention_mask") if name in long)
    return Source(name, model, extractor, inputs, long[features].shape[2:], example, check)


class NetworkOutputs(nn.Module):
    """Wrapper of a classifier for exporters, with tensors in and logits out, or embeddings and logits."""

    def __init__(self, model: nn.Module, features: str, embeddings: bool = False):
        super().__init__()
        self.model = model
        self.features = features
        self.embeddings = embeddings

    def forward(self, features: torch.Tensor, attention_mask: torch.Tensor | None = None):
        inputs = (
            {self.features: features}
            if attention_mask is None
            else {self.features: features, "attention_mask": attention_mask}
        )
        if not self.embeddings:
            return joined_logits(self.model(**inputs, return_dict=True))
        embeddings = self.model.base_model(**inputs, return_dict=True).pooler_output
        return embeddings, self.model.classify(embeddings)


def _write_network(source: Source, path: Path, format: str) -> None:
    """Write the network as ONNX by torch.export, which refuses layers that depend on the length.

    OpenVINO reads the ONNX file: straight from the exported program, OpenVINO 2026.4 gives a PyResNet other logits.
    """
    network = fold_batch_norm(source.model, source.example())
    if format == "onnx":
        network = merge_small_groups(network)
    onnx_program = export_program(source, NetworkOutputs(network, source.inputs[0]), ["logits"])
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        onnx_file = path if format == "onnx" else Path(temporary, "model.onnx")
        onnx_program.save(onnx_file)
        if format == "openvino":
            import openvino

            try:
                model = openvino.Core().read_model(onnx_file)
            except RuntimeError as error:
                raise ExportError(f"OpenVINO cannot read {source.name}: {one_line(error)}") from error
            openvino.save_model(model, path, compress_to_fp16=False)


def export_program(source: Source, network: nn.Module, output_names: Sequence[str], optimize: bool = True):
    """Return the network as a program of ONNX for any number of clips of any length."""
    length = source.example_length
    shape = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("length", min=length * 3 // 4)}
    shapes = (shape,) * len(source.inputs)
    try:
        with torch.no_grad(), _quiet(), _any_remainder():
            program = torch.export.export(
                network.eval(), tuple(source.example().values()), dynamic_shapes=shapes, strict=False
            )
            exported = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                optimize=optimize,
                input_names=list(source.inputs),
                output_names=list(output_names),
                dynamic_shapes=shapes,
            )
            for node in exported.model.graph.all_nodes():
                node.metadata_props.clear()  # the lines of code that it came from, with the folders of this machine
            return exported
    except ImportError as error:
        raise ExportError(f"pip install --upgrade onnx onnxscript, they do not fit this torch: {error}") from error
    except Exception as error:  # exporters raise many kinds
        reason = str(error).strip().split("\n\n")[0]
        raise ExportError(
            f"{source.name} cannot be exported for any batch and length, most likely because its layers depend on the "
            f"length (docs/models.md says which of ours do): {reason}"
        ) from error


def _any_remainder() -> contextlib.AbstractContextManager:
    """Let pooling divide lengths with a remainder: torch 2.11 takes a guard of it that the result does not need."""
    return mock.patch.object(torch._meta_registrations, "div_rtn", operator.floordiv)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' remarks on operators that nothing here uses."""
    with warnings.catch_warnings(), errors_only(logging.getLogger("torch.onnx")):
        warnings.simplefilter("ignore")
        yield


def check_parity(source: Source, network: Network, format: str) -> tuple[ExportSettings, dict[str, Any]]:
    """Find the settings that run the network like PyTorch, and the greatest difference left.

    Clips are padded as far as the network needs, and run by length where padding changes the logits. Both are tried
    out, because some exported networks, also of this package, treat a batch as one.

    Raises:
        ExportError: The difference exceeds the tolerance either way.
    """
    lengths = source.check_lengths
    batches = [[length] for length in lengths]
    batches += [[length] * 3 for length in lengths[len(lengths) // 2 :: 2]]
    batches += [list(lengths[-2:]), list(lengths[::-2]), [lengths[1], lengths[-1], lengths[1], lengths[-3]]]
    inputs = [source.batch(batch, seed) for seed, batch in enumerate(batches)]
    expected = []
    for batch in inputs:
        try:
            expected.append(source.logits(batch))
        except Exception:  # clips that are too short for PyTorch as well
            expected.append(None)
    own_minimum = getattr(source.model.config, "min_frames", 1)
    minima = sorted({1, own_minimum, source.example_length * 3 // 4}) if source.tail else [1]
    least = np.inf
    for by_length in (False, True):
        for min_length in minima:
            settings = ExportSettings(format, source.inputs, min_length, by_length)
            difference = _difference(network, settings, inputs, expected)
            least = min(least, difference)
            if difference <= TOLERANCE:
                compared = [batch for batch, logits in zip(batches, expected) if logits is not None]
                return settings, {
                    "max_logit_difference": float(f"{difference:.2g}"),
                    "tolerance": TOLERANCE,
                    "batches": len(compared),
                    "shortest": min(map(min, compared)),
                    "longest": max(map(max, compared)),
                }
    raise ExportError(
        f"{source.name}: the exported network's logits differ from PyTorch's by up to {least:.2g}, and {TOLERANCE:g} "
        "is allowed; its layers may depend on the length (docs/models.md says which of ours do)"
    )


def _difference(network: Network, settings: ExportSettings, inputs, expected) -> float:
    """Return the greatest difference as `TOLERANCE` counts it, or the first one above it.

    It is infinite where the network fails.
    """
    greatest = 0.0
    for batch, logits in zip(inputs, expected):
        if logits is not None:
            try:
                answer = run_network(network, settings, {name: value.numpy() for name, value in batch.items()})
            except Exception:  # a length that the runtime's layers cannot take; its own kind of error
                return np.inf
            if answer.shape != logits.shape:  # OpenVINO gives nothing for them in place of an error
                return np.inf
            greatest = max(greatest, float(np.abs(answer - logits).max() / max(1, np.abs(logits).max())))
        if not greatest <= TOLERANCE:  # NaN too
            return greatest
    return greatest


def _load_clips(
    calibration_data: Sequence[str | os.PathLike], count: int, source: Source
) -> tuple[list[np.ndarray], dict[str, str]]:
    """Return up to `count` waveforms (samples,), and the reason for each skipped file."""
    paths = expand_paths([Path(given) for given in calibration_data])
    clips, skipped = [], {}
    for index in np.random.default_rng(0).permutation(len(paths)):
        if len(clips) == count:
            break
        try:
            clip = load_audio(paths[index], source.extractor.sampling_rate)
            source.extractor([clip], sampling_rate=source.extractor.sampling_rate)
            clips.append(clip)
        except (OSError, ValueError, ImportError) as error:
            print(f"skipped: {printable(str(error))}", file=sys.stderr)
            name = "/".join(paths[index].parts[-2:])  # the folders above are nobody's business
            skipped[name] = str(error).replace(str(paths[index]), name)
    if not clips:
        reason = next(iter(skipped.values()))
        raise ValueError(f"none of the {len(paths)} calibration files can be used, the first because: {reason}")
    return clips, skipped


def _calibration_inputs(source: Source, settings: ExportSettings, clip: np.ndarray) -> dict[str, np.ndarray]:
    """Return the inputs of the network for one clip alone."""
    seen = {}

    def network(feed):
        seen.update(feed)
        return np.zeros((1, source.model.config.num_labels), dtype=np.float32)

    run_network(network, settings, model_inputs(source.extractor, [clip], "np"))
    return seen


def _write_configs(source: Source, folder: Path) -> None:
    config = source.model.config
    remote = getattr(config, "auto_map", None) or {}
    # The code of the network stays behind, so nothing may point to it.
    config.auto_map = {name: where for name, where in remote.items() if name in ("AutoConfig", "AutoFeatureExtractor")}
    if not config.auto_map:
        del config.auto_map
    config.save_pretrained(folder)
    if Path(source.name, RECORD).is_file():
        shutil.copyfile(Path(source.name, RECORD), folder / RECORD)
    source.extractor.save_pretrained(folder)


def _agreement(source: Source, classifier: ExportedClassifier, clips: Sequence[np.ndarray]) -> dict[str, Any]:
    """Compare the scores of clips, each alone, with those of PyTorch: probabilities, and values of dimensions."""
    classifier.batch_size, outputs = 1, classifier.outputs
    quantized = np.stack(list(classifier.scores(clips)))
    exact = np.stack([outputs.scores(source.logits(model_inputs(source.extractor, [clip]))[0]) for clip in clips])
    facts: dict[str, Any] = {"clips": len(clips)}
    for kind, one, other in zip(("probability", "value"), outputs.split(quantized), outputs.split(exact)):
        if one.size:
            difference = np.abs(one - other)
            facts[f"max_{kind}_difference"] = round(float(difference.max()), 4)
            facts[f"mean_{kind}_difference"] = round(float(difference.mean()), 4)
            if kind == "probability":
                facts["same_label"] = round(float((one.argmax(axis=1) == other.argmax(axis=1)).mean()), 4)
    return facts
