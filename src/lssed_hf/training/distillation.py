"""Knowledge distillation: a student learns from labels and from the predictions of teachers for the same clips.

`--distill logits` is Hinton, Vinyals and Dean 2015 (arXiv 1503.02531, section 2), `--distill features` Tung and Mori's
similarity-preserving distillation (ICCV 2019), which needs no parameters of its own.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.functional import kl_div, normalize

from ..inference.classifiers.hooks import pooled
from .classification_loss import ClassificationLoss


def forward_student(
    model: nn.Module,
    network: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    teachers: Sequence[torch.Tensor],
    with_embeddings: bool = False,
) -> dict[str, torch.Tensor | Sequence[torch.Tensor]]:
    """Run a model on a batch, and put the predictions of the teachers beside its own.

    Args:
        model: Model that the Trainer trains, perhaps wrapped for several processes.
        network: Classifier itself, without wrapper.
        inputs: Inputs of the model, without labels.
        teachers: Predictions of each teacher, (batch, size).
        with_embeddings: Whether to return the inputs of the head.

    Returns:
        `logits` (batch, num_labels), `teachers`, and, if asked for, `embeddings` (batch, hidden_size).
    """
    watched = pooled(network, "--distill features", "--distill logits")
    with watched if with_embeddings else nullcontext([]) as embeddings:
        outputs = {"logits": model(**inputs)["logits"], "teachers": teachers}
    return {**outputs, **dict(zip(("embeddings",), embeddings))}


class DistillationLoss:
    """(1 - w) times the loss on labels plus w times the distance from the teachers.

    The distance is `soft_target_distance`, or `similarity_distance` where there are embeddings. Both are summed over
    clips and divided by the number of clips in the accumulated batch, as the loss on labels is. Class weights and
    label smoothing belong to the loss on labels alone. Without teachers, in evaluation, it is the loss on labels.

    Args:
        classification: Loss on labels, which also averages over the clips of an accumulated batch.
        weight: Weight w of the teachers.
        temperature: Temperature of the soft targets.
    """

    def __init__(self, classification: ClassificationLoss, weight: float, temperature: float):
        self.classification = classification
        self.weight = weight
        self.temperature = temperature

    def __call__(
        self,
        outputs: Mapping[str, torch.Tensor | Sequence[torch.Tensor]],
        labels: torch.Tensor,
        num_items_in_batch=None,
    ) -> torch.Tensor:
        loss = self.classification(outputs, labels, num_items_in_batch)
        if "teachers" not in outputs:
            return loss
        if "embeddings" in outputs:
            distance = similarity_distance(outputs["embeddings"], outputs["teachers"])
        else:
            distance = soft_target_distance(outputs["logits"], outputs["teachers"], self.temperature)
        distance = self.classification.average(distance, labels, num_items_in_batch)
        return (1 - self.weight) * loss + self.weight * distance


def soft_target_distance(logits: torch.Tensor, teachers: Sequence[torch.Tensor], temperature: float) -> torch.Tensor:
    """Return T^2 KL(q || softmax(s / T)), summed over clips, where q is the mean of the teachers' probabilities.

    T^2 keeps the size of the gradients when T changes (Hinton, Vinyals and Dean 2015, section 2).

    Args:
        logits: Logits s of the student, (batch, num_labels).
        teachers: Probabilities softmax(z / T) of each teacher, (batch, num_labels).
        temperature: Temperature T.
    """
    targets = torch.stack(tuple(teachers)).mean(dim=0).float()
    predictions = (logits.float() / temperature).log_softmax(dim=1)
    return temperature**2 * kl_div(predictions, targets, reduction="sum")


def similarity_distance(embeddings: torch.Tensor, teachers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return ||G_T - G_S||_F^2, the distance of the likeness of clips in the eyes of a student and of its teachers.

    G is the Gram matrix Q Q^T of the embeddings Q (batch, hidden_size), its rows scaled to length 1. G_T is the mean
    over the teachers. Tung and Mori divide by the square of the batch size b. Here the caller divides by the number
    of clips, so that the loss is b times theirs and does not vanish beside cross entropy.

    Args:
        embeddings: Embeddings of the student, (batch, hidden_size).
        teachers: Embeddings of each teacher, of any hidden_size.
    """
    target = torch.stack([_similarities(embedding) for embedding in teachers]).mean(dim=0)
    return (target - _similarities(embeddings)).square().sum()


def _similarities(embeddings: torch.Tensor) -> torch.Tensor:
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = embeddings.flatten(1).float()
        return normalize(embeddings @ embeddings.T, dim=1)
