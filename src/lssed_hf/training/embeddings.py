"""What networks have in common that their heads do not: the embedding of a clip, caught on its way."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def pooled(network: nn.Module, flag: str, instead: str) -> Iterator[list[torch.Tensor]]:
    """Collects the `pooler_output` of every pass through the base model while the block runs.

    Args:
        network: a classifier.
        flag: what compares embeddings, for the message of an error.
        instead: what does without.

    Raises:
        ValueError: it has no base model, or one without `pooler_output`.
    """
    base_model = getattr(network, "base_model", network)
    if base_model is network:
        raise ValueError(
            f"{type(network).__name__} has no base model, whose pooled embeddings {flag} compares; use {instead}"
        )
    embeddings: list[torch.Tensor] = []

    def collect(module: nn.Module, args: tuple, output: object) -> None:
        embedding = getattr(output, "pooler_output", None)
        if embedding is None:
            raise ValueError(
                f"{type(module).__name__} returns no pooler_output, the embedding that {flag} compares; use {instead}"
            )
        embeddings.append(embedding)

    handle = base_model.register_forward_hook(collect)
    try:
        yield embeddings
    finally:
        handle.remove()


@contextmanager
def head_inputs(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects what enters a classifier's head, (batch, hidden_size) of every pass, while the block runs.

    The head is `projector`, where there is one, as behind the encoders of Whisper and wav2vec 2.0, else `classifier`.
    What still has a time axis is averaged over it.

    Raises:
        ValueError: there is neither, or its input is no sequence of vectors.
    """
    heads = [getattr(network, name, None) for name in ("projector", "classifier")]
    heads = [head for head in heads if isinstance(head, nn.Module)]
    if not heads:
        raise ValueError(
            f"{type(network).__name__} has neither a projector nor a classifier, whose input would be its embedding"
        )
    embeddings: list[torch.Tensor] = []

    def collect(module: nn.Module, args: tuple) -> None:
        hidden = args[0]
        if hidden.dim() not in (2, 3):
            raise ValueError(
                f"what enters the head of {type(network).__name__} has shape {tuple(hidden.shape)}; an embedding has "
                "(batch, hidden_size) or (batch, time, hidden_size)"
            )
        embeddings.append(hidden if hidden.dim() == 2 else hidden.mean(dim=1))

    handle = heads[0].register_forward_pre_hook(collect)
    try:
        yield embeddings
    finally:
        handle.remove()
