"""Adversarial clips: the fast gradient sign method, and a classifier's probabilities of real and of fake clips.

Sources: Goodfellow et al., arXiv 1412.6572, section 4, for the method; Ren, Baird, Han, Zhang and Schuller,
"Generating and protecting against adversarial attacks for deep speech-based emotion recognition models", ICASSP 2020,
and its code (github.com/EIHW/Adversarial_Attacks_for_SER) for its use on emotions, as in the ADV rows of the LSSED
paper's Table 5.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import nn

from . import AudioClassifier
from .classifiers.classifier import batched_by_length


def fgsm(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    epsilon: float,
    labels: torch.Tensor | None = None,
    max_change: float | None = None,
) -> dict[str, torch.Tensor]:
    """Move a batch against a classifier: x' = x + epsilon * sign(grad_x CE(f(x), y)).

    The gradient is taken in `eval` mode, clip by clip, and with respect to x only. Modes of modules, gradients of
    parameters and batch statistics stay the same.

    Args:
        model: Audio classifier that returns `logits` (batch, num_labels); not wrapped for distributed training.
        inputs: Inputs of the model with x: `input_features` (batch, frames, num_mel_bins), normalised log-mel features
            for the networks of the zoo, or `input_values`. With an `attention_mask`, padding is not perturbed.
        epsilon: Step in units of the inputs; Ren et al. take 0.02 to 0.1. 0 gives x itself.
        labels: Labels y, class numbers (batch,) or probabilities (batch, num_labels); by default the model's
            predictions.
        max_change: Bound a, which keeps x' within [x - a, x + a]; 0.1 in Ren et al.'s code.

    Returns:
        Inputs with x' in place of x.

    Raises:
        ValueError: The epsilon or max_change is negative, or the inputs hold neither features nor values.
    """
    if max_change is not None:
        epsilon = min(epsilon, max_change)  # with a single step this is the clipping
    if epsilon < 0:
        raise ValueError(f"epsilon and max_change must not be negative, got {epsilon}")
    name = next((name for name in ("input_features", "input_values") if name in inputs), None)
    if name is None:
        raise ValueError(f"no input_features or input_values to perturb among {', '.join(inputs)}")
    if epsilon == 0:
        return dict(inputs)

    x = inputs[name].detach().clone().requires_grad_()
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.enable_grad():
            logits = model(**{**inputs, name: x})["logits"].float()
            # A sum, so that a clip's gradient does not depend on the size of its batch.
            loss = nn.functional.cross_entropy(
                logits, logits.argmax(dim=1) if labels is None else labels, reduction="sum"
            )
            (gradient,) = torch.autograd.grad(loss, x)
    finally:
        for module, mode in modes.items():
            module.training = mode
    x = x.detach()
    fake = x + epsilon * gradient.sign()
    if inputs.get("attention_mask") is not None:
        fake = torch.where(_valid(inputs["attention_mask"], x), fake, x)
    return {**inputs, name: fake}


def _valid(attention_mask: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return a mask (batch, frames) reshaped to broadcast to x.

    x is (batch, frames, ...), or (batch, bins, frames) with Whisper.
    """
    axis = next((axis for axis in range(1, x.dim()) if x.shape[axis] == attention_mask.shape[1]), None)
    if axis is None:
        raise ValueError(f"an attention_mask of shape {tuple(attention_mask.shape)} for inputs {tuple(x.shape)}")
    shape = [len(x)] + [1] * (x.dim() - 1)
    shape[axis] = -1
    return attention_mask.bool().reshape(shape)


def real_and_fake_probabilities(
    classifier: AudioClassifier, waveforms: Iterable[np.ndarray], epsilon: float
) -> Iterator[np.ndarray]:
    """Yield class probabilities (2, num_labels) of each clip: of the clip itself, and of its FGSM version.

    The attack is on the classifier itself and starts from its own predictions, as in Ren et al.'s evaluation.

    Args:
        classifier: Classifier to attack.
        waveforms: Clips, float32 (samples,), at the classifier's sampling rate.
        epsilon: Step of the FGSM.

    Raises:
        ValueError: The classifier does not give one class to each clip.
    """
    classifier.check_single_label("the fast gradient sign method")

    def logits(batch: list[np.ndarray]) -> np.ndarray:
        inputs = classifier.inputs(batch)
        fake = fgsm(classifier.model, inputs, epsilon)
        with torch.inference_mode():
            both = torch.stack([classifier.model(**real_or_fake).logits for real_or_fake in (inputs, fake)], dim=1)
            return both.float().cpu().numpy()

    for both in batched_by_length(logits, waveforms, classifier.batch_size):
        yield torch.from_numpy(both).softmax(dim=-1).numpy()
