"""transformers' common tests on every model of this package. `run.py` runs it and provides `transformers_tests`.

To add a model, append a `Case` to `CASES`.
"""

import copy
import tempfile
import unittest
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from transformers import PreTrainedConfig, PreTrainedModel, SequenceFeatureExtractor
from transformers.models.auto import modeling_auto
from transformers_tests.test_configuration_common import ConfigTester
from transformers_tests.test_modeling_common import ModelTesterMixin
from transformers_tests.test_sequence_feature_extraction_common import SequenceFeatureExtractionTestMixin

from lssed_hf import (
    EspnetAsrConfig,
    EspnetAsrFeatureExtractor,
    EspnetAsrForAudioClassification,
    EspnetAsrForSpeechSeq2Seq,
    EspnetAsrModel,
    FcnAttentionConfig,
    FcnAttentionForAudioClassification,
    FcnAttentionModel,
    MtsConfig,
    MtsForAudioClassification,
    MtsModel,
    PyResNetConfig,
    PyResNetFeatureExtractor,
    PyResNetForAudioClassification,
    PyResNetModel,
    SerCnnConfig,
    SerCnnForAudioClassification,
    SerCnnModel,
)


BATCH_SIZE, FRAMES, MEL_BINS = 3, 21, 32


@dataclass(frozen=True)
class Case:
    """Classes of a model, and arguments of a small one (under 1 M parameters, which the suite checks).

    Args:
        name: Prefix of the test classes.
        config_class, config: Class and fields of the configuration of a small model with at most two layers.
        model_class: Model without a head.
        classifier_class: Model for audio classification.
        feature_extractor_class, feature_extractor: Class and arguments, with `feature_size` equal to `MEL_BINS`.
        hidden_shapes: Shapes of all `hidden_states` of a batch.
        common_properties: Attributes by which tools read sizes off any configuration.
        inputs: Function that makes a batch.
        recogniser_class: Model for speech recognition, if there is one.
        overrides: Attributes and methods for the class of model tests. Each needs a comment that gives the reason.
    """

    name: str
    config_class: type[PreTrainedConfig]
    config: Mapping
    model_class: type[PreTrainedModel]
    classifier_class: type[PreTrainedModel]
    feature_extractor_class: type[SequenceFeatureExtractor]
    feature_extractor: Mapping
    hidden_shapes: list[tuple[int, ...]]
    common_properties: list[str]
    inputs: Callable[[], dict[str, torch.Tensor]]
    recogniser_class: type[PreTrainedModel] | None = None
    overrides: Mapping = field(default_factory=dict)


def log_mel_batch(frames: int = FRAMES) -> dict[str, torch.Tensor]:
    """Clips of unequal length, so that every test of the suite sees padding."""
    attention_mask = torch.ones(BATCH_SIZE, frames, dtype=torch.long)
    attention_mask[0, frames - 8 :] = 0
    return {"input_features": torch.randn(BATCH_SIZE, frames, MEL_BINS), "attention_mask": attention_mask}


CASES = [
    Case(
        name="PyResNet",
        config_class=PyResNetConfig,
        config={
            "embedding_size": 8,
            "hidden_sizes": [64, 32],
            "depths": [2, 1],
            "kernel_sizes": [[3, 5], [3]],
            "groups": [[1, 4], [1]],
        },
        model_class=PyResNetModel,
        classifier_class=PyResNetForAudioClassification,
        feature_extractor_class=PyResNetFeatureExtractor,
        feature_extractor={"num_mel_bins": MEL_BINS, "padding_value": 0.0},
        hidden_shapes=[(BATCH_SIZE, 8, 16, 11), (BATCH_SIZE, 64, 8, 6), (BATCH_SIZE, 32, 4, 3)],
        common_properties=["hidden_size"],
        inputs=log_mel_batch,
    ),
    *(
        Case(
            name=f"SerCnn{backbone.title().replace('_', '')}",
            config_class=SerCnnConfig,
            config={"backbone": backbone, "hidden_sizes": [16, 32], "depths": [1, 1], "mlp_size": 16},
            model_class=SerCnnModel,
            classifier_class=SerCnnForAudioClassification,
            feature_extractor_class=PyResNetFeatureExtractor,
            feature_extractor={"num_mel_bins": MEL_BINS, "padding_value": 0.0},
            hidden_shapes=[(BATCH_SIZE, 16, *first), (BATCH_SIZE, 32, *second)],
            common_properties=["hidden_size"],
            inputs=log_mel_batch,
        )
        for backbone, first, second in (
            ("resnet18", (8, 6), (4, 3)),
            ("resnet50", (8, 6), (4, 3)),
            ("vgg11", (16, 10), (8, 5)),
            ("adv_vgg16", (16, 10), (8, 5)),
        )
    ),
    *(
        Case(
            name=name,
            config_class=config_class,
            # The last layer is so wide that new biases, uniform up to 1/sqrt(inputs), have the small mean that the
            # suite expects; below likewise.
            config={"hidden_sizes": [8, 16, 16, 16, 128], **config},
            model_class=model_class,
            classifier_class=classifier_class,
            feature_extractor_class=PyResNetFeatureExtractor,
            feature_extractor={"num_mel_bins": MEL_BINS, "padding_value": 0.0},
            hidden_shapes=[(BATCH_SIZE, 8, 7, 11), *[(BATCH_SIZE, 16, 3, 5)] * 3, (BATCH_SIZE, 128, 1, 2)],
            common_properties=["hidden_size"],
            inputs=partial(log_mel_batch, frames=101),  # AlexNet fills up what is shorter than 63 frames
        )
        for name, config_class, config, model_class, classifier_class in (
            ("FcnAttention", FcnAttentionConfig, {}, FcnAttentionModel, FcnAttentionForAudioClassification),
            (
                "MtsAlexNet",
                MtsConfig,
                {"pooled_size": 2, "classifier_hidden_sizes": [128]},
                MtsModel,
                MtsForAudioClassification,
            ),
        )
    ),
    Case(
        name="MtsResNet",
        config_class=MtsConfig,
        config={"architecture": "resnet", "embedding_size": 8, "hidden_sizes": [32, 128], "depths": [1, 1]},
        model_class=MtsModel,
        classifier_class=MtsForAudioClassification,
        feature_extractor_class=PyResNetFeatureExtractor,
        feature_extractor={"num_mel_bins": MEL_BINS, "padding_value": 0.0},
        hidden_shapes=[(BATCH_SIZE, 8, 8, 6), (BATCH_SIZE, 32, 8, 6), (BATCH_SIZE, 128, 4, 3)],
        common_properties=["hidden_size"],
        inputs=log_mel_batch,
    ),
    *(
        Case(
            name=f"EspnetAsr{encoder_type.title().replace('_', '')}",
            config_class=EspnetAsrConfig,
            config={
                "encoder_type": encoder_type,
                "vocab_size": 99,
                "num_mel_bins": MEL_BINS,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "intermediate_size": 37,
                "conv_kernel_size": 5,
                "cgmlp_linear_units": 64,
                "rnn_hidden_size": 24,
                "decoder_layers": 1,
                "decoder_intermediate_size": 37,
                "decoder_type": "rnn" if encoder_type == "rnn" else "transformer",
                "decoder_hidden_size": 24,
                "decoder_attention_size": 20,
            },
            model_class=EspnetAsrModel,
            classifier_class=EspnetAsrForAudioClassification,
            recogniser_class=EspnetAsrForSpeechSeq2Seq,
            feature_extractor_class=EspnetAsrFeatureExtractor,
            feature_extractor={"num_mel_bins": MEL_BINS, "padding_value": 0.0},
            hidden_shapes=[(BATCH_SIZE, *shape) for shape in hidden_shapes],
            common_properties=["hidden_size", "num_attention_heads", "num_hidden_layers"],
            inputs=log_mel_batch,
            # Of this encoder the features themselves go into what is checkpointed, and they need no gradient, without
            # which reentrant checkpointing has none for the weights either.
            overrides={"test_training_gradient_checkpointing_use_reentrant_true": None}
            if encoder_type == "rnn"
            else {},
        )
        for encoder_type, hidden_shapes in (
            ("transformer", [(4, 32)] * 3),
            ("conformer", [(4, 32)] * 3),
            ("e_branchformer", [(4, 32)] * 3),
            ("vgg_rnn", [(6, 1024), (6, 32), (6, 32)]),
            ("rnn", [(11, 32), (6, 32)]),
        )
    ),
]


class ModelTester:
    """Source of the small model for the mixins."""

    batch_size, seq_length = BATCH_SIZE, FRAMES
    is_training = True

    def __init__(self, parent: unittest.TestCase, case: Case):
        self.parent, self.case = parent, case

    def get_config(self) -> PreTrainedConfig:
        return self.case.config_class(**copy.deepcopy(dict(self.case.config)))

    def prepare_config_and_inputs_for_common(self):
        return self.get_config(), self.case.inputs()


class FeatureExtractionTester:
    batch_size, feature_size, padding_value, sampling_rate = 7, MEL_BINS, 0.0, 16000
    min_seq_length, max_seq_length = 40, 200
    seq_length_diff = (max_seq_length - min_seq_length) // (batch_size - 1)

    def __init__(self, case: Case):
        self.case = case

    def prepare_feat_extract_dict(self) -> dict:
        return dict(self.case.feature_extractor)

    def prepare_inputs_for_common(self, equal_length: bool = False, numpify: bool = False) -> list:
        lengths = [self.min_seq_length + self.seq_length_diff * index for index in range(self.batch_size)]
        clips = [
            np.random.default_rng(index)
            .random((self.max_seq_length if equal_length else length, self.feature_size))
            .astype(np.float32)
            for index, length in enumerate(lengths)
        ]
        return clips if numpify else [clip.tolist() for clip in clips]


def model_tests(case: Case) -> type[unittest.TestCase]:
    class ModelTest(ModelTesterMixin, unittest.TestCase):
        all_model_classes = (case.model_class, case.classifier_class, *filter(None, [case.recogniser_class]))
        # `generate` of recognisers is a search of their own, with other options than transformers'.
        all_generative_model_classes = ()
        has_attentions = False
        # No vocabulary, so there are no embeddings to resize.
        test_resize_embeddings = False

        def setUp(self):
            self.model_tester = ModelTester(self, case)

        def _prepare_for_class(self, inputs_dict, model_class, return_labels=False):
            inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels)
            if return_labels and model_class is case.recogniser_class:
                # Transcripts, of which the suite knows no shape; the last one is shorter.
                inputs["labels"] = torch.arange(2, 2 + 2 * BATCH_SIZE).reshape(BATCH_SIZE, 2)
                inputs["labels"][-1, 1] = -100
            return inputs

        def test_config(self):
            config_tester = ConfigTester(
                self,
                config_class=case.config_class,
                has_text_modality=False,
                common_properties=list(case.common_properties),
                **case.config,
            )
            config_tester.run_common_tests()

        @unittest.skip("expects nn.Embedding as input; spectrograms are no tokens")
        def test_model_get_set_embeddings(self):
            pass

        def test_load_contiguous_weights(self):
            # The suite's own expects one order of the axes; convolutions here are channels-last.
            config, _ = self.model_tester.prepare_config_and_inputs_for_common()
            for model_class in self.all_model_classes:
                model = model_class(copy.deepcopy(config))
                with tempfile.TemporaryDirectory() as folder:
                    model.save_pretrained(folder)
                    for checked in (model, model_class.from_pretrained(folder)):
                        for name, weight in checked.named_parameters():
                            layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
                            dense = weight.is_contiguous() or weight.is_contiguous(memory_format=layout)
                            self.assertTrue(dense, name)

        def test_hidden_states_output(self):
            # The suite's own expects (batch, frames, channels); a convolutional network returns maps that shrink.
            config, inputs = self.model_tester.prepare_config_and_inputs_for_common()
            by_config = copy.deepcopy(config)
            by_config.output_hidden_states = True
            for model_class in self.all_model_classes:
                for model, extra in (
                    (model_class(copy.deepcopy(config)), {"output_hidden_states": True}),
                    (model_class(by_config), {}),
                ):
                    with torch.no_grad():
                        outputs = model.eval()(**inputs, **extra)
                    recognises = isinstance(model, case.recogniser_class or ())
                    hidden_states = outputs.encoder_hidden_states if recognises else outputs.hidden_states
                    self.assertEqual([tuple(state.shape) for state in hidden_states], case.hidden_shapes)

    for name, value in case.overrides.items():
        setattr(ModelTest, name, value)
    return ModelTest


def feature_extraction_tests(case: Case) -> type[unittest.TestCase]:
    class FeatureExtractionTest(SequenceFeatureExtractionTestMixin, unittest.TestCase):
        feature_extraction_class = case.feature_extractor_class

        def setUp(self):
            self.feat_extract_tester = FeatureExtractionTester(case)

    return FeatureExtractionTest


for case in CASES:
    # By these static tables, not by the Auto classes, the suite knows which classes take labels and can be trained.
    modeling_auto.MODEL_MAPPING_NAMES[case.config_class.model_type] = case.model_class.__name__
    modeling_auto.MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES[case.config_class.model_type] = (
        case.classifier_class.__name__
    )
    for kind, make in (("Model", model_tests), ("FeatureExtraction", feature_extraction_tests)):
        test_class = make(case)
        test_class.__name__ = test_class.__qualname__ = f"{case.name}{kind}Test"
        globals()[test_class.__name__] = test_class
del test_class
