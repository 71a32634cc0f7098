"""Families of networks: a folder each, with the configuration, the networks and, if it has its own, the front end.

A saved model folder carries copies of its family's modules. transformers copies imports from the same folder alone, so
families share no code.
"""

from types import ModuleType

from ..lookup import class_of_table, module_of_table


def _spectrogram_family(folder: str, prefix: str) -> dict[str, str]:
    """Return the classes of a family that takes PyResNet's front end, by the names of their Auto classes."""
    return {
        "AutoConfig": f"{folder}.configuration_{folder}.{prefix}Config",
        "AutoFeatureExtractor": "pyresnet.feature_extraction_pyresnet.PyResNetFeatureExtractor",
        "AutoModel": f"{folder}.modeling_{folder}.{prefix}Model",
        "AutoModelForAudioClassification": f"{folder}.modeling_{folder}.{prefix}ForAudioClassification",
    }


#: Family -> Auto class of transformers -> our class, as a path in this package.
FAMILIES = {
    "pyresnet": _spectrogram_family("pyresnet", "PyResNet"),
    "cnn": _spectrogram_family("cnn", "SerCnn"),
    "fcn_attention": _spectrogram_family("fcn_attention", "FcnAttention"),
    "mts": _spectrogram_family("mts", "Mts"),
    "whisper_statistics": _spectrogram_family("whisper_statistics", "WhisperStatistics"),
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


def import_family_module(family: str, auto_class: str) -> ModuleType:
    """Import and return the module with a family's class for an Auto class."""
    return module_of_table(family_module(family, auto_class), _entry(family))


def family_class(family: str, auto_class: str) -> type:
    """Import and return a family's class for an Auto class."""
    name = FAMILIES[family][auto_class].rpartition(".")[2]
    return class_of_table(import_family_module(family, auto_class), name, _entry(family))


def _entry(family: str) -> str:
    return f"{__name__}.FAMILIES[{family!r}]"
