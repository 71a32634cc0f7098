"""Families of networks: per folder a configuration, the models, and a feature extractor if it has its own."""

import importlib


_PYRESNET_FRONT_END = "pyresnet.feature_extraction_pyresnet.PyResNetFeatureExtractor"
#: Family -> Auto class of transformers -> our class, found in this package.
FAMILIES = {
    "pyresnet": {
        "AutoConfig": "pyresnet.configuration_pyresnet.PyResNetConfig",
        "AutoFeatureExtractor": _PYRESNET_FRONT_END,
        "AutoModel": "pyresnet.modeling_pyresnet.PyResNetModel",
        "AutoModelForAudioClassification": "pyresnet.modeling_pyresnet.PyResNetForAudioClassification",
    },
    "cnn": {
        "AutoConfig": "cnn.configuration_cnn.SerCnnConfig",
        "AutoFeatureExtractor": _PYRESNET_FRONT_END,
        "AutoModel": "cnn.modeling_cnn.SerCnnModel",
        "AutoModelForAudioClassification": "cnn.modeling_cnn.SerCnnForAudioClassification",
    },
    "fcn_attention": {
        "AutoConfig": "fcn_attention.configuration_fcn_attention.FcnAttentionConfig",
        "AutoFeatureExtractor": _PYRESNET_FRONT_END,
        "AutoModel": "fcn_attention.modeling_fcn_attention.FcnAttentionModel",
        "AutoModelForAudioClassification": "fcn_attention.modeling_fcn_attention.FcnAttentionForAudioClassification",
    },
    "mts": {
        "AutoConfig": "mts.configuration_mts.MtsConfig",
        "AutoFeatureExtractor": _PYRESNET_FRONT_END,
        "AutoModel": "mts.modeling_mts.MtsModel",
        "AutoModelForAudioClassification": "mts.modeling_mts.MtsForAudioClassification",
    },
    "espnet": {
        "AutoConfig": "espnet.configuration_espnet_asr.EspnetAsrConfig",
        "AutoFeatureExtractor": "espnet.feature_extraction_espnet_asr.EspnetAsrFeatureExtractor",
        "AutoModel": "espnet.modeling_espnet_asr.EspnetAsrModel",
        "AutoModelForAudioClassification": "espnet.modeling_espnet_asr.EspnetAsrForAudioClassification",
        "AutoModelForSpeechSeq2Seq": "espnet.modeling_espnet_asr.EspnetAsrForSpeechSeq2Seq",
        "AutoProcessor": "espnet.processing_espnet_asr.EspnetAsrProcessor",
        "AutoTokenizer": "espnet.tokenization_espnet_asr.EspnetAsrTokenizer",
    },
}


def family_module(family: str, auto_class: str) -> str:
    """Return the full name of the module with a family's class for an Auto class."""
    return f"{__name__}.{FAMILIES[family][auto_class].rpartition('.')[0]}"


def family_class(family: str, auto_class: str) -> type:
    """Import and return a family's class for an Auto class."""
    module = importlib.import_module(family_module(family, auto_class))
    return getattr(module, FAMILIES[family][auto_class].rpartition(".")[2])
