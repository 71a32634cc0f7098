"""Training of the classical peers: openSMILE's functionals, standardised, and a linear support vector machine."""

import hashlib
import inspect
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
from sklearn.metrics import recall_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from .. import audio
from ..audio import load_audio
from ..inference import classical
from ..inference.classical import CLASSICAL, FunctionalsExtractor, LinearSVM, save_svm
from .arguments import DataArguments, ModelArguments, RecipeArguments


logger = logging.getLogger(__name__)

#: Values of C that are tried.
COMPLEXITIES = tuple(10.0**exponent for exponent in range(-6, 1))
#: Flags that change a network, or its loss: there is none.
_OF_NETWORKS = (
    *("probe", "config_overrides", "feature_extractor_overrides", "freeze_feature_encoder", "num_trainable_stages"),
    *("teacher", "unlabelled_dir", "adversarial_test", "adversarial", "perturbed_copies", "speaker_normalization"),
)
_NEVER = -1e3  # of a class without training clips: an answer that is never given, and finite


@dataclass
class SVMSettings:
    """What `training.json` says in place of a network's recipe."""

    feature_set: str
    complexity: float
    seed: int


def train_classical(
    data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, dataset: datasets.DatasetDict
) -> tuple[int, SVMSettings]:
    """Fit a support vector machine on the training split, with the C of the best UA on the validation split.

    The model that is kept has learnt from the training split alone, as the networks have. Of `args`, only `seed` and
    `output_dir` count. The folder gets what `save_svm` writes, `train_results.json` and `eval_results.json`.

    Args:
        dataset: with encoded labels, and a validation split.

    Returns:
        The number of parameters (weights and biases), and the settings.

    Raises:
        ValueError: a flag that is for networks, or training clips of one class alone.
        ImportError: the package opensmile is not installed.
    """
    name = model_args.model_name_or_path
    for group in (model_args, args):
        for flag in _OF_NETWORKS:
            value = getattr(group, flag, None)
            if value not in (None, False, 0, "none"):
                raise ValueError(f"--{flag} is for networks, and {name} is none: leave it out")
    start = time.perf_counter()
    feature_set, label_column = CLASSICAL[name], data_args.label_column_name
    rows = [dataset[split] for split in (data_args.train_split_name, data_args.validation_split_name)]
    functionals = [
        compute_functionals(part, feature_set, data_args.audio_column_name, data_args.preprocessing_num_workers)
        for part in rows
    ]
    references = [np.asarray(part[label_column]) for part in rows]
    labels = rows[0].features[label_column].names
    scaler = StandardScaler().fit(functionals[0])
    inputs = [scaler.transform(values) for values in functionals]
    weight, bias, complexity, scores = fit_svm(
        inputs[0], references[0], inputs[1], references[1], len(labels), args.seed
    )
    statistics = (scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32))
    svm = LinearSVM(feature_set, labels, complexity, "none", weight, bias, *statistics)
    logger.info(
        f"{len(references[0])} training and {len(references[1])} validation clips; validation UA by C: "
        + ", ".join(f"{C:g} {score:.3f}" for C, score in scores.items())
    )
    save_svm(svm, args.output_dir)
    results = {
        "train": {"train_runtime": time.perf_counter() - start, "train_samples": len(references[0])},
        "eval": {"eval_unweighted_accuracy": scores[complexity], "eval_samples": len(references[1])},
    }
    for part, facts in results.items():
        path = Path(args.output_dir, f"{part}_results.json")
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return svm.num_parameters, SVMSettings(feature_set, complexity, args.seed)


def compute_functionals(
    dataset: datasets.Dataset, feature_set: str, audio_column: str = "audio", num_proc: int | None = None
) -> np.ndarray:
    """float32 (num_clips, num_functionals) of a dataset with an audio column.

    `datasets` caches them under the audio, the feature set, openSMILE's version and the code that computes them.

    Raises:
        AudioError, FileNotFoundError: a clip cannot be used; the message names its file.
        ImportError: the package opensmile is not installed.
    """
    FunctionalsExtractor(feature_set)  # where opensmile is missing, it says so
    import opensmile

    rows = dataset.select_columns([audio_column]).cast_column(audio_column, datasets.Audio(decode=False))
    code = "".join(map(inspect.getsource, (audio, FunctionalsExtractor, classical.open_smile)))
    computed = rows.map(
        _functionals_of_row,
        fn_kwargs={
            "audio_column": audio_column,
            "feature_set": feature_set,
            "code": hashlib.sha256((code + opensmile.__version__).encode()).hexdigest(),
        },
        remove_columns=[audio_column],
        features=datasets.Features({"functionals": datasets.Sequence(datasets.Value("float32"))}),
        num_proc=num_proc,
        writer_batch_size=100,
        desc=f"Computing {feature_set}",
    )
    return np.stack(computed.with_format("numpy")["functionals"][:])


def _functionals_of_row(row: dict, audio_column: str, feature_set: str, code: str) -> dict:
    extractor = FunctionalsExtractor(feature_set)
    return {"functionals": extractor.extract(load_audio(row[audio_column], extractor.sampling_rate))}


def fit_svm(
    train: np.ndarray,
    train_labels: np.ndarray,
    validation: np.ndarray,
    validation_labels: np.ndarray,
    num_labels: int,
    seed: int = 0,
    complexities: Sequence[float] = COMPLEXITIES,
) -> tuple[np.ndarray, np.ndarray, float, dict[float, float]]:
    """A linear support vector machine, one class against the rest, errors weighted by inverse class frequency.

    Args:
        train, validation: standardised (num_clips, num_functionals).
        train_labels, validation_labels: (num_clips,), class numbers.
        complexities: values of C; that of the best UA on `validation` is taken, the smallest of equals.

    Returns:
        float32 weight (num_labels, num_functionals) and bias (num_labels,), the C, and the validation UA of each C.

    Raises:
        ValueError: training clips of one class alone.
    """
    if len(np.unique(train_labels)) < 2:
        raise ValueError("all training clips have one label: a support vector machine needs two")
    found, scores = {}, {}
    for complexity in sorted(complexities):
        svm = LinearSVC(C=complexity, class_weight="balanced", dual="auto", random_state=seed, max_iter=10_000)
        svm.fit(train, train_labels)
        scores[complexity] = recall_score(
            validation_labels, svm.predict(validation), average="macro", labels=np.unique(validation_labels)
        )
        found[complexity] = svm
    best = max(scores, key=scores.get)  # the first of equals
    svm = found[best]
    weight, bias = np.zeros((num_labels, train.shape[1]), np.float32), np.full(num_labels, _NEVER, np.float32)
    if len(svm.classes_) == 2:  # scikit-learn has one plane then, for the second class
        weight[svm.classes_] = np.concatenate([-svm.coef_, svm.coef_])
        bias[svm.classes_] = np.concatenate([-svm.intercept_, svm.intercept_])
    else:
        weight[svm.classes_], bias[svm.classes_] = svm.coef_, svm.intercept_
    return weight, bias, best, scores
