"""Loss on labels, which the losses of adversarial training and of distillation contain."""

from collections.abc import Sequence

import numpy as np
import torch


class ClassificationLoss:
    """Cross entropy with class weights, label smoothing and soft labels, averaged over clips.

    The sum is divided by the number of clips in the whole accumulated batch, so that gradients do not depend on how
    it is divided into steps. Class weights therefore have mean 1 over the training set, instead of being divided out
    in each batch.

    Args:
        num_labels: Number of classes.
        class_weights: Weight of each class. Default: none.
        label_smoothing: Share of the label that is spread over all classes.
    """

    def __init__(self, num_labels: int, class_weights: Sequence[float] | None = None, label_smoothing: float = 0.0):
        self.num_labels = num_labels
        self.class_weights = class_weights
        self.label_smoothing = label_smoothing

    def __call__(self, outputs, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
        logits = outputs["logits"].float()
        targets = labels if labels.is_floating_point() else torch.nn.functional.one_hot(labels, self.num_labels)
        targets = targets.to(logits.dtype)
        if self.class_weights is not None:
            targets = targets * torch.as_tensor(self.class_weights, dtype=logits.dtype, device=logits.device)
        if self.label_smoothing:
            weight = targets.sum(dim=1, keepdim=True)
            targets = (1 - self.label_smoothing) * targets + self.label_smoothing * weight / self.num_labels
        return self.average(-(targets * logits.log_softmax(dim=1)).sum(), labels, num_items_in_batch)

    def average(self, total: torch.Tensor, labels: torch.Tensor, num_items_in_batch=None) -> torch.Tensor:
        """Divide a sum over the clips of `labels` by their number in the accumulated batch."""
        if num_items_in_batch is None:
            return total / len(labels)
        # The Trainer counts the entries of `labels`; a soft label has one per class.
        return total / num_items_in_batch * (self.num_labels if labels.is_floating_point() else 1)


def balanced_class_weights(labels: np.ndarray, num_labels: int) -> list[float]:
    """Return inverse class frequencies, scaled to mean 1 over the labels, and 0 for a class that does not occur."""
    labels = labels[labels >= 0]  # others have none
    counts = np.bincount(labels, minlength=num_labels)
    weights = np.divide(len(labels), counts * np.count_nonzero(counts), out=np.zeros(num_labels), where=counts > 0)
    return weights.tolist()
