"""Mixing of the channels of a recording into one, and the full scale of float samples."""

import numpy as np

from .source import AudioError


#: Ways to make one channel out of several.
CHANNELS = ("mix", "left", "right")

_NAMES = ("left", "right")
_SILENT = 1e-4  # deviation of samples in [-1, 1]: 3 steps of 16 bits
_CANCELLED = 0.1  # power of the mix over the mean power of its channels; unrelated channels have 0.5
_FULL_SCALES = (2.0**15, 2.0**23, 2.0**31)  # integers of 16, 24 and 32 bits
_LARGEST_FLOAT = 64.0  # a peak that no recording in [-1, 1] reaches, however loud


class ChannelMixer:
    """Mixer for the blocks of a recording, which also finds silent channels and channels that cancel each other.

    Args:
        channel: One of `CHANNELS`.
        channels: Number of channels of the recording.
        name: Name of the recording for messages.

    Raises:
        ValueError: The way to mix is unknown.
        AudioError: A mono recording has no right channel.
    """

    def __init__(self, channel: str, channels: int, name: str) -> None:
        if channel not in CHANNELS:
            raise ValueError(f"channel={channel!r} is unknown; give one of {', '.join(CHANNELS)}")
        if channel == "right" and channels < 2:
            raise AudioError(f"{name}: is mono, so it has no right channel; use channel='mix' or 'left'")
        self._channel, self._channels = channel, channels
        self._length = 0
        self._sums, self._squares, self._mixed = np.zeros(channels), np.zeros(channels), 0.0

    def mix(self, block: np.ndarray) -> np.ndarray:
        """Mix a block, float32 (samples,) or (samples, channels), into one channel of shape (samples,)."""
        if block.ndim == 1:
            return block
        if self._channels == 1:
            return block[:, 0]
        if self._channel == "mix":
            mono = block.mean(axis=1, dtype=np.float32)
            self._mixed += float(np.dot(mono, mono))
        else:
            mono = np.ascontiguousarray(block[:, _NAMES.index(self._channel)])
        self._length += len(block)
        self._sums += block.sum(axis=0, dtype=np.float64)
        self._squares += np.einsum("ij,ij->j", block, block, dtype=np.float64)
        return mono

    def notes(self, scale: float = 1.0) -> list[str]:
        """Return remarks on channels that are silent or constant, or cancel each other.

        Args:
            scale: Full scale of the samples.
        """
        if self._channels < 2 or not self._length:
            return []
        means = self._sums / self._length / scale
        powers = self._squares / self._length / scale**2
        deviations = np.sqrt(np.maximum(powers - means**2, 0))
        dead = deviations < _SILENT
        if dead.any() and not dead.all() and deviations.max() > 10 * _SILENT:
            heard = range(self._channels) if self._channel == "mix" else [_NAMES.index(self._channel)]
            return [
                f"{_name(index)} is {'constant' if abs(means[index]) > _SILENT else 'silent'} while another is not"
                for index in heard
                if dead[index]
            ]
        mixed = self._mixed / self._length / scale**2
        if self._channel == "mix" and powers.mean() > _SILENT**2 and mixed < _CANCELLED * powers.mean():
            return ["the channels cancel each other when averaged; choose the left or the right one"]
        return []


def full_scale(peak: float, name: str) -> tuple[float, list[str]]:
    """Return the number to divide the samples of a float file by, and a remark if it is not 1.

    Args:
        peak: Largest magnitude of the samples.
        name: Name of the recording for messages.

    Raises:
        AudioError: The samples are larger than any integer format allows.
    """
    if not peak > _LARGEST_FLOAT:
        return 1.0, []
    for scale in _FULL_SCALES:
        if peak <= 2 * scale:  # resampling overshoots
            bits = round(np.log2(scale)) + 1
            return scale, [
                f"float samples in the scale of {bits}-bit integers (peak {peak:.0f}), divided by {scale:.0f}"
            ]
    raise AudioError(f"{name}: float samples of up to {peak:g}; repair the file, samples belong in [-1, 1]")


def _name(index: int) -> str:
    return f"the {_NAMES[index]} channel" if index < len(_NAMES) else f"channel {index + 1}"
