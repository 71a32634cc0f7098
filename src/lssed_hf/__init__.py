"""LSSED, PyResNet and the systems of the LSSED paper for Hugging Face.

Importing this package registers its networks with transformers' Auto classes, and the corpus `lssed` with `datasets`:
`pipeline("audio-classification", model=FOLDER)` and `load_dataset("lssed", data_dir=...)` work.
"""

import importlib
import sys
import types

import lazy_loader

from .registration import register


class _Package(types.ModuleType):
    """Package that is pickled by its name, wherever it is installed."""

    # dill takes a checkout's modules apart. `datasets` would not know a mapped function again that names this one.
    def __reduce__(self):
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package

__version__ = "0.1.0"

# Names of __init__.pyi are loaded on first use, so that corpora work without torch, and models without datasets.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register()
