"""Outline of a waveform of any length, in a fixed amount of memory."""

import numpy as np


class Envelope:
    """Lowest and highest sample of equal stretches of a recording, collected block by block.

    Neighbours are joined when there would be more than `size` stretches, so a long recording has `size / 2` to `size`.

    Args:
        size: Largest number of stretches, an even number.
    """

    def __init__(self, size: int = 4096):
        if size < 2 or size % 2:
            raise ValueError(f"an envelope has an even number of stretches, got {size}")
        self._bounds = np.zeros((2, size), dtype=np.float32)
        self._stretch = 1  # samples
        self._samples = 0

    def add(self, block: np.ndarray) -> None:
        """Add the next float samples (samples,)."""
        size = self._bounds.shape[1]
        while len(block):
            room = size * self._stretch - self._samples
            if room == 0:
                self._bounds[0, : size // 2] = self._bounds[0].reshape(-1, 2).min(axis=1)
                self._bounds[1, : size // 2] = self._bounds[1].reshape(-1, 2).max(axis=1)
                self._stretch *= 2
                continue
            head, block = block[:room], block[room:]
            index = (self._samples + np.arange(len(head))) // self._stretch
            first = int(index[0])
            starts = np.flatnonzero(np.diff(index, prepend=index[0] - 1))
            low, high = np.minimum.reduceat(head, starts), np.maximum.reduceat(head, starts)
            if self._samples % self._stretch:  # the first stretch holds earlier samples
                low[0] = min(low[0], self._bounds[0, first])
                high[0] = max(high[0], self._bounds[1, first])
            self._bounds[:, first : first + len(starts)] = low, high
            self._samples += len(head)

    def outline(self, seconds: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the outline of the samples so far.

        Args:
            seconds: Length that the samples are spread over.

        Returns:
            Seconds at the edges of the stretches (stretches + 1,), and the lowest and highest sample of each, both
            (stretches,).
        """
        count = -(-self._samples // self._stretch)
        edges = np.minimum(np.arange(count + 1) * self._stretch, self._samples) * (seconds / max(self._samples, 1))
        low, high = self._bounds[:, :count].copy()
        return edges, low, high


__all__ = ["Envelope"]
