"""Conversion of a model of another project to a folder for transformers, as `lssed-hf convert` does it.

A file of torch.save is taken for a PyResNet of the LSSED authors, an archive or a folder for an ESPnet2 speech
recogniser. No file is trusted: weights are read as data, and no code in the file is run.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from .espnet import convert_espnet
from .pyconvresnet import convert_pyconvresnet
from .result import Conversion
from .torch_file import is_torch_file


_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")


def convert_checkpoint(
    source: str | os.PathLike,
    output_dir: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    config_file: str | os.PathLike | None = None,
    checkpoint_file: str | os.PathLike | None = None,
    bpe_model: str | os.PathLike | None = None,
) -> Conversion:
    """Convert a released PyResNet (`convert_pyconvresnet`) or an ESPnet2 recogniser (`convert_espnet`).

    Args:
        source: File of `torch.save`, or an archive or a folder of ESPnet2.
        output_dir: Folder of the result, new or empty. It is written whole or not at all.
        labels: Labels of a PyResNet, in the order of the classifier's outputs.
        config_file: Path of config.yaml in an ESPnet2 model that has several.
        checkpoint_file: Path of the weights in an ESPnet2 model that has several.
        bpe_model: Path of the sentencepiece model in an ESPnet2 model that has several.

    Returns:
        Account of the conversion: the new folder, the converted file, the kind of model, and notes.

    Raises:
        ValueError: An argument is for the other kind of model, or the file is damaged, unsafe, or another model
            (`CheckpointError`, `UnsupportedModelError`, `ArchiveError`).
        FileNotFoundError: A file is missing.
        FileExistsError: The output folder is there already and not empty.

    Example:
        >>> from lssed_hf import convert_checkpoint
        >>> try:
        ...     print(convert_checkpoint("PyResNet50.pth", "pyresnet50").model)
        ... except FileNotFoundError as error:
        ...     print(error)
        PyResNet50.pth: no such folder or file
    """
    source = Path(source)
    files = {"config_file": config_file, "checkpoint_file": checkpoint_file, "bpe_model": bpe_model}
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such folder or file")
    if source.is_dir() or (source.suffix.lower() in _ARCHIVES and not is_torch_file(source)):
        if labels is not None:
            raise ValueError(f"--labels is for PyResNets, and {source} is an ESPnet2 model or none")
        return convert_espnet(source, output_dir, **files)
    for name, value in files.items():
        if value is not None:
            raise ValueError(
                f"--{name} is for ESPnet2 models (a .zip or a folder), and {source} is a file of torch.save"
            )
    return convert_pyconvresnet(source, output_dir, labels)
