"""The networks, each a pair of a transformers `PreTrainedModel` and a feature extractor."""

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """A folder of models and what their modules and classes are called.

    Attributes:
        prefix: what the names of the classes begin with.
        stem: what the names of the modules end with, if not the name of the folder.
        feature_extractor: family whose feature extractor it takes.
        heads: ends of the names of its classes with heads, each of which has an Auto class of that name.
        has_text: whether it has a tokenizer and a processor as well.
    """

    prefix: str
    stem: str = ""
    feature_extractor: str = "pyresnet"
    heads: tuple[str, ...] = ("ForAudioClassification",)
    has_text: bool = False


FAMILIES = {
    "pyresnet": Family("PyResNet"),
    "cnn": Family("SerCnn"),
    "fcn_attention": Family("FcnAttention"),
    "mts": Family("Mts"),
    "espnet": Family("EspnetAsr", "espnet_asr", "espnet", ("ForAudioClassification", "ForSpeechSeq2Seq"), True),
}


# Kind of class -> beginning of the name of its module.
_CONTENTS = {
    "Config": "configuration",
    "FeatureExtractor": "feature_extraction",
    "Tokenizer": "tokenization",
    "Processor": "processing",
}


def register_auto_classes() -> None:
    """Make transformers' Auto classes know the models of this package. Safe to call again.

    A saved folder then loads by its `model_type`, and never runs the copy of the code that it carries.

    Nothing is imported for it: torch and transformers take seconds and hundreds of megabytes, which whoever only reads
    a corpus would pay for nothing. Our modules follow as soon as transformers' Auto modules are imported.
    """
    if not any(isinstance(finder, _Registrar) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Registrar())
    for auto_module in _FOLLOWERS:
        if auto_module in sys.modules:
            _import_followers(auto_module)


def family_class(family: str, kind: str) -> type:
    """The `Config`, `Model`, `ForAudioClassification`, `FeatureExtractor`, ... of a family, imported now."""
    if kind == "FeatureExtractor":
        family = FAMILIES[family].feature_extractor
    return getattr(importlib.import_module(_module(family, kind)), FAMILIES[family].prefix + kind)


def _module(family: str, kind: str) -> str:
    return f"{__name__}.{family}.{_CONTENTS.get(kind, 'modeling')}_{FAMILIES[family].stem or family}"


def _register_configuration(family: str) -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    config_class = family_class(family, "Config")
    AutoConfig.register(config_class.model_type, config_class, exist_ok=True)


def _register_models(family: str) -> None:
    from transformers.models.auto import modeling_auto

    config_class = family_class(family, "Config")
    for kind in ("Model", *FAMILIES[family].heads):
        auto_class = getattr(modeling_auto, f"Auto{kind}" if kind == "Model" else f"AutoModel{kind}")
        auto_class.register(config_class, family_class(family, kind), exist_ok=True)


def _register_feature_extractor(family: str) -> None:
    """Register the feature extractor of a family, for all families that take it."""
    from transformers.models.auto.feature_extraction_auto import AutoFeatureExtractor

    for other, names in FAMILIES.items():
        if names.feature_extractor == family:
            AutoFeatureExtractor.register(
                family_class(other, "Config"), family_class(family, "FeatureExtractor"), exist_ok=True
            )


def _register_tokenizer(family: str) -> None:
    from transformers.models.auto.tokenization_auto import AutoTokenizer

    AutoTokenizer.register(family_class(family, "Config"), family_class(family, "Tokenizer"), exist_ok=True)


def _register_processor(family: str) -> None:
    from transformers.models.auto.processing_auto import AutoProcessor

    AutoProcessor.register(family_class(family, "Config"), family_class(family, "Processor"), exist_ok=True)


# Families that have a feature extractor, and those that have a tokenizer.
_EXTRACTING = dict.fromkeys(names.feature_extractor for names in FAMILIES.values())
_WITH_TEXT = [family for family, names in FAMILIES.items() if names.has_text]
# Our modules, and what to do with one once it has run.
_REGISTER = {
    **{_module(family, "Config"): functools.partial(_register_configuration, family) for family in FAMILIES},
    **{_module(family, "Model"): functools.partial(_register_models, family) for family in FAMILIES},
    **{
        _module(family, "FeatureExtractor"): functools.partial(_register_feature_extractor, family)
        for family in _EXTRACTING
    },
    **{_module(family, "Tokenizer"): functools.partial(_register_tokenizer, family) for family in _WITH_TEXT},
    **{_module(family, "Processor"): functools.partial(_register_processor, family) for family in _WITH_TEXT},
}
# Module of transformers -> ours that have to follow it. Ours with networks import modeling_layers, which imports
# modeling_auto in its midst: where it was first, they follow modeling_layers.
_AUTO_MODELS, _LAYERS = "transformers.models.auto.modeling_auto", "transformers.modeling_layers"
_FOLLOWERS = {
    "transformers.models.auto.configuration_auto": [_module(family, "Config") for family in FAMILIES],
    "transformers.models.auto.feature_extraction_auto": [
        _module(family, "FeatureExtractor") for family in _EXTRACTING
    ],
    "transformers.models.auto.tokenization_auto": [_module(family, "Tokenizer") for family in _WITH_TEXT],
    "transformers.models.auto.processing_auto": [_module(family, "Processor") for family in _WITH_TEXT],
    _AUTO_MODELS: [_module(family, "Model") for family in FAMILIES],
    _LAYERS: [_module(family, "Model") for family in FAMILIES],
}


def _import_followers(name: str) -> None:
    for follower in _FOLLOWERS[name]:
        if follower not in sys.modules:  # or it is being imported, and brought transformers' in
            importlib.import_module(follower)


class _Registrar(importlib.abc.MetaPathFinder):
    """Finds these modules as usual, and acts once they have run."""

    running: set[str] = set()

    def find_spec(self, name, path=None, target=None):
        if name not in _FOLLOWERS and name not in _REGISTER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def run_and_act(module):
                self.running.add(name)
                try:
                    run(module)
                finally:
                    self.running.discard(name)
                if name in _REGISTER:
                    _REGISTER[name]()
                elif not (name == _AUTO_MODELS and _LAYERS in self.running):
                    _import_followers(name)

            spec.loader.exec_module = run_and_act
        return spec
