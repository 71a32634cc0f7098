"""Frozen means frozen: batch statistics, bodies, first convolutions, and what adapters of PEFT leave alone."""

import copy
import json
import subprocess
import sys

import pytest
import torch
from tiny_zoo import TINY_ZOO, make_tiny
from torch.nn.modules.batchnorm import _BatchNorm

from lssed_hf import EspnetAsrConfig, EspnetAsrForAudioClassification


pytestmark = pytest.mark.usefixtures("one_thread")

#: Prefixes of what `freeze_feature_encoder` freezes.
FIRST = {
    "pyresnet": ["pyresnet.embedder."],
    "resnet": ["ser_cnn.backbone.conv1.", "ser_cnn.backbone.bn1."],
    "vgg": ["ser_cnn.backbone.features.0."],
    "adv_vgg": ["ser_cnn.backbone.features.0.", "ser_cnn.backbone.features.1."],
    "fcn_attention": ["fcn_attention.layers.0."],
    "mts_alexnet": ["mts.layers.0."],
    "mts_resnet": ["mts.layers.0."],
    "espnet_transformer": ["model.encoder.embed."],
    "espnet_conformer": ["model.encoder.embed."],
    "espnet_vgg_blstm": ["model.encoder.enc.0."],
    "whisper_statistics": ["whisper_statistics.conv1.", "whisper_statistics.conv2."],
}


@pytest.fixture(params=TINY_ZOO)
def key(request):
    return request.param


def batch(model, frames=120):
    torch.manual_seed(1)
    bins = getattr(model.config, "num_mel_bins", None) or 128
    return {"input_features": torch.randn(4, frames, bins), "labels": torch.tensor([0, 1, 0, 1])}


def step(model) -> set[str]:
    """Return the names of the weights and statistics that a step of training changes."""
    before = copy.deepcopy(model.state_dict())
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(**batch(model)).loss.backward()
    optimizer.step()
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def norms(model) -> list[_BatchNorm]:
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        *((key, {}) for key in ("pyresnet", "resnet", "adv_vgg", "mts_resnet", "espnet_conformer")),
        ("fcn_attention", {"norm": "batch"}),
    ],
)
def test_frozen_batch_norms_stay_in_eval_mode(key, fields):
    model = make_tiny(key, num_labels=2, **fields)
    frozen, free = norms(model)[::2], norms(model)[1::2]
    for norm in frozen:
        norm.requires_grad_(False)
    before = [copy.deepcopy(norm.state_dict()) for norm in frozen]
    step(model)
    assert frozen and not any(norm.training for norm in frozen) and all(norm.training for norm in free)
    for norm, state in zip(frozen, before, strict=True):
        for name, tensor in norm.state_dict().items():
            assert torch.equal(tensor, state[name]), name
    for norm in frozen:
        norm.requires_grad_(True)
    assert all(norm.training for norm in norms(model.train())), "what is thawed learns again"


def test_the_body_is_frozen_whole(key):
    model = make_tiny(key, num_labels=2)
    model.freeze_base_model()
    changed = step(model)
    assert {"classifier.weight", "classifier.bias"} <= changed
    body = model.base_model_prefix + "."
    assert not any(name.startswith(body) for name in changed)
    assert not any(norm.training for norm in norms(model.base_model)) and model.classifier.training


def test_the_first_convolutions_are_frozen_alone(key):
    model = make_tiny(key, num_labels=2)
    model.freeze_feature_encoder()
    first = tuple(FIRST[key])
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith(first)} != set()
    changed = step(model)
    assert not any(name.startswith(first) for name in changed)
    assert len(changed) > 2, "the body learns"


def test_a_recurrent_encoder_has_no_convolutions():
    model = EspnetAsrForAudioClassification(EspnetAsrConfig(encoder_type="rnn", num_hidden_layers=1))
    with pytest.raises(ValueError, match="encoder_type='rnn' has no convolutions to freeze; freeze_base_model"):
        model.freeze_feature_encoder()


# Family -> layers that get adapters.
ADAPTED = {
    "pyresnet": ["reduce", "expand"],
    "resnet": ["conv2"],
    "espnet_conformer": ["linear_q", "linear_v"],
    "whisper_statistics": ["q_proj", "v_proj"],
}
RELOAD = """
import json, sys
import torch
from peft import PeftModel
import lssed_hf
from transformers import AutoModelForAudioClassification

found = {}
for key in sys.argv[2:]:
    folder = f"{sys.argv[1]}/{key}"
    base = AutoModelForAudioClassification.from_pretrained(f"{folder}/base")
    model = PeftModel.from_pretrained(base, f"{folder}/adapters").eval()
    features = torch.load(f"{folder}/features.pt", weights_only=True)
    found[key] = model(input_features=features).logits.tolist()
print(json.dumps(found))
"""


@pytest.mark.slow
def test_adapters_of_peft_reload_in_a_fresh_process(tmp_path):
    peft = pytest.importorskip("peft")
    expected = {}
    for key, layers in ADAPTED.items():
        base = make_tiny(key, num_labels=2)
        base.save_pretrained(tmp_path / key / "base")
        settings = peft.LoraConfig(r=2, target_modules=layers, modules_to_save=["classifier"])
        model = peft.get_peft_model(base, settings)
        for _ in range(3):
            changed = step(model)
        assert changed and all("lora_" in name or "classifier" in name for name in changed), "statistics stay"
        model.save_pretrained(tmp_path / key / "adapters")
        features = batch(base)["input_features"]
        torch.save(features, tmp_path / key / "features.pt")
        with torch.no_grad():
            expected[key] = model.eval()(input_features=features).logits
            plain = make_tiny(key, num_labels=2)(features).logits
        assert not torch.allclose(expected[key], plain, atol=1e-2), "the adapters count"
    command = [sys.executable, "-c", RELOAD, str(tmp_path), *ADAPTED]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    for key, logits in expected.items():
        torch.testing.assert_close(torch.tensor(found[key]), logits, atol=1e-5, rtol=1e-5)
