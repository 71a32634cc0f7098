"""Models that come with the package, in its folder `pretrained`, a folder and a card for each."""

import os
from pathlib import Path


_FOLDER = Path(__file__).parents[2] / "pretrained"
#: Names, the default model first.
_NAMES = ("encoder-small", "pyresnet-small")
#: Folder of the default model, for `pipeline(model=...)`; its card lies beside the weights.
DEFAULT_MODEL = str(_FOLDER / _NAMES[0])


def list_pretrained() -> list[str]:
    """Return the names of the models that come with the package, the default first.

    `load_classifier` and all commands take them. `README.md` in a model's folder is its card: training data, licences,
    scores, and how often it is wrong.

    ```python
    >>> import lssed_hf

    >>> lssed_hf.list_pretrained()
    ['encoder-small', 'pyresnet-small']
    ```
    """
    return list(_NAMES)


def pretrained_folder(name: str) -> Path | None:
    """Return the folder of a model that comes with the package, or None if no such model has that name."""
    return _FOLDER / name if name in _NAMES else None


def is_built_in(model: str | os.PathLike | None) -> bool:
    """Return whether a model comes with the package, by its name or its folder; None is the default model."""
    if model is not None and os.path.isdir(model):
        return os.path.realpath(model) in [os.path.realpath(_FOLDER / name) for name in _NAMES]
    return model is None or os.fspath(model) in _NAMES


def short_name(model: str | os.PathLike) -> str:
    """Return the name of a model that comes with the package, and another model's folder or name unchanged."""
    return Path(model).name if is_built_in(model) else os.fspath(model)


__all__ = ["DEFAULT_MODEL", "is_built_in", "list_pretrained", "pretrained_folder", "short_name"]
