import copy

import numpy as np
import pytest
import torch
from tiny_cnn import BACKBONES, MEL_BINS, make_tiny_cnn
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from lssed_hf import PyResNetFeatureExtractor, SerCnnForAudioClassification


@pytest.fixture(params=BACKBONES)
def tiny(request) -> SerCnnForAudioClassification:
    return make_tiny_cnn(request.param)


def changed(model, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


def step(model: SerCnnForAudioClassification, learning_rate: float = 0.1) -> None:
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=learning_rate)
    torch.manual_seed(0)
    model(torch.randn(4, 64, MEL_BINS), labels=torch.tensor([0, 1, 2, 3])).loss.backward()
    optimizer.step()


class TestFreezing:
    def test_only_the_classifier_learns(self, tiny):
        tiny.freeze_base_model()
        before = copy.deepcopy(tiny.state_dict())
        step(tiny)
        assert changed(tiny, before) == {"classifier.weight", "classifier.bias"}

    def test_some_stages_can_stay_free(self, tiny):
        tiny.freeze_feature_encoder(num_stages=2)
        before = copy.deepcopy(tiny.state_dict())
        step(tiny)
        if tiny.config.is_resnet:
            frozen = ("conv1", "bn1", "layer1", "layer2")
        else:  # three convolutions and two poolings
            frozen = tuple(f"features.{index}." for index in range(3 * (2 if tiny.config.has_mlp else 3) + 2))
        frozen = tuple(f"ser_cnn.backbone.{name}" for name in frozen)
        assert changed(tiny, before) == {name for name in before if not name.startswith(frozen)}

    def test_all_stages_can_be_frozen_without_the_fully_connected_layers(self):
        tiny = make_tiny_cnn("vgg11")
        tiny.freeze_feature_encoder(num_stages=5)
        free = {name.rsplit(".", 1)[0] for name, parameter in tiny.named_parameters() if parameter.requires_grad}
        assert free == {"ser_cnn.backbone.pre_logits.fc1", "ser_cnn.backbone.pre_logits.fc2", "classifier"}

    def test_everything_moves_without_it(self, tiny):
        before = copy.deepcopy(tiny.state_dict())
        step(tiny)
        assert changed(tiny, before) == set(before)

    def test_padding_counts_as_little_as_in_eval_mode(self, tiny):
        features, mask = torch.randn(2, 90, MEL_BINS), torch.ones(2, 90)
        mask[1, 45:] = 0
        expected = tiny(features, attention_mask=mask).logits
        tiny.freeze_base_model()
        assert torch.equal(tiny.train()(features, attention_mask=mask).logits, expected)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_equal_gradients(tiny, reentrant):
    features, labels = torch.randn(4, 64, MEL_BINS), torch.tensor([0, 1, 2, 3])
    checkpointed = copy.deepcopy(tiny)
    name = "activation_checkpointing_enable"  # before some 5.x of transformers, gradient_checkpointing_enable
    enable = getattr(checkpointed, name, None) or checkpointed.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
    assert any(getattr(module, "gradient_checkpointing", False) for module in checkpointed.modules())
    for model in (tiny.train(), checkpointed.train()):
        model(features, labels=labels).loss.backward()
    for (name, expected), parameter in zip(tiny.named_parameters(), checkpointed.parameters()):
        torch.testing.assert_close(parameter.grad, expected.grad, msg=name)


class FixedStatisticsSerCnnForAudioClassification(SerCnnForAudioClassification):
    """Always in eval mode, where neither batch normalisation nor padding makes a clip depend on its batch."""

    def train(self, mode: bool = True):
        return super().train(False)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "vgg11"])
def test_gradient_accumulation_gives_the_update_of_the_whole_batch(backbone, tmp_path):
    clips = [
        {
            "input_features": np.random.default_rng(index).standard_normal((frames, MEL_BINS), dtype=np.float32),
            "labels": index % 4,
        }
        for index, frames in enumerate((22, 50, 41, 50, 64, 33, 28, 47))
    ]
    updates = []
    for batch_size in (8, 2):
        tiny = make_tiny_cnn(backbone)
        model, start = FixedStatisticsSerCnnForAudioClassification(tiny.config), tiny.state_dict()
        model.load_state_dict(start)
        arguments = TrainingArguments(
            output_dir=tmp_path,
            max_steps=1,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=8 // batch_size,
            learning_rate=0.1,
            optim="sgd",
            max_grad_norm=0,
            lr_scheduler_type="constant",
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        collator = DataCollatorWithPadding(PyResNetFeatureExtractor(num_mel_bins=MEL_BINS))
        Trainer(model, arguments, data_collator=collator, train_dataset=clips).train()
        updates.append({name: tensor.detach() - start[name] for name, tensor in model.named_parameters()})
    whole, accumulated = updates
    assert whole["classifier.weight"].norm() > 1e-3
    for name, update in whole.items():
        torch.testing.assert_close(accumulated[name], update, atol=1e-6, rtol=1e-3, msg=name)


def test_a_training_step_lowers_the_loss(tiny):
    features, labels = torch.randn(8, 64, MEL_BINS), torch.arange(8) % 4
    mask = torch.ones(8, 64)
    mask[::2, 40:] = 0
    optimizer = torch.optim.SGD(tiny.train().parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        loss = tiny(features, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


@pytest.mark.slow
def test_small_networks_can_learn_their_training_clips(tiny):
    torch.manual_seed(0)
    features, labels = torch.randn(8, 64, MEL_BINS), torch.arange(8) % 4
    optimizer = torch.optim.Adam(tiny.train().parameters(), lr=3e-3)
    for _ in range(40):
        loss = tiny(features, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
