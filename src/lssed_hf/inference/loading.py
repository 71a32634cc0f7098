"""The right classifier for a folder."""

import os
from pathlib import Path

from .base import Classifier
from .classifier import AudioClassifier
from .exported import MARKER, ExportedClassifier


def load_classifier(
    path: str | os.PathLike, batch_size: int = 8, device=None, trust_remote_code: bool = False
) -> Classifier:
    """Open a saved audio classifier: one of transformers, or a folder that `lssed-hf export` wrote.

    ```python
    import lssed_hf

    classifier = lssed_hf.load_classifier("outputs/pyresnet50")
    classifier("clip.flac")  # [{"score": ..., "label": ...}, ...]
    list(classifier.probabilities([waveform]))
    ```

    Args:
        path: such a folder, or the name of an audio classifier on the Hub.
        batch_size: clips per forward pass.
        device: a torch device, the GPU if there is one by default; exported networks run on the CPU.
        trust_remote_code: allow code from the folder or repository to run.

    Returns:
        An `AudioClassifier` or an `ExportedClassifier`.

    Raises:
        FileNotFoundError: a folder that is neither, or that lacks a file.
        ValueError: a file that cannot be read, or another device for an exported network.
        ImportError: the runtime of an exported network is not installed.
    """
    folder = Path(path)
    if (folder / MARKER).is_file():
        return ExportedClassifier(folder, batch_size, device, trust_remote_code)
    if folder.is_dir() and not (folder / "config.json").is_file():
        names = sorted(entry.name for entry in folder.iterdir())
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
        raise FileNotFoundError(
            f"{folder} holds no classifier: neither config.json, as a folder of transformers, nor {MARKER}, as one "
            f"that lssed-hf export wrote; it holds {found}"
        )
    return AudioClassifier(path, batch_size, device, trust_remote_code)
