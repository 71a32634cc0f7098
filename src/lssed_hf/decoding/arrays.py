"""Decoded sound: arrays, and the decoders of torchcodec that `datasets` hands out."""

from collections.abc import Iterator, Mapping

import numpy as np

from .source import AudioError, part_bounds


class ArraySound:
    """Sound of a row that holds samples.

    Args:
        name: Name of the row for messages.
        row: `{"array", "sampling_rate"}`, or a torchcodec `AudioDecoder`.
    """

    def __init__(self, name: str, row) -> None:
        self.name, self.notes = name, []
        if isinstance(row, Mapping):
            samples, self.sampling_rate = np.asarray(row["array"]), row["sampling_rate"]
            if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:  # (channels, samples), as torch keeps audio
                samples = samples.T
        else:
            decoded = row.get_all_samples()
            samples, self.sampling_rate = decoded.data.numpy().T, decoded.sample_rate
        if samples.dtype in (np.int16, np.int32):
            samples = samples.astype(np.float32) / -float(np.iinfo(samples.dtype).min)
            self.is_float = False
        elif np.issubdtype(samples.dtype, np.floating):
            self.is_float = True
        else:
            raise AudioError(f"{name}: samples of type {samples.dtype}; give floats in [-1, 1], or int16 or int32 PCM")
        self._samples = samples.astype(np.float32, copy=False)
        self.channels = 1 if samples.ndim == 1 else samples.shape[1]

    def whole_length(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def blocks(self, size: int, start: float | None = None, end: float | None = None) -> Iterator[np.ndarray]:
        """Yield a part, or all without a start, in one block: float32 (samples,) or (samples, channels)."""
        first, last = part_bounds(len(self._samples), self.sampling_rate, start, end, self.name)
        if first < last:
            yield self._samples[first:last]
