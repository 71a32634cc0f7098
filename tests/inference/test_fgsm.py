"""The fast gradient sign method, and scores of a saved model on what it makes of clips."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lssed_hf import PyResNetFeatureExtractor, cli, create_model
from lssed_hf.evaluation.report import adversarial_table
from lssed_hf.inference import AudioClassifier
from lssed_hf.inference.fgsm import fgsm, real_and_fake_probabilities


BINS = 16
TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}
LABELS = ["angry", "neutral", "happy", "sad"]


class Linear(nn.Module):
    """Logits W x of features (batch, frames, bins), with dropout before W."""

    def __init__(self, frames: int, bins: int, name: str = "input_features"):
        super().__init__()
        self.name = name
        self.dropout = nn.Dropout(0.5)
        self.weight = nn.Parameter(torch.randn(3, frames * bins, generator=torch.Generator().manual_seed(0)))

    def forward(self, attention_mask=None, **inputs):
        return {"logits": self.dropout(inputs[self.name].flatten(1)) @ self.weight.T}


def tiny_network(seed: int = 0, **changes):
    torch.manual_seed(seed)
    return create_model(
        "pyresnet50", num_labels=4, **{**TINY, "num_frequency_rows": 4, "num_mel_bins": None, **changes}
    )


def clips(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("given", ["predictions", "labels", "soft labels"])
@pytest.mark.parametrize("name", ["input_features", "input_values"])
def test_fgsm_of_a_linear_model_is_what_a_hand_computes(given, name):
    model, x = Linear(5, 2, name), clips(4, 5, 2)
    logits = x.flatten(1) @ model.weight.T
    targets = {
        "predictions": nn.functional.one_hot(logits.argmax(dim=1), 3).float(),
        "labels": torch.eye(3)[[2, 0, 1, 1]],
        "soft labels": torch.tensor([[0.2, 0.3, 0.5]] * 4),
    }[given]
    labels = {"predictions": None, "labels": torch.tensor([2, 0, 1, 1]), "soft labels": targets}[given]
    # The gradient of cross entropy after a linear map: (softmax - targets) W.
    sign = ((logits.softmax(dim=1) - targets) @ model.weight).sign().view_as(x)
    fake = fgsm(model, {name: x}, 0.05, labels)
    assert fake.keys() == {name}
    assert torch.equal(fake[name], x + 0.05 * sign)
    assert not fake[name].requires_grad


def test_fgsm_follows_finite_differences_of_a_network():
    model, x = tiny_network().double().eval(), clips(2, 9, BINS).double()
    labels = torch.tensor([1, 3])
    step = (fgsm(model, {"input_features": x}, 1.0, labels)["input_features"] - x).flatten()

    def loss(change: torch.Tensor) -> torch.Tensor:
        logits = model(input_features=x + change.view_as(x)).logits
        return nn.functional.cross_entropy(logits, labels, reduction="none").sum()

    with torch.no_grad():
        steps = 1e-6 * torch.eye(x.numel(), dtype=torch.float64)
        slopes = torch.stack([(loss(change) - loss(-change)) / 2e-6 for change in steps])
    clear = slopes.abs() > 1e-6
    assert clear.float().mean() > 0.8
    assert torch.equal(step[clear].round(), slopes[clear].sign())


def test_fgsm_raises_the_loss_by_as_much_as_a_small_step_can():
    model, x = tiny_network().eval(), clips(8, 12, BINS)
    with torch.no_grad():
        predictions = model(input_features=x).logits.argmax(dim=1)
        losses = [
            nn.functional.cross_entropy(model(input_features=inputs).logits, predictions)
            for inputs in (
                fgsm(model, {"input_features": x}, 0.02)["input_features"],
                x + 0.02 * clips(8, 12, BINS, seed=2).sign(),
                x,
            )
        ]
    assert losses[0] > losses[1] and losses[0] > losses[2]


def test_epsilon_zero_gives_the_clips_themselves():
    x = clips(2, 9, BINS)
    x[0, 0, 0], x[1, 8, 0] = float("nan"), -0.0
    inputs = {"input_features": x, "attention_mask": torch.ones(2, 9)}
    fake = fgsm(tiny_network(), inputs, 0.0)
    assert fake.keys() == inputs.keys() and fake["input_features"] is x


def test_no_change_exceeds_the_largest_that_is_allowed():
    model, x = tiny_network(), clips(2, 9, BINS)
    limited = fgsm(model, {"input_features": x}, 0.5, max_change=0.1)["input_features"]
    whole = fgsm(model, {"input_features": x}, 0.5)["input_features"]
    assert torch.equal(limited, whole.clamp(x - 0.1, x + 0.1))
    assert torch.equal(fgsm(model, {"input_features": x}, 0.5, max_change=9.0)["input_features"], whole)


def test_the_model_is_left_as_it_was():
    model = tiny_network(classifier_dropout=0.5)
    in_evaluation = fgsm(model.eval(), {"input_features": clips(4, 9, BINS)}, 0.1)["input_features"]
    model.train()
    model.pyresnet.embedder.normalization.eval()
    modes = [module.training for module in model.modules()]
    model.classifier.weight.requires_grad_(False)
    model.classifier.bias.grad = torch.full((4,), 7.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    x = clips(4, 9, BINS)
    with torch.no_grad():  # as an evaluation loop has it
        fake = fgsm(model, {"input_features": x}, 0.1)["input_features"]
    assert torch.equal(fake, in_evaluation), "the gradient is that of eval mode, without dropout"
    assert torch.equal(x, clips(4, 9, BINS)) and not x.requires_grad
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    graded = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert frozen == {"classifier.weight"} and graded == {"classifier.bias"}
    assert model.classifier.bias.grad.tolist() == [7.0] * 4


def test_modes_come_back_after_an_error():
    model = tiny_network().train()
    with pytest.raises(ValueError, match="is expected"):
        fgsm(model, {"input_features": clips(4, 9)}, 0.1)
    assert all(module.training for module in model.modules())


def test_padding_is_not_perturbed_and_a_clip_does_not_depend_on_its_batch():
    model, x = tiny_network(), clips(3, 24, BINS)
    lengths = (24, 17, 9)
    mask = torch.tensor([[1] * length + [0] * (24 - length) for length in lengths])
    x[2, 9:] = float("nan")
    fake = fgsm(model, {"input_features": x, "attention_mask": mask}, 0.1)["input_features"]
    for index, length in enumerate(lengths):
        assert torch.equal(fake[index, length:].nan_to_num(), x[index, length:].nan_to_num())
        alone = fgsm(model, {"input_features": x[index : index + 1, :length]}, 0.1)["input_features"][0]
        assert (fake[index, :length] - alone).abs().gt(1e-6).float().mean() < 0.01, "signs of zeros aside"
        assert (fake[index, :length] != x[index, :length]).float().mean() > 0.9


@pytest.mark.parametrize(
    ("shape", "name", "padded"),
    [
        ((2, 6), "input_values", (slice(None), slice(4, None))),
        ((2, 6, 3), "input_features", (slice(None), slice(4, None))),
        ((2, 3, 6), "input_features", (slice(None), slice(None), slice(4, None))),
    ],
)
def test_masks_of_waveforms_and_of_features_either_way_round(shape, name, padded):
    model, x = Linear(shape[1], int(np.prod(shape[2:])), name), clips(*shape)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0]] * 2)
    fake = fgsm(model, {name: x, "attention_mask": mask}, 0.1)[name]
    same = torch.zeros_like(x, dtype=torch.bool)
    same[padded] = True
    assert torch.equal(fake == x, same)


def test_what_cannot_be_perturbed_is_named():
    model, x = tiny_network(), clips(2, 9, BINS)
    with pytest.raises(ValueError, match=r"must not be negative, got -0\.1"):
        fgsm(model, {"input_features": x}, -0.1)
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        fgsm(model, {"input_features": x}, 0.1, max_change=-1)
    with pytest.raises(ValueError, match="no input_features or input_values to perturb among pixel_values"):
        fgsm(model, {"pixel_values": x}, 0.1)
    with pytest.raises(ValueError, match=r"attention_mask of shape \(2, 5\) for inputs \(2, 9, 16\)"):
        fgsm(Linear(9, BINS), {"input_features": x, "attention_mask": torch.ones(2, 5)}, 0.1)


def test_the_table_has_real_and_fake_scores():
    intervals = {
        name: {"value": 0.5, "low": None, "high": None} for name in ("weighted_accuracy", "unweighted_accuracy")
    }
    table = adversarial_table({"epsilon": 0.02, "real": {"intervals": intervals}, "fake": {"intervals": intervals}})
    assert table.splitlines()[2:] == ["| real | 0.500 | 0.500 |", "| fake (FGSM, epsilon 0.02) | 0.500 | 0.500 |"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    create_model("pyresnet50", id2label=dict(enumerate(LABELS)), **TINY).save_pretrained(folder)
    PyResNetFeatureExtractor(normalization="utterance").save_pretrained(folder)
    return folder


def test_real_probabilities_are_those_of_the_classifier(model):
    classifier = AudioClassifier(model, batch_size=2)
    rng = np.random.default_rng(0)
    waveforms = [rng.normal(0, 0.1, length).astype(np.float32) for length in (16000, 8000, 12000)]
    plain = np.stack(list(classifier.probabilities(waveforms)))
    both = np.stack(list(real_and_fake_probabilities(classifier, iter(waveforms), 0.1)))
    assert both.shape == (3, 2, 4)
    np.testing.assert_allclose(both[:, 0], plain, atol=1e-6)  # other batches
    predictions = plain.argmax(axis=1)
    assert (both[range(3), 1, predictions] < both[range(3), 0, predictions]).all(), "the attack lowers the prediction"
    untouched = np.stack(list(real_and_fake_probabilities(classifier, waveforms, 0.0)))
    np.testing.assert_allclose(untouched[:, 1], plain, atol=1e-6)


@pytest.mark.slow
def test_the_command_scores_real_and_fake_clips(model, tmp_path, capsys):
    pytest.importorskip("espeakng_loader")
    from lssed_hf.testing.releases.lssed import write_synthetic_lssed

    corpus = write_synthetic_lssed(tmp_path / "corpus", num_speakers=5, utterances_per_speaker=6)
    flags = [
        "--model_name_or_path",
        str(model),
        "--dataset_name",
        "lssed",
        "--data_dir",
        str(corpus),
        "--split",
        "train",
    ]
    results = {}
    for name, extra in {
        "plain": [],
        "zero": ["--adversarial_epsilon", "0"],
        "fake": ["--adversarial_epsilon", "0.3"],
    }.items():
        assert cli.main(["evaluate", *flags, "--output_dir", str(tmp_path / name), *extra]) == 0
        results[name] = json.loads((tmp_path / name / "results.json").read_text())

    assert "adversarial" not in results["plain"]
    assert "fake" not in (tmp_path / "plain" / "report.md").read_text()
    for name in ("zero", "fake"):
        adversarial = results[name].pop("adversarial")
        assert results[name] == results["plain"], "the report on real clips is the same"
        assert adversarial["real"] == {key: results["plain"][key] for key in ("metrics", "intervals")}
        assert adversarial["epsilon"] == {"zero": 0, "fake": 0.3}[name]
        assert (adversarial["fake"] == adversarial["real"]) == (name == "zero")
        section = (tmp_path / name / "report.md").read_text().split("## Adversarial clips")[1]
        for kind in ("real", "fake"):
            assert f"{adversarial[kind]['metrics']['unweighted_accuracy']:.3f}" in section
    assert "fake (FGSM, epsilon 0.3)" in capsys.readouterr().out
    plain, fake = (pd.read_csv(tmp_path / name / "predictions.csv") for name in ("plain", "fake"))
    pd.testing.assert_frame_equal(fake, plain, rtol=1e-5)  # batch norms are folded without FGSM alone: other rounding
