"""Losses on several classes of a clip and on ratings, alone or beside the loss on classes."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from .classification_loss import ClassificationLoss


class MultiLabelLoss:
    """Binary cross entropy, averaged over clips and classes, as transformers' own of this problem type."""

    def __call__(self, outputs: Mapping, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
        total = binary_cross_entropy_with_logits(outputs["logits"].float(), labels.float(), reduction="sum")
        return total / (labels.numel() if num_items_in_batch is None else num_items_in_batch)


class RatingLoss:
    """Loss on ratings in units of their standard deviations, averaged over clips and dimensions.

    Clips without a rating of a dimension do not count for it. Those with one count more for that, by the shares of the
    training set, so that each dimension has the same weight and gradients do not depend on how a batch is divided.

    "mse" is the mean squared error. "ccc" is 1 minus the concordance correlation coefficient of the clips of a step
    (Lin 1989; trained on by Trigeorgis et al., "Adieu features?", ICASSP 2016). It needs steps of many clips, and a
    step with fewer than two ratings of a dimension gives no loss on it.

    Args:
        std: Standard deviation of each dimension, (num_dimensions,).
        shares: Share of the training clips that have a rating, (num_dimensions,).
        kind: "mse" or "ccc".
    """

    def __init__(self, std: np.ndarray, shares: np.ndarray, kind: Literal["mse", "ccc"] = "mse"):
        self.std, self.shares, self.kind = std, shares, kind

    def __call__(self, outputs: Mapping, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
        num_entries = labels.numel() if num_items_in_batch is None else num_items_in_batch
        return self.total(outputs["logits"], labels) / num_entries

    def total(self, predictions: torch.Tensor, ratings: torch.Tensor) -> torch.Tensor:
        """Return the loss summed over clips and dimensions.

        Args:
            predictions: Predicted ratings, (clips, num_dimensions).
            ratings: True ratings, NaN where unknown.
        """
        std, shares = (torch.as_tensor(x, dtype=torch.float32, device=ratings.device) for x in (self.std, self.shares))
        known = ~ratings.isnan()
        predictions, ratings = predictions.float() / std, ratings.nan_to_num().float() / std
        if self.kind == "ccc":
            return len(ratings) * concordance_losses(predictions, ratings, known).sum()
        return ((predictions - ratings).square() * known / shares).sum()


def concordance_losses(predictions: torch.Tensor, ratings: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Return 1 minus the concordance correlation coefficient of each dimension, 0 where fewer than two are known.

    Args:
        predictions: Predicted ratings, (clips, num_dimensions).
        ratings: True ratings, of the same shape.
        known: True where there is a rating, of the same shape.
    """
    count = known.sum(dim=0).clamp(min=1)
    mean_x, mean_y = ((values * known).sum(dim=0) / count for values in (predictions, ratings))
    x, y = (predictions - mean_x) * known, (ratings - mean_y) * known
    spread = (x.square().sum(dim=0) + y.square().sum(dim=0)) / count + (mean_x - mean_y).square()
    coefficients = 2 * (x * y).sum(dim=0) / count / spread.clamp(min=1e-8)
    return torch.where(known.sum(dim=0) > 1, 1 - coefficients, 0.0)


class MultitaskLoss:
    """Loss on classes plus `weight` times the loss on the ratings of a second head.

    Args:
        classification: Loss on classes.
        rating: Loss on ratings.
        weight: Weight of the ratings.
    """

    def __init__(self, classification: ClassificationLoss, rating: RatingLoss, weight: float):
        self.classification, self.rating, self.weight = classification, rating, weight

    def __call__(self, outputs: Mapping, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
        ratings = outputs["ratings"]
        total = self.rating.total(outputs["dimensions"], ratings) / ratings.shape[1]
        loss = self.classification(outputs, labels, num_items_in_batch)
        return loss + self.weight * self.classification.average(total, labels, num_items_in_batch)
