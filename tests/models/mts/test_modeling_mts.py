import math

import numpy as np
import pytest
import scipy.signal
import timm
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from lssed_hf import MtsConfig, MtsForAudioClassification, MtsModel, create_model
from lssed_hf.models.mts.modeling_mts import MtsConv2d, _average_pool, _resize_frames


PLAIN, THREE, FIVE = [1.0], [0.7, 1.0, 1.428], [0.5, 0.7, 1.0, 1.428, 2.0]


def convolution(factors: list[float], *channels: int, size: int, **options) -> MtsConv2d:
    torch.manual_seed(0)
    return MtsConv2d(MtsConfig(scale_factors=factors), *channels, size, **options).double()


def resample(values: np.ndarray, size: int) -> np.ndarray:
    """Linear interpolation of the last axis at the centres of `size` equal cells; constant beyond its ends."""
    old = (np.arange(values.shape[-1]) + 0.5) / values.shape[-1]
    new = (np.arange(size) + 0.5) / size
    return np.apply_along_axis(lambda row: np.interp(new, old, row), -1, values)


def correlate(maps: np.ndarray, kernels: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    maps = np.pad(maps, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    output = [
        [
            sum(scipy.signal.correlate2d(channel, part, mode="valid") for channel, part in zip(clip, kernel)) + shift
            for kernel, shift in zip(kernels, bias)
        ]
        for clip in maps
    ]
    return np.array(output)[..., ::stride, ::stride]


class TestMtsConv2d:
    @pytest.mark.parametrize("factors", [THREE, FIVE, [1.0, 0.5, 2.0]])
    @pytest.mark.parametrize("size, stride, padding", [(11, 4, 2), (5, 1, 2), (7, 2, 3), (3, 1, 1), (3, 2, 1)])
    def test_equals_a_computation_with_numpy_and_scipy(self, factors, size, stride, padding):
        layer = convolution(factors, 2, 3, size=size, stride=stride, padding=padding)
        maps = torch.randn(2, 2, 20, 41, dtype=torch.float64)
        kernel, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        branches = []
        for factor in factors:
            scaled = resample(kernel, max(1, math.floor(size * factor)))
            branches.append(correlate(maps.numpy(), scaled, bias, stride, padding))
        frames = branches[factors.index(1.0)].shape[-1]
        branches = np.array([resample(branch, frames) for branch in branches])
        wins = np.bincount(branches.argmax(axis=0).ravel(), minlength=len(factors))
        assert (wins > 0).all()  # else a branch would be untested
        with torch.no_grad():
            np.testing.assert_allclose(layer(maps), branches.max(axis=0), rtol=0, atol=1e-10)

    def test_lengths_of_kernels(self):
        config = MtsConfig(scale_factors=FIVE)
        lengths = {size: config.kernel_lengths(size) for size in (11, 7, 5, 3, 1)}
        assert lengths == {
            11: [11, 5, 7, 15, 22],
            7: [7, 3, 4, 9, 14],
            5: [5, 2, 3, 7, 10],
            3: [3, 1, 2, 4, 6],
            1: [1, 2],
        }

    def test_only_time_is_scaled(self):
        seen = []
        layer = convolution(FIVE, 1, 1, size=5)
        forward = layer._conv_forward
        layer._conv_forward = lambda x, kernel, bias: seen.append(tuple(kernel.shape[2:])) or forward(x, kernel, bias)
        layer(torch.randn(1, 1, 20, 30, dtype=torch.float64))
        assert seen == [(5, 5), (5, 2), (5, 3), (5, 7), (5, 10)]

    def test_one_factor_is_the_plain_convolution(self):
        layer = convolution(PLAIN, 2, 3, size=5, stride=2, padding=1)
        plain = nn.Conv2d(2, 3, 5, stride=2, padding=1).double()
        plain.load_state_dict(layer.state_dict())
        maps = torch.randn(2, 2, 20, 30, dtype=torch.float64)
        assert torch.equal(layer(maps), plain(maps))

    @pytest.mark.parametrize("lengths", [None, [9, 12, 6]])
    @pytest.mark.parametrize("factors", [THREE, FIVE])
    def test_gradients(self, factors, lengths):
        layer = convolution(factors, 2, 2, size=3, stride=2, padding=1)
        maps = torch.randn(3, 2, 4, 12, dtype=torch.float64, requires_grad=True)
        lengths = None if lengths is None else torch.tensor(lengths)

        def run(maps, weight, bias):
            return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (maps, lengths))

        assert torch.autograd.gradcheck(run, (maps, layer.weight, layer.bias))

    def test_state_dict_has_no_branches(self):
        layer = convolution(FIVE, 2, 3, size=5)
        assert {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()} == {
            "weight": (3, 2, 5, 5),
            "bias": (3,),
        }
        assert len(list(layer.parameters())) == 2

    @pytest.mark.parametrize("size, stride, padding", [(11, 4, 2), (5, 1, 2), (3, 2, 1)])
    def test_padded_clips_are_resized_by_their_own_length(self, size, stride, padding):
        layer = convolution(FIVE, 2, 3, size=size, stride=stride, padding=padding)
        maps, lengths = torch.randn(3, 2, 20, 60, dtype=torch.float64), torch.tensor([60, 33, 47])
        maps = maps * (torch.arange(60) < lengths[:, None])[:, None, None]
        with torch.no_grad():
            together = layer(maps, lengths)
            for row, length in enumerate(lengths.tolist()):
                alone = layer(maps[row : row + 1, ..., :length])
                assert layer.output_lengths(lengths)[row] == alone.shape[-1]
                # The positions are in single precision.
                torch.testing.assert_close(together[row : row + 1, ..., : alone.shape[-1]], alone, atol=1e-5, rtol=0)


class TestHelpers:
    LENGTHS = [12, 5, 1]

    @pytest.mark.parametrize("size", [1, 3, 6])
    def test_average_pooling_over_the_valid_frames(self, size):
        maps = torch.randn(3, 2, 7, 12)
        pooled = _average_pool(maps, size, torch.tensor(self.LENGTHS))
        for row, length in enumerate(self.LENGTHS):
            expected = nn.functional.adaptive_avg_pool2d(maps[row, ..., :length], size)
            torch.testing.assert_close(pooled[row], expected)

    def test_resizing_of_the_valid_frames(self):
        maps, new = torch.randn(3, 2, 7, 12), [17, 8, 4]
        resized = _resize_frames(maps, 17, torch.tensor(self.LENGTHS), torch.tensor(new))
        for row, (length, frames) in enumerate(zip(self.LENGTHS, new)):
            expected = torch.from_numpy(resample(maps[row, ..., :length].numpy(), frames)).float()
            torch.testing.assert_close(resized[row, ..., :frames], expected)


class TestNetworks:
    @pytest.mark.parametrize("factors", [PLAIN, THREE, FIVE])
    def test_as_many_parameters_as_the_plain_networks(self, factors):
        with torch.device("meta"):
            alexnet, resnet = (
                MtsForAudioClassification(MtsConfig(architecture=name, scale_factors=factors, num_labels=4))
                for name in ("alexnet", "resnet")
            )
            plain = torchvision.models.alexnet(num_classes=4)
            plain.features[0] = nn.Conv2d(1, 64, 11, stride=4, padding=2)
            count = sum(parameter.numel() for parameter in plain.parameters())
            assert alexnet.num_parameters() == count == 57_004_740
            plain = timm.create_model("resnet152", in_chans=1, num_classes=4)
            count = sum(parameter.numel() for parameter in plain.parameters())
            assert resnet.num_parameters() == count == 58_145_732

    def test_one_factor_is_torchvisions_alexnet(self):
        torch.manual_seed(0)
        model = MtsForAudioClassification(MtsConfig(scale_factors=PLAIN, num_labels=4)).eval()
        with torch.device("meta"):
            plain = torchvision.models.alexnet(num_classes=4)
            plain.features[0] = nn.Conv2d(1, 64, 11, stride=4, padding=2)
        plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)), assign=True)
        dropouts = [
            index for index, layer in enumerate(model.head) if isinstance(layer, nn.Dropout) and layer.p == 0.5
        ]
        assert dropouts == [index for index, layer in enumerate(plain.classifier) if isinstance(layer, nn.Dropout)]
        features = torch.randn(2, 150, 128)
        with torch.no_grad():
            expected = plain.eval()(features.transpose(1, 2)[:, None])
            torch.testing.assert_close(model(features).logits, expected, atol=1e-6, rtol=1e-5)

    def test_one_factor_is_torchvisions_resnet(self):
        torch.manual_seed(0)
        depths = [2, 1, 2, 1]
        config = MtsConfig(architecture="resnet", depths=depths, scale_factors=PLAIN, num_labels=4)
        model = MtsForAudioClassification(config).eval()
        plain = ResNet(Bottleneck, depths, num_classes=4)
        plain.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        plain.load_state_dict(dict(zip(plain.state_dict(), model.state_dict().values(), strict=True)))
        features = torch.randn(2, 90, 64)
        with torch.no_grad():
            expected = plain.eval()(features.transpose(1, 2)[:, None])
            torch.testing.assert_close(model(features).logits, expected, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("branches, factors", [(3, THREE), (5, FIVE)])
    def test_where_the_branches_are_in_the_zoo(self, branches, factors):
        with torch.device("meta"):
            alexnet, resnet = (
                create_model(f"mts{branches}-{name}", num_labels=4) for name in ("alexnet", "resnet152")
            )
        for model, sizes in ((alexnet, [11, 5]), (resnet, [7] + [3] * 50)):
            assert model.config.scale_factors == factors
            layers = [module for module in model.modules() if isinstance(module, MtsConv2d)]
            assert [layer.kernel_size[0] for layer in layers] == sizes
            assert {len(layer.other_lengths) + 1 for layer in layers} == {branches}
        plain = [module for module in resnet.modules() if type(module) is nn.Conv2d]
        assert {module.kernel_size for module in plain} == {(1, 1)}

    @pytest.mark.parametrize(
        "architecture, factors, min_frames, min_mel_bins",
        [
            ("alexnet", PLAIN, 63, 63),
            ("alexnet", FIVE, 63, 63),
            ("alexnet", [1.0, 4.0], 135, 63),
            ("resnet", PLAIN, 1, 1),
            ("resnet", THREE, 33, 1),
            ("resnet", FIVE, 97, 1),
        ],
    )
    def test_smallest_input(self, architecture, factors, min_frames, min_mel_bins):
        depths = {"resnet": [1, 1, 1, 2]}.get(architecture)
        sizes = {"resnet": [4, 4, 4, 4], "alexnet": [4] * 5}[architecture]
        config = MtsConfig(architecture=architecture, scale_factors=factors, hidden_sizes=sizes, depths=depths)
        model = MtsModel(config).eval()
        assert (config.min_frames, config.min_mel_bins) == (model.min_frames, model.min_mel_bins)
        assert (config.min_frames, config.min_mel_bins) == (min_frames, min_mel_bins)
        model.min_frames = model.min_mel_bins = 0  # so that nothing is filled up
        model(torch.randn(1, min_frames, min_mel_bins))
        for frames, mel_bins in ((min_frames - 1, min_mel_bins), (min_frames, min_mel_bins - 1)):
            with pytest.raises(RuntimeError):
                model(torch.randn(1, frames, mel_bins))

    def test_initial_weights(self):
        torch.manual_seed(0)
        alexnet = MtsForAudioClassification(MtsConfig(classifier_hidden_sizes=[64]))
        for layer, inputs in ((alexnet.mts.layers[1].convolution, 64 * 25), (alexnet.head[1], 9216)):
            bound = 1 / math.sqrt(inputs)
            assert 0.99 * bound < layer.weight.abs().max() <= bound and 0.8 * bound < layer.bias.abs().max() <= bound
        config = MtsConfig(architecture="resnet", depths=[1], hidden_sizes=[256])
        block = MtsModel(config).layers[1].layers[0]
        for layer, outputs in ((block.convolution, 64 * 9), (block.expand, 256)):
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / outputs), rel=0.05)

    @pytest.mark.parametrize("zero_init", [False, True])
    def test_blocks_may_start_as_their_shortcuts(self, zero_init):
        config = MtsConfig(architecture="resnet", depths=[2], hidden_sizes=[32], zero_init_residual=zero_init)
        scales = {
            float(parameter.detach().abs().max())
            for name, parameter in MtsModel(config).named_parameters()
            if name.endswith("expand_normalization.weight")
        }
        assert scales == {0.0 if zero_init else 1.0}


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"architecture": "vgg"}, "architecture='vgg' is not one of alexnet, resnet"),
        ({"scale_factors": [0.5, 2.0]}, "1 among them"),
        ({"scale_factors": [1.0, -0.5]}, "must be positive"),
        ({"hidden_sizes": [8, 8]}, "five hidden_sizes"),
        ({"depths": [1]}, "no depths"),
        ({"architecture": "resnet", "depths": [1, 1]}, "an entry per stage"),
        ({"architecture": "resnet", "hidden_sizes": [4, 4, 4, 6]}, "multiples of 4"),
        ({"architecture": "resnet", "depths": [1, 0, 1, 1]}, "at least 1 each"),
        ({"pooled_size": 0}, "pooled_size=0"),
        ({"classifier_dropout": 1.5}, "classifier_dropout"),
    ],
)
def test_impossible_configurations_are_refused(fields, message):
    with pytest.raises(Exception, match=message):
        MtsConfig(**fields)


def test_factors_may_be_whole_numbers():
    assert MtsConfig(scale_factors=[0.5, 1, 2]).scale_factors == [0.5, 1.0, 2.0]
