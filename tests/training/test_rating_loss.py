"""Losses on ratings, and the last layer that learns them, of every family of networks."""

import numpy as np
import pytest
import torch
from tiny_training import TINY, network
from torch import nn

from lssed_hf import create_model
from lssed_hf.evaluation.ratings import score_ratings
from lssed_hf.training.classification_loss import ClassificationLoss
from lssed_hf.training.rating_head import RatingHead, last_layer, put_rating_head
from lssed_hf.training.rating_loss import MultiLabelLoss, MultitaskLoss, RatingLoss


STD, SHARES = np.array([1.5, 20.0]), np.array([1.0, 0.5])


@pytest.fixture
def batch():
    rng = torch.Generator().manual_seed(0)
    ratings = torch.rand(8, 2, generator=rng) * torch.tensor([6.0, 100.0])
    ratings[::2, 1] = torch.nan
    return ratings.nan_to_num(50.0) + torch.randn(8, 2, generator=rng), ratings


def test_mean_squared_error_is_that_of_known_ratings(batch):
    predictions, ratings = batch
    loss = RatingLoss(STD, SHARES)({"logits": predictions}, ratings)
    errors = ((predictions - ratings) / torch.tensor(STD)) ** 2
    expected = (errors[:, 0].mean() + errors[1::2, 1].mean()) / 2
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_mean_squared_error_does_not_depend_on_the_division_into_steps(batch):
    predictions, ratings = batch
    loss = RatingLoss(STD, SHARES)
    parts = [loss({"logits": predictions[rows]}, ratings[rows], 16) for rows in (slice(3), slice(3, 8))]
    assert float(sum(parts)) == pytest.approx(float(loss({"logits": predictions}, ratings)), rel=1e-6)


def test_concordance_loss_is_one_minus_the_score(batch):
    predictions, ratings = batch
    loss = RatingLoss(STD, SHARES, "ccc")({"logits": predictions}, ratings)
    score = score_ratings(ratings.numpy(), predictions.numpy(), ["a", "b"])["mean_ccc"]
    assert float(loss) == pytest.approx(1 - score, abs=1e-6)


def test_a_step_with_one_rating_gives_no_concordance_loss(batch):
    predictions, ratings = (part[:2].clone().requires_grad_() for part in batch)
    loss = RatingLoss(STD, SHARES, "ccc").total(predictions[:, 1:], ratings[:, 1:].detach())
    loss.backward()
    assert float(loss) == 0 and predictions.grad.isfinite().all()


def test_binary_cross_entropy_is_that_of_transformers():
    logits, labels = torch.randn(4, 3), (torch.rand(4, 3) > 0.5).float()
    expected = nn.BCEWithLogitsLoss()(logits, labels)
    torch.testing.assert_close(MultiLabelLoss()({"logits": logits}, labels), expected)


@pytest.mark.parametrize("soft", [False, True])
def test_both_losses_are_added_by_weight(batch, soft):
    predictions, ratings = batch
    logits, labels = torch.randn(8, 4), torch.arange(8) % 4
    labels = nn.functional.one_hot(labels, 4).float() if soft else labels
    loss = MultitaskLoss(ClassificationLoss(4), RatingLoss(STD, SHARES), 0.3)
    found = loss({"logits": logits, "dimensions": predictions, "ratings": ratings}, labels, labels.numel())
    expected = ClassificationLoss(4)({"logits": logits}, labels)
    expected = expected + 0.3 * RatingLoss(STD, SHARES)({"logits": predictions}, ratings)
    torch.testing.assert_close(found, expected)


class TestHead:
    def test_is_saved_as_a_plain_layer_on_the_scale_of_the_ratings(self):
        torch.manual_seed(0)
        layer, inputs = nn.Linear(5, 2), torch.randn(3, 5)
        head = RatingHead(layer, STD)
        torch.testing.assert_close(head(inputs), layer(inputs))
        state = head.state_dict()
        assert state.keys() == layer.state_dict().keys()
        assert all(torch.equal(state[name], value) for name, value in layer.state_dict().items())
        head.weight.data.normal_()
        copy = RatingHead(nn.Linear(5, 2), STD)
        copy.load_state_dict(head.state_dict())
        assert torch.equal(copy.weight, head.weight) and torch.equal(copy.bias, head.bias)

    def test_a_new_one_begins_with_the_mean(self):
        model = network(2)
        put_rating_head(model, "classifier", np.array([3.0, 40.0]), STD, is_new=True)
        outputs = model(torch.zeros(1, 40, 128)).logits
        assert torch.allclose(model.classifier.state_dict()["bias"], torch.tensor([3.0, 40.0]))
        assert outputs.shape == (1, 2)

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("pyresnet50", TINY),
            ("resnet18", {}),
            ("fcn-attention-alexnet", {}),
            ("whisper_statistics", {}),
            ("espnet-conformer", {"num_hidden_layers": 1}),
        ],
    )
    def test_every_family_has_a_last_layer(self, name, fields):
        model = create_model(name, num_labels=3, **fields)
        assert model.get_submodule(last_layer(model, 3)).out_features == 3 and last_layer(model, 3) == "classifier"

    def test_a_network_without_one_is_refused(self):
        with pytest.raises(ValueError, match="no linear layer of 7 outputs"):
            last_layer(network(2), 7)
