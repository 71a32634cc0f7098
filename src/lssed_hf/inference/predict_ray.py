"""Prediction on a Ray cluster (`lssed-hf predict --engine ray`) by a pool of actors that hold the model.

The actors are plain ones. `ray.data.map_batches` would by default repeat a batch without end if one of its files
crashes the decoder, and cannot name the missing files when it gives up.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..ray_cluster import NoMachineError, count_places, ray_cluster, work_off
from .classifiers.classifier import Classifier
from .classifiers.loading import load_speaker_classifier
from .classifiers.outputs import Outputs
from .predict import Prediction, predict_files


class ModelWorker:
    """Class of the actors. An actor loads the model on first use.

    Args:
        model: Arguments of `load_classifier`: folder or Hub name, batch size, device, trust_remote_code.
        folder: Folder that relative paths start from.
        num_threads: Number of threads of the network.
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
            os.environ["OMP_NUM_THREADS"] = str(self.num_threads)  # torch is not imported yet, and perhaps never
            self._classifier = load_speaker_classifier(self.model, self.speaker)
        return self._classifier

    def outputs(self) -> Outputs:
        return self.classifier().outputs

    def predict(self, paths: Sequence[tuple[Path, bool]]) -> list[Prediction]:
        """Return the predictions for a batch.

        Args:
            paths: Paths, each with whether the caller sees a file there.

        Raises:
            FileNotFoundError: The caller sees a file that is not there on this machine.
        """
        classifier = self.classifier()  # first, because it changes to the folder of relative paths
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
) -> Iterator[tuple[Outputs, Iterator[Prediction]]]:
    """Classify recordings on a Ray cluster, with the predictions of `predict_files` in the same order.

    A file whose reading kills every worker has a prediction with an error. If the last machine is gone, so have the
    files that are not finished.

    Args:
        paths: Recordings, on storage that all machines share.
        model: Arguments of `load_classifier`: folder or Hub name, batch size, device, trust_remote_code. The device is
            `cpu`, or `cuda` for an actor per GPU (the default if the cluster has any).
        speaker: File of speakers and name, see `load_speaker_classifier`. The file is on the shared storage.
        settings: Keyword arguments of `predict_files`.
        address: Address of the cluster, see `ray_cluster`.
        num_proc: Number of actors, by default as many as there is room for.
        cpus_per_proc: CPUs of each actor, and threads of the network.

    Yields:
        Outputs of the model, and an iterator over the predictions.

    Raises:
        ValueError: The device is neither `cpu` nor `cuda`, or see `Outputs.check_confidence`.
        OSError: The cluster has no room for the model, or the workers kept dying while they loaded it.
    """
    name, batch_size, device, trust_remote_code = model
    if device not in (None, "cpu", "cuda"):
        raise ValueError(f"--device {device!r}: with engine ray it is cpu or cuda, and Ray chooses the GPU")
    with ray_cluster(address, num_proc and num_proc * cpus_per_proc) as ray:
        device = device or ("cuda" if ray.cluster_resources().get("GPU") else "cpu")
        num_gpus = int(device == "cuda")
        if not (count := num_proc or count_places(ray, cpus_per_proc, num_gpus)):
            raise OSError(
                f"no machine of the Ray cluster has {cpus_per_proc} CPUs and {num_gpus} GPUs; choose another "
                "--cpus_per_proc or --device, or give --num_proc to wait for machines that are going to join"
            )
        actor_class = ray.remote(num_cpus=cpus_per_proc, num_gpus=num_gpus)(ModelWorker)
        arguments = ((name, batch_size, device, trust_remote_code), Path.cwd(), cpus_per_proc, speaker, settings)

        def start() -> tuple[Any, Callable[[range], Any]]:
            actor = actor_class.remote(*arguments)
            return actor.outputs.remote(), lambda batch: actor.predict.remote(
                [(paths[number], paths[number].is_file()) for number in batch]
            )

        def describe(batch: range | None) -> str:
            if batch is None:
                return f"loading {name or 'the default model'}"
            named = ", ".join(str(paths[number]) for number in batch[:3])
            return f"{named} and {len(batch) - 3} more" if len(batch) > 3 else named

        numbers = range(len(paths))
        batches = deque(numbers[first : first + batch_size] for first in numbers[::batch_size])
        num_workers = min(count, len(batches))
        results = work_off(ray, start, num_workers, batches, describe, cpus_per_proc, num_gpus)
        _, outputs = next(results)
        outputs.check_confidence(settings.get("min_confidence", 0.0))
        yield outputs, _in_order(results, batches, paths)


def _in_order(
    results: Iterator[tuple[range | None, Any]], batches: deque[range], paths: Sequence[Path]
) -> Iterator[Prediction]:
    """Yield the predictions in the order of the paths.

    Args:
        results: Batches with their predictions, or with an error, see `work_off`.
        batches: Queue of `results`. A batch that killed its workers goes there once more, file by file.
        paths: Recordings.
    """
    finished: dict[int, tuple[int, list[Prediction]]] = {}  # first of a batch -> first of the next, predictions
    following = 0
    try:
        for batch, predictions in results:
            if batch is None:
                continue
            if isinstance(predictions, OSError):
                if len(batch) > 1:
                    batches.extend(batch[number : number + 1] for number in range(len(batch)))
                    continue
                predictions = [Prediction(str(paths[batch.start]), error=str(predictions))]
            finished[batch.start] = batch.stop, predictions
            while following in finished:
                following, predictions = finished.pop(following)
                yield from predictions
    except NoMachineError as error:  # keep what is finished
        while following < len(paths):
            unfinished = following + 1, [Prediction(str(paths[following]), error=f"{paths[following]}: {error}")]
            following, predictions = finished.pop(following, unfinished)
            yield from predictions
