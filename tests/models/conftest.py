import pytest
import torch
from tiny_pyresnet import make_tiny_config, randomise_batch_norm

from lssed_hf import PyResNetConfig, PyResNetForAudioClassification


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
