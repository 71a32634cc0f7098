"""Adversarial training (Ren et al., ICASSP 2020): a step sees its batch and the FGSM version of the batch."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import nn

from ..inference.classifiers.hooks import pooled
from ..inference.fgsm import fgsm
from .classification_loss import ClassificationLoss


#: Weights of the terms of `AdversarialLoss` in Ren et al.'s code.
DEFAULT_WEIGHTS = {"vanilla": (0.5, 0.5), "similarity": (0.4, 0.4, 0.2)}


def forward_real_and_fake(
    model: nn.Module,
    network: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    epsilon: float | None,
    with_embeddings: bool = False,
) -> dict[str, torch.Tensor]:
    """Run a model on a batch and on its FGSM version, one after the other, so that batch norm sees each by itself.

    Args:
        model: Model that the Trainer trains, perhaps wrapped for several processes.
        network: Classifier itself, without wrapper. It makes and sees the fake batch, so that a wrapper has one pass
            per step, after which it synchronises processes.
        inputs: Inputs of the model, without labels.
        epsilon: Step of `fgsm`, or None for the real batch alone.
        with_embeddings: Whether to return the inputs of the head.

    Returns:
        `logits` (batch, num_labels) and, if asked for, `embeddings` (batch, hidden_size); with an epsilon also
        `fake_logits` and `fake_embeddings`.
    """
    fake = None if epsilon is None else fgsm(network, inputs, epsilon)
    watched = pooled(network, "--adversarial similarity", "--adversarial vanilla")
    with watched if with_embeddings else nullcontext([]) as embeddings:
        outputs = {"logits": model(**inputs)["logits"]}
        if fake is not None:
            outputs["fake_logits"] = network(**fake)["logits"]
    return {**outputs, **dict(zip(("embeddings", "fake_embeddings"), embeddings))}


class AdversarialLoss:
    """Classification loss on real and fake clips, with the labels of the real ones, and the distance of embeddings.

    With two weights (vanilla) it is w1 CE(f(x), y) + w2 CE(f(x'), y). With three (similarity) it adds
    w3 MSE(h(x'), h(x)), whose gradient flows through both sides. Without fake clips, in warm-up and evaluation, it is
    CE(f(x), y).

    Args:
        classification: Loss CE, which also averages over the clips of an accumulated batch.
        weights: Weights w1, w2 and perhaps w3.
    """

    def __init__(self, classification: ClassificationLoss, weights: Sequence[float]):
        self.classification = classification
        self.weights = weights

    def __call__(
        self, outputs: Mapping[str, torch.Tensor], labels: torch.Tensor, num_items_in_batch=None
    ) -> torch.Tensor:
        real = self.classification(outputs, labels, num_items_in_batch)
        if "fake_logits" not in outputs:
            return real
        terms = [real, self.classification({"logits": outputs["fake_logits"]}, labels, num_items_in_batch)]
        if len(self.weights) == 3:
            difference = outputs["fake_embeddings"].float() - outputs["embeddings"].float()
            distances = difference.square().flatten(1).mean(dim=1)
            terms.append(self.classification.average(distances.sum(), labels, num_items_in_batch))
        return sum(weight * term for weight, term in zip(self.weights, terms, strict=True))
