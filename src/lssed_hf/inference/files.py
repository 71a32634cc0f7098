"""Files to class probabilities. Whatever cannot be read is listed with its reason and stops nothing."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ..audio import load_audio
from .base import Classifier


_DECODERS = 2  # threads
_AHEAD = 8  # files


@dataclass(frozen=True)
class Prediction:
    """One file's class probabilities (num_labels,), or the reason why there are none."""

    path: Path
    probabilities: np.ndarray | None = None
    error: str | None = None


def predict_files(classifier: Classifier, paths: Iterable[Path]) -> Iterator[Prediction]:
    """Classify files, in order; a file that cannot be read gives its reason instead."""
    waiting: deque[Prediction] = deque()

    def waveforms() -> Iterator[np.ndarray]:
        for path, waveform, error in _decode(paths, classifier.sampling_rate):
            waiting.append(Prediction(path, error=error))
            if waveform is not None:
                yield waveform

    for probabilities in classifier.probabilities(waveforms()):
        while waiting[0].error:
            yield waiting.popleft()
        yield Prediction(waiting.popleft().path, probabilities)
    yield from waiting


def _decode(paths: Iterable[Path], sampling_rate: int) -> Iterator[tuple[Path, np.ndarray | None, str | None]]:
    """Waveforms or what is wrong with them, in order. A few files are read ahead, while the network is at work."""

    def load(path: Path) -> tuple[Path, np.ndarray | None, str | None]:
        try:
            return path, load_audio(path, sampling_rate), None
        except (OSError, ValueError) as error:
            return path, None, str(error)

    paths = iter(paths)
    with ThreadPoolExecutor(_DECODERS) as pool:
        ahead = deque(pool.submit(load, path) for path in islice(paths, _AHEAD))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(load, path) for path in islice(paths, 1))
