"""Inference with graphs of ONNX that lie beside the weights of a model, without an import of torch or transformers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from .checks import check_finite, count_weights, refusing
from .classifier import Classifier, batched_by_length
from .exported import ExportedClassifier, Network, num_threads, open_network, parse_settings
from .pretrained import is_built_in
from .speaker_statistics import SpeakerStatistics
from .statistics import StatisticsClassifier, temperature_of


#: File of the graph in a model's folder, that of the weights it points to, and the key of its metadata.
GRAPH, WEIGHTS, SETTINGS = "model.onnx", "model.safetensors", "lssed_hf"


class GraphClassifier(ExportedClassifier):
    """Model with a graph of ONNX beside its weights, by ONNX Runtime; see `ExportedClassifier`."""

    def open(self, folder: Path) -> None:
        if not is_built_in(folder):  # whose tests have done it
            check_weights(folder / WEIGHTS)
        self.network, self.num_workers = open_network(folder / GRAPH, "onnx"), num_threads()
        if SETTINGS not in self.network.metadata:
            raise ValueError(f"{folder / GRAPH} is not one that this package writes; ask for engine torch")
        with refusing(folder / GRAPH, "ask for engine torch"):
            self.facts: dict[str, Any] = json.loads(self.network.metadata[SETTINGS])
            self.settings = parse_settings({"format": "onnx", **self.facts})

    def run(self, network: Network, batch: list[np.ndarray]) -> np.ndarray:
        """Return what a network gives, clip by clip: batches are no faster on a CPU, and they need padding."""
        return np.concatenate([super(GraphClassifier, self).run(network, [waveform]) for waveform in batch])

    def try_out(self) -> None:
        if not is_built_in(self.name):
            super().try_out()

    def check_speakers(self) -> None:
        Classifier.check_speakers(self)

    def embeddings(self, waveforms: Iterable[np.ndarray], frames: bool = False) -> Iterator[np.ndarray]:
        if frames:
            raise ValueError(f"{self.name} gives the embeddings of frames by PyTorch only: ask for engine torch")
        embed = partial(self.run, partial(self.network, output="embeddings"))
        yield from batched_by_length(embed, waveforms, self.batch_size, self.num_workers)


class GraphStatisticsClassifier(StatisticsClassifier, GraphClassifier):
    """Model that standardises embeddings, by ONNX Runtime; see `StatisticsClassifier`."""

    _speaker: tuple[np.ndarray, np.ndarray, float] | None = None  # mean, deviation and temperature

    def try_out(self) -> None:
        self.check_head()
        super().try_out()

    @property
    def front_end(self) -> dict[str, Any]:
        return self.facts["front_end"]

    @cached_property
    def _tensors(self) -> dict[str, np.ndarray]:
        from safetensors import safe_open

        names = ("embedding_mean", "embedding_std", "class_means", "within_variance", "speaker_temperature")
        with safe_open(Path(self.name, WEIGHTS), "np") as file:
            return {
                name: file.get_tensor(name).astype(np.float64)
                for name in (*names, "classifier.weight", "classifier.bias")
            }

    def head(self) -> Mapping[str, np.ndarray]:
        return {
            name.removeprefix("embedding_").removeprefix("classifier."): tensor
            for name, tensor in self._tensors.items()
            if name != "speaker_temperature"
        }

    def pooled(self, batch: list[np.ndarray]) -> np.ndarray:
        return self.run(partial(self.network, output="embeddings"), batch)

    @property
    def speaker_temperature(self) -> float:
        return float(self._tensors["speaker_temperature"])

    def standardize_by(self, statistics: SpeakerStatistics) -> None:
        temperature = temperature_of(self.speaker_temperature, statistics.num_clips)
        self._speaker = np.array(statistics.mean), np.array(statistics.std), temperature

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        head = self.head()
        mean, std, temperature = self._speaker or (head["mean"], head["std"], 1.0)
        logits = (self._embeddings(batch) - mean) / std @ head["weight"].T + head["bias"]
        return (logits / temperature).astype(np.float32)


def check_weights(path: Path) -> None:
    """Check that a file of safetensors is whole, and its numbers of floating point finite.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or holds numbers that are not finite.
    """
    from safetensors import safe_open

    count_weights([path])
    with safe_open(path, "np") as file:
        for name in file.keys():  # noqa: SIM118 (no dict)
            if file.get_slice(name).get_dtype() in ("F64", "F32", "F16"):
                check_finite({name: file.get_tensor(name)}, path)


__all__ = ["GRAPH", "SETTINGS", "WEIGHTS", "GraphClassifier", "GraphStatisticsClassifier"]
