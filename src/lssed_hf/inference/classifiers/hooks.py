"""Forward hooks that collect embeddings of clips and of their frames."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from ...models.encoders import encoder_of


@contextmanager
def pooled(network: nn.Module, flag: str, instead: str) -> Iterator[list[torch.Tensor]]:
    """Collect the `pooler_output` of every pass through the base model while the block runs.

    Args:
        network: Classifier with a base model.
        flag: Flag that compares embeddings, for the message of an error.
        instead: Flag that works without embeddings, for the same message.

    Raises:
        ValueError: The network has no base model, or one without `pooler_output`.
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

    with base_model.register_forward_hook(collect):
        yield embeddings


@contextmanager
def head_inputs(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the input of a classifier's head, (batch, hidden_size) of every pass, while the block runs.

    The head is `projector` if there is one, like behind the encoders of Whisper and wav2vec 2.0, else `classifier`. An
    input with a time axis is averaged over it.

    Raises:
        ValueError: The network has neither head, or the input is no sequence of vectors.
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

    with heads[0].register_forward_pre_hook(collect):
        yield embeddings


@contextmanager
def frame_states(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect the `last_hidden_state` of every pass through the encoder, (batch, time, size), while the block runs.

    Maps (batch, channels, mel, time) of networks on spectrograms become vectors of channels times mel rows. The number
    of rows is the one that the network pools to, so the mean over time is the embedding of the clip.

    Raises:
        ValueError: The network has no encoder, or its encoder returns no `last_hidden_state`.
    """
    encoder = encoder_of(network)
    if encoder is None:
        raise ValueError(f"{type(network).__name__} has no encoder, whose states would be the frames' embeddings")
    states: list[torch.Tensor] = []

    def collect(module: nn.Module, args: tuple, output: object) -> None:
        state = getattr(output, "last_hidden_state", None)
        if state is None or state.dim() not in (3, 4):
            raise ValueError(f"{type(module).__name__} returns no last_hidden_state over time: leave out --frames")
        if state.dim() == 4:
            rows = getattr(network.config, "num_frequency_rows", state.shape[2])
            state = F.adaptive_avg_pool2d(state, (rows, state.shape[3])).flatten(1, 2).transpose(1, 2)
        states.append(state)

    with encoder.register_forward_hook(collect):
        yield states
