"""The networks, each a pair of a transformers `PreTrainedModel` and a feature extractor."""


def register_auto_classes() -> None:
    """Make transformers' Auto classes know the models of this package. Safe to call again.

    A saved folder then loads by its `model_type`, and never runs the copy of the code that it carries. Saving puts
    that copy there (`register_for_auto_class`), for machines without this package.
    """
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification

    from .pyresnet.configuration_pyresnet import PyResNetConfig
    from .pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor
    from .pyresnet.modeling_pyresnet import PyResNetForAudioClassification, PyResNetModel

    AutoConfig.register(PyResNetConfig.model_type, PyResNetConfig, exist_ok=True)
    AutoFeatureExtractor.register(PyResNetConfig, PyResNetFeatureExtractor, exist_ok=True)
    AutoModel.register(PyResNetConfig, PyResNetModel, exist_ok=True)
    AutoModelForAudioClassification.register(PyResNetConfig, PyResNetForAudioClassification, exist_ok=True)

    PyResNetConfig.register_for_auto_class()
    PyResNetFeatureExtractor.register_for_auto_class()
    PyResNetModel.register_for_auto_class("AutoModel")
    PyResNetForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
