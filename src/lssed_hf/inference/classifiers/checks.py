"""Checks of the files of a saved model: before they take memory, and before their scores are believed."""

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...files import read_json
from .outputs import MULTI_LABEL, REGRESSION, SINGLE_LABEL


#: Advice for files that are damaged, or not those of one model.
COPY_AGAIN = "copy or download the model again"

_MOST_BYTES = 2**24  # of a file of settings
_MOST_LABELS = 10_000
_MOST = 2**24  # of any whole number of a front end: 17 minutes in samples
_MOST_OF = {
    **dict.fromkeys(("n_fft", "fft_window_size", "win_length", "denoise_win_length"), 2**15),
    **dict.fromkeys(("num_mel_bins", "feature_size"), 2**11),
    **{"sampling_rate": 2**19, "chunk_length": 3600, "max_length": 2**17},
}
_MOST_PER_SECOND = 2**20  # numbers in a spectrogram


@contextmanager
def refusing(name: str | os.PathLike, advice: str = "") -> Iterator[None]:
    """Turn whatever the block raises into an error of one line that names a file or a model.

    Args:
        name: Name of the file or the model.
        advice: Remedy, for the end of the line.

    Raises:
        OSError: The block raised one.
        ValueError: The block raised another error.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        if "trust_remote_code=True" in str(error):  # in a paragraph of transformers
            raise ValueError(
                f"{name}: the model has code of its own, and it runs only if you allow it: read the code, then set "
                "trust_remote_code"
            ) from error
        text, kind = one_line(error), OSError if isinstance(error, OSError) else ValueError
        text = text if os.fspath(name) in text else f"{name}: {text}"
        if isinstance(error, (OSError, ValueError)) and text == str(error):
            raise
        raise kind(f"{text}; {advice}" if advice else text) from error


def one_line(error: Exception) -> str:
    """Return the message of an error on one line, of 300 characters at most."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:297]}..."


def read_settings_file(path: str | os.PathLike, advice: str = COPY_AGAIN) -> dict[str, Any]:
    """Return the object in a file of settings.

    Args:
        path: File to read.
        advice: Remedy for a file that cannot be read.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is too large, cannot be read, or holds something else.
    """
    size = Path(path).stat().st_size
    if size > _MOST_BYTES:
        raise ValueError(f"{path} has {size:,} bytes, too many for settings; {advice}")
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; {advice}") from error


def check_labels(settings: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Check the labels in a model's settings before they are made.

    Args:
        settings: Contents of `config.json`, or of another file with `num_labels`, `id2label`, `problem_type` or
            `dimensions`.
        path: File of the settings.

    Raises:
        ValueError: A label is missing, there twice or no text, the labels are too many, or problem_type or
            dimensions are unfit.
    """
    kind, known = settings.get("problem_type"), (SINGLE_LABEL, MULTI_LABEL, REGRESSION)
    if kind is not None and kind not in known:
        raise ValueError(f"{path}: problem_type={str(kind)[:40]!r} is none of {', '.join(known)}; correct it")
    count, labels = settings.get("num_labels"), settings.get("id2label")
    if count is not None and not (type(count) is int and 0 < count <= _MOST_LABELS):
        raise ValueError(f"{path}: num_labels={count!r} must be from 1 to {_MOST_LABELS:,}; {COPY_AGAIN}")
    dimensions = settings.get("dimensions") or []
    if not isinstance(dimensions, list) or not all(isinstance(name, str) and name for name in dimensions):
        raise ValueError(f"{path}: dimensions must be a list of names; correct it")
    values = [*(labels.values() if kind == REGRESSION and isinstance(labels, Mapping) else ()), *dimensions]
    if len(set(map(str, values))) < len(values):
        raise ValueError(f"{path}: two dimensions have the same name; correct it")
    if labels is None:
        return
    if not isinstance(labels, Mapping) or not 0 < len(labels) <= _MOST_LABELS:
        raise ValueError(f"{path}: id2label must name from 1 to {_MOST_LABELS:,} classes; {COPY_AGAIN}")
    if {str(number) for number in labels} != {str(number) for number in range(len(labels))}:
        found = ", ".join(map(str, labels))
        raise ValueError(
            f"{path}: id2label must number its classes from 0 on without gaps, not {found[:80]}; correct it"
        )
    if not all(isinstance(label, str) and label for label in labels.values()):
        raise ValueError(f"{path}: id2label holds a class without a name; correct it")
    if len(set(labels.values())) < len(labels):
        raise ValueError(f"{path}: id2label gives two classes the same name; correct it")


def check_front_end_settings(settings: Mapping[str, Any], name: str | os.PathLike) -> None:
    """Check the numbers in `preprocessor_config.json` before arrays are made of them.

    Args:
        settings: Contents of the file.
        name: Folder or Hub name of the model.

    Raises:
        ValueError: A number is not finite, or larger than any front end for speech needs.
    """
    path = f"{os.fspath(name)}/preprocessor_config.json"
    for key, value in settings.items():
        for number in _numbers(value):
            if not -1e38 < number < 1e38:  # NaN too
                raise ValueError(f"{path}: {key} holds {str(number)[:20]}, no finite number; {COPY_AGAIN}")
            if isinstance(number, int) and abs(number) > _MOST_OF.get(key, _MOST):
                raise ValueError(f"{path}: {key} holds {str(number)[:20]}, too large for a front end; {COPY_AGAIN}")
    rate, hop, length = (
        settings.get(key, default)
        for key, default in {"sampling_rate": 16000, "hop_length": 512, "n_fft": 1024}.items()
    )
    for key, number in {"sampling_rate": rate, "hop_length": hop, "n_fft": length}.items():
        if not isinstance(number, (int, float)) or number < (1000 if key == "sampling_rate" else 1):
            raise ValueError(f"{path}: {key}={str(number)[:20]} is too small, or no number; {COPY_AGAIN}")
    if rate / hop * length > _MOST_PER_SECOND:
        raise ValueError(
            f"{path}: windows of n_fft={length} every hop_length={hop} samples are too many; {COPY_AGAIN}"
        )


def _numbers(value: Any) -> Iterator[float]:
    """Yield the numbers in a value of JSON."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _numbers(one)


def check_statistics(feature_extractor: Any, name: str | os.PathLike) -> None:
    """Check the mean and the deviation that a front end divides by, if it has some.

    Raises:
        ValueError: A value is not finite, or a deviation is not above 0.
    """
    mean, std = (getattr(feature_extractor, key, None) for key in ("mean", "std"))
    if mean is not None and std is not None:
        check_deviation(mean, std, f"{os.fspath(name)}/preprocessor_config.json", ("mean", "std"))


def check_takes_recordings(feature_extractor: Any, name: str | os.PathLike) -> None:
    """Check that a model takes recordings, and no feature set of LSSED.

    Args:
        feature_extractor: Front end of the model.
        name: Folder or Hub name of the model.

    Raises:
        ValueError: It takes a feature set.
    """
    kind = getattr(feature_extractor, "input_type", "waveform")
    if kind != "waveform":
        raise ValueError(
            f"{os.fspath(name)} was trained on LSSED's feature set {kind} and takes no recordings: how the set was "
            "computed is not known. Score it on such features with `lssed-hf evaluate`"
        )


def check_deviation(mean: Any, std: Any, path: str | os.PathLike, names: tuple[str, str]) -> None:
    """Check a mean and a deviation, as float32.

    Args:
        mean: Means.
        std: Deviations.
        path: File that they come from.
        names: Names of both in the file.

    Raises:
        ValueError: A value is not finite, or a deviation is not above 0.
    """
    for name, values in zip(names, (mean, std)):
        check_finite({name: np.asarray(values, np.float64)}, path)
    if np.asarray(std, np.float32).min(initial=np.inf) <= 0:
        raise ValueError(f"{path}: {names[1]} holds {np.min(std):g}, and must be above 0; {COPY_AGAIN}")


def check_finite(tensors: Mapping[str, np.ndarray], path: str | os.PathLike) -> None:
    """Check that arrays of floating point hold finite numbers of float32 only.

    Raises:
        ValueError: One of them does not; the message names it.
    """
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and tensor.size:
            check_range(name, float(tensor.min()), float(tensor.max()), path)


def check_range(name: str, least: float, most: float, path: str | os.PathLike) -> None:
    """Check the least and the greatest value of a tensor.

    Raises:
        ValueError: One of them is not finite, or beyond float32.
    """
    if not (abs(least) < 3.4e38 and abs(most) < 3.4e38):  # NaN too
        value = least if math.isnan(least) or not abs(least) < 3.4e38 else most
        raise ValueError(f"{path}: {name} holds {value:g}, no finite number; {COPY_AGAIN}, or train it again")


def count_weights(paths: Iterable[Path]) -> tuple[int, int]:
    """Return the number of tensors in files of weights, and that of their values. Only heads of files are read.

    Raises:
        ValueError: A file is damaged, or shorter or longer than its head says.
    """
    from safetensors import safe_open

    tensors = values = 0
    for path in paths:
        if path.suffix != ".safetensors":
            return 10_000, sum(path.stat().st_size for path in paths)  # at least a byte for each value
        with refusing(path, f"it is no whole file of safetensors: {COPY_AGAIN}"), safe_open(path, "np") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 (no dict)
        tensors, values = tensors + len(shapes), values + sum(map(math.prod, shapes))
    return tensors, values


def check_names(missing: Collection[str], unexpected: Collection[str], path: str | os.PathLike) -> None:
    """Check that a file holds the weights of a network and no others.

    Args:
        missing: Names of weights that the file lacks.
        unexpected: Names of tensors that the network lacks.
        path: File of the weights.

    Raises:
        ValueError: There are names of either kind.
    """
    missing, unexpected = (sorted(set(names) - {*training_weights(names)}) for names in (missing, unexpected))
    problems = []
    if missing:
        problems.append(f"lacks {len(missing)} of the network's weights, such as {missing[0]}, which would be random,")
    if unexpected:
        problems.append(f"holds {len(unexpected)} tensors that the network lacks, such as {unexpected[0][:80]}")
    if problems:
        raise ValueError(
            f"{path} {' and '.join(problems).rstrip(',')}; name a trained classifier, or train one from this encoder "
            "(lssed-hf train --model_name_or_path)"
        )


def training_weights(names: Iterable[str]) -> Iterator[str]:
    """Yield the names of weights that count in training only."""
    yield from (name for name in names if name.endswith(("masked_spec_embed", "num_batches_tracked")))


__all__ = [
    "COPY_AGAIN",
    "check_deviation",
    "check_finite",
    "check_front_end_settings",
    "check_labels",
    "check_names",
    "check_range",
    "check_statistics",
    "check_takes_recordings",
    "count_weights",
    "one_line",
    "read_settings_file",
    "refusing",
    "training_weights",
]
