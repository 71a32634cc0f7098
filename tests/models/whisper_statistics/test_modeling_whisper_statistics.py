"""Truncated Whisper encoders: parity with transformers' encoder, padding, blocks, 8 bits, training, compilers."""

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForAudioClassification, WhisperConfig, WhisperFeatureExtractor, pipeline
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from lssed_hf import WhisperStatisticsConfig, WhisperStatisticsForAudioClassification, WhisperStatisticsModel
from lssed_hf.models.registry import create_feature_extractor, create_model
from lssed_hf.models.whisper_statistics.modeling_whisper_statistics import WhisperStatisticsInt8Linear


MEL_BINS, MAX_FRAMES, MARGIN = 8, 200, 10
TINY = {
    "num_mel_bins": MEL_BINS,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_frames": MAX_FRAMES,
    "margin_frames": MARGIN,
}
LABELS = ["angry", "neutral", "happy", "sad"]


def make(**changes) -> WhisperStatisticsForAudioClassification:
    """Return a classifier whose states depend on the clip: weights are large, biases and standardisation are there."""
    torch.manual_seed(0)
    model = create_model("whisper_statistics", labels=LABELS, **{**TINY, "pooled_layers": [0, 2], **changes})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.3)
        model.embedding_mean.normal_(0, 0.1)
        model.embedding_std.uniform_(0.1, 0.5)
    return model.eval()


@pytest.fixture
def model() -> WhisperStatisticsForAudioClassification:
    return make()


def padded_batch(lengths: list[int], filling: float = torch.nan) -> tuple[list, torch.Tensor, torch.Tensor]:
    """Return clips, the batch of them with a filling behind each, and its mask."""
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randn(frames, MEL_BINS, generator=generator) for frames in lengths]
    batch = torch.full((len(clips), max(lengths) + 6, MEL_BINS), filling)
    mask = torch.zeros(batch.shape[:2], dtype=torch.int64)
    for row, clip in enumerate(clips):
        batch[row, : len(clip)], mask[row, : len(clip)] = clip, 1
    return clips, batch, mask


class TestParityWithTransformers:
    """States equal those of WhisperEncoder to 1e-5 (float32), where both see as much silence behind the clip."""

    FRAMES = 120

    @pytest.fixture
    def features(self):
        """A clip and silence as Whisper's front end pads: 2 (80 dB) below the clip's peak."""
        clip = torch.randn(1, self.FRAMES, MEL_BINS)
        return clip, torch.cat([clip, (clip.max() - 2).expand(1, MAX_FRAMES - self.FRAMES, MEL_BINS)], dim=1)

    @pytest.fixture
    def whisper(self):
        torch.manual_seed(0)
        sizes = {"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
        config = WhisperConfig(num_mel_bins=MEL_BINS, max_source_positions=MAX_FRAMES // 2, **sizes)
        encoder = WhisperEncoder(config).eval()
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                if "embed_positions" not in name:
                    parameter.add_(torch.randn_like(parameter) * 0.2)
        return encoder

    @pytest.mark.parametrize("num_layers", [0, 1, 2])
    def test_states_of_the_first_layers(self, whisper, features, num_layers):
        clip, padded = features
        fields = {**TINY, "num_hidden_layers": num_layers, "pooled_layers": [num_layers]}
        ours = WhisperStatisticsModel(WhisperStatisticsConfig(**{**fields, "margin_frames": MAX_FRAMES - self.FRAMES}))
        names = ours.state_dict().keys()
        ours.load_state_dict({name: value for name, value in whisper.state_dict().items() if name in names})
        with torch.no_grad():
            expected = whisper(padded.transpose(1, 2), output_hidden_states=True).hidden_states[: num_layers + 1]
            output = ours.eval()(clip, output_hidden_states=True)
        assert len(output.hidden_states) == num_layers + 1
        for state, wanted in zip(output.hidden_states, expected, strict=True):
            assert wanted.std() > 0.1
            torch.testing.assert_close(state, wanted, atol=1e-5, rtol=1e-5)
        own = expected[-1][0, : self.FRAMES // 2]
        statistics = torch.cat([own.mean(dim=0), own.std(dim=0, correction=0)])
        torch.testing.assert_close(output.pooler_output[0], statistics, atol=1e-5, rtol=1e-4)

    def test_positions_are_whispers(self, whisper):
        positions = WhisperStatisticsModel(WhisperStatisticsConfig(**TINY)).positions
        torch.testing.assert_close(positions, whisper.embed_positions.weight.detach(), atol=1e-6, rtol=0)

    @pytest.mark.parametrize("num_mel_bins", [80, 128])
    def test_features_are_whispers_behind_the_first_two_frames(self, num_mel_bins):
        """Whisper's front end mirrors the clip at its beginning, ours pads zeros."""
        waveform = np.random.default_rng(0).normal(0, 0.1, 20000) * np.hanning(20000)
        waveform = waveform.astype(np.float32)
        statistics = {"mean": [-40.0] * num_mel_bins, "std": [40.0] * num_mel_bins}
        ours = create_feature_extractor("whisper_statistics", num_mel_bins=num_mel_bins, **statistics)
        features = ours(waveform, sampling_rate=16000)["input_features"][0]
        whispers = WhisperFeatureExtractor(feature_size=num_mel_bins)(waveform, sampling_rate=16000)
        expected = whispers["input_features"][0].T
        np.testing.assert_allclose(features[2:125], expected[2:125], atol=1e-5)
        assert np.ptp(expected[130:]) == 0  # silence
        assert expected[200, 0] == pytest.approx(features.max() - 2, abs=1e-5)


class TestPadding:
    # Clips of one frame, of a block less the margin, of a block, and of two and three blocks; in no order.
    LENGTHS = [1, 190, 450, 37, 195, 200, 2, 201, 400]

    def test_changes_nothing_with_nan_behind_clips(self, model):
        clips, batch, mask = padded_batch(self.LENGTHS)
        with torch.no_grad():
            alone = torch.cat([model(clip[None]).logits for clip in clips])
            together = model(batch, attention_mask=mask).logits
            pooled = model.base_model(batch, attention_mask=mask).pooler_output
            pooled_alone = torch.cat([model.base_model(clip[None]).pooler_output for clip in clips])
        assert alone.std(dim=0).min() > 0.1  # else agreement would mean nothing
        torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(pooled, pooled_alone, atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.bool, torch.int32, torch.float32])
    def test_a_mask_of_any_type_will_do(self, model, dtype):
        clips, batch, mask = padded_batch([120, 100])
        with torch.no_grad():
            logits = model(batch, attention_mask=mask.to(dtype)).logits
            torch.testing.assert_close(logits[1:], model(clips[1][None]).logits, atol=1e-4, rtol=1e-4)

    def test_states_behind_a_clip_and_its_margin_are_zero(self, model):
        _, batch, mask = padded_batch([120, 60])
        with torch.no_grad():
            states = model(batch, attention_mask=mask, output_hidden_states=True).hidden_states
        for state in states:
            assert state.shape == (2, (126 + MARGIN) // 2, 16)
            assert (state[1, (60 + MARGIN) // 2 :] == 0).all() and (state[1, : (60 + MARGIN) // 2] != 0).any(1).all()

    def test_the_margin_takes_part_in_attention_and_not_in_statistics(self, model):
        clip = torch.randn(1, 60, MEL_BINS)
        without = make(margin_frames=0)
        with torch.no_grad():
            output = model.base_model(clip)
            assert (output.pooler_output - without.base_model(clip).pooler_output).abs().max() > 1e-3
            own = output.last_hidden_state[0, :30]
        torch.testing.assert_close(output.pooler_output[0, 32:48], own.mean(dim=0))

    def test_blocks_do_not_attend_to_each_other(self, model):
        clip = torch.randn(1, 400, MEL_BINS)
        other = clip.clone()
        other[:, 210:] = torch.randn(1, 190, MEL_BINS)
        other[0, 300] = clip[0].max()  # the peak, which the silence behind depends on
        with torch.no_grad():
            first, second = (model.base_model(x).last_hidden_state[0] for x in (clip, other))
        torch.testing.assert_close(first[:100], second[:100], atol=1e-5, rtol=1e-5)
        assert (first[100:104] - second[100:104]).abs().max() > 1e-3

    def test_statistics_of_blocks_are_those_of_all_positions(self, model):
        clip = torch.randn(1, 450, MEL_BINS)
        with torch.no_grad():
            output = model.base_model(clip)
        own = output.last_hidden_state[0, :225]
        assert output.pooler_output.shape == (1, model.config.embedding_size) == (1, 64)
        torch.testing.assert_close(output.pooler_output[0, 32:48], own.mean(dim=0), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(output.pooler_output[0, 48:], own.std(dim=0, correction=0), atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("margin", [0, MARGIN])
    @pytest.mark.parametrize("level", [0.0, 20.0])
    def test_changes_nothing_where_pauses_are_left_out(self, margin, level):
        model = make(pooled_range=level, margin_frames=margin)
        clips, batch, mask = padded_batch(self.LENGTHS)
        with torch.no_grad():
            alone = torch.cat([model.base_model(clip[None]).pooler_output for clip in clips])
            together = model.base_model(batch, attention_mask=mask).pooler_output
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)

    def test_a_mask_of_another_length_or_with_padding_in_front_is_refused(self, model):
        _, features, mask = padded_batch([60, 50])
        with pytest.raises(ValueError, match=r"attention_mask has shape \(2, 9600\), and input_features"):
            model(features, attention_mask=torch.ones(2, 9600))  # of samples
        with pytest.raises(ValueError, match="padding in front"):
            model(features, attention_mask=mask.flip(1))

    @pytest.mark.parametrize("shape", [(100, MEL_BINS), (2, 1, 100, MEL_BINS), (1, 100, MEL_BINS + 1)])
    def test_features_of_another_shape_are_refused(self, model, shape):
        with pytest.raises(ValueError, match=r"\(batch, frames, 8\) is expected"):
            model(torch.randn(shape))


class TestStatistics:
    def test_a_range_leaves_pauses_out(self):
        clip = torch.zeros(1, 60, MEL_BINS)  # a unit is 40 dB
        clip[:, 20:40] = -1.0
        clip[:, 50:60] = -0.5
        whole, near, loud = (make(pooled_range=level, pooled_layers=[2]).base_model for level in (None, 30.0, 10.0))
        with torch.no_grad():
            outputs = [model(clip) for model in (whole, near, loud)]
        own = outputs[0].last_hidden_state[0, :30]
        chosen = [range(30), [*range(10), *range(20, 30)], [*range(10), *range(20, 25)]]
        for output, positions in zip(outputs, chosen, strict=True):
            expected = torch.cat([own[positions].mean(dim=0), own[positions].std(dim=0, correction=0)])
            torch.testing.assert_close(output.pooler_output[0], expected, atol=1e-5, rtol=1e-5)

    def test_one_of_both(self):
        clip = torch.randn(1, 60, MEL_BINS)
        with torch.no_grad():
            whole = make()
            both = whole.base_model(clip).pooler_output[0].unflatten(0, (2, 2, 16))  # layers, statistics, size
            for number, name in enumerate(("mean", "std")):
                model = make(pooled_statistics=[name])
                model.base_model.load_state_dict(whole.base_model.state_dict())
                assert model.config.embedding_size == 32 and model.classifier.in_features == 32
                torch.testing.assert_close(model.base_model(clip).pooler_output[0], both[:, number].flatten())


class TestEightBits:
    def test_logits_are_close(self, model):
        _, batch, mask = padded_batch([120, 40, 300, 77])
        small = model.quantize()
        with torch.no_grad():
            expected = model(batch, attention_mask=mask).logits
            logits = small(batch, attention_mask=mask).logits
        assert 0 < (logits - expected).abs().max() < 0.05 * expected.std()
        assert not small.training and model.config.weight_bits == 32  # the model itself stays as it was
        layers = [layer for layer in small.modules() if isinstance(layer, WhisperStatisticsInt8Linear)]
        assert len(layers) == 2 * 6
        assert type(small.classifier) is nn.Linear

    def test_weights_are_within_half_a_step(self, model):
        small = model.quantize()
        for name, layer in model.whisper_statistics.named_modules():
            if isinstance(layer, nn.Linear):
                quantized = small.whisper_statistics.get_submodule(name)
                step = layer.weight.abs().amax(dim=1, keepdim=True) / 127
                error = (quantized.weight * quantized.scale - layer.weight).abs()
                assert (error <= 0.5001 * step).all() and quantized.weight.abs().amax(dim=1).eq(127).all(), name

    @pytest.mark.parametrize("half", [False, True])
    def test_a_saved_one_opens(self, model, tmp_path, half):
        _, batch, mask = padded_batch([120, 40])
        small = model.quantize()
        with torch.no_grad():
            expected = small(batch, attention_mask=mask).logits
            (small.half() if half else small).save_pretrained(tmp_path)
            again = AutoModelForAudioClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
            logits = again(batch, attention_mask=mask).logits
        assert again.whisper_statistics.layers[0].fc1.weight.dtype == torch.int8
        saved = load_file(tmp_path / "model.safetensors")
        assert saved["whisper_statistics.layers.0.fc1.weight"].dtype == torch.int8
        assert saved["whisper_statistics.conv1.weight"].dtype == (torch.float16 if half else torch.float32)
        torch.testing.assert_close(logits, expected, atol=0.05 if half else 0.0, rtol=0.01 if half else 0.0)

    def test_a_quantised_one_can_be_quantised_again(self, model):
        small = model.quantize()
        for name, value in small.quantize().state_dict().items():
            assert torch.equal(value, small.state_dict()[name]), name

    def test_gradients_reach_the_convolutions_and_the_head(self, model):
        small = model.quantize().train()
        small(torch.randn(2, 50, MEL_BINS), labels=torch.tensor([0, 1])).loss.backward()
        for name, parameter in small.named_parameters():
            assert parameter.grad is not None, name


class TestCheckpoints:
    def test_reload_is_exact(self, model, tmp_path):
        model.save_pretrained(tmp_path)
        again = WhisperStatisticsForAudioClassification.from_pretrained(tmp_path)
        features = torch.randn(2, 100, MEL_BINS)
        with torch.no_grad():
            assert torch.equal(again(features).logits, model(features).logits)
        assert "whisper_statistics.positions" not in load_file(tmp_path / "model.safetensors")

    def test_half_precision_is_close(self, model, tmp_path):
        features = torch.randn(2, 100, MEL_BINS)
        with torch.no_grad():
            expected = model(features).logits
            copy.deepcopy(model).half().save_pretrained(tmp_path)
            again = WhisperStatisticsForAudioClassification.from_pretrained(tmp_path, dtype=torch.float32)
            torch.testing.assert_close(again(features).logits, expected, atol=0.05, rtol=0.01)
        assert torch.equal(again.whisper_statistics.positions, model.whisper_statistics.positions)

    def test_a_classifier_starts_from_a_bare_model(self, model, tmp_path):
        features = torch.randn(1, 100, MEL_BINS)
        model.base_model.save_pretrained(tmp_path)
        classifier = WhisperStatisticsForAudioClassification.from_pretrained(tmp_path, num_labels=2)
        with torch.no_grad():
            expected = model.base_model(features).pooler_output
            assert torch.equal(classifier.base_model(features).pooler_output, expected)
        assert (classifier.embedding_mean == 0).all() and (classifier.embedding_std == 1).all()
        assert classifier.class_means.shape == (2, 64) and (classifier.class_means == 0).all()


def test_pipeline_scores_do_not_depend_on_the_batch_size(model):
    with torch.no_grad():
        model.embedding_std.fill_(20)  # or scores would be 0 and 1
    generator = np.random.default_rng(0)
    clips = [generator.normal(0, 0.1 * n, int(16000 * n)).astype(np.float32) for n in (0.3, 2.5, 1.1, 0.01, 4)]
    statistics = {"mean": [-40.0] * MEL_BINS, "std": [40.0] * MEL_BINS}
    extractor = create_feature_extractor("whisper_statistics", num_mel_bins=MEL_BINS, **statistics)
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    one, all_ = (
        [sorted((entry["label"], entry["score"]) for entry in row) for row in classify(clips, batch_size=size)]
        for size in (1, 5)
    )
    scores = np.array([[score for _, score in row] for row in one])
    assert np.ptp(scores, axis=0).max() > 0.05
    np.testing.assert_allclose([[score for _, score in row] for row in all_], scores, atol=1e-4)


class TestTraining:
    def test_a_step_lowers_the_loss(self, model):
        model.train()
        features, labels = torch.randn(8, 60, MEL_BINS), torch.arange(8) % 4
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        before = model(features, labels=labels).loss
        before.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad.norm() > 0, name
        optimizer.step()
        assert model(features, labels=labels).loss < before

    def test_gradient_accumulation_equals_the_whole_batch(self, model):
        _, features, mask = padded_batch([60, 50, 40, 230])
        labels = torch.arange(4)
        model(features, attention_mask=mask, labels=labels, num_items_in_batch=4).loss.backward()
        whole = [parameter.grad.clone() for parameter in model.parameters()]
        model.zero_grad()
        for rows in (slice(0, 3), slice(3, 4)):
            model(features[rows], attention_mask=mask[rows], labels=labels[rows], num_items_in_batch=4).loss.backward()
        for (name, parameter), gradient in zip(model.named_parameters(), whole, strict=True):
            assert gradient.isfinite().all(), name
            torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-3, msg=name)

    @pytest.mark.parametrize("use_reentrant", [False, True])
    def test_gradient_checkpointing_gives_equal_gradients(self, model, use_reentrant):
        model.train()
        _, features, mask = padded_batch([60, 50])
        checkpointed = copy.deepcopy(model)
        checkpointed.gradient_checkpointing_enable({"use_reentrant": use_reentrant})
        assert any(getattr(module, "gradient_checkpointing", False) for module in checkpointed.modules())
        for network in (model, checkpointed):
            network(features, attention_mask=mask, labels=torch.tensor([0, 1])).loss.backward()
        for (name, expected), parameter in zip(model.named_parameters(), checkpointed.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, expected.grad, msg=name)

    def test_a_frozen_encoder_stays_as_it_is(self, model):
        model.freeze_base_model()
        model.train()
        model(torch.randn(4, 60, MEL_BINS), labels=torch.arange(4)).loss.backward()
        moving = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        assert moving == {"classifier.weight", "classifier.bias"}


@pytest.mark.slow
class TestCompilers:
    def test_compiles_without_a_graph_break(self):
        model = make(num_hidden_layers=1, pooled_layers=[1])
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        with torch.no_grad():
            for lengths in ([120, 100], [250, 1]):
                _, features, mask = padded_batch(lengths)
                expected = model(features, attention_mask=mask).logits
                torch.testing.assert_close(compiled(features, attention_mask=mask).logits, expected)

    @pytest.mark.parametrize(("weight_bits", "level"), [(32, None), (8, None), (32, 30.0)])
    def test_exports_for_any_batch_and_length(self, weight_bits, level):
        model = make(pooled_range=level)
        model = model.quantize() if weight_bits == 8 else model
        _, features, mask = padded_batch([120, 100], 0.0)
        shape = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("frames", min=100)}
        with torch.no_grad():
            program = torch.export.export(model, (features, mask), dynamic_shapes=(shape, shape)).module()
            for lengths in ([101], [200, 30, 150], [450, 1, 200, 190]):
                _, features, mask = padded_batch(lengths, 0.0)
                expected = model(features, attention_mask=mask).logits
                assert expected.abs().max() > 0.1
                torch.testing.assert_close(program(features, mask).logits, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 15}, "hidden_size=15 must be even, 4 or more, and a multiple of num_attention_heads=2"),
        ({"hidden_size": 18, "num_attention_heads": 4}, "hidden_size=18 must be even"),
        ({"hidden_size": 2}, "hidden_size=2 must be even, 4 or more"),
        ({"num_attention_heads": 0}, "num_attention_heads=0, intermediate_size=24 must be 1 or more"),
        ({"num_mel_bins": 0}, "num_mel_bins=0, .* must be 1 or more"),
        ({"pooled_layers": []}, "pooled_layers=.* must be numbers from 0 to num_hidden_layers=2, one at least"),
        ({"pooled_layers": [3]}, "pooled_layers=.3. must be numbers from 0 to num_hidden_layers=2"),
        ({"pooled_layers": [-1]}, "pooled_layers=.-1. must be numbers from 0"),
        ({"num_hidden_layers": 1}, "pooled_layers=.2. must be numbers from 0 to num_hidden_layers=1"),
        ({"max_frames": 201}, "max_frames=201 even"),
        ({"max_frames": 0}, "max_frames=0 even and above 0"),
        ({"margin_frames": -1}, "margin_frames=-1 must be 0 or more"),
        ({"margin_frames": 2**30}, "margin_frames=1073741824 must be at most max_frames="),
        ({"pooled_range": -1.0}, "pooled_range=-1.0 must be 0 dB or more"),
        ({"pooled_statistics": ["max"]}, "pooled_statistics=.'max'. must be mean, std, or mean and std"),
        ({"pooled_statistics": []}, "pooled_statistics=.. must be mean, std, or mean and std"),
        ({"weight_bits": 4}, "weight_bits=4 is neither 8 nor 32"),
    ],
)
def test_bad_configurations_are_named(changes, message):
    with pytest.raises(Exception, match=message):
        WhisperStatisticsConfig(**{**TINY, **changes})


def test_heads_of_an_odd_size_are_no_mistake():
    model = WhisperStatisticsModel(WhisperStatisticsConfig(**{**TINY, "hidden_size": 6}))
    assert model(torch.randn(1, 20, MEL_BINS)).pooler_output.shape == (1, 12)
