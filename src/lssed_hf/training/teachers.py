"""Teachers of a distillation: their predictions for training clips, computed once and cached."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import torch

from ..audio import load_audio
from ..hub.training_record import start_facts
from ..inference import AudioClassifier, load_classifier
from ..inference.classifiers.classifier import NO_SCORES, Classifier
from ..inference.classifiers.pretrained import list_pretrained
from ..inference.classifiers.probe import ProbeClassifier
from ..inference.classifiers.statistics import StatisticsClassifier
from ..inference.speaker_normalization import standardize_by_speaker
from ..labels import label_numbers
from ..models.registry import list_models
from ..scan import expand_paths
from .arrays import column_array
from .prediction_cache import cached_predictions, model_digest


_PURPOSE = "--distill logits"


class Teacher:
    """Saved audio classifier, opened only for predictions that are not cached.

    Args:
        name: Folder or Hub name, as `load_classifier` takes it.
        trust_remote_code: Whether code from there may run.

    Attributes:
        digest: Digest of its files or, on the Hub, of its revision.

    Raises:
        ValueError: The name is that of a network of the zoo, which has learnt nothing.
        OSError: There is no such classifier.
    """

    def __init__(self, name: str, trust_remote_code: bool = False):
        self.name = name
        self.trust_remote_code = trust_remote_code
        if not os.path.isdir(name) and name in list_models() and name not in list_pretrained():
            raise ValueError(f"--teacher {name} has random weights: name a folder or Hub name of a trained classifier")
        self.digest = model_digest(name, trust_remote_code)

    def facts(self) -> dict[str, Any]:
        """Return `name`, `local` and `corpora` (see `start_facts`) and `digest`, for `training.json`."""
        return {**start_facts(self.name), "digest": self.digest}

    def probabilities(
        self,
        clips: datasets.Dataset,
        labels: Sequence[str],
        temperature: float = 1.0,
        audio_column: str = "audio",
        speakers: Mapping[str, Sequence[int]] | None = None,
    ) -> np.ndarray:
        """Return softmax(z / T) of the logits z of each whole clip, float32 (clips, labels).

        The teacher's classes are matched by name, whatever the case. Classes that `labels` lacks are left out of the
        softmax.

        Args:
            clips: Dataset with an audio column.
            labels: Classes of the result.
            temperature: T.
            audio_column: Name of the column with the audio.
            speakers: Numbers of the clips of each speaker. A teacher that standardises its embeddings does so by all
                clips of the speaker. Default: every clip is judged on its own.

        Raises:
            ValueError: One of `labels` is not a class of the teacher.
            AudioError, FileNotFoundError: A clip cannot be used. The message names its file.
        """
        if speakers and isinstance(self._classifier, StatisticsClassifier):
            self._classifier.check_single_label(_PURPOSE)
            logits = self._logits_by_speaker(clips, labels, audio_column, speakers) / temperature
            return torch.from_numpy(logits).softmax(dim=1).float().numpy()
        rows = self._predictions(
            clips, "logits", audio_column, lambda classifier: self._columns(classifier.labels, labels)
        )
        columns = self._columns(rows[0]["labels"], labels)
        probabilities = column_array(rows, "prediction")[:, columns].astype(np.float64)
        # What a softmax at T = 1 leaves of the logits is all that another T needs.
        logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)) / temperature
        return torch.from_numpy(logits).softmax(dim=1).float().numpy()

    def embeddings(self, clips: datasets.Dataset, audio_column: str = "audio") -> np.ndarray:
        """Return the input of the teacher's head (`head_inputs`) or regression at each whole clip, (clips, size).

        Raises:
            ValueError: The teacher has no such embedding.
            AudioError, FileNotFoundError: A clip cannot be used. The message names its file.
        """
        return column_array(self._predictions(clips, "features", audio_column, self._check_network), "prediction")

    def _logits_by_speaker(
        self, clips: datasets.Dataset, labels: Sequence[str], audio_column: str, speakers: Mapping[str, Sequence[int]]
    ) -> np.ndarray:
        columns = self._columns(self._classifier.labels, labels)
        head = self._classifier.head()
        mean, std = head.pop("mean"), head.pop("std")
        # Teachers with one encoder share its embeddings, as those of an experiment that leaves corpora out do.
        key = self._classifier.encoder_digest
        found = self._predictions(clips, "features", audio_column, self._check_network, key)
        embeddings = (column_array(found, "prediction") - mean) / std
        embeddings = standardize_by_speaker(embeddings, speakers.values(), **head)
        return (embeddings @ head["weight"].T + head["bias"])[:, columns]

    @cached_property
    def _classifier(self) -> Classifier:
        return load_classifier(self.name, trust_remote_code=self.trust_remote_code)

    def _predictions(
        self,
        clips: datasets.Dataset,
        kind: Literal["logits", "features"],
        audio_column: str,
        check: Callable[[Classifier], Any],
        digest: str | None = None,
    ) -> datasets.Dataset:
        """Return rows of `prediction` and `labels`. The classifier passes `check` before it predicts anything.

        They are cached by a digest of the classifier, or by another one.
        """

        def predict(batch: dict[str, list]) -> dict[str, list]:
            classifier = self._classifier
            check(classifier)
            if kind == "logits":
                classifier.check_single_label(_PURPOSE)
            waveforms = (load_audio(clip, classifier.sampling_rate) for clip in batch[audio_column])
            found = list(classifier.probabilities(waveforms) if kind == "logits" else classifier.embeddings(waveforms))
            for clip, row in zip(batch[audio_column], found, strict=True):
                if not np.isfinite(row).all():
                    raise ValueError(f"{clip['path'] or 'a clip'}: {NO_SCORES} (the teacher {self.name})")
            return {"prediction": found, "labels": [classifier.labels] * len(found)}

        features = datasets.Features(
            {
                "prediction": datasets.Sequence(datasets.Value("float32")),
                "labels": datasets.Sequence(datasets.Value("string")),
            }
        )
        title = f"Asking {Path(self.name).name}"
        return cached_predictions(clips, predict, features, [digest or self.digest, kind], title, audio_column)

    def _columns(self, classes: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Return the number of each of `labels` among the teacher's classes."""
        numbers = label_numbers(labels, classes)
        if missing := [label for label, number in zip(labels, numbers) if number < 0]:
            raise ValueError(
                f"the teacher {self.name} does not know {', '.join(missing)}, only {', '.join(classes)}: choose a "
                "configuration with its labels (--dataset_config_name), another teacher, or --distill features"
            )
        return numbers

    def _check_network(self, classifier: Classifier) -> None:
        if not isinstance(classifier, (AudioClassifier, ProbeClassifier)):
            raise ValueError(
                f"the teacher {self.name} gives scores and no embeddings: use --distill logits, or name the model "
                "that it was exported from"
            )


def predict_with_teachers(
    teachers: Sequence[Teacher],
    clips: Sequence[datasets.Dataset],
    distill: Literal["logits", "features"],
    labels: Sequence[str],
    temperature: float,
    audio_column: str = "audio",
    speakers: Mapping[str, Sequence[int]] | None = None,
) -> list[np.ndarray]:
    """Return the predictions of each teacher, (clips, size), for the rows of all datasets one behind the other.

    Args:
        teachers: Teachers of a distillation.
        clips: Datasets with an audio column.
        distill: Kind of prediction: "logits" for probabilities, "features" for embeddings.
        labels: Classes of the probabilities.
        temperature: Temperature of the probabilities.
        audio_column: Name of the column with the audio.
        speakers: Numbers of the rows of each speaker in the first dataset, see `Teacher.probabilities`.

    Raises:
        ValueError, AudioError, FileNotFoundError: See `Teacher`.
    """

    def predict(teacher: Teacher, number: int) -> np.ndarray:
        if distill == "features":
            return teacher.embeddings(clips[number], audio_column)
        known = None if number else speakers
        return teacher.probabilities(clips[number], labels, temperature, audio_column, known)

    return [np.concatenate([predict(teacher, number) for number in range(len(clips))]) for teacher in teachers]


def unlabelled_clips(
    folders: Sequence[str], labels: Sequence[str], audio_column: str = "audio", label_column: str = "emotion"
) -> datasets.Dataset:
    """Return the audio files below folders as rows whose label is -1.

    Args:
        folders: Folders that are searched for audio files.
        labels: Classes of the label column.
        audio_column: Name of the column with the audio.
        label_column: Name of the column with the label.

    Raises:
        FileNotFoundError: A folder is missing or holds no audio file.
    """
    paths = expand_paths([Path(os.path.abspath(folder)) for folder in folders])
    features = datasets.Features(
        {audio_column: datasets.Value("string"), label_column: datasets.ClassLabel(names=list(labels))}
    )
    # Sizes and times make files that change another dataset.
    stamps = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    return datasets.Dataset.from_generator(
        _unlabelled_rows,
        features=features,
        gen_kwargs={"columns": (audio_column, label_column), "files": tuple(stamps)},
    )


def _unlabelled_rows(columns: tuple[str, str], files: tuple):
    for path, _, _ in files:
        yield dict(zip(columns, (path, -1)))
