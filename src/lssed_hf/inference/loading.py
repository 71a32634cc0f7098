"""The right classifier for a folder."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

from ..audio import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from . import classical, exported, probe
from .base import Classifier
from .classifier import AudioClassifier
from .speakers import choose_speaker, read_speakers


logger = logging.getLogger(__name__)

#: File whose presence tells a format -> what opens it.
FORMATS = {
    exported.MARKER: exported.ExportedClassifier,
    probe.MARKER: probe.ProbeClassifier,
    classical.SVM_MARKER: classical.SVMClassifier,
}
#: The model that comes with the package; its card lies beside the weights.
DEFAULT_MODEL = Path(__file__).parents[1] / "default_model"


def load_classifier(
    path: str | os.PathLike | None = None, batch_size: int = 8, device=None, trust_remote_code: bool = False
) -> Classifier:
    """Open a saved audio classifier: of transformers, a probe, an SVM, or a folder that `lssed-hf export` wrote.

    ```python
    import lssed_hf

    classifier = lssed_hf.load_classifier("outputs/pyresnet50")
    classifier("clip.flac")  # [{"score": ..., "label": ...}, ...]
    list(classifier.probabilities([waveform]))
    ```

    Args:
        path: such a folder, or the name of one on the Hub; None for the `default_model`, with a warning that says so.
        batch_size: clips per forward pass.
        device: a torch device, the GPU if there is one by default; exported networks run on the CPU.
        trust_remote_code: allow code from the folder or repository to run.

    Returns:
        An `AudioClassifier`, a `ProbeClassifier`, an `SVMClassifier` or an `ExportedClassifier`.

    Raises:
        FileNotFoundError: a folder that is none of these, or that lacks a file.
        ValueError: a file that cannot be read, or another device for an exported network.
        ImportError: the runtime of an exported network, or the opensmile of an SVM, is not installed.
    """
    if path is None:
        logger.warning(
            "No model was named: this is the one that comes with lssed-hf, a small PyResNet that has heard 20 actors. "
            f"{DEFAULT_MODEL / 'README.md'} says how good it is and what it is not for."
        )
        return default_model(batch_size, device)
    folder = local_folder(path)
    own = own_format(folder)
    if own is not None:
        return own(folder, batch_size, device, trust_remote_code)
    if folder.is_dir() and not (folder / "config.json").is_file():
        names = sorted(entry.name for entry in folder.iterdir())
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
        raise FileNotFoundError(
            f"{folder} holds no classifier: neither config.json, as a folder of transformers, nor {exported.MARKER}, "
            f"as one that lssed-hf export wrote; it holds {found}"
        )
    return AudioClassifier(path, batch_size, device, trust_remote_code)


def local_folder(path: str | os.PathLike) -> Path:
    """Where a classifier is: a repository of the Hub in one of this package's own formats is downloaded first.

    One of transformers stays a name, which its own `from_pretrained` looks up.
    """
    if not os.path.isdir(path):
        try:
            if own_format(Path(snapshot_download(str(path), allow_patterns=list(FORMATS)))):
                return Path(snapshot_download(str(path)))
        except (OSError, ValueError) as error:  # no such repository, or no name of one: `from_pretrained` says more
            logger.debug(f"{path} is in no format of this package: {error}")
    return Path(path)


def own_format(folder: Path) -> type[Classifier] | None:
    """What opens a folder of this package's own formats; None for one of transformers."""
    return next((kind for marker, kind in FORMATS.items() if (folder / marker).is_file()), None)


def load_speaker_classifier(model: tuple, speaker: tuple[Path | None, str | None]) -> Classifier:
    """A classifier for a speaker.

    Args:
        model: what `load_classifier` takes.
        speaker: a file of `lssed-hf enroll`, or None for the classifier as it comes; and a name in it, or None for the
            only one there is.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `load_classifier`, `read_speakers` and `choose_speaker`.
    """
    classifier = load_classifier(*model)
    path, name = speaker
    if path is None:
        return classifier
    return classifier.for_speaker(choose_speaker(read_speakers(path, classifier.front_end), name, path))


def default_model(batch_size: int = 8, device=None) -> AudioClassifier:
    """The classifier that comes with the package, of angry, neutral, happy and sad speech.

    A small PyResNet trained on RAVDESS and EMO-DB, whose licences rule out commercial use.
    `scripts/train_default_model.py` trained it; its card is `DEFAULT_MODEL / "README.md"`.

    Args:
        batch_size: clips per forward pass.
        device: a torch device, the GPU if there is one by default.
    """
    return AudioClassifier(DEFAULT_MODEL, batch_size, device)


def split_model(arguments: Sequence[str]) -> tuple[str | None, list[Path]]:
    """The model and the recordings of a command whose model comes first, or is left out for the default one.

    The first argument is a model unless it is alone, a file, a folder without a model's files, or named like audio.

    Raises:
        ValueError: a model without recordings.
    """
    first = Path(arguments[0])
    is_model = (first / "config.json").is_file() or own_format(first) is not None
    if len(arguments) == 1:
        if is_model:
            raise ValueError(f"{first} is a model: name audio files, or folders of them, behind it")
        return None, [first]
    if not is_model and (first.exists() or first.suffix.lower() in {*AUDIO_SUFFIXES, *VIDEO_SUFFIXES}):
        return None, [Path(argument) for argument in arguments]
    return arguments[0], [Path(argument) for argument in arguments[1:]]
