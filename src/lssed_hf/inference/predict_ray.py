"""Prediction on a Ray cluster (`lssed-hf predict --engine ray`) by a pool of actors that hold the model.

The actors are plain ones. `ray.data.map_batches` would by default repeat a batch without end if one of its files
crashes the decoder, and cannot name the missing files when it gives up.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from ..ray_cluster import RETRIES, fetch_result, ray_cluster, work_off
from .classifiers.classifier import Classifier
from .classifiers.loading import load_speaker_classifier
from .predict import Prediction, predict_files


class ModelWorker:
    """Class of the actors. An actor loads the model on first use, so once more after a restart.

    Args:
        model: Arguments of `load_classifier`: folder or Hub name, batch size, device, trust_remote_code.
        folder: Folder that relative paths start from.
        num_threads: Number of threads of torch.
        speaker: File of speakers and name, see `load_speaker_classifier`.
        settings: Keyword arguments of `predict_files`.
    """

    def __init__(
        self,
        model: tuple,
        folder: Path,
        num_threads: int,
        speaker: tuple[Path | None, str | None] = (None, None),
        settings: Mapping[str, Any] | None = None,
    ):
        self.model, self.folder, self.num_threads, self.speaker = model, folder, num_threads, speaker
        self.settings = settings or {}
        self._classifier = None

    def classifier(self) -> Classifier:
        if self._classifier is None:
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise OSError(
                    f"{self.folder} is not there on {socket.gethostname()} ({error.strerror}); start the command in a "
                    "folder that all machines of the cluster share"
                ) from error
            torch.set_num_threads(self.num_threads)
            self._classifier = load_speaker_classifier(self.model, self.speaker)
        return self._classifier

    def labels(self) -> list[str]:
        return self.classifier().labels

    def predict(self, batch: tuple[int, Sequence[tuple[Path, bool]]]) -> list[Prediction]:
        """Return the predictions for a batch.

        Args:
            batch: Number of the batch, and its paths, each with whether the caller sees a file there.

        Raises:
            FileNotFoundError: The caller sees a file that is not there on this machine.
        """
        classifier = self.classifier()  # first, because it changes to the folder of relative paths
        _, paths = batch
        for path, seen in paths:
            if seen and not path.is_file():
                raise FileNotFoundError(
                    f"{path} is not there on {socket.gethostname()}; the files must lie on storage that all machines "
                    "of the cluster share"
                )
        return list(predict_files(classifier, [path for path, _ in paths], **self.settings))


@contextmanager
def predict_on_ray(
    paths: Sequence[Path],
    model: tuple[str | None, int, str | None, bool],
    speaker: tuple[Path | None, str | None],
    settings: Mapping[str, Any],
    *,
    address: str | None,
    num_proc: int | None,
    cpus_per_proc: int,
) -> Iterator[tuple[list[str], Iterator[Prediction]]]:
    """Classify recordings on a Ray cluster, with the predictions of `predict_files` in the same order.

    Args:
        paths: Recordings, on storage that all machines share.
        model: Arguments of `load_classifier`: folder or Hub name, batch size, device, trust_remote_code. The device is
            `cpu`, or `cuda` for an actor per GPU (the default if the cluster has any).
        speaker: File of speakers and name, see `load_speaker_classifier`. The file is on the shared storage.
        settings: Keyword arguments of `predict_files`.
        address: Address of the cluster, see `ray_cluster`.
        num_proc: Number of actors, by default as many as there is room for.
        cpus_per_proc: CPUs of each actor, and threads of torch.

    Yields:
        Class names, and an iterator over the predictions.

    Raises:
        ValueError: The device is neither `cpu` nor `cuda`.
        OSError: The cluster has no room for the model, or a batch was given up because its workers kept dying.
    """
    name, batch_size, device, trust_remote_code = model
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"--device {device!r}: with engine ray it is cpu or cuda, and Ray chooses the GPU")
    with ray_cluster(address, num_proc and num_proc * cpus_per_proc) as ray:
        device = device or ("cuda" if ray.cluster_resources().get("GPU") else "cpu")
        num_gpus = int(device == "cuda")
        count = num_proc or _room(ray, cpus_per_proc, num_gpus)
        # Restarts have no limit, because machines come and go. Retries of a batch have one.
        actor_class = ray.remote(num_cpus=cpus_per_proc, num_gpus=num_gpus, max_restarts=-1, max_task_retries=RETRIES)(
            ModelWorker
        )
        arguments = ((name, batch_size, device, trust_remote_code), Path.cwd(), cpus_per_proc, speaker, settings)
        actors = [actor_class.remote(*arguments) for _ in range(min(count, -(-len(paths) // batch_size)))]
        slots = {actor.labels.remote(): actor.predict for actor in actors}
        del actors  # the slots hold the last references
        [first], _ = ray.wait(list(slots), num_returns=1)
        labels = fetch_result(ray, first, f"loading {name or 'the default model'}")
        yield labels, _in_order(ray, slots, paths, batch_size)


def _in_order(ray: ModuleType, slots: dict, paths: Sequence[Path], batch_size: int) -> Iterator[Prediction]:
    firsts = range(0, len(paths), batch_size)
    batches = ((first, [(path, path.is_file()) for path in paths[first : first + batch_size]]) for first in firsts)
    finished, following = {}, 0
    for (first, _), predictions in work_off(ray, slots, batches, _describe):
        finished[first] = predictions
        while following in finished:
            yield from finished.pop(following)
            following += batch_size


def _describe(batch: tuple[int, Sequence[tuple[Path, bool]]]) -> str:
    paths = [str(path) for path, _ in batch[1]]
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _room(ray: ModuleType, num_cpus: int, num_gpus: int) -> int:
    """Return the number of actors of that size that the machines of the cluster can hold."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    count = sum(
        int(min(node.get("CPU", 0) // num_cpus, node.get("GPU", 0) // num_gpus if num_gpus else float("inf")))
        for node in nodes
    )
    if not count:
        raise OSError(
            f"no machine of the Ray cluster has {num_cpus} CPUs and {num_gpus} GPUs; choose another --cpus_per_proc "
            "or --device, or give --num_proc to wait for machines that are going to join"
        )
    return count
