"""What the teachers of a distillation say of training clips: computed once, in parts that outlive a crash."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import torch

from ..audio import load_audio
from ..hub.training_record import start_facts
from ..inference import AudioClassifier, load_classifier
from ..inference.classifiers.classifier import Classifier
from ..inference.classifiers.probe import ProbeClassifier
from ..models.registry import list_models
from ..scan import expand_paths
from .prediction_cache import ask, model_digest


class Teacher:
    """A saved audio classifier, opened only when it is asked something new.

    Args:
        name: a folder or Hub name, whatever `load_classifier` takes.
        trust_remote_code: allow code from there to run.

    Attributes:
        digest: of its files or, on the Hub, of its revision.

    Raises:
        ValueError: a network of the zoo, which has learnt nothing.
        OSError: there is no such classifier.
    """

    def __init__(self, name: str, trust_remote_code: bool = False):
        self.name = name
        self.trust_remote_code = trust_remote_code
        if not os.path.isdir(name) and name in list_models():
            raise ValueError(f"--teacher {name} has random weights: name a folder or Hub name of a trained classifier")
        self.digest = model_digest(name, trust_remote_code)

    def facts(self) -> dict[str, Any]:
        """For `training.json`: `name`, `local` and `corpora` (see `start_facts`), and `digest`."""
        return {**start_facts(self.name), "digest": self.digest}

    def probabilities(
        self, clips: datasets.Dataset, labels: Sequence[str], temperature: float = 1.0, audio_column: str = "audio"
    ) -> np.ndarray:
        """softmax(z / T) of the logits z of each whole clip, float32 (clips, labels).

        Its classes are matched by name, whatever the case; those that `labels` lacks are left out of the softmax.

        Raises:
            ValueError: one of `labels` is none of its classes.
            AudioError, FileNotFoundError: a clip cannot be used; the message names its file.
        """
        rows = self._ask(clips, "logits", audio_column, lambda classifier: self._columns(classifier.labels, labels))
        columns = self._columns(rows[0]["labels"], labels)
        answers = np.stack(rows["answer"])[:, columns].astype(np.float64)
        # What a softmax at T = 1 leaves of the logits is all that another T needs.
        logits = np.log(np.maximum(answers, np.finfo(np.float32).tiny)) / temperature
        return torch.from_numpy(logits).softmax(dim=1).float().numpy()

    def embeddings(self, clips: datasets.Dataset, audio_column: str = "audio") -> np.ndarray:
        """What enters its head (`head_inputs`), or a probe's regression, at each whole clip: (clips, hidden_size).

        Raises:
            ValueError: it has no such embedding.
            AudioError, FileNotFoundError: a clip cannot be used; the message names its file.
        """
        return np.stack(self._ask(clips, "features", audio_column, self._check_network)["answer"])

    def _ask(
        self,
        clips: datasets.Dataset,
        kind: Literal["logits", "features"],
        audio_column: str,
        check: Callable[[Classifier], Any],
    ) -> datasets.Dataset:
        """Rows of `labels` and `answer`, cached by `datasets` shard by shard: under clips, teacher, kind and code."""

        @cache
        def opened() -> Classifier:
            classifier = load_classifier(self.name, trust_remote_code=self.trust_remote_code)
            check(classifier)
            return classifier

        def answer(batch: dict[str, list]) -> dict[str, list]:
            classifier = opened()
            waveforms = (load_audio(clip, classifier.sampling_rate) for clip in batch[audio_column])
            if kind == "logits":
                answers = list(classifier.probabilities(waveforms))
            else:
                answers = list(classifier.embeddings(waveforms))
            return {"answer": answers, "labels": [classifier.labels] * len(answers)}

        features = datasets.Features(
            {
                "answer": datasets.Sequence(datasets.Value("float32")),
                "labels": datasets.Sequence(datasets.Value("string")),
            }
        )
        rows = ask(clips, answer, features, [self.digest, kind], f"Asking {Path(self.name).name}", audio_column)
        return rows.with_format("numpy")

    def _columns(self, classes: Sequence[str], labels: Sequence[str]) -> list[int]:
        """Where `labels` stand among the teacher's classes."""
        numbers = {name.lower(): number for number, name in enumerate(classes)}
        missing = [label for label in labels if label.lower() not in numbers]
        if missing:
            raise ValueError(
                f"the teacher {self.name} does not know {', '.join(missing)}, only {', '.join(classes)}: choose a "
                "configuration with its labels (--dataset_config_name), another teacher, or --distill features"
            )
        return [numbers[label.lower()] for label in labels]

    def _check_network(self, classifier: Classifier) -> None:
        if not isinstance(classifier, (AudioClassifier, ProbeClassifier)):
            raise ValueError(
                f"the teacher {self.name} gives scores and no embeddings: use --distill logits, or name the model "
                "that it was exported from"
            )


def ask_teachers(
    teachers: Sequence[Teacher],
    clips: Sequence[datasets.Dataset],
    distill: Literal["logits", "features"],
    labels: Sequence[str],
    temperature: float,
    audio_column: str = "audio",
) -> list[np.ndarray]:
    """Of each teacher (clips, size) over the rows of all datasets: probabilities, or embeddings with "features".

    Raises:
        ValueError, AudioError, FileNotFoundError: see `Teacher`.
    """
    return [
        np.concatenate(
            [
                teacher.probabilities(rows, labels, temperature, audio_column)
                if distill == "logits"
                else teacher.embeddings(rows, audio_column)
                for rows in clips
            ]
        )
        for teacher in teachers
    ]


def unlabelled_clips(
    folders: Sequence[str], labels: Sequence[str], audio_column: str = "audio", label_column: str = "emotion"
) -> datasets.Dataset:
    """Rows of all audio files below folders, whose label is -1.

    Raises:
        FileNotFoundError: a folder holds no audio file, or there is no such file.
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
