"""Voice activity detection in a stream of samples.

A gate takes blocks of float32 samples (samples,) and their rate. It yields the samples again, cut in its own way, each
block with a bool array (samples,) that is true where there is speech.
"""

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import soxr


#: Function of blocks and their rate that yields (samples, is speech).
Gate = Callable[[Iterable[np.ndarray], int], Iterator[tuple[np.ndarray, np.ndarray]]]

#: Silero's own threshold on the probability of speech.
THRESHOLD = 0.5
_RATE, _FRAME, _CONTEXT = 16000, 512, 64  # Hz, and samples, of Silero VAD
_STATE = (1, 1, 128)


def silero_gate(blocks: Iterable[np.ndarray], sampling_rate: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mark speech with Silero VAD (snakers4/silero-vad, MIT licence), which judges frames of 32 ms.

    A frame is speech where its probability is 0.5 or more. The weights come with the package silero-vad; nothing is
    downloaded. The state of the detector goes on from block to block.

    Args:
        blocks: float32 samples (samples,).
        sampling_rate: Sampling rate in Hz; other rates than 16000 are resampled for the detector only.

    Yields:
        Unchanged samples, and whether each is speech (bool), of equal shape (samples,).

    Raises:
        ImportError: The package silero-vad is not installed.
    """
    session = _silero()
    resampler = soxr.ResampleStream(sampling_rate, _RATE, 1, dtype="float32") if sampling_rate != _RATE else None
    hidden, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
    context = np.zeros(_CONTEXT, np.float32)
    undecided, resampled = np.empty(0, np.float32), np.empty(0, np.float32)  # the same samples, at the two rates
    passed = frames = 0  # samples that were yielded, and frames that were decided on

    def decide(count: int) -> np.ndarray:
        nonlocal hidden, cell, context, resampled
        taken, resampled = resampled[: count * _FRAME], resampled[count * _FRAME :]
        rows = np.pad(taken, (0, count * _FRAME - len(taken))).reshape(count, _FRAME)
        contexts = np.concatenate([context[None], rows[:-1, -_CONTEXT:]])
        context = rows[-1, -_CONTEXT:]
        feed = {"input": np.concatenate([contexts, rows], axis=1), "h": hidden, "c": cell}
        probabilities, hidden, cell = session.run(["speech_probs", "hn", "cn"], feed)
        return np.asarray(probabilities).reshape(-1) >= THRESHOLD

    for block in blocks:
        undecided = np.concatenate([undecided, block])
        resampled = np.concatenate([resampled, block if resampler is None else resampler.resample_chunk(block)])
        if count := len(resampled) // _FRAME:
            speech = decide(count)
            ends = np.rint((frames + 1 + np.arange(count)) * (_FRAME * sampling_rate / _RATE)).astype(int) - passed
            ends = np.minimum(ends, len(undecided))  # a resampler may be ahead by a fraction of a sample
            yield undecided[: ends[-1]], np.repeat(speech, np.diff(ends, prepend=0))
            undecided = undecided[ends[-1] :]
            passed, frames = passed + int(ends[-1]), frames + count
    if resampler is not None:
        resampled = np.concatenate([resampled, resampler.resample_chunk(np.empty(0, np.float32), last=True)])
    if len(undecided):
        speech = decide(max(1, -(-len(resampled) // _FRAME)))
        frame = np.minimum(np.arange(len(undecided)) * _RATE // (sampling_rate * _FRAME), len(speech) - 1)
        yield undecided, speech[frame]


@cache
def _silero() -> onnxruntime.InferenceSession:
    """Open the weights in the package silero_vad, without its code, which imports torch and sets its threads to 1."""
    spec = importlib.util.find_spec("silero_vad")
    if spec is None:
        raise ImportError("voice activity needs silero_vad; run pip install silero-vad")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # several recordings are read at once
    options.log_severity_level = 4
    weights = Path(spec.submodule_search_locations[0], "data", "silero_vad_16k_sequence.onnx")
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


__all__ = ["THRESHOLD", "Gate", "silero_gate"]
