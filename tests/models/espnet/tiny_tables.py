"""A decoder and CTC logits of random tables. Only torch: ESPnet's environment imports it too."""

import torch


class TinyDecoder:
    """An RNN of fixed random weights, started and driven by the mean of the encoder's output."""

    def __init__(self, vocab_size: int, seed: int = 0, sharpness: float = 2.0):
        generator = torch.Generator().manual_seed(seed)

        def table(*shape):
            return sharpness * torch.randn(*shape, generator=generator, dtype=torch.float64)

        width = 6
        self.embedding, self.recurrent = table(vocab_size, width), table(width, width)
        self.context, self.output = table(vocab_size, width), table(width, vocab_size)

    def read(self, tokens: torch.Tensor, mean: torch.Tensor, state: torch.Tensor | None = None) -> torch.Tensor:
        """State (N, width) behind tokens (N, length); `mean` is (N, vocab_size)."""
        if state is None:
            state = torch.tanh(mean @ self.context)
        for token in tokens.unbind(1):
            state = torch.tanh(state @ self.recurrent + self.embedding[token] + mean @ self.context)
        return state

    def log_probs(self, state: torch.Tensor) -> torch.Tensor:
        return (state @ self.output).log_softmax(dim=1)


def random_logits(*shape, seed=0, sharpness=1.5) -> torch.Tensor:
    return sharpness * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
