import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling, SequenceClassifierOutput

from lssed_hf import FcnAttentionConfig, FcnAttentionForAudioClassification, FcnAttentionModel, create_model
from lssed_hf.models.fcn_attention.modeling_fcn_attention import FcnAttentionPooling


def make_tiny_config(**changes) -> FcnAttentionConfig:
    return FcnAttentionConfig(**{"hidden_sizes": [8, 16, 16, 16, 8], "num_labels": 4, **changes})


@pytest.fixture
def tiny() -> FcnAttentionForAudioClassification:
    torch.manual_seed(0)
    return FcnAttentionForAudioClassification(make_tiny_config()).eval()


class TestNetwork:
    @pytest.mark.parametrize("groups, parameters", [([1, 1, 1, 1, 1], 3_723_968), ([1, 2, 1, 2, 2], 2_310_848)])
    def test_parameter_counts(self, groups, parameters):
        with torch.device("meta"):
            model = FcnAttentionForAudioClassification(FcnAttentionConfig(groups=groups, num_labels=4))
        body = model.fcn_attention
        assert sum(parameter.numel() for parameter in body.layers.parameters()) == parameters
        assert sum(parameter.numel() for parameter in body.attention.parameters()) == 256 * 256 + 256 + 256
        assert model.num_parameters() == parameters + 66_048 + 4 * 256 + 4

    def test_of_the_zoo(self):
        with torch.device("meta"):
            model = create_model("fcn-attention-alexnet", num_labels=4)
        assert isinstance(model, FcnAttentionForAudioClassification) and model.num_parameters() == 3_791_044
        assert model.config.attention_scale == 0.3 and model.dropout.p == 0.5

    @pytest.mark.parametrize(
        "mel_bins, frames, padding, grid",
        [
            (400, 300, 0, (11, 8)),
            (200, 300, 0, (5, 8)),
            (128, 300, 0, (2, 8)),
            (128, 300, 2, (3, 8)),
            (64, 300, 2, (1, 8)),
        ],
    )
    def test_size_of_the_map(self, mel_bins, frames, padding, grid):
        model = FcnAttentionModel(make_tiny_config(conv1_padding=padding)).eval()
        assert model(torch.randn(1, frames, mel_bins)).last_hidden_state.shape == (1, 8, *grid)

    @pytest.mark.parametrize("padding", [0, 2, 5])
    def test_min_size_is_the_smallest(self, padding):
        model = FcnAttentionModel(make_tiny_config(conv1_padding=padding)).eval()
        size = model.config.min_size

        def run(size):
            hidden_state, lengths = torch.randn(1, 1, size, size), torch.tensor([size])
            for layer in model.layers:
                hidden_state, lengths = layer(hidden_state, lengths)
            return hidden_state.shape[2:], lengths.item()

        assert run(size) == ((1, 1), 1)
        with pytest.raises(RuntimeError):
            run(size - 1)

    def test_equals_a_recomputation_in_plain_pytorch(self, tiny):
        """The trunk as a plain list of layers, the response normalisation by its formula."""

        class ResponseNormalisation(nn.Module):
            def forward(self, x):
                squares = torch.zeros_like(x)
                for channel in range(x.shape[1]):
                    window = slice(max(0, channel - 2), channel + 3)
                    squares[:, channel] = x[:, window].square().sum(dim=1)
                return x / (2 + 1e-4 / 5 * squares) ** 0.75

        convolutions = [layer.convolution for layer in tiny.fcn_attention.layers]
        pool, response = nn.MaxPool2d(3, 2), ResponseNormalisation()
        trunk = nn.Sequential(
            *[convolutions[0], nn.ReLU(), response, pool, convolutions[1], nn.ReLU(), response, pool],
            *[convolutions[2], nn.ReLU(), convolutions[3], nn.ReLU(), convolutions[4], nn.ReLU(), pool],
        )
        geometry = [(c.kernel_size, c.stride, c.padding) for c in convolutions]
        expected = [((11, 11), (4, 4), (2, 2)), ((5, 5), (1, 1), (2, 2)), *[((3, 3), (1, 1), (1, 1))] * 3]
        assert geometry == expected
        features = torch.randn(2, 150, 128) * 30  # loud enough for the normalisation to matter
        with torch.no_grad():
            hidden_state = trunk(features.transpose(1, 2)[:, None])
            torch.testing.assert_close(tiny.fcn_attention(features).last_hidden_state, hidden_state)
            without = FcnAttentionModel(make_tiny_config(norm="none")).eval()
            without.load_state_dict(tiny.fcn_attention.state_dict())
            assert not torch.allclose(without(features).last_hidden_state, hidden_state, rtol=0.1)

    def test_norms(self):
        kinds = {
            norm: [
                type(m).__name__
                for m in FcnAttentionModel(make_tiny_config(norm=norm)).modules()
                if "Norm" in type(m).__name__
            ]
            for norm in ("local_response", "batch", "none")
        }
        assert kinds == {"local_response": ["FcnAttentionResponseNorm"] * 2, "batch": ["BatchNorm2d"] * 5, "none": []}

    def test_initial_weights(self):
        model = FcnAttentionModel(FcnAttentionConfig())
        weight = model.layers[2].convolution.weight
        assert weight.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.02)
        assert all((layer.convolution.bias == 0).all() for layer in model.layers)
        bound = 1 / math.sqrt(256)
        for weight in model.attention.parameters():
            assert 0.9 * bound < weight.abs().max() <= bound


class TestAttention:
    def pooling(self, **changes) -> FcnAttentionPooling:
        torch.manual_seed(0)
        pooling = FcnAttentionPooling(make_tiny_config(**changes)).double()
        with torch.no_grad():
            pooling.score.weight.normal_(0, 3)
        return pooling

    def test_equals_a_computation_by_hand(self):
        pooling = self.pooling()
        hidden_state = torch.randn(3, 8, 2, 5, dtype=torch.float64)
        with torch.no_grad():
            pooled, weights = pooling(hidden_state, None)
        w, b = pooling.projection.weight.detach().numpy(), pooling.projection.bias.detach().numpy()
        u = pooling.score.weight.detach().numpy()[0]
        for clip in range(3):
            scores = {}
            for mel in range(2):
                for frame in range(5):
                    a = hidden_state[clip, :, mel, frame].numpy()
                    scores[mel, frame] = math.exp(0.3 * float(u @ np.tanh(w @ a + b)))
            context = np.zeros(8)
            for (mel, frame), score in scores.items():
                alpha = score / sum(scores.values())
                assert weights[clip, mel, frame].item() == pytest.approx(alpha, rel=1e-12)
                context += alpha * hidden_state[clip, :, mel, frame].numpy()
            np.testing.assert_allclose(pooled[clip], context, rtol=1e-12)
        assert weights.std() > 0.01

    def test_a_scale_of_0_is_the_mean(self):
        hidden_state = torch.randn(2, 8, 2, 5, dtype=torch.float64)
        pooling = self.pooling(attention_scale=0.0)
        torch.testing.assert_close(pooling(hidden_state, None)[0], hidden_state.mean(dim=(2, 3)))
        pooled, _ = pooling(hidden_state, torch.tensor([5, 3]))
        torch.testing.assert_close(pooled[1], hidden_state[1, :, :, :3].mean(dim=(1, 2)))

    def test_padding_has_no_weight(self):
        weights = self.pooling()(torch.randn(2, 8, 2, 5, dtype=torch.float64), torch.tensor([5, 3]))[1]
        assert (weights[1, :, 3:] == 0).all() and (weights[1, :, :3] > 0).all() and (weights[0] > 0).all()
        torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(2, dtype=torch.float64))

    def test_weights_on_request(self, tiny):
        features, mask = torch.randn(2, 200, 128), torch.ones(2, 200, dtype=torch.int64)
        mask[1, 100:] = 0
        output = tiny(features, attention_mask=mask, output_attentions=True)
        bare = tiny.fcn_attention(features, attention_mask=mask, output_attentions=True)
        assert isinstance(bare, BaseModelOutputWithPooling) and isinstance(output, SequenceClassifierOutput)
        assert list(output) == ["logits", "attentions"]
        assert list(bare) == ["last_hidden_state", "pooler_output", "attentions"]
        assert torch.equal(output.attentions[0], bare.attentions[0])
        assert bare.attentions[0].shape == (2, *bare.last_hidden_state.shape[2:]) == (2, 3, 5)
        assert (bare.attentions[0][1, :, 2:] == 0).all()
        expected = (bare.attentions[0][:, None] * bare.last_hidden_state).sum(dim=(2, 3))
        torch.testing.assert_close(bare.pooler_output, expected)
        tiny.config.output_attentions = True
        assert "attentions" in tiny(features)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"norm": "layer"}, "norm='layer' is not one of"),
        ({"conv1_padding": 6}, "conv1_padding=6"),
        ({"attention_scale": -0.1}, "attention_scale"),
        ({"classifier_dropout": 1.5}, "classifier_dropout"),
        ({"lrn_size": 0}, "lrn_size"),
        ({"hidden_sizes": [8, 8]}, "need 5 entries"),
        ({"groups": [1, 3, 1, 1, 1]}, r"groups\[1\]=3 must divide 96 input and 256 output"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        FcnAttentionConfig(**fields)
