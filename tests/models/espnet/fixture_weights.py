"""Weights for the parity fixtures, made from nothing but their names and shapes, so that none have to be kept in git.

Used by the tests and by `tests/espnet_parity/oracle.py`, which runs beside ESPnet without this package.
"""

import zlib

import numpy as np


def make_weights(shapes: dict[str, list[int]], mel_filters: np.ndarray) -> dict[str, np.ndarray]:
    """A state dict of ESPnet as numpy arrays; `mel_filters` (frequencies, num_mel_bins) are its only fixed ones."""
    return {
        name: mel_filters if name == "frontend.logmel.melmat" else _tensor(name, tuple(shape))
        for name, shape in shapes.items()
    }


def _tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
    # RandomState's stream is frozen, other than that of default_rng.
    draws = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(100, dtype=np.int64)
    if name == "normalize.mean":
        return draws.normal(-5, 1, shape).astype(np.float32)
    if name == "normalize.std":
        return draws.uniform(2, 4, shape).astype(np.float32)
    if name.endswith("running_var"):
        return draws.uniform(0.5, 1.5, shape).astype(np.float32)
    values = draws.normal(0, 1, shape)
    if len(shape) > 1:
        # Sharp enough outputs that no two hypotheses of a search score alike.
        gain = 3.0 if name.startswith(("decoder.output_layer", "ctc.")) else 1.5
        values *= gain / np.sqrt(np.prod(shape[1:]))
    else:
        values = 0.2 * values + (name.endswith("weight") and 1.0)
    if name == "decoder.output_layer.bias":
        values[-1] += 2.5  # some hypotheses should end
    return values.astype(np.float32)
