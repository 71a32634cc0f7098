"""Registration of the models with transformers and of the LSSED corpus with datasets.

transformers opens a saved folder by the `model_type` in its config.json: its Auto classes look for classes that are
registered under that type. `datasets` finds the builder of `load_dataset("lssed", ...)` in a table of its own.

Registering needs the classes. Importing them takes torch and transformers, which cost seconds and hundreds of
megabytes. Nobody who only reads a corpus should pay that, so `register` imports nothing. It arranges two things, and
any order of imports works:

1. When a module of transformers with an Auto class has been imported, our modules for that class are imported.
2. When one of our modules has been imported, by 1 or by a user, its classes are registered.
"""

import importlib
import importlib.util
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from .models import FAMILIES, family_class, family_module, import_family_module


_AUTO = "transformers.models.auto"
_AUTO_MODULES = {
    "AutoConfig": f"{_AUTO}.configuration_auto",
    "AutoFeatureExtractor": f"{_AUTO}.feature_extraction_auto",
    "AutoModel": f"{_AUTO}.modeling_auto",
    "AutoModelForAudioClassification": f"{_AUTO}.modeling_auto",
    "AutoModelForSpeechSeq2Seq": f"{_AUTO}.modeling_auto",
    "AutoProcessor": f"{_AUTO}.processing_auto",
    "AutoTokenizer": f"{_AUTO}.tokenization_auto",
}
# Our networks need all of modeling_layers, which itself imports modeling_auto before it defines anything.
_MODELS, _LAYERS = f"{_AUTO}.modeling_auto", "transformers.modeling_layers"


def register() -> None:
    """Make the Auto classes of transformers find our models, and `datasets` the LSSED corpus."""
    after_import("datasets", _register_lssed)
    if importlib.util.find_spec("torch") is None:
        return
    after_import(_MODELS, partial(importlib.import_module, _LAYERS))
    for family, auto_classes in FAMILIES.items():
        for auto_class in auto_classes:
            auto_module, module = _AUTO_MODULES[auto_class], family_module(family, auto_class)
            after_import(module, partial(_register_class, family, auto_class))
            load = partial(import_family_module, family, auto_class)
            after_import(_LAYERS if auto_module == _MODELS else auto_module, load)


def _register_class(family: str, auto_class: str) -> None:
    auto = getattr(importlib.import_module(_AUTO_MODULES[auto_class]), auto_class)
    config_class = family_class(family, "AutoConfig")
    key = config_class.model_type if auto_class == "AutoConfig" else config_class
    auto.register(key, family_class(family, auto_class), exist_ok=True)


def _register_lssed() -> None:
    from datasets import packaged_modules

    # `datasets` has no public registry. The builder puts the hash of its code in the place of "".
    packaged_modules._PACKAGED_DATASETS_MODULES["lssed"] = (f"{__package__}.corpora.lssed", "")


def after_import(name: str, function: Callable[[], object]) -> None:
    """Call a function when a module has been imported: now if it is, else behind its import."""
    if name in sys.modules:
        function()
    else:
        _Follower.functions[name].append(function)


class _Follower:
    """Finder of the modules that functions wait for, which calls them behind the import."""

    functions: dict[str, list[Callable[[], object]]] = defaultdict(list)

    def find_spec(self, name, path=None, target=None):
        if name not in self.functions:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec is not None:
            spec.loader.exec_module = partial(self._execute, name, spec.loader.exec_module)
        return spec

    def _execute(self, name, execute, module):
        execute(module)
        for function in self.functions.pop(name, ()):
            function()


sys.meta_path.insert(0, _Follower())
