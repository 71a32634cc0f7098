"""Batch norms folded into convolutions: the same logits, and nothing folded that must not be."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from tiny_cnn import MEL_BINS, make_tiny_cnn
from tiny_pyresnet import make_tiny_config, randomise_batch_norm
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from lssed_hf import PyResNetForAudioClassification, create_model
from lssed_hf.inference.fgsm import fgsm
from lssed_hf.models.folding import fold_batch_norm, merge_small_groups


def count_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def batch(mel_bins: int):
    torch.manual_seed(1)
    mask = torch.ones(3, 100, dtype=torch.int64)
    mask[1, 60:] = 0
    return torch.randn(3, 100, mel_bins), mask


def assert_same(model, folded, mel_bins: int) -> None:
    features, mask = batch(mel_bins)
    with torch.no_grad():
        for masks in ({}, {"attention_mask": mask}):
            expected = model(features, **masks).logits
            torch.testing.assert_close(folded(features, **masks).logits, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["pyresnet", "resnet18", "resnet50", "adv_vgg16"])
def test_all_norms_are_folded_and_logits_stay(name):
    if name == "pyresnet":
        torch.manual_seed(0)
        model, mel_bins = PyResNetForAudioClassification(make_tiny_config()).eval(), 32
        randomise_batch_norm(model)
    else:
        model, mel_bins = make_tiny_cnn(name), MEL_BINS
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = fold_batch_norm(model)
    assert count_norms(model) > 0 and count_norms(folded) == 0
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items()), "the original stays"
    convolutions = [module for module in folded.modules() if type(module) is nn.Conv2d]
    assert all(module.weight.is_contiguous(memory_format=torch.channels_last) for module in convolutions)
    assert_same(model, folded, mel_bins)


def test_a_model_in_train_mode_is_left_in_it(tiny):
    model = PyResNetForAudioClassification(tiny.config).train()
    folded = fold_batch_norm(model)
    assert model.training and not folded.training


def test_a_model_without_batch_norm_comes_back_as_it_is():
    model = make_tiny_cnn("vgg11").train()
    assert fold_batch_norm(model) is model and model.training


def test_kernels_that_are_rescaled_keep_their_norms():
    torch.manual_seed(0)
    sizes = {"hidden_sizes": [16, 16, 16, 32], "depths": [1, 1, 1, 1]}
    model = create_model("mts3-resnet152", num_labels=4, num_mel_bins=MEL_BINS, **sizes).eval()
    randomise_batch_norm(model)
    folded = fold_batch_norm(model)
    assert 0 < count_norms(folded) < count_norms(model)
    assert_same(model, folded, MEL_BINS)


def test_gradients_for_adversarial_clips_are_the_same(tiny):
    features, mask = batch(32)
    inputs = {"input_features": features, "attention_mask": mask}
    fakes = [fgsm(model, inputs, 0.1)["input_features"] for model in (tiny, fold_batch_norm(tiny))]
    assert (fakes[0] == fakes[1]).float().mean() > 0.99  # signs of gradients near 0 may differ


def test_a_folded_model_cannot_be_saved(tiny, tmp_path):
    with pytest.raises(ValueError, match="cannot be saved"):
        fold_batch_norm(tiny).save_pretrained(tmp_path)


class OddConfig(PreTrainedConfig):
    model_type = "odd"


class Odd(PreTrainedModel):
    """Convolutions and batch norms that do more than follow each other."""

    config: OddConfig

    def __init__(self, config):
        super().__init__(config)
        self.plain = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.used_twice = nn.Conv2d(6, 6, 3, padding=1)
        self.used_twice_norm = nn.BatchNorm2d(6)
        self.active = nn.Sequential(nn.Conv2d(6, 6, 1), BatchNormAct2d(6))
        self.before_mask = nn.Conv2d(6, 6, 1)
        self.behind_mask = nn.BatchNorm2d(6)
        self.shared = nn.Conv2d(6, 6, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(6), nn.BatchNorm2d(6)])
        self.left, self.right = nn.Conv2d(6, 2, 1), nn.Conv2d(6, 4, 1, bias=False)
        self.joined = nn.BatchNorm2d(6)
        self.without_scale = nn.Sequential(nn.Conv2d(6, 6, 1), nn.BatchNorm2d(6, affine=False))
        self.classifier = nn.Linear(6, 4)
        self.post_init()

    def forward(self, input_features, attention_mask=None, **kwargs):
        hidden = self.plain(input_features.transpose(1, 2).unsqueeze(1))
        output = self.used_twice(hidden)
        hidden = F.relu(self.used_twice_norm(output)) + output
        hidden = self.before_mask(self.active(hidden))
        if attention_mask is not None:
            hidden = hidden * attention_mask[:, None, None]
        hidden = self.behind_mask(hidden)
        for norm in self.norms:
            hidden = norm(self.shared(hidden))
        hidden = F.relu(self.joined(torch.cat([self.left(hidden), self.right(hidden)], dim=1)))
        hidden = self.without_scale(hidden)
        return SequenceClassifierOutput(logits=self.classifier(hidden.mean(dim=(2, 3))))


def test_only_what_is_safe_is_folded():
    torch.manual_seed(0)
    model = Odd(OddConfig()).eval()
    randomise_batch_norm_without_scale(model)
    folded = fold_batch_norm(model)
    kept = {name for name, module in folded.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert kept == {"used_twice_norm", "active.1", "behind_mask", "norms.0", "norms.1"}
    assert_same(model, folded, 16)


def randomise_batch_norm_without_scale(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)


@pytest.mark.parametrize(
    ("channels", "groups", "merged_groups"), [((64, 16), 16, 2), ((128, 32), 4, 4), ((24, 12), 6, 1), ((36, 18), 9, 1)]
)
def test_merged_groups_compute_the_same(channels, groups, merged_groups):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(*channels, 3, stride=2, padding=1, groups=groups))
    merged = merge_small_groups(model)
    pixels = torch.randn(2, channels[0], 9, 7)
    torch.testing.assert_close(merged(pixels), model(pixels), atol=1e-6, rtol=1e-5)
    assert (model[0].groups, merged[0].groups) == (groups, merged_groups)


def test_depthwise_groups_stay():
    model = nn.Sequential(nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 32, 3, groups=16))
    assert [module.groups for module in merge_small_groups(model)] == [16, 16]


def test_a_network_with_merged_groups_gives_the_same_logits(tiny):
    folded = fold_batch_norm(tiny)
    merged = merge_small_groups(folded)
    groups = [[m.groups for m in model.modules() if type(m) is nn.Conv2d] for model in (folded, merged)]
    assert sum(groups[1]) < sum(groups[0])
    assert_same(tiny, merged, 32)
