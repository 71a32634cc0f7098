"""Inference with graphs of ONNX that lie beside the weights of a model, without an import of torch or transformers."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from .classifier import Classifier, batched_by_length
from .exported import ExportedClassifier, ExportSettings, Network, num_threads, open_network
from .speaker_statistics import SpeakerStatistics
from .statistics import StatisticsClassifier, temperature_of


#: File of the graph in a model's folder, that of the weights it points to, and the key of its metadata.
GRAPH, WEIGHTS, SETTINGS = "model.onnx", "model.safetensors", "lssed_hf"


class GraphClassifier(ExportedClassifier):
    """Model with a graph of ONNX beside its weights, by ONNX Runtime; see `ExportedClassifier`."""

    def open(self, folder: Path) -> None:
        self.network, self.num_workers = open_network(folder / GRAPH, "onnx"), num_threads()
        if SETTINGS not in self.network.metadata:
            raise ValueError(f"{folder / GRAPH} is not one that this package writes; ask for engine torch")
        self.facts: dict[str, Any] = json.loads(self.network.metadata[SETTINGS])
        inputs, min_length, by_length = (self.facts[name] for name in ("inputs", "min_length", "by_length"))
        self.settings = ExportSettings("onnx", tuple(inputs), min_length, by_length)

    def run(self, network: Network, batch: list[np.ndarray]) -> np.ndarray:
        """Return what a network gives, clip by clip: batches are no faster on a CPU, and they need padding."""
        return np.concatenate([super(GraphClassifier, self).run(network, [waveform]) for waveform in batch])

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

    def standardize_by(self, statistics: SpeakerStatistics) -> None:
        temperature = temperature_of(float(self._tensors["speaker_temperature"]), statistics.num_clips)
        self._speaker = np.array(statistics.mean), np.array(statistics.std), temperature

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        head = self.head()
        mean, std, temperature = self._speaker or (head["mean"], head["std"], 1.0)
        logits = (self._embeddings(batch) - mean) / std @ head["weight"].T + head["bias"]
        return (logits / temperature).astype(np.float32)


__all__ = ["GRAPH", "SETTINGS", "WEIGHTS", "GraphClassifier", "GraphStatisticsClassifier"]
