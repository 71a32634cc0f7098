import sys

import pytest
import torch
from tiny_pyresnet import make_tiny_config, randomise_batch_norm

from lssed_hf import PyResNetConfig, PyResNetForAudioClassification


@pytest.fixture(scope="module", autouse=True)
def tiny_networks(one_thread):
    """All networks of these tests."""


@pytest.fixture
def tiny_config() -> PyResNetConfig:
    return make_tiny_config()


@pytest.fixture
def tiny(tiny_config) -> PyResNetForAudioClassification:
    """A small network in eval mode, with batch statistics as training leaves them."""
    torch.manual_seed(0)
    model = PyResNetForAudioClassification(tiny_config).eval()
    randomise_batch_norm(model)
    return model


@pytest.fixture(autouse=True)
def fresh_compiler():
    """torch.compile counts how often a function was compiled; what all models share would reach its limit."""
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()
