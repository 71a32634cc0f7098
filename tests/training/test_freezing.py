import pytest
import torch
from torch import nn

from lssed_hf import create_model
from lssed_hf.training.freezing import freeze


TINY = {
    "depths": [1, 2, 1],
    "embedding_size": 4,
    "hidden_sizes": [8, 8, 16],
    "kernel_sizes": [[3]] * 3,
    "groups": [[1]] * 3,
    "num_mel_bins": 32,
}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("pyresnet50", num_labels=2, **TINY)


def step(model):
    """Return the parameters and buffers that a step of training changes."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model(input_features=torch.randn(4, 40, 32), labels=torch.tensor([0, 1, 0, 1])).loss.backward()
    optimizer.step()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_the_head_alone(model):
    trained = freeze(model, 0)
    assert trained == ["classifier.weight", "classifier.bias"]
    assert step(model) == set(trained), "batch norm keeps its statistics"


def test_the_last_stages(model):
    trained = freeze(model, 2)
    assert all(name.startswith(("pyresnet.stages.1.", "pyresnet.stages.2.", "classifier.")) for name in trained)
    changed = step(model)
    assert changed >= set(trained)
    assert all(name.startswith(("pyresnet.stages.1.", "pyresnet.stages.2.", "classifier.")) for name in changed)
    assert any("running_mean" in name for name in changed)


def test_layers_of_a_transformer_and_what_follows_them():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(3, 4)
            self.layers = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.9)) for _ in range(3))
            self.norm = nn.LayerNorm(4)

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.base_model, self.head = Encoder(), nn.Linear(4, 2)

    names = freeze(Classifier(), 1)
    assert {name.rsplit(".", 1)[0] for name in names} == {"base_model.layers.2.0", "base_model.norm", "head"}


def test_frozen_dropout_is_off(model):
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.9))
    holder = nn.Module()
    holder.base_model, holder.head = frozen, nn.Linear(2, 2)
    freeze(holder, 0)
    holder.train()
    x = torch.randn(5, 2)
    assert torch.equal(frozen(x), frozen(x))


def test_what_cannot_be_frozen_is_refused(model):
    with pytest.raises(ValueError, match="4 stages to train, but PyResNetModel has 3"):
        freeze(model, 4)
    with pytest.raises(ValueError, match="Linear has no base model"):
        freeze(nn.Linear(2, 2), 0)
