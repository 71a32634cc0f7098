"""Adversarial training: losses, warm-up, and results that neither accumulation nor a power cut changes."""

import copy
import json
from functools import partial

import numpy as np
import pytest
import torch
from interruption import stopped_at
from safetensors.torch import load_file
from tiny_training import TINY, network, speech_dataset
from tiny_training import trainer as make_trainer
from tones import write_ravdess
from torch import nn
from transformers import HfArgumentParser

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.cli import train as train_command
from lssed_hf.inference.fgsm import fgsm
from lssed_hf.training import adversarial
from lssed_hf.training.adversarial import AdversarialLoss, forward_real_and_fake
from lssed_hf.training.arguments import RecipeArguments
from lssed_hf.training.classification_loss import ClassificationLoss
from lssed_hf.training.data import Augmentation, SpeechDataset


BINS, CLASSES = 16, 2
trainer = partial(make_trainer, adversarial_warmup_steps=0)
EXTRACTOR = PyResNetFeatureExtractor(num_mel_bins=BINS, normalization="none")


# Runs `lssed-hf train` and dies at a step, as a machine that loses power does.
def task(num_clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (num_clips, 12 frames, BINS) and classes.

    Two bins tell the class loudly, at times wrongly. The other 14 always tell it, by a step that FGSM turns round.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(CLASSES, size=num_clips)
    sign = (2 * labels - 1)[:, None, None]
    features = rng.normal(0, 1, (num_clips, 12, BINS))
    features[:, :, 2:] += 0.12 * sign
    features[:, :, :2] += sign * np.where(rng.random((num_clips, 1, 1)) < 0.92, 1, -1)
    return features.astype(np.float32), labels


def clips(num_clips: int, seed: int, **kwargs) -> SpeechDataset:
    return speech_dataset(*task(num_clips, seed), CLASSES, **kwargs)


def batch(num_clips: int = 6, soft: bool = False) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    features, labels = map(torch.from_numpy, task(num_clips, seed=1))
    mask = torch.ones(num_clips, 12)
    mask[0, 8:] = 0
    if soft:
        share = torch.linspace(0.1, 0.9, num_clips)
        labels = torch.stack([share, 1 - share], dim=1)
    return {"input_features": features, "attention_mask": mask}, labels


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.4, 0.4, 0.2), (0.7, 0.1, 3.0)])
def test_the_loss_is_the_one_a_hand_computes(weights, soft):
    model = network(CLASSES, classifier_dropout=0.0).train()
    by_hand = copy.deepcopy(model)
    inputs, labels = batch(soft=soft)

    outputs = forward_real_and_fake(model, model, inputs, 0.1, with_embeddings=len(weights) == 3)
    loss = AdversarialLoss(ClassificationLoss(CLASSES), weights)(outputs, labels)
    loss.backward()

    fake = fgsm(by_hand, inputs, 0.1)  # before any pass in train mode
    assert not torch.equal(fake["input_features"], inputs["input_features"])
    total, embeddings = 0, []
    for weight, version in zip(weights, (inputs, fake)):
        pooled = by_hand.pyresnet(**version).pooler_output
        embeddings.append(pooled)
        total = total + weight * nn.functional.cross_entropy(by_hand.classifier(pooled), labels)
    if len(weights) == 3:
        total = total + weights[2] * nn.functional.mse_loss(*embeddings)
    total.backward()
    torch.testing.assert_close(loss, total)
    for (name, parameter), other in zip(model.named_parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, msg=name)
    for (name, buffer), other in zip(model.named_buffers(), by_hand.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=name)  # the statistics of two batches, one after the other


def test_class_weights_and_smoothing_hold_for_fake_clips_too():
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 5, 2, generator=generator)
    labels = torch.tensor([0, 1, 1, 0, 1])
    classification = ClassificationLoss(2, [0.4, 1.6], 0.1)
    loss = AdversarialLoss(classification, (0.25, 0.75))({"logits": real, "fake_logits": fake}, labels)
    parts = [classification({"logits": logits}, labels) for logits in (real, fake)]
    torch.testing.assert_close(loss, 0.25 * parts[0] + 0.75 * parts[1])


def test_without_fake_clips_the_loss_is_the_plain_one():
    model = network(CLASSES).eval()
    inputs, labels = batch()
    outputs = forward_real_and_fake(model, model, inputs, None, with_embeddings=True)
    assert set(outputs) == {"logits", "embeddings"}
    classification = ClassificationLoss(CLASSES)
    loss = AdversarialLoss(classification, (0.4, 0.4, 0.2))(outputs, labels)
    torch.testing.assert_close(loss, classification(model(**inputs), labels))


def test_a_network_without_pooled_embeddings_is_named():
    class Bare(nn.Module):
        def forward(self, input_features):
            return {"logits": input_features[:, 0, :2]}

    class Headed(Bare):
        def __init__(self):
            super().__init__()
            self.base_model = Bare()

        def forward(self, input_features):
            return self.base_model(input_features)

    inputs = {"input_features": torch.randn(2, 3, 4)}
    for model, message in ((Bare(), "Bare has no base model"), (Headed(), "Bare returns no pooler_output")):
        with pytest.raises(ValueError, match=message):
            forward_real_and_fake(model, model, inputs, None, with_embeddings=True)
    assert set(forward_real_and_fake(Bare(), Bare(), inputs, None)) == {"logits"}
    assert not Headed().base_model._forward_hooks


def test_hooks_do_not_stay():
    model = network(CLASSES)
    forward_real_and_fake(model, model, batch()[0], 0.1, with_embeddings=True)
    assert not model.pyresnet._forward_hooks


def test_fake_clips_join_in_after_the_warm_up_and_never_in_evaluation(tmp_path, monkeypatch):
    steps = []
    dataset = clips(16, 0)
    run = trainer(
        tmp_path,
        network(CLASSES),
        dataset,
        adversarial="similarity",
        adversarial_epsilon=0.07,
        adversarial_warmup_steps=2,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        max_steps=4,
    )

    def spy(model, inputs, epsilon):
        steps.append((run.state.global_step, epsilon))
        return fgsm(model, inputs, epsilon)

    monkeypatch.setattr(adversarial, "fgsm", spy)
    run.train()
    assert steps == [(2, 0.07)] * 2 + [(3, 0.07)] * 2
    scores = run.evaluate(dataset)
    assert len(steps) == 4
    with torch.no_grad():
        logits = run.model(input_features=torch.from_numpy(task(16, 0)[0])).logits
    expected = nn.functional.cross_entropy(logits, torch.from_numpy(dataset.labels)).item()
    assert scores["eval_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_warm_up_without_end_is_plain_training(tmp_path):
    weights = []
    for changes in ({}, {"adversarial": "similarity", "adversarial_warmup_steps": 99}):
        run = trainer(tmp_path, network(CLASSES), clips(16, 0), max_steps=3, **changes)
        run.train()
        weights.append(run.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("mixup", [0.0, 0.3])
@pytest.mark.parametrize("variant", ["vanilla", "similarity"])
def test_updates_do_not_depend_on_gradient_accumulation(tmp_path, variant, mixup):
    # Without batch norm, whose statistics do depend on the batch.
    weights = {}
    for size, steps in ((8, 1), (4, 2), (2, 4)):
        run = trainer(
            tmp_path,
            network(CLASSES, batch_norm=False),
            clips(24, 0, augmentation=Augmentation(mixup=mixup)),
            adversarial=variant,
            adversarial_epsilon=0.1,
            adversarial_weights=[0.3, 0.3, 5.0] if variant == "similarity" else None,
            class_weighting="balanced",
            label_smoothing_factor=0.1,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_steps=3,
        )
        run.train()
        weights[size] = run.model.state_dict()
    start = network(CLASSES, batch_norm=False).state_dict()
    assert any((weights[8][name] - start[name]).abs().max() > 1e-3 for name in start)
    for size in (4, 2):
        for name, value in weights[8].items():
            torch.testing.assert_close(weights[size][name], value, atol=1e-5, rtol=1e-4, msg=f"{size} {name}")


def test_training_in_bfloat16(tmp_path):
    run = trainer(
        tmp_path, network(CLASSES), clips(16, 0), adversarial="similarity", bf16=True, max_steps=2, logging_steps=1
    )
    run.train()
    losses = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["vanilla", "similarity"])
def test_adversarial_training_withstands_what_plain_training_does_not(tmp_path, variant):
    features, labels = map(torch.from_numpy, task(400, seed=100))
    accuracies = {}
    for name in ("none", variant):
        run = trainer(
            tmp_path,
            network(CLASSES),
            clips(512, 0),
            adversarial=name,
            adversarial_epsilon=0.25,
            optim="adamw_torch",
            learning_rate=5e-3,
            per_device_train_batch_size=32,
            max_steps=80,
        )
        run.train()
        model = run.model.eval()
        fake = fgsm(model, {"input_features": features}, 0.25)
        with torch.no_grad():
            accuracies[name] = [
                (model(**inputs).logits.argmax(dim=1) == labels).float().mean().item()
                for inputs in ({"input_features": features}, fake)
            ]
    assert min(accuracies["none"][0], accuracies[variant][0]) > 0.85, "both do well on real clips"
    assert accuracies["none"][1] < 0.75
    assert accuracies[variant][1] > accuracies["none"][1] + 0.1
    assert accuracies[variant][1] > 0.8


def test_several_gpus_need_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(RecipeArguments, "n_gpu", 2)
    with pytest.raises(ValueError, match="one process per GPU"):
        trainer(tmp_path, network(CLASSES), clips(4, 0), adversarial="vanilla")


def test_the_flags(tmp_path):
    def parse(*flags: str) -> RecipeArguments:
        parser = HfArgumentParser(RecipeArguments)
        return parser.parse_args_into_dataclasses(["--output_dir", str(tmp_path), *flags])[0]

    plain = parse()
    assert (plain.adversarial, plain.adversarial_epsilon, plain.adversarial_warmup_steps) == ("none", 0.02, 1000)
    assert parse("--adversarial", "vanilla").adversarial_weights == [0.5, 0.5]
    assert parse("--adversarial", "similarity").adversarial_weights == [0.4, 0.4, 0.2]
    flags = ("--adversarial", "vanilla", "--adversarial_weights")
    assert parse(*flags, "0.9", "0.1").adversarial_weights == [0.9, 0.1]
    with pytest.raises(ValueError, match="--adversarial vanilla takes 2 --adversarial_weights, got 3"):
        parse(*flags, "0.4", "0.4", "0.2")
    with pytest.raises(ValueError, match=r"must not be negative, got -0\.1"):
        parse("--adversarial", "vanilla", "--adversarial_epsilon", "-0.1")


@pytest.mark.slow
def test_an_interrupted_run_ends_in_the_same_weights_and_reports_real_and_fake_scores(tmp_path):
    corpus = write_ravdess(tmp_path / "corpus")
    flags = [
        *("--dataset_name", "ravdess", "--data_dir", str(corpus), "--config_overrides", json.dumps(TINY)),
        *("--crop_seconds", "1", "--disable_tqdm", "true", "--report_to", "none", "--mixup", "0.3"),
        *("--max_steps", "6", "--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "2"),
        *("--save_strategy", "steps", "--save_steps", "3", "--eval_strategy", "steps", "--eval_steps", "3"),
        *("--adversarial", "similarity", "--adversarial_epsilon", "0.1", "--adversarial_warmup_steps", "4"),
        *("--load_best_model_at_end", "false"),
    ]
    train_command.main([*flags, "--output_dir", str(tmp_path / "whole")])

    # Step 5 lies between two checkpoints, and the warm-up ends after step 4, which runs again.
    flags += ["--output_dir", str(tmp_path / "stopped")]
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train_command.main(flags)
    assert (tmp_path / "stopped" / "checkpoint-3").is_dir()
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    train_command.main(flags)

    expected, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)

    results = json.loads((tmp_path / "whole" / "results.json").read_text())
    assert results["adversarial"]["epsilon"] == 0.1
    assert results["adversarial"]["real"]["metrics"] == results["metrics"]
    assert 0 <= results["adversarial"]["fake"]["metrics"]["unweighted_accuracy"] <= 1
    assert "fake (FGSM, epsilon 0.1)" in (tmp_path / "whole" / "report.md").read_text()
