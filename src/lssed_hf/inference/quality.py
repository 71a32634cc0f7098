"""Notes on recordings that make their labels doubtful: silent, too short, no speech, clipped, long."""

from collections.abc import Iterable, Iterator

import numpy as np

from .voice_activity import silero_gate


#: Seconds of sound, or of speech in it, below which no label means anything. A syllable is about as long.
SHORTEST = 0.1
#: Seconds above which one label for a whole recording hides more than it tells.
LONG = 30.0
OVER_LONG = "over 30 s, see `lssed-hf timeline`"
SILENT, TOO_SHORT, NO_SPEECH, MOSTLY_NO_SPEECH = "silent", "too short", "no speech", "mostly no speech"
UNSURE = "unsure"
#: Default share of a recording that has to be speech.
MIN_SPEECH = 0.25

_QUIETEST = 1e-4  # standard deviation of the samples, -80 dB of full scale
_FULL_SCALE = 0.999
_CLIPPED_SHARE = 0.001


class Listener:
    """Meter of length, level, clipping and speech, which measures a recording block by block in constant memory.

    Args:
        sampling_rate: Sampling rate of the blocks in Hz.
        min_speech: Share of the recording, 0 to 1, below which it is noted as mostly no speech.
    """

    def __init__(self, sampling_rate: int, min_speech: float = MIN_SPEECH):
        self.sampling_rate, self.min_speech = sampling_rate, min_speech
        self.samples = self.speech = 0
        self._clipped, self._total, self._squares = 0, 0.0, 0.0

    def listen(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield float32 blocks (samples,) again, cut differently, and measure them on the way."""
        for block, speech in silero_gate(blocks, self.sampling_rate):
            self.samples += len(block)
            self.speech += int(speech.sum())
            self._clipped += int((np.abs(block) >= _FULL_SCALE).sum())
            self._total += float(block.sum(dtype=np.float64))
            self._squares += float(np.square(block, dtype=np.float64).sum())
            yield block

    @property
    def seconds(self) -> float:
        """Length of the blocks so far, in seconds."""
        return self.samples / self.sampling_rate

    @property
    def notes(self) -> list[str]:
        """Notes on the blocks so far, the gravest first; empty for a recording of speech without faults."""
        if self.seconds < SHORTEST:
            return [TOO_SHORT]
        variance = self._squares / self.samples - (self._total / self.samples) ** 2
        if variance < _QUIETEST**2:
            return [SILENT]
        notes = []
        if self.speech < SHORTEST * self.sampling_rate:
            notes.append(NO_SPEECH)
        elif self.speech < self.min_speech * self.samples:
            notes.append(MOSTLY_NO_SPEECH)
        if self._clipped > _CLIPPED_SHARE * self.samples:
            notes.append("clipped")
        if self.seconds > LONG:
            notes.append(OVER_LONG)
        return notes


def signal_notes(samples: np.ndarray, sampling_rate: int) -> list[str]:
    """Return the notes on a recording, the gravest first.

    Args:
        samples: Waveform, float32 (samples,).
        sampling_rate: Sampling rate of the waveform in Hz.
    """
    listener = Listener(sampling_rate)
    for _ in listener.listen([samples]):
        pass
    return listener.notes


__all__ = [
    "LONG",
    "MIN_SPEECH",
    "MOSTLY_NO_SPEECH",
    "NO_SPEECH",
    "OVER_LONG",
    "SHORTEST",
    "SILENT",
    "TOO_SHORT",
    "UNSURE",
    "Listener",
    "signal_notes",
]
