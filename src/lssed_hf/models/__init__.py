"""The networks, each a pair of a transformers `PreTrainedModel` and a feature extractor."""

import importlib
import importlib.abc
import importlib.machinery
import sys


def register_auto_classes() -> None:
    """Make transformers' Auto classes know the models of this package. Safe to call again.

    A saved folder then loads by its `model_type`, and never runs the copy of the code that it carries.

    Nothing is imported for it: torch and transformers take seconds and hundreds of megabytes, which whoever only reads
    a corpus would pay for nothing. Our modules follow as soon as transformers' Auto modules are imported.
    """
    if not any(isinstance(finder, _Registrar) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Registrar())
    for auto_module, ours in _OURS.items():
        if auto_module in sys.modules:
            importlib.import_module(ours)


def _register_configurations(module) -> None:
    from transformers.models.auto.configuration_auto import AutoConfig

    AutoConfig.register(module.PyResNetConfig.model_type, module.PyResNetConfig, exist_ok=True)


def _register_feature_extractors(module) -> None:
    from transformers.models.auto.feature_extraction_auto import AutoFeatureExtractor

    from .pyresnet.configuration_pyresnet import PyResNetConfig

    AutoFeatureExtractor.register(PyResNetConfig, module.PyResNetFeatureExtractor, exist_ok=True)


def _register_models(module) -> None:
    from transformers.models.auto.modeling_auto import AutoModel, AutoModelForAudioClassification

    AutoModel.register(module.PyResNetConfig, module.PyResNetModel, exist_ok=True)
    AutoModelForAudioClassification.register(
        module.PyResNetConfig, module.PyResNetForAudioClassification, exist_ok=True
    )


# Module of transformers -> ours that has to follow it; and what to do with ours once it has run.
_OURS = {
    "transformers.models.auto.configuration_auto": f"{__name__}.pyresnet.configuration_pyresnet",
    "transformers.models.auto.feature_extraction_auto": f"{__name__}.pyresnet.feature_extraction_pyresnet",
    "transformers.models.auto.modeling_auto": f"{__name__}.pyresnet.modeling_pyresnet",
}
_REGISTER = {
    f"{__name__}.pyresnet.configuration_pyresnet": _register_configurations,
    f"{__name__}.pyresnet.feature_extraction_pyresnet": _register_feature_extractors,
    f"{__name__}.pyresnet.modeling_pyresnet": _register_models,
}


class _Registrar(importlib.abc.MetaPathFinder):
    """Finds these modules as usual, and acts once they have run."""

    def find_spec(self, name, path=None, target=None):
        if name not in _OURS and name not in _REGISTER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def run_and_act(module):
                run(module)
                if name in _REGISTER:
                    _REGISTER[name](module)
                elif _OURS[name] not in sys.modules:  # or it is being imported, and brought transformers' in
                    importlib.import_module(_OURS[name])

            spec.loader.exec_module = run_and_act
        return spec
