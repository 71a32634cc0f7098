"""Conversion of a PyResNet, released by the authors of LSSED as a `torch.save` of a module, for transformers.

`TorchFile` reads the file as data: none of its code runs, and the authors' code is not needed. The shapes of the
weights determine the network.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import nn

from ...files import new_folder, sha256
from ...labels import BENCHMARK_EMOTIONS
from ...models.pyresnet.configuration_pyresnet import PyResNetConfig
from ...models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor
from ...models.pyresnet.modeling_pyresnet import PyResNetForAudioClassification
from ..cards.model_card import write_model_card
from .restricted_pickle import SavedObject, SavedTensor, shown
from .result import Conversion, UnsupportedModelError, check_shapes, check_values
from .torch_file import TorchFile


#: Names of the depths, by blocks per stage.
NAMES = {(3, 4, 6, 3): "PyResNet-50", (3, 4, 23, 3): "PyResNet-101", (3, 8, 36, 3): "PyResNet-152"}
#: Front end of released weights: the steps that section 2.3 of the paper names, and no others.
FRONT_END: Mapping[str, Any] = {"log_mel": False, "normalization": "none"}
#: Settings of the front end that the paper leaves open, with the choices made here.
UNKNOWN = (
    "scale of samples: [-1, 1]",
    "spectral subtraction: noise from the quietest tenth of the frames, twice its magnitude taken off, 5 % kept "
    "(noise_fraction, over_subtraction, spectral_floor), windows of 1024 samples (denoise_win_length)",
    "mel filters: 0 to 8000 Hz (f_min, f_max), Slaney's scale and area normalisation",
    "edges of the STFT: centred frames, zeros around the clip",
    "logarithm: none, since none is named (log_mel, top_db)",
    "normalisation of features: none, since none is named (normalization, mean, std)",
    "length of training clips: clips are taken whole",
    "order of the axes: mel first, which the pooling to 4 x 1 fits, since 128 bins leave 4 rows",
)

_AUTHORS = ("PyConvResNet", "PyConvBlock", "PyConv4", "PyConv3", "PyConv2")
_PARALLEL = "torch.nn.parallel.data_parallel.DataParallel"
_TORCH = {
    "torch.nn.modules.activation.ReLU": nn.ReLU,
    "torch.nn.modules.batchnorm.BatchNorm2d": nn.BatchNorm2d,
    "torch.nn.modules.container.Sequential": nn.Sequential,
    "torch.nn.modules.conv.Conv2d": nn.Conv2d,
    "torch.nn.modules.dropout.Dropout": nn.Dropout,
    "torch.nn.modules.linear.Linear": nn.Linear,
    "torch.nn.modules.pooling.AdaptiveAvgPool2d": nn.AdaptiveAvgPool2d,
    "torch.nn.modules.pooling.MaxPool2d": nn.MaxPool2d,
}
#: Classes whose instances a checkpoint may hold; the authors' classes under each module they are imported from.
CLASSES = frozenset(
    [_PARALLEL, *_TORCH]
    + [f"{module}.{name}" for module in ("pyconvresnet", "models.pyconvresnet", "__main__") for name in _AUTHORS]
)
#: Settings of layers that change a result; those of a saved module are compared with ours.
_SETTINGS = {
    nn.Conv2d: ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode"),
    nn.BatchNorm2d: ("eps", "affine", "track_running_stats"),
    nn.AdaptiveAvgPool2d: ("output_size",),
    nn.MaxPool2d: ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
}
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_MOST_BLOCKS = 100  # per stage; PyResNet-152 has 36


def convert_pyconvresnet(
    source: str | os.PathLike, output_dir: str | os.PathLike, labels: Sequence[str] | None = None
) -> Conversion:
    """Convert a released PyResNet, or one that the authors' code saved.

    The file holds a whole module, a state dict, or a dict with one of them under `state_dict`, `model_state_dict` or
    `model`. The module may be wrapped in `DataParallel`. The format is torch's zip format or the one of before 1.6.
    Blocks, widths, kernels, groups and the number of labels follow from the shapes. The folder then holds the model,
    its feature extractor (`FRONT_END`), copies of the code for `trust_remote_code=True`, and a card. It is written
    whole or not at all.

    Args:
        source: Path of the .pth file.
        output_dir: Folder of the result, new or empty.
        labels: Names in the order of the classifier's outputs. The default for four outputs is angry, neutral, happy,
            sad, as released.

    Raises:
        CheckpointError: The file is damaged, no file of `torch.save`, or holds anything but weights and known modules.
        UnsupportedModelError: The network is another one, or weights are not finite.
        ValueError: The labels do not fit.
        FileNotFoundError: There is no such file.
        FileExistsError: The output folder is there already and not empty.
    """
    source = Path(source)
    if not source.is_file():
        raise FileNotFoundError(f"{source}: no such file")
    with TorchFile(source, CLASSES) as file:
        try:
            weights, modules = _find_weights(file.content)
            dropout = modules["dp"].state.get("p") if "dp" in modules else 0.0
            config = _infer_config({name: tensor.shape for name, tensor in weights.items()}, labels, dropout)
            with torch.device("meta"):
                model = PyResNetForAudioClassification(config)
            names = _their_names(config)
            notes: list[str] = []
            _check_modules(model, names, modules)
            _fill(model, names, weights, file, notes)
        except UnsupportedModelError as error:
            raise UnsupportedModelError(f"{source.name}: {error}") from error
    description = f"{_depth_name(config)}, {config.num_labels} labels: {', '.join(config.id2label.values())}"
    with new_folder(output_dir) as folder:
        model.save_pretrained(folder)
        PyResNetFeatureExtractor(**FRONT_END).save_pretrained(folder)
        write_model_card(folder, **_card_facts(config, source, notes))
    return Conversion(Path(output_dir), source.name, description, notes)


def _find_weights(content: Any) -> tuple[dict[str, SavedTensor], dict[str, SavedObject]]:
    """Return weights by name, and modules by name where modules were saved, without the prefix of a wrapper."""
    for _ in range(4):  # a dict, DataParallel, the module in it, and one to spare
        if isinstance(content, SavedObject) and content.kind == _PARALLEL:
            content = _dict_of(content, "_modules").get("module")
        elif isinstance(content, dict) and not any(isinstance(value, SavedTensor) for value in content.values()):
            content = next((content[key] for key in _WRAPPERS if key in content), None)
        else:
            break
    if isinstance(content, SavedObject):
        return _collect(content)
    if not isinstance(content, dict) or not any(isinstance(value, SavedTensor) for value in content.values()):
        raise UnsupportedModelError(
            f"it holds neither a module nor weights by name, nor either under {', '.join(_WRAPPERS)}"
        )
    for name, value in content.items():
        if type(name) is not str or not isinstance(value, SavedTensor):
            raise UnsupportedModelError(f"{shown(name)} among the weights is no tensor with a name")
    while all(name.startswith("module.") for name in content):
        content = {name.removeprefix("module."): value for name, value in content.items()}
    return content, {}


def _collect(root: SavedObject) -> tuple[dict[str, SavedTensor], dict[str, SavedObject]]:
    """Return the weights and the modules of a module, by their full names."""
    weights: dict[str, SavedTensor] = {}
    modules: dict[str, SavedObject] = {}
    seen: set[int] = set()
    waiting = [("", root)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in seen:  # no PyResNet has a module in two places; a loop would have no end
            raise UnsupportedModelError(f"module {shown(path)} occurs twice")
        seen.add(id(module))
        modules[path] = module
        for kind in ("_parameters", "_buffers", "_modules"):
            for name, value in _dict_of(module, kind).items():
                full = f"{path}.{name}" if path else f"{name}"
                if value is None:
                    continue
                if len(full) > 200 or not isinstance(value, SavedObject if kind == "_modules" else SavedTensor):
                    raise UnsupportedModelError(f"{shown(full)} is no {kind.strip('_')[:-1]}")
                if kind == "_modules":
                    waiting.append((full, value))
                else:
                    weights[full] = value
    return weights, modules


def _dict_of(module: SavedObject, name: str) -> dict:
    value = module.state.get(name) if isinstance(module.state, dict) else None
    if not isinstance(value, dict):
        raise UnsupportedModelError(f"{shown(module.kind)} is no module of torch: it has no {name}")
    return value


def _infer_config(shapes: Mapping[str, tuple[int, ...]], labels: Sequence[str] | None, dropout: Any) -> PyResNetConfig:
    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = shapes.get(name)
        if found is None:
            few = ", ".join(shown(name) for name in sorted(shapes)[:3])
            raise UnsupportedModelError(
                f"{name} is missing, so this is no PyResNet of the LSSED authors (it has {few}, ...); "
                "of an ESPnet2 recogniser give the .zip or the folder"
            )
        if len(found) != axes or 0 in found:
            raise UnsupportedModelError(f"{name} has the shape {found} instead of {axes} axes")
        return found

    stem = shape("conv1.weight", 4)
    if stem[1] != 1:
        raise UnsupportedModelError(
            f"conv1.weight takes {stem[1]} channels: a network for pictures; LSSED's takes one, the spectrogram"
        )
    fields: dict[str, list] = {"hidden_sizes": [], "depths": [], "kernel_sizes": [], "groups": []}
    for stage in range(1, 5):
        blocks = _count(shapes, f"layer{stage}.", 0)
        width = shape(f"layer{stage}.0.conv1.weight", 4)[0]
        if blocks > _MOST_BLOCKS:
            raise UnsupportedModelError(f"layer{stage} has {blocks} blocks; {_MOST_BLOCKS} are read at most")
        fields["depths"].append(blocks)
        fields["hidden_sizes"].append(shape(f"layer{stage}.0.conv3.weight", 4)[0])
        levels = _count(shapes, f"layer{stage}.0.conv2.conv2_", 1)
        names = [f"layer{stage}.0.conv2.conv2_{level}.weight" for level in range(1, levels + 1)]
        pyramid = [shape(name, 4) for name in names or [f"layer{stage}.0.conv2.weight"]]
        fields["kernel_sizes"].append([level[-1] for level in pyramid])
        fields["groups"].append([width // level[1] for level in pyramid])
    if type(dropout) is not float or not 0 <= dropout <= 1:
        raise UnsupportedModelError(f"dp has p={_told(dropout)} instead of a probability")
    num_labels, hidden_size = shape("fc.weight", 2)
    labels = _labels(num_labels, labels)
    try:
        return PyResNetConfig(
            embedding_size=stem[0],
            num_frequency_rows=hidden_size // fields["hidden_sizes"][-1],
            classifier_dropout=dropout,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            **fields,
        )
    except StrictDataclassError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise UnsupportedModelError(f"no PyResNet has weights of these shapes: {reason}") from error


def _count(shapes: Mapping[str, Any], prefix: str, first: int) -> int:
    """Count the numbers that follow `prefix` in names, and check that none is left out."""
    found = {name.removeprefix(prefix).partition(".")[0] for name in shapes if name.startswith(prefix)}
    for number in range(first, first + len(found)):
        if str(number) not in found:
            raise UnsupportedModelError(f"{prefix}{number} is missing, though there are {len(found)} of {prefix}*")
    return len(found)


def _labels(num_labels: int, labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        if num_labels != len(BENCHMARK_EMOTIONS):
            raise ValueError(f"the classifier has {num_labels} outputs; name them, in their order, with --labels")
        return list(BENCHMARK_EMOTIONS)
    labels = list(labels)
    if len(labels) != num_labels or len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
        raise ValueError(f"labels={labels}: {num_labels} different names are needed, one per output of the classifier")
    return labels


def _depth_name(config: PyResNetConfig) -> str:
    return NAMES.get(tuple(config.depths), f"PyResNet with {'-'.join(map(str, config.depths))} blocks")


def _their_names(config: PyResNetConfig) -> dict[str, str]:
    """Return the names of the authors' modules by the names of ours."""
    names = {
        "pyresnet.embedder.convolution": "conv1",
        "pyresnet.embedder.normalization": "bn1",
        "classifier": "fc",
    }
    for stage, blocks in enumerate(config.depths):
        levels = len(config.kernel_sizes[stage])
        for block in range(blocks):
            ours, theirs = f"pyresnet.stages.{stage}.layers.{block}.", f"layer{stage + 1}.{block}."
            for number, part in enumerate(("reduce", "pyramid", "expand"), 1):
                names[f"{ours}{part}_normalization"] = f"{theirs}bn{number}"
            names[f"{ours}reduce"], names[f"{ours}expand"] = f"{theirs}conv1", f"{theirs}conv3"
            for level in range(levels):
                names[f"{ours}pyramid.levels.{level}"] = theirs + (
                    f"conv2.conv2_{level + 1}" if levels > 1 else "conv2"
                )
            for number, part in enumerate(("pool", "convolution", "normalization")):
                names[f"{ours}shortcut.{part}"] = f"{theirs}downsample.{number}"
    return names


def _check_modules(
    model: PyResNetForAudioClassification, names: Mapping[str, str], modules: Mapping[str, SavedObject]
) -> None:
    """Check that saved modules have the kinds, strides and poolings of ours, which no shape tells."""
    if not modules:
        return
    ours = {names[path]: module for path, module in model.named_modules() if path in names}
    ours |= {
        "relu": nn.ReLU(),
        "avgpool": nn.AdaptiveAvgPool2d((model.config.num_frequency_rows, 1)),
        "dp": nn.Dropout(),
    }
    containers = {name.rpartition(".")[0] for name in ours} | {f"layer{stage}" for stage in range(1, 5)}
    for name, saved in modules.items():
        parent, _, last = name.rpartition(".")
        module = ours["relu"] if last == "relu" and parent in containers else ours.get(name)
        if module is None:
            if name not in containers:
                raise UnsupportedModelError(f"module {shown(name)}, a {shown(saved.kind)}, is in no PyResNet")
            continue
        if _TORCH.get(saved.kind) is not type(module):
            raise UnsupportedModelError(f"{name} is a {shown(saved.kind)} instead of a {type(module).__name__}")
        for setting in _SETTINGS.get(type(module), ()):
            expected = getattr(module, setting)
            found = saved.state.get(setting, expected)  # old versions of torch lack some, at their defaults
            if not _same(found, expected):
                raise UnsupportedModelError(f"{name} has {setting}={_told(found)} instead of {expected}")


def _same(found: object, expected: object) -> bool:
    """Return whether two settings are equal, where 3 stands for (3, 3) as in torch."""
    pair = [tuple(value) if isinstance(value, list) else value for value in (found, expected)]
    if any(isinstance(value, tuple) for value in pair):
        pair = [value if isinstance(value, tuple) else (value, value) for value in pair]
        return all(type(number) is int for value in pair for number in value) and pair[0] == pair[1]
    return type(found) in (int, float, str, bool) and found == expected


def _told(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(shown, value[:4]))})"
    return f"{value}" if isinstance(value, (float, bool)) else shown(value)


def _fill(
    model: PyResNetForAudioClassification,
    names: Mapping[str, str],
    weights: Mapping[str, SavedTensor],
    file: TorchFile,
    notes: list[str],
) -> None:
    """Give an empty model the weights of the file, in float32."""
    places = {}
    for name in model.state_dict():
        module, _, tensor = name.rpartition(".")
        places[name] = f"{names[module]}.{tensor}"
    expected = {places[name]: tuple(value.shape) for name, value in model.state_dict().items()}
    counters = {name for name in expected if name.endswith(".num_batches_tracked")}
    if not counters & weights.keys():  # torch 0.4 had none, and with a momentum they are not used
        expected = {name: shape for name, shape in expected.items() if name not in counters}
    check_shapes(expected, {name: saved.shape for name, saved in weights.items()}, _depth_name(model.config))
    state, dtypes = {}, set()
    for name, value in model.state_dict().items():
        saved = weights.get(places[name])
        if saved is None:
            state[name] = torch.zeros((), dtype=value.dtype)
            continue
        tensor = file.tensor(saved)
        check_values(places[name], tensor, value)
        dtypes |= {tensor.dtype} if tensor.is_floating_point() else set()
        state[name] = tensor.to(value.dtype).clone(memory_format=torch.contiguous_format)
    if dtypes - {torch.float32}:
        found = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
        notes.append(f"number format: weights saved as {found} are float32 here")
    model.load_state_dict(state, assign=True)
    model.eval()


def _card_facts(config: PyResNetConfig, source: Path, notes: Sequence[str]) -> dict[str, Any]:
    """Return the facts of a conversion for `write_model_card`."""
    return {
        "name": f"{_depth_name(config)}, converted from the format of the LSSED authors",
        "description": f"Weights: {source.name}, SHA-256 {sha256(source)}, in the layout of the code at "
        "https://github.com/tobefans/LSSED. Licence, training data and scores are those of the original, see there; "
        "LSSED itself is under an academic, non-commercial agreement.",
        "notes": [
            "The file does not say which features its network was trained on. preprocessor_config.json has every step "
            "that section 2.3 of the LSSED paper names (16 kHz, spectral subtraction, gain 2, STFT with Hann windows "
            "of 1024 samples every 512, power, 128 triangular mel filters) and none that it does not. Where it is "
            "silent, the following is chosen. Scores depend on it: check them on clips with known emotions.",
            *(f"Chosen: {choice}" for choice in UNKNOWN),
            *(f"Not taken over as it was: {note}" for note in notes),
        ],
        "corpora": [{"name": "lssed", "corpus": "lssed"}],
        "tags": ["lssed"],
    }
