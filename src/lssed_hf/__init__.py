"""LSSED, PyResNet and the systems of the LSSED paper for Hugging Face.

Importing this package registers PyResNet with transformers' Auto classes and the `lssed` corpus with `datasets`, so
that `pipeline("audio-classification", model=FOLDER)` and `load_dataset("lssed", data_dir=...)` work.
"""

import importlib
import importlib.util


__version__ = "0.1.0"

# Public name -> module. Loaded on first use, so that the corpora work without torch and the models without datasets.
_PUBLIC = {
    "BENCHMARK_EMOTIONS": "labels",
    "EMOTIONS": "labels",
    "AudioError": "audio",
    "load_audio": "audio",
    "list_corpora": "corpora",
    "load_corpus": "corpora",
    "EspnetAsrConfig": "models.espnet.configuration_espnet_asr",
    "EspnetAsrFeatureExtractor": "models.espnet.feature_extraction_espnet_asr",
    "EspnetAsrForAudioClassification": "models.espnet.modeling_espnet_asr",
    "EspnetAsrForSpeechSeq2Seq": "models.espnet.modeling_espnet_asr",
    "EspnetAsrModel": "models.espnet.modeling_espnet_asr",
    "EspnetAsrProcessor": "models.espnet.processing_espnet_asr",
    "EspnetAsrTokenizer": "models.espnet.tokenization_espnet_asr",
    "FcnAttentionConfig": "models.fcn_attention.configuration_fcn_attention",
    "FcnAttentionForAudioClassification": "models.fcn_attention.modeling_fcn_attention",
    "FcnAttentionModel": "models.fcn_attention.modeling_fcn_attention",
    "MtsConfig": "models.mts.configuration_mts",
    "MtsForAudioClassification": "models.mts.modeling_mts",
    "MtsModel": "models.mts.modeling_mts",
    "PyResNetConfig": "models.pyresnet.configuration_pyresnet",
    "PyResNetFeatureExtractor": "models.pyresnet.feature_extraction_pyresnet",
    "PyResNetForAudioClassification": "models.pyresnet.modeling_pyresnet",
    "PyResNetModel": "models.pyresnet.modeling_pyresnet",
    "SerCnnConfig": "models.cnn.configuration_cnn",
    "SerCnnForAudioClassification": "models.cnn.modeling_cnn",
    "SerCnnModel": "models.cnn.modeling_cnn",
    "create_model": "models.registry",
    "list_models": "models.registry",
    "load_classifier": "inference",
    "draw_timeline": "inference.timeline_figure",
    "read_turns": "inference.turns",
    "score_timeline": "inference.timeline",
    "metric_path": "evaluation",
    "fit_normalization": "training.features",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
    from .models import register_auto_classes

    register_auto_classes()
if importlib.util.find_spec("datasets"):
    from .corpora import register_datasets

    register_datasets()
