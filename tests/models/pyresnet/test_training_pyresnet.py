import copy

import numpy as np
import pytest
import torch
from torch import nn
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from lssed_hf import PyResNetFeatureExtractor, PyResNetForAudioClassification


def batch_statistics(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


class TestGradientCheckpointing:
    def test_gives_equal_gradients(self, tiny):
        features, labels = torch.randn(4, 40, 32), torch.tensor([0, 1, 2, 3])
        mask = torch.ones(4, 40, dtype=torch.int64)
        mask[2, 30:] = 0
        checkpointed = copy.deepcopy(tiny)
        checkpointed.gradient_checkpointing_enable()
        for model in (tiny.train(), checkpointed.train()):
            model(features, attention_mask=mask, labels=labels).loss.backward()
        assert any(getattr(module, "gradient_checkpointing", False) for module in checkpointed.modules())
        for (name, expected), parameter in zip(tiny.named_parameters(), checkpointed.parameters()):
            torch.testing.assert_close(parameter.grad, expected.grad, msg=name)


class TestFreezing:
    def step(self, model):
        model.train()
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        model(torch.randn(4, 40, 32), labels=torch.tensor([0, 1, 2, 3])).loss.backward()
        optimizer.step()

    def test_only_the_classifier_learns(self, tiny):
        tiny.freeze_base_model()
        before = copy.deepcopy(tiny.state_dict())
        self.step(tiny)
        changed = {name for name, tensor in tiny.state_dict().items() if not torch.equal(tensor, before[name])}
        assert changed == {"classifier.weight", "classifier.bias"}
        assert all(parameter.grad is None for parameter in tiny.pyresnet.parameters())

    def test_some_stages_can_stay_free(self, tiny):
        tiny.freeze_feature_encoder(num_stages=2)
        before = copy.deepcopy(tiny.state_dict())
        self.step(tiny)
        changed = {name for name, tensor in tiny.state_dict().items() if not torch.equal(tensor, before[name])}
        frozen = ("pyresnet.embedder", "pyresnet.stages.0", "pyresnet.stages.1")
        assert changed == {name for name in before if not name.startswith(frozen)}

    def test_batch_statistics_move_without_it(self, tiny):
        before = batch_statistics(tiny)
        self.step(tiny)
        assert not any(torch.equal(buffer, before[name]) for name, buffer in tiny.named_buffers())


class FixedStatisticsPyResNetForAudioClassification(PyResNetForAudioClassification):
    """Batch normalisation in eval mode, so that the size of a batch does not matter."""

    def train(self, mode: bool = True):
        return super().train(False)


class ForgetfulPyResNetForAudioClassification(FixedStatisticsPyResNetForAudioClassification):
    def loss_function(self, logits, labels, config, num_items_in_batch=None, **kwargs):
        return super().loss_function(logits, labels, config, **kwargs)


class TestGradientAccumulation:
    def train_one_step(self, model_class, tiny, batch_size, folder) -> dict[str, torch.Tensor]:
        model = model_class(copy.deepcopy(tiny.config))
        model.load_state_dict(tiny.state_dict())
        generator = np.random.default_rng(0)
        clips = [
            {"input_features": generator.standard_normal((frames, 32), dtype=np.float32), "labels": frames % 4}
            for frames in (22, 30, 41, 25, 50, 33, 28, 47)
        ]
        arguments = TrainingArguments(
            output_dir=folder,
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
        collator = DataCollatorWithPadding(PyResNetFeatureExtractor(num_mel_bins=32))
        Trainer(model, arguments, data_collator=collator, train_dataset=clips).train()
        return {name: (tensor - tiny.state_dict()[name]) for name, tensor in model.named_parameters()}

    def test_gives_the_update_of_the_whole_batch(self, tiny, tmp_path):
        whole, accumulated = (
            self.train_one_step(FixedStatisticsPyResNetForAudioClassification, tiny, batch_size, tmp_path)
            for batch_size in (8, 2)
        )
        assert whole["classifier.weight"].norm() > 1e-3
        for name, update in whole.items():
            torch.testing.assert_close(accumulated[name], update, atol=1e-6, rtol=1e-3, msg=name)

    def test_would_not_without_num_items_in_batch(self, tiny, tmp_path):
        whole, accumulated = (
            self.train_one_step(ForgetfulPyResNetForAudioClassification, tiny, batch_size, tmp_path)
            for batch_size in (8, 2)
        )
        ratio = accumulated["classifier.weight"].norm() / whole["classifier.weight"].norm()
        assert ratio.item() == pytest.approx(4, rel=1e-3)


def test_a_small_network_can_learn_its_training_clips(tiny):
    torch.manual_seed(0)
    features, labels = torch.randn(8, 40, 32), torch.arange(8) % 4
    optimizer = torch.optim.SGD(tiny.train().parameters(), lr=0.05, momentum=0.9)
    for _ in range(30):
        loss = tiny(features, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
