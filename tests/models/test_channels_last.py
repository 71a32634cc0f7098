"""Weights of convolutions in channels-last order: built, loaded, saved and trained."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import lssed_hf


NAMES = ("pyresnet-small", "resnet18", "adv-vgg16")


def convolutions(model):
    return [module for module in model.modules() if type(module) is nn.Conv2d]


def in_default_order(model):
    for module in convolutions(model):
        module.to(memory_format=torch.contiguous_format)
    return model


@pytest.mark.parametrize("name", NAMES)
class TestChannelsLast:
    def test_built_and_loaded(self, name, tmp_path):
        model = lssed_hf.create_model(name, num_labels=3)
        model.save_pretrained(tmp_path)
        loaded = type(model).from_pretrained(tmp_path)
        pair = type(model).from_pretrained(tmp_path, output_loading_info=True)
        for each in (model, loaded, pair[0]):
            found = convolutions(each)
            assert found
            assert all(module.weight.is_contiguous(memory_format=torch.channels_last) for module in found)

    def test_saved_file_has_the_default_order(self, name, tmp_path):
        model = lssed_hf.create_model(name, num_labels=3)
        model.save_pretrained(tmp_path / "last")
        in_default_order(model).save_pretrained(tmp_path / "first")
        files = [(tmp_path / folder / "model.safetensors").read_bytes() for folder in ("last", "first")]
        assert files[0] == files[1]
        assert all(value.is_contiguous() for value in load_file(tmp_path / "last" / "model.safetensors").values())

    def test_same_gradients(self, name):
        gradients = []
        for prepare in (lambda model: model, in_default_order):
            torch.manual_seed(0)
            model = prepare(lssed_hf.create_model(name, num_labels=3)).double().train()
            torch.manual_seed(1)  # of dropout
            bins = 64 if name == "pyresnet-small" else 128
            features = torch.linspace(-1, 1, 2 * 90 * bins, dtype=torch.float64).sin().reshape(2, 90, bins)
            model(features, labels=torch.tensor([0, 2])).loss.backward()
            gradients.append({key: value.grad for key, value in model.named_parameters()})
        for key, gradient in gradients[0].items():
            torch.testing.assert_close(gradient, gradients[1][key], rtol=1e-6, atol=1e-9)
