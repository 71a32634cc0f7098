"""Conversion of a released ESPnet2 speech recogniser to a folder for transformers.

Nothing in the release is run: weights, YAML and statistics are read as plain data. Every weight has to find its place.
"""

import contextlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
import yaml
from huggingface_hub.errors import StrictDataclassError

from ...files import check_new_folder, content_folders, new_folder, sha256
from ...models.espnet.configuration_espnet_asr import EspnetAsrConfig
from ...models.espnet.feature_extraction_espnet_asr import EspnetAsrFeatureExtractor
from ...models.espnet.modeling_espnet_asr import EspnetAsrForSpeechSeq2Seq
from ...models.espnet.processing_espnet_asr import EspnetAsrProcessor
from ...models.espnet.tokenization_espnet_asr import EspnetAsrTokenizer
from ...unpack import ArchiveError, extract_archive
from ..cards.model_card import write_model_card
from .espnet_config import EspnetSettings, read_settings
from .restricted_pickle import CheckpointError, SavedTensor, shown
from .result import Conversion, UnsupportedModelError, check_shapes, check_values
from .torch_file import TorchFile


#: Names that ESPnet gives to averaged weights, the best first.
_CHECKPOINTS = ("valid.acc.ave*.pth", "valid.*.ave*.pth", "*.ave*.pth", "valid.acc.best.pth", "*.best.pth", "*.pth")
#: Limits of YAML: bytes, of which a list of tokens takes the most, levels, and values.
_YAML_SIZE, _YAML_DEPTH, _YAML_VALUES = 16 * 2**20, 50, 1_000_000
#: Limit of feats_stats.npz, unpacked, in bytes.
_STATISTICS_SIZE = 2**24
_MOST_LAYERS = 200
_WANTED = (".yaml", ".yml", ".pth", ".model", ".npz", ".txt")


@dataclass
class _Files:
    """Files of an ESPnet model. Paths in its YAML files are relative to `root`."""

    root: Path
    config: Path
    checkpoint: Path


def convert_espnet(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    config_file: str | os.PathLike | None = None,
    checkpoint_file: str | os.PathLike | None = None,
    bpe_model: str | os.PathLike | None = None,
) -> Conversion:
    """Convert an ESPnet2 CTC/attention recogniser.

    The folder then holds the model, its feature extractor and tokenizer, the generation settings, copies of the code
    for `trust_remote_code=True`, and a short card. `mask_padding` is on: a clip gets the result that ESPnet gives for
    the clip alone, in any batch.

    Args:
        source: Released .zip, or a folder: an unpacked release, or the `exp/asr_...` of a training.
        output_dir: Folder of the result, new or empty.
        config_file: Path of config.yaml relative to `source`, where it has several or another name.
        checkpoint_file: Path of the weights relative to `source`, likewise.
        bpe_model: Path of the sentencepiece model relative to `source`, likewise.

    Raises:
        UnsupportedModelError: Parts or options cannot be represented exactly, or weights do not fit.
        ArchiveError: The archive is damaged or unsafe.
        FileNotFoundError: A file is missing.
        FileExistsError: The output folder is there already and not empty.
        ValueError: A file cannot be read.
    """
    check_new_folder(output_dir)  # before the work
    with _refusing(Path(source)), _unpacked(Path(source)) as root:
        files = _find_files(root, config_file, checkpoint_file)
        settings = read_settings(_read_yaml(files.config))
        state = _read_weights(files.checkpoint)
        notes = list(settings.notes)
        extractor = _make_extractor(settings, state, files)
        model = _make_model(settings, state, extractor, notes)
        tokenizer = _make_tokenizer(settings, files, bpe_model, notes)
        with new_folder(output_dir) as folder:
            model.save_pretrained(folder)
            EspnetAsrProcessor(extractor, tokenizer).save_pretrained(folder)
            extractor.save_pretrained(folder)  # for pipelines of classifiers, which load no tokenizer
            write_model_card(folder, **_card_facts(settings, files, notes))
    kind = f"ESPnet2 recogniser, {settings.model['encoder_type'].replace('_', '-')}"
    return Conversion(Path(output_dir), files.checkpoint.name, kind, notes)


@contextlib.contextmanager
def _refusing(source: Path) -> Iterator[None]:
    """Name the model in errors, also in those of libraries that its settings lead to."""
    try:
        yield
    except (OSError, ImportError, ArchiveError, CheckpointError):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnsupportedModelError(f"{source.name}: {reason}") from error


@contextlib.contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
    elif not source.is_file():
        raise FileNotFoundError(f"{source}: no such folder or file")
    else:
        with tempfile.TemporaryDirectory(prefix="lssed_hf_espnet_") as temporary:
            wanted = lambda name: PurePosixPath(name).suffix.lower() in _WANTED  # noqa: E731
            yield extract_archive(source, Path(temporary, "model"), wanted)


def _find_files(root: Path, config_file, checkpoint_file) -> _Files:
    metas = sorted(root.rglob("meta.yaml"), key=lambda path: len(path.parts))
    meta = _read_mapping(_own(root, metas[0])) if metas else {}
    root = metas[0].parent if metas else root  # paths in it are relative to its folder
    named = {
        "config": (meta.get("yaml_files") or {}).get("asr_train_config"),
        "checkpoint": (meta.get("files") or {}).get("asr_model_file"),
    }
    config = _inside(root, config_file or named["config"], "config.yaml")
    if config is None:
        configs = [
            path for path in sorted(root.rglob("config.yaml")) if "token_list" in _read_mapping(_own(root, path))
        ]
        config = _only(configs, root, "config.yaml of a speech recogniser (one with a token_list)", "--config_file")
    checkpoint = _inside(root, checkpoint_file or named["checkpoint"], "checkpoint")
    if checkpoint is None:
        for pattern in _CHECKPOINTS:
            found = {path.resolve(): path for path in sorted(config.parent.glob(pattern))}
            if found:
                break
        checkpoint = _only(list(found.values()), root, ".pth file beside config.yaml", "--checkpoint_file")
    return _Files(root, config, _own(root, checkpoint))


def _own(root: Path, path: Path) -> Path:
    """Return a file of a model after a check that it is no link to something else on the disk."""
    if not _is_inside(root, path):
        raise ValueError(
            f"{path.relative_to(root)} is a link out of the model; copy its folder with contents (cp -rL)"
        )
    return path


def _is_inside(root: Path, path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder) for folder in content_folders(root.resolve()))


def _inside(root: Path, name: str | os.PathLike | None, what: str) -> Path | None:
    """Return the file of a name in YAML or in a flag; it has to lie below the root."""
    if name is None:
        return None
    path = root / name
    if not _is_inside(root, path):
        raise ValueError(f"{what} {os.fspath(name)!r} lies outside of the model")
    if not path.is_file():
        raise FileNotFoundError(f"{what} {os.fspath(name)!r} is not in {root}")
    return path


def _only(found: list[Path], root: Path, what: str, flag: str) -> Path:
    if not found:
        raise FileNotFoundError(f"{root} has no {what}; give it with {flag}")
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(root)) for path in found)
        raise ValueError(f"{root} has several, so choose a {what} with {flag}: {names}")
    return found[0]


def _read_mapping(path: Path) -> Mapping:
    content = _read_yaml(path)
    return content if isinstance(content, Mapping) else {}


class _YamlLoader(yaml.SafeLoader):
    """Loader of plain values of bounded depth and number, also where aliases repeat them."""

    def __init__(self, stream):
        super().__init__(stream)
        self.depth = self.count = 0
        self.sizes: dict[int, int] = {}  # values in a node, by its id

    def compose_node(self, parent, index):
        event, before = self.peek_event(), self.count
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        self.count += self.sizes.get(id(node), 0) if isinstance(event, yaml.AliasEvent) else 1
        self.sizes.setdefault(id(node), self.count - before)
        if self.count > _YAML_VALUES:
            problem = f"more than {_YAML_VALUES:,} values are not read"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return node

    def peek_event(self):
        event = super().peek_event()
        if self.depth > _YAML_DEPTH:
            problem = f"more than {_YAML_DEPTH} levels are not read"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return event


def _read_yaml(path: Path) -> Any:
    if path.stat().st_size > _YAML_SIZE:
        raise ValueError(f"{path.name} is larger than the {_YAML_SIZE // 2**20} MB that are read of YAML")
    try:
        with open(path, encoding="utf-8") as file:
            return yaml.load(file, _YamlLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read as YAML: {error}") from error


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    with TorchFile(path) as file:
        content = file.content
        for key in ("module", "model"):  # DeepSpeed; ESPnet's checkpoint.pth
            if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
                content = content[key]
        if not isinstance(content, Mapping) or not content:
            raise ValueError(f"{path.name} holds no weights by name")
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, SavedTensor):
                raise ValueError(f"{path.name}: {shown(name)} is no tensor")
        return {name: file.tensor(value) for name, value in content.items()}


def _make_extractor(
    settings: EspnetSettings, state: dict[str, torch.Tensor], files: _Files
) -> EspnetAsrFeatureExtractor:
    """Make the feature extractor; its statistics come out of `state`, or from feats_stats.npz."""
    arguments = dict(settings.feature_extractor)
    if arguments["normalization"] == "global_mvn":
        if {"normalize.mean", "normalize.std"} <= state.keys():
            mean, std = (state.pop(f"normalize.{name}").double().numpy() for name in ("mean", "std"))
        else:
            mean, std = _read_statistics(files)
        if mean.shape != (arguments["num_mel_bins"],) or std.shape != mean.shape:
            raise UnsupportedModelError(
                f"normalisation statistics have the shape {mean.shape}, for n_mels={arguments['num_mel_bins']}"
            )
        arguments["mean"] = mean if settings.norm_means else np.zeros_like(mean)
        arguments["std"] = std if settings.norm_vars else np.ones_like(std)
    try:
        return EspnetAsrFeatureExtractor(**arguments)
    except (TypeError, ValueError) as error:
        raise UnsupportedModelError(f"frontend_conf: {error}") from error


def _read_statistics(files: _Files) -> tuple[np.ndarray, np.ndarray]:
    found = sorted(files.root.rglob("feats_stats.npz"))
    path = _only(found, files.root, "feats_stats.npz, which global_mvn needs", "normalize.mean in the weights")
    try:
        with zipfile.ZipFile(_own(files.root, path)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _STATISTICS_SIZE:
                raise ValueError(f"it unpacks to over {_STATISTICS_SIZE // 2**20} MB")
        with np.load(path, allow_pickle=False) as statistics, np.errstate(all="ignore"):
            count = float(statistics["count"])
            mean = statistics["sum"] / count
            std = np.sqrt(np.maximum(statistics["sum_square"] / count - mean**2, 1e-20))
    except (ValueError, KeyError, TypeError, OSError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path.name} does not hold count, sum and sum_square as plain numbers: {error}") from error
    if not (np.isfinite(mean).all() and np.isfinite(std).all()):
        raise ValueError(f"{path.name} holds no finite mean and deviation (count {count:g})")
    return mean, std


def _make_model(
    settings: EspnetSettings,
    state: dict[str, torch.Tensor],
    extractor: EspnetAsrFeatureExtractor,
    notes: list[str],
) -> EspnetAsrForSpeechSeq2Seq:
    """Make the model with all weights of `state`."""
    filters = state.pop("frontend.logmel.melmat", None)
    if filters is not None and (
        filters.shape != extractor.mel_filters.shape
        or not np.allclose(filters.numpy(), extractor.mel_filters, rtol=0, atol=1e-6)
    ):
        raise UnsupportedModelError(
            "frontend.logmel.melmat: the mel filters are not those that frontend_conf describes"
        )
    try:
        config = EspnetAsrConfig(**settings.model)
    except StrictDataclassError as error:
        raise UnsupportedModelError(f"config.yaml: {error}") from error
    if config.num_hidden_layers > _MOST_LAYERS or config.decoder_layers > _MOST_LAYERS:
        raise UnsupportedModelError(f"config.yaml: num_blocks: at most {_MOST_LAYERS} layers are read")
    with torch.device("meta"):  # shapes alone, before memory is taken for them
        model = EspnetAsrForSpeechSeq2Seq(config)
    weights = {}
    for name, value in state.items():
        if name.rpartition(".")[2] == "pe":
            continue  # positions, which old versions saved
        part = name.partition(".")[0]
        if part in ("ctc", "decoder") and getattr(model, part) is None:
            # Old versions saved this part although a ctc_weight of 0 or 1 never trains it.
            note = f"{part}.*: not taken over, since ctc_weight={settings.model['ctc_weight']} never trained it"
            notes += [] if note in notes else [note]
            continue
        weights[f"model.{name}" if part == "encoder" else name] = value
    expected = model.state_dict()
    check_shapes(
        {name: value.shape for name, value in expected.items()},
        {name: value.shape for name, value in weights.items()},
        "the model that config.yaml describes",
    )
    for name, value in weights.items():
        check_values(name, value, expected[name])
    model = EspnetAsrForSpeechSeq2Seq(config)
    if model.ctc is None or model.decoder is None:
        model.generation_config.ctc_weight = float(model.decoder is None)
    model.load_state_dict(weights, strict=True)
    return model.eval()


def _make_tokenizer(settings: EspnetSettings, files: _Files, bpe_model, notes: list[str]) -> EspnetAsrTokenizer:
    arguments: dict[str, Any] = {"token_list": settings.tokens, "token_type": settings.token_type}
    if settings.token_type == "bpe":
        path = _find_named(files, bpe_model or settings.bpe_model, "bpe.model")
        if path is None:
            raise FileNotFoundError(
                f"the sentencepiece model {settings.bpe_model!r} is not in {files.root}; give it with --bpe_model"
            )
        arguments["bpe_file"] = path
    symbols = settings.non_linguistic_symbols
    if isinstance(symbols, str):
        path = _find_named(files, symbols, None)
        if path is None:
            notes.append(
                f"non_linguistic_symbols: {symbols} is not in the model, so symbols are split into characters"
            )
            symbols = None
        else:
            symbols = path.read_text(encoding="utf-8").split("\n")
    arguments["non_linguistic_symbols"] = [symbol.rstrip() for symbol in symbols or [] if symbol.rstrip()]
    return EspnetAsrTokenizer(**arguments)


def _find_named(files: _Files, name: str | os.PathLike | None, default: str | None) -> Path | None:
    """Find a file that config.yaml names, by its path or else by its name, since paths are often the trainer's own."""
    base = PurePosixPath(os.fspath(name)).name if name else default
    if name and _is_inside(files.root, files.root / name) and (files.root / name).is_file():
        return files.root / name
    found = sorted(files.root.rglob(base)) if base else []
    return _own(files.root, found[0]) if len(found) == 1 and found[0].is_file() else None


def _card_facts(settings: EspnetSettings, files: _Files, notes: Sequence[str]) -> dict[str, Any]:
    """Return the facts of a conversion for `write_model_card`."""
    model, extractor = settings.model, settings.feature_extractor
    parts = [model["encoder_type"].replace("_", "-") + " encoder"]
    parts += ["CTC"] if model["ctc_weight"] > 0 else []
    parts += [f"{model['decoder_type']} decoder"] if model["ctc_weight"] < 1 else []
    return {
        "name": "Speech recogniser, converted from ESPnet2",
        "description": f"{', '.join(parts)}; {model['vocab_size']} tokens ({settings.token_type}); "
        f"{extractor['num_mel_bins']} mel bins at {extractor['sampling_rate']} Hz, {extractor['normalization']}.",
        "notes": [
            f"Weights: {files.checkpoint.name}, SHA-256 {sha256(files.checkpoint)}. Licence, training data and error "
            "rates are those of the original, see there.",
            "Decoding is set by generate_kwargs of the pipeline's call, as in {'num_beams': 10, 'ctc_weight': 0.3}.",
            "A clip's result is that of ESPnet for the clip alone, also in a batch (mask_padding=True; False follows "
            "ESPnet's batches to the letter).",
            *(f"Not taken over: {note}" for note in notes),
        ],
        "tags": ["espnet"],
    }
