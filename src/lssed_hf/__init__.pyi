# Public names, for type checkers and editors; __init__.py loads each of them on first use.
from .audio import AudioError as AudioError
from .audio import load_audio as load_audio
from .corpora import list_corpora as list_corpora
from .corpora import load_corpus as load_corpus
from .evaluation import metric_path as metric_path
from .hub.conversion.convert import convert_checkpoint as convert_checkpoint
from .inference.classifiers.loading import default_model as default_model
from .inference.classifiers.loading import load_classifier as load_classifier
from .inference.classifiers.pretrained import DEFAULT_MODEL as DEFAULT_MODEL
from .inference.classifiers.pretrained import list_pretrained as list_pretrained
from .inference.embed import Embedding as Embedding
from .inference.embed import embed as embed
from .inference.evaluate import evaluate as evaluate
from .inference.predict import Prediction as Prediction
from .inference.predict import predict as predict
from .inference.timeline.figure import draw_timeline as draw_timeline
from .inference.timeline.scoring import score_timeline as score_timeline
from .inference.timeline.turns import read_turns as read_turns
from .labels import BENCHMARK_EMOTIONS as BENCHMARK_EMOTIONS
from .labels import EMOTIONS as EMOTIONS
from .models.cnn.configuration_cnn import SerCnnConfig as SerCnnConfig
from .models.cnn.modeling_cnn import SerCnnForAudioClassification as SerCnnForAudioClassification
from .models.cnn.modeling_cnn import SerCnnModel as SerCnnModel
from .models.espnet.configuration_espnet_asr import EspnetAsrConfig as EspnetAsrConfig
from .models.espnet.feature_extraction_espnet_asr import EspnetAsrFeatureExtractor as EspnetAsrFeatureExtractor
from .models.espnet.modeling_espnet_asr import EspnetAsrForAudioClassification as EspnetAsrForAudioClassification
from .models.espnet.modeling_espnet_asr import EspnetAsrForSpeechSeq2Seq as EspnetAsrForSpeechSeq2Seq
from .models.espnet.modeling_espnet_asr import EspnetAsrModel as EspnetAsrModel
from .models.espnet.processing_espnet_asr import EspnetAsrProcessor as EspnetAsrProcessor
from .models.espnet.tokenization_espnet_asr import EspnetAsrTokenizer as EspnetAsrTokenizer
from .models.fcn_attention.configuration_fcn_attention import FcnAttentionConfig as FcnAttentionConfig
from .models.fcn_attention.modeling_fcn_attention import (
    FcnAttentionForAudioClassification as FcnAttentionForAudioClassification,
)
from .models.fcn_attention.modeling_fcn_attention import FcnAttentionModel as FcnAttentionModel
from .models.mts.configuration_mts import MtsConfig as MtsConfig
from .models.mts.modeling_mts import MtsForAudioClassification as MtsForAudioClassification
from .models.mts.modeling_mts import MtsModel as MtsModel
from .models.pyresnet.configuration_pyresnet import PyResNetConfig as PyResNetConfig
from .models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor as PyResNetFeatureExtractor
from .models.pyresnet.modeling_pyresnet import PyResNetForAudioClassification as PyResNetForAudioClassification
from .models.pyresnet.modeling_pyresnet import PyResNetModel as PyResNetModel
from .models.registry import create_feature_extractor as create_feature_extractor
from .models.registry import create_model as create_model
from .models.registry import list_models as list_models
from .models.whisper_statistics.configuration_whisper_statistics import (
    WhisperStatisticsConfig as WhisperStatisticsConfig,
)
from .models.whisper_statistics.modeling_whisper_statistics import (
    WhisperStatisticsForAudioClassification as WhisperStatisticsForAudioClassification,
)
from .models.whisper_statistics.modeling_whisper_statistics import (
    WhisperStatisticsModel as WhisperStatisticsModel,
)
from .training.adapt import adapt as adapt
from .training.features import fit_normalization as fit_normalization
from .training.train import train as train

__version__: str
