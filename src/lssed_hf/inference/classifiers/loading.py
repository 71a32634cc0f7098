"""Loading of the right classifier for a folder or a name on the Hub."""

import glob
import importlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from ...scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from ...suggest import did_you_mean
from .checks import check_takes_recordings, read_settings_file, refusing
from .classifier import Classifier
from .exported import MARKER, on_cpu
from .graph import GRAPH
from .pretrained import DEFAULT_MODEL, is_built_in, list_pretrained, pretrained_folder
from .speaker_statistics import choose_speaker, read_speakers


logger = logging.getLogger(__name__)

#: File that marks a format -> module and class that open the folder. Modules are imported when they are needed.
FORMATS = {
    MARKER: ("exported", "ExportedClassifier"),
    "probe.json": ("probe", "ProbeClassifier"),
    "svm.json": ("svm", "SVMClassifier"),
}
#: Engines of networks. None is PyTorch, or the runtime that a model was exported for.
ENGINES = (None, "torch", "onnx")

_HUB_TIMEOUT = 10  # seconds


def load_classifier(
    path: str | os.PathLike | None = None,
    batch_size: int = 8,
    device=None,
    trust_remote_code: bool = False,
    engine: str | None = None,
) -> Classifier:
    """Open a saved audio classifier: of transformers, a probe, an SVM, or a folder that `lssed-hf export` wrote.

    ```python
    import lssed_hf

    classifier = lssed_hf.load_classifier()  # or "pyresnet-small", or a folder such as "outputs/pyresnet50"
    classifier("clip.flac")  # [{"score": ..., "label": ...}, ...]
    list(classifier.probabilities([waveform]))
    ```

    Args:
        path: Folder of a model, a name of `list_pretrained`, or a name on the Hub; by default the `default_model`,
            with a warning.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one; exported networks run on the CPU.
        trust_remote_code: Whether code from the folder or repository may run.
        engine: "torch" for PyTorch, or "onnx" for ONNX Runtime, without an import of torch, for models of
            `list_pretrained` and exported ones. Default: the runtime of an exported model, else PyTorch, whose
            classifiers have a `model` to adapt, export and differentiate.

    Returns:
        An `AudioClassifier`, a `StatisticsClassifier`, a `ProbeClassifier`, an `SVMClassifier` or an
        `ExportedClassifier`.

    Raises:
        FileNotFoundError: There is no such folder or repository, or one of its files is missing.
        OSError: The Hub cannot be reached, and the model is not in its cache.
        ValueError: A file cannot be read, or the device or the engine is not there or unfit for the model.
        ImportError: The runtime of an exported network, or the opensmile of an SVM, is not installed.
    """
    classifier = _load(path, batch_size, device, trust_remote_code, engine)
    check_takes_recordings(classifier.feature_extractor, classifier.name)
    return classifier


def load_scorer(
    path: str | os.PathLike | None = None, batch_size: int = 8, device=None, trust_remote_code: bool = False
) -> Classifier:
    """Open a classifier as `load_classifier` does, or one of features that stand in place of audio.

    Args:
        path: Folder or name, see `load_classifier`.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the folder or repository may run.
    """
    return _load(path, batch_size, device, trust_remote_code, None)


def load_embedder(path: str | os.PathLike | None = None, device=None, trust_remote_code: bool = False) -> Classifier:
    """Open a model for its embeddings, as `load_classifier` does; but its head may be new, and not trained.

    Args:
        path: Folder or name, see `load_classifier`.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the folder or repository may run.
    """
    classifier = _load(path, 1, device, trust_remote_code, None, trained_head=False)
    check_takes_recordings(classifier.feature_extractor, classifier.name)
    return classifier


def _load(
    path: str | os.PathLike | None,
    batch_size: int,
    device,
    trust_remote_code: bool,
    engine: str | None,
    trained_head: bool = True,
) -> Classifier:
    """See `load_classifier`; without `trained_head`, see `load_embedder`."""
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be 1 or more")
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r} must be torch or onnx, or left out")
    if path is None:
        logger.warning(
            f"No model was named: this is the built-in {list_pretrained()[0]}, trained on acted speech. Test it "
            f"before you rely on it: {Path(DEFAULT_MODEL, 'README.md')}"
        )
        return default_model(batch_size, device, engine)
    folder = find_model(path)
    if marker := own_format(folder):
        if engine is not None and (engine == "onnx") != (marker == MARKER):
            runtime = "the runtime that it was exported for" if marker == MARKER else "PyTorch"
            raise ValueError(f"{folder} runs by {runtime} and not by engine {engine}; leave the engine out")
        return _class(*FORMATS[marker])(folder, batch_size, device, trust_remote_code)
    if folder.is_dir() and not (folder / "config.json").is_file():
        names = sorted(entry.name for entry in folder.iterdir())
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
        raise FileNotFoundError(
            f"{folder} holds no classifier: neither config.json, as a folder of transformers, nor {MARKER}, "
            f"as one that lssed-hf export wrote; it holds {found}"
        )
    if engine == "onnx" and not (folder / GRAPH).is_file():
        raise ValueError(f"{folder} holds no {GRAPH} for engine onnx; lssed-hf export writes a folder that has one")
    module, names = _KINDS[engine or "torch"]
    kind = _class(module, names[_standardizes_embedding(folder)])
    settings = {} if trained_head else {"trained_head": False}
    return kind(folder if folder.is_dir() else path, batch_size, device, trust_remote_code, **settings)


# Engine -> module, and its classes for plain networks and for those that standardise embeddings.
_KINDS = {
    "torch": ("network", ("AudioClassifier", "NetworkStatisticsClassifier")),
    "onnx": ("graph", ("GraphClassifier", "GraphStatisticsClassifier")),
}


def _class(module: str, name: str) -> type[Classifier]:
    return getattr(importlib.import_module(f".{module}", __package__), name)


def _standardizes_embedding(folder: Path) -> bool:
    """Return whether a model standardises embeddings: a folder of transformers or a name on the Hub."""
    if folder.is_dir():
        settings = read_settings_file(folder / "config.json")
    else:
        from transformers import PreTrainedConfig

        with refusing(folder):
            settings, _ = PreTrainedConfig.get_config_dict(folder)
    return settings.get("model_type") == "whisper_statistics" or bool(settings.get("standardize_embedding"))


def find_model(path: str | os.PathLike) -> Path:
    """Return the folder of a model: a folder, a model that comes with the package, or a repository of the Hub.

    A repository in one of this package's own formats is downloaded first.

    A repository of transformers stays a name, which `from_pretrained` looks up. The Hub is asked once, so that an
    unknown name is refused without delay.

    Raises:
        FileNotFoundError: There is neither a folder nor a repository of that name.
        OSError: The Hub cannot be reached, and the model is not in its cache.
    """
    if os.path.isdir(path):
        return Path(path)
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    name = os.fspath(path)
    if built_in := pretrained_folder(name):
        return built_in
    try:
        files = {file.rfilename for file in HfApi().model_info(name, timeout=_HUB_TIMEOUT).siblings or ()}
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise FileNotFoundError(f"no model {name!r}: there is no such folder, nor such a model on the Hub") from error
    except Exception as error:  # the Hub's client passes on the exceptions of its HTTP library
        try:
            cached = Path(snapshot_download(name, local_files_only=True))
        except (OSError, ValueError):
            raise OSError(
                f"no model {name!r}: there is no such folder, and the Hub cannot be asked ({_first_line(error)})"
            ) from error
        return cached if own_format(cached) else Path(name)
    return Path(snapshot_download(name)) if files & set(FORMATS) else Path(name)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".") or type(error).__name__


def own_format(folder: Path) -> str | None:
    """Return the file that marks a folder of this package's own formats; None for one of transformers."""
    return next((marker for marker in FORMATS if (folder / marker).is_file()), None)


def load_speaker_classifier(
    model: tuple, speaker: tuple[Path | None, str | None] = (None, None), engine: str | None = None
) -> Classifier:
    """Open a classifier for a speaker, by the engine that starts and runs fastest.

    Args:
        model: First four arguments of `load_classifier`.
        speaker: File of `lssed-hf enroll`, or None for the classifier without a speaker; and a name in the file, or
            None for the only one there.
        engine: "torch" or "onnx". Default: ONNX Runtime for models of `list_pretrained` on the CPU, else as
            `load_classifier`.

    Raises:
        FileNotFoundError, ValueError, ImportError: See `load_classifier`, `read_speakers` and `choose_speaker`.
    """
    name, _, device, _ = model
    if engine is None and on_cpu(device) and is_built_in(name):
        engine = "onnx"
    classifier = load_classifier(*model, engine)
    path, speaker_name = speaker
    if path is None:
        return classifier
    return classifier.for_speaker(choose_speaker(read_speakers(path, classifier), speaker_name, path))


def default_model(batch_size: int = 8, device=None, engine: str | None = None) -> Classifier:
    """Open the built-in classifier of angry, neutral, happy and sad speech: the first model of `list_pretrained`.

    Its card, README.md in `DEFAULT_MODEL`, says what it was trained on and how often it is wrong.

    Args:
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        engine: "torch" or "onnx", see `load_classifier`.

    Examples:
        >>> from lssed_hf import default_model
        >>> default_model().labels
        ['angry', 'neutral', 'happy', 'sad']
    """
    return load_classifier(DEFAULT_MODEL, batch_size, device, engine=engine)


def split_model(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    """Split the arguments of a command into its model, None for the built-in one, and its recordings.

    The first argument is a model unless it is the only one, a file, a folder without a model's files, a pattern, "-",
    or named like audio. A name of `list_pretrained` is a model.

    Raises:
        FileNotFoundError: The first argument is neither a file nor a model.
        ValueError: A model is named and no recordings.
    """
    first, rest = Path(arguments[0]), list(arguments[1:])
    is_model = (first / "config.json").is_file() or own_format(first) is not None
    is_model = is_model or (not first.exists() and arguments[0] in list_pretrained())
    if is_model and not rest:
        raise ValueError(f"{first} is a model: name audio files, or folders of them, behind it")
    named_like_audio = first.suffix.lower() in {*AUDIO_SUFFIXES, *VIDEO_SUFFIXES} or glob.has_magic(arguments[0])
    if not rest or (not is_model and (first.exists() or named_like_audio or arguments[0] == "-")):
        return None, list(arguments)
    if not is_model and "/" not in arguments[0]:
        raise FileNotFoundError(
            f"{first} is neither an audio file nor a folder, and no model has that name"
            f"{did_you_mean(arguments[0], list_pretrained())}"
        )
    return arguments[0], rest
