"""Feature extractors and networks keep the contract of transformers' own: lists, sizes, settings, attention."""

import datasets
import numpy as np
import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from tiny_zoo import TINY_ZOO, make_front_end, make_tiny
from transformers import DataCollatorWithPadding

import lssed_hf
from lssed_hf import EspnetAsrFeatureExtractor, PyResNetFeatureExtractor
from lssed_hf.models.espnet import feature_extraction_espnet_asr
from lssed_hf.models.pyresnet import front_end_pyresnet


pytestmark = pytest.mark.usefixtures("one_thread")

SINGLE_LABEL, MULTI_LABEL = "single_label_classification", "multi_label_classification"
KINDS = {
    "pyresnet": (PyResNetFeatureExtractor, {"normalization": "utterance"}),
    "torch": (PyResNetFeatureExtractor, {"normalization": "utterance", "backend": "torch"}),
    "espnet": (EspnetAsrFeatureExtractor, {"normalization": "utterance_mvn"}),
    "espnet_waveforms": (EspnetAsrFeatureExtractor, {"normalization": "utterance_mvn", "pad_waveforms": True}),
}


@pytest.fixture(params=KINDS)
def extractor(request):
    kind, settings = KINDS[request.param]
    return kind(**settings)


@pytest.fixture(params=[(16000, 9000), (16000, 16000), (16000,)], ids=["unequal", "equal", "one"])
def clips(request):
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, length).astype(np.float32) for length in request.param]


class TestWithoutPadding:
    @pytest.mark.parametrize("padding", [False, "do_not_pad"])
    def test_features_are_lists_of_arrays(self, extractor, clips, padding):
        batch = extractor(clips, sampling_rate=16000, padding=padding)
        for name, size in (("input_features", 2), ("attention_mask", 1)):
            assert type(batch[name]) is list and len(batch[name]) == len(clips)
            assert all(values.ndim == size for values in batch[name])
        for clip, features in zip(clips, batch["input_features"], strict=True):
            (alone,) = extractor([clip], sampling_rate=16000, return_tensors="np")["input_features"]
            if not getattr(extractor, "pad_waveforms", False):
                np.testing.assert_allclose(features, alone, atol=1e-5)
            assert features.shape == alone.shape and features.dtype in (np.float32, torch.float32)

    def test_tensors_on_request(self, extractor, clips):
        batch = extractor(clips, sampling_rate=16000, padding=False, return_tensors="np")
        assert [len(features) for features in batch["input_features"]] == [
            1 + len(clip) // extractor.hop_length for clip in clips
        ]

    def test_padded_features_are_one_array(self, extractor, clips):
        batch = extractor(clips, sampling_rate=16000)
        assert batch["input_features"].shape[0] == len(clips) and batch["input_features"].ndim == 3

    def test_datasets_map_and_a_collator_pad_them(self, extractor, clips):
        rows = datasets.Dataset.from_dict({"waveform": clips, "labels": list(range(len(clips)))})
        features = rows.map(
            lambda batch: extractor(
                [np.float32(clip) for clip in batch["waveform"]], sampling_rate=16000, padding=False
            ),
            batched=True,
            remove_columns=["waveform"],
        )
        collate = DataCollatorWithPadding(extractor)
        batch = collate([features[index] for index in range(len(clips))])
        expected = extractor(clips, sampling_rate=16000, return_tensors="pt")
        assert batch["labels"].tolist() == list(range(len(clips)))
        assert batch["attention_mask"].tolist() == expected["attention_mask"].tolist()
        if not getattr(extractor, "pad_waveforms", False):
            torch.testing.assert_close(torch.as_tensor(batch["input_features"]), expected["input_features"])


class TestClips:
    @pytest.mark.parametrize("clip", ["clip.wav", ["clip.wav"], {"array": np.zeros(9)}, [{"path": "clip.wav"}]])
    def test_what_has_no_samples_is_told_where_they_are(self, extractor, clip):
        with pytest.raises(ValueError, match=r"samples are expected: .*load_audio\(path\).*row\['audio'\]\['array'\]"):
            extractor(clip, sampling_rate=16000)

    @pytest.mark.parametrize("gain", [20, 32768])
    def test_floats_of_the_scale_of_integers_are_warned_of(self, extractor, clips, gain, monkeypatch):
        warnings = []
        monkeypatch.setattr(front_end_pyresnet, "_warn_once", warnings.append)
        monkeypatch.setattr(feature_extraction_espnet_asr.logger, "warning_once", warnings.append)
        extractor([gain * clip for clip in clips], sampling_rate=16000)
        assert any("Divide those by 32768" in warning for warning in warnings) == (gain == 32768)


class TestSettings:
    @pytest.mark.parametrize("kind", [PyResNetFeatureExtractor, EspnetAsrFeatureExtractor])
    def test_settings_without_effect_are_refused(self, kind, tmp_path):
        with pytest.raises(ValueError, match=r"feature_size=64 and num_mel_bins=.* do not fit"):
            kind(feature_size=64)
        with pytest.raises(ValueError, match="do_normalize=False: say normalization='none'"):
            kind(do_normalize=False)
        assert kind(feature_size=40, num_mel_bins=40, do_normalize=True).feature_size == 40
        kind().save_pretrained(tmp_path)
        with pytest.raises(ValueError, match="do_normalize=False"):
            kind.from_pretrained(tmp_path, do_normalize=False)
        with pytest.raises(ValueError, match="feature_size=64"):
            kind.from_pretrained(tmp_path, feature_size=64)
        assert kind.from_pretrained(tmp_path, num_mel_bins=40).feature_size == 40

    @pytest.mark.parametrize("kind", [PyResNetFeatureExtractor, EspnetAsrFeatureExtractor])
    def test_repr_is_short(self, kind):
        assert len(repr(kind(mean=[-40.0] * 80, std=[20.0] * 80, num_mel_bins=80))) < 250


class TestMelBins:
    @pytest.mark.parametrize("name", lssed_hf.list_models())
    def test_front_ends_fit_their_networks(self, name):
        extractor = lssed_hf.create_feature_extractor(name)
        key = next((key for key, (zoo, _) in TINY_ZOO.items() if zoo == name), None)
        if key is not None:
            assert make_tiny(key).config.num_mel_bins == extractor.num_mel_bins == extractor.feature_size

    @pytest.mark.parametrize("key", TINY_ZOO)
    def test_other_bins_are_refused_by_name(self, key):
        model = make_tiny(key)
        bins = make_front_end(key).num_mel_bins
        assert model(torch.zeros(1, 160, bins)).logits.shape == (1, 2)
        with pytest.raises(ValueError, match=rf"\(1, 160, {bins + 1}\); \(batch, frames, {bins}\) is expected"):
            model(torch.zeros(1, 160, bins + 1))

    @pytest.mark.parametrize("key", ["pyresnet", "resnet", "fcn_attention", "mts_resnet"])
    def test_networks_that_do_not_say_take_any(self, key):
        model = make_tiny(key, num_mel_bins=None)
        for bins in (64, 128):
            assert model(torch.zeros(1, 160, bins)).logits.shape == (1, 2)
        with pytest.raises(StrictDataclassError, match="num_mel_bins=0 must be at least 1"):
            type(model.config)(num_mel_bins=0)

    def test_the_small_network_takes_its_front_end_alone(self):
        model = lssed_hf.create_model("pyresnet-small", num_labels=4).eval()
        clip = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
        for extractor, fits in (
            (lssed_hf.create_feature_extractor("pyresnet-small", normalization="utterance"), True),
            (PyResNetFeatureExtractor(normalization="utterance"), False),
        ):
            inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
            if fits:
                assert model(**inputs).logits.shape == (1, 4)
            else:
                with pytest.raises(ValueError, match=r"\(batch, frames, 64\) is expected"):
                    model(**inputs)


class TestPaddingInFront:
    @pytest.mark.parametrize("key", TINY_ZOO)
    def test_is_refused_or_changes_nothing(self, key):
        model = make_tiny(key)
        features, mask = torch.randn(1, 160, model.config.num_mel_bins), torch.ones(1, 160, dtype=torch.int64)
        mask[0, :30] = 0
        if key in ("resnet", "vgg", "adv_vgg"):  # run in groups of equal length
            expected = model(features[:, 30:]).logits
            torch.testing.assert_close(model(features, attention_mask=mask).logits, expected)
        else:
            with pytest.raises(ValueError, match="padding in front"):
                model(features, attention_mask=mask)


class TestAttention:
    @pytest.mark.parametrize(
        ("key", "positions"),
        [
            ("espnet_transformer", "absolute"),
            *(("espnet_conformer", positions) for positions in ("absolute", "relative", "relative_legacy")),
        ],
    )
    def test_eager_equals_sdpa(self, key, positions):
        model = make_tiny(key, position_embeddings_type=positions)
        assert model.config._attn_implementation == "sdpa"
        features, mask = torch.randn(2, 120, 80), torch.ones(2, 120, dtype=torch.int64)
        mask[1, 70:] = 0
        expected = model(features, attention_mask=mask).logits
        model.set_attn_implementation("eager")
        torch.testing.assert_close(model(features, attention_mask=mask).logits, expected, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("key", ["espnet_transformer", "espnet_vgg_blstm", "whisper_statistics"])
    def test_weights_that_nothing_keeps_are_refused(self, key):
        model = make_tiny(key)
        features = torch.zeros(1, 120, 80)
        for network in (model, model.base_model):
            with pytest.raises(ValueError, match="output_attentions=True: the layers keep no attention weights"):
                network(features, output_attentions=True)
            network(features, output_attentions=False)


class TestAccumulatedLoss:
    """The Trainer gives the number of labels of all steps, and does not divide the losses of the steps itself."""

    @pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL, "regression"])
    @pytest.mark.parametrize("key", TINY_ZOO)
    def test_steps_add_up_to_the_batch(self, key, problem_type):
        model = make_tiny(key, num_labels=3, problem_type=problem_type)
        features = torch.randn(4, 70, model.config.num_mel_bins)
        labels = torch.arange(4) % 3 if problem_type == SINGLE_LABEL else torch.eye(4)[:, :3]
        self.check(model, features, labels)

    @pytest.mark.parametrize("problem_type", [SINGLE_LABEL, MULTI_LABEL])
    def test_steps_of_classes_and_ratings_add_up_to_the_batch(self, problem_type):
        model = make_tiny("pyresnet", num_labels=3, problem_type=problem_type, dimensions=["valence", "arousal"])
        labels = torch.arange(4) % 3 if problem_type == SINGLE_LABEL else torch.eye(4)[:, :3]
        self.check(model, torch.randn(4, 70, model.config.num_mel_bins), labels, ratings=torch.rand(4, 2))

    @staticmethod
    def check(model, features, labels, **others):
        with torch.no_grad():
            whole = model(features, labels=labels, **others).loss
            steps = [
                model(
                    features[rows],
                    labels=labels[rows],
                    num_items_in_batch=torch.tensor(labels.numel()),
                    **{name: values[rows] for name, values in others.items()},
                ).loss
                for rows in (slice(0, 3), slice(3, 4))
            ]
        torch.testing.assert_close(sum(steps), whole)
