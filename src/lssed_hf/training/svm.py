"""Training of the classical peers: standardised functionals or features of a corpus, and a support vector machine."""

import hashlib
import inspect
import itertools
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import datasets
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from .. import audio
from ..audio import load_audio
from ..corpora.feature_sets import feature_set_of
from ..evaluation.ser_metrics.ser_metrics import score
from ..inference.classifiers import svm as classical
from ..inference.classifiers.checks import refusing
from ..inference.classifiers.svm import (
    CLASSICAL,
    FeatureSetExtractor,
    FunctionalsExtractor,
    SupportVectorMachine,
    save_svm,
    speaker_moments,
)
from ..inference.speaker_normalization import scored_rows, speakers_of, statistics_rows
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .arrays import column_array
from .record import Outcome, record_training


logger = logging.getLogger(__name__)

#: C of the support vector machine: scikit-learn's default, so that nothing is chosen.
COMPLEXITY = 1.0
#: C of the linear machine on features of a corpus, of which the validation split chooses one.
LINEAR_COMPLEXITIES = tuple(10.0**exponent for exponent in range(-5, 0))
#: Flags that change a network or its loss.
_OF_NETWORKS = (
    *("probe", "config_overrides", "feature_extractor_overrides", "freeze_feature_encoder", "num_trainable_stages"),
    *("teacher", "unlabelled_dir", "adversarial_test", "adversarial", "perturbed_copies"),
)


@dataclass
class SVMSettings:
    """Settings of a support vector machine, which `training.json` holds in place of a network's recipe."""

    feature_set: str
    complexity: float
    speaker_normalization: str


def train_classical(
    data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, dataset: datasets.DatasetDict
) -> Outcome:
    """Fit a support vector machine on the training split.

    With `--speaker_normalization`, functionals are standardised by their speaker's own mean and deviation, and clips
    of an enrolment are not validated on. The output folder gets what `save_svm` writes, `train_results.json`,
    `eval_results.json` and `training.json`.

    Args:
        data_args: Names of splits and columns.
        model_args: Feature set and speaker normalization.
        args: Recipe, of which the output folder alone counts.
        dataset: Splits with encoded labels, one for validation among them.

    Raises:
        ValueError: A flag that is for networks, or training clips of one class alone.
        ImportError: The package opensmile is not installed.
    """
    name = model_args.model_name_or_path
    for group in (model_args, args):
        for flag in _OF_NETWORKS:
            value = getattr(group, flag, None)
            if value not in (None, False, 0, "none"):
                raise ValueError(f"--{flag} is for networks, and {name} is none: leave it out")
    start = time.perf_counter()
    label_column, column = data_args.label_column_name, data_args.audio_column_name
    splits = [dataset[split] for split in (data_args.train_split_name, data_args.validation_split_name)]
    feature_set = CLASSICAL[name] or feature_set_of(splits[0].features[column])
    if CLASSICAL[name] is None:
        functionals = stacked_features(splits, feature_set, column)
    else:
        workers = data_args.preprocessing_num_workers
        functionals = [compute_functionals(rows, feature_set, column, workers) for rows in splits]
    references = [np.asarray(rows[label_column]) for rows in splits]
    labels = splits[0].features[label_column].names
    scaler = StandardScaler().fit(functionals[0])
    mean, std = scaler.mean_.astype(np.float32), scaler.scale_.astype(np.float32)
    speaker_rows = [statistics_rows(rows, model_args, data_args.speaker_column_name, label_column) for rows in splits]
    inputs = [
        standardized(values, rows, taken, data_args.speaker_column_name, mean, std)
        for values, rows, taken in zip(functionals, splits, speaker_rows, strict=True)
    ]
    scored = scored_rows(len(splits[1]), speaker_rows[1], model_args)

    def validate(svm: SupportVectorMachine) -> float:
        # The inputs are standardised already.
        predictions = svm.decision(inputs[1][scored], np.zeros_like(mean), np.ones_like(std)).argmax(axis=1)
        return score(references[1][scored], predictions, len(labels))["unweighted_accuracy"]

    settings = (labels, feature_set, model_args.speaker_normalization, mean, std)
    if CLASSICAL[name] is None:
        candidates = [fit_linear_svm(inputs[0], references[0], *settings, C) for C in LINEAR_COMPLEXITIES]
    else:
        candidates = [fit_svm(inputs[0], references[0], *settings)]
    validation, svm = max(((validate(svm), svm) for svm in candidates), key=lambda pair: pair[0])
    logger.info(
        f"{len(splits[0])} training and {len(scored)} validation clips; C {svm.complexity:g}, validation UA "
        f"{validation:.3f}"
    )

    save_svm(svm, args.output_dir)
    outcome = Outcome(
        svm.num_parameters,
        {"train_runtime": time.perf_counter() - start, "train_samples": len(references[0])},
        {"eval_unweighted_accuracy": validation, "eval_samples": len(scored)},
    )
    outcome.write_metrics(args.output_dir)
    recipe = SVMSettings(feature_set, svm.complexity, model_args.speaker_normalization)
    record_training(data_args, model_args, args, dataset, outcome.num_parameters, recipe=recipe)
    return outcome


def stacked_features(splits: Sequence[datasets.Dataset], feature_set: str, column: str) -> list[np.ndarray]:
    """Return the features of a corpus, float32 (num_clips, size) for each split (see `FeatureSetExtractor`).

    A warning tells if frames that are pooled hold whole numbers alone, as the codes of a quantiser do.

    Args:
        splits: Data sets with a column of features.
        feature_set: Name of the feature set.
        column: Name of the column.

    Raises:
        ValueError: A clip has another number of values than the first one; the message names it.
    """
    extractor, stacked, are_codes = FeatureSetExtractor(feature_set), [], True
    for rows in splits:
        values: list[np.ndarray] = []
        for number, row in enumerate(rows):
            with refusing(row.get("id", f"row {number}")):
                clip = np.asarray(row[column])
                values.append(extractor.measure(clip))
            are_codes = are_codes and clip.ndim == 2 and np.array_equal(clip, np.rint(clip))
            extractor.size = len(values[-1])
        stacked.append(np.stack(values))
    if are_codes:
        logger.warning(
            f"{feature_set}: all values are whole numbers. If they number codes, their mean and deviation over the "
            "frames mean nothing: give the vectors that the codes stand for"
        )
    return stacked


def compute_functionals(
    dataset: datasets.Dataset, feature_set: str, audio_column: str = "audio", num_proc: int | None = None
) -> np.ndarray:
    """Return the functionals of clips, float32 (num_clips, num_functionals).

    `datasets` caches them under the audio, the feature set, openSMILE's version and the code that computes them.

    Args:
        dataset: Dataset with an audio column.
        feature_set: Name of a feature set of openSMILE.
        audio_column: Name of the column with the audio.
        num_proc: Number of processes.

    Raises:
        AudioError, FileNotFoundError: A clip cannot be used. The message names its file.
        ImportError: The package opensmile is not installed.
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
    return column_array(computed, "functionals")


def _functionals_of_row(row: dict, audio_column: str, feature_set: str, code: str) -> dict:
    extractor = FunctionalsExtractor(feature_set)
    return {"functionals": extractor.extract(load_audio(row[audio_column], extractor.sampling_rate))}


def standardized(
    functionals: np.ndarray,
    rows: datasets.Dataset,
    clips: Mapping[str, Sequence[int]],
    speaker_column: str,
    mean: np.ndarray,
    std: np.ndarray,
) -> np.ndarray:
    """Return standardised functionals, (num_clips, num_functionals).

    Args:
        functionals: Functionals of clips, (num_clips, num_functionals).
        rows: Rows of the clips.
        clips: Numbers of the rows that a speaker's own mean and deviation are taken from, by speaker.
        speaker_column: Name of the column with the speaker.
        mean: Mean of the corpus, for speakers without their own, (num_functionals,).
        std: Deviation of the corpus, (num_functionals,).
    """
    if not clips:
        return (functionals - mean) / std
    own = {speaker: speaker_moments(functionals[list(taken)], std) for speaker, taken in clips.items()}
    moments = [own.get(speaker, (mean, std)) for speaker in speakers_of(rows, speaker_column)]
    return np.stack([(values - mean) / std for values, (mean, std) in zip(functionals, moments, strict=True)])


def fit_svm(
    inputs: np.ndarray,
    references: np.ndarray,
    labels: Sequence[str],
    feature_set: str,
    speaker_normalization: str,
    mean: np.ndarray,
    std: np.ndarray,
) -> SupportVectorMachine:
    """Fit scikit-learn's `SVC`, which has a radial kernel, with errors weighted by inverse class frequency.

    Args:
        inputs: Standardised functionals, (num_clips, num_functionals).
        references: Class numbers, (num_clips,).
        labels: See `SupportVectorMachine`, as for the arguments that follow.
        feature_set: Name of the feature set.
        speaker_normalization: Origin of the statistics of speakers.
        mean: Mean of the training clips.
        std: Deviation of the training clips.

    Raises:
        ValueError: All training clips are of one class.
    """
    if len(np.unique(references)) < 2:
        raise ValueError("all training clips have one label: a support vector machine needs two")
    svc = SVC(C=COMPLEXITY, class_weight="balanced").fit(inputs, references)
    count, starts = len(svc.classes_), np.cumsum([0, *svc.n_support_])
    pairs = list(itertools.combinations(range(count), 2))
    weight = np.zeros((len(pairs), len(svc.support_)))
    for row, (first, second) in zip(weight, pairs, strict=True):
        # Coefficients of a class's vectors against another class stand in the row of that class, itself left out.
        for own, other in ((first, second), (second, first)):
            vectors = slice(starts[own], starts[own + 1])
            row[vectors] = svc.dual_coef_[other - (other > own), vectors]
    sign = -1 if count == 2 else 1  # of two classes scikit-learn gives the margin of the second
    return SupportVectorMachine(
        feature_set,
        list(labels),
        COMPLEXITY,
        float(svc._gamma),
        speaker_normalization,
        svc.support_vectors_.astype(np.float32),
        (sign * weight).astype(np.float32),
        (sign * svc.intercept_).astype(np.float32),
        svc.classes_.astype(np.int64),
        mean,
        std,
    )


def fit_linear_svm(
    inputs: np.ndarray,
    references: np.ndarray,
    labels: Sequence[str],
    feature_set: str,
    speaker_normalization: str,
    mean: np.ndarray,
    std: np.ndarray,
    complexity: float,
) -> SupportVectorMachine:
    """Fit scikit-learn's `LinearSVC` for every pair of classes. Its cost grows with the clips, not with their square.

    Args:
        inputs: Standardised features, (num_clips, size).
        references: Class numbers, (num_clips,).
        labels: See `SupportVectorMachine`, as for the arguments that follow.
        feature_set: Name of the feature set.
        speaker_normalization: Origin of the statistics of speakers.
        mean: Mean of the training clips.
        std: Deviation of the training clips.
        complexity: C. The errors of a pair are weighted by inverse class frequency.

    Raises:
        ValueError: All training clips are of one class.
    """
    classes = np.unique(references)
    if len(classes) < 2:
        raise ValueError("all training clips have one label: a support vector machine needs two")
    directions, bias = [], []
    for first, second in itertools.combinations(classes, 2):
        chosen = np.isin(references, (first, second))
        svc = LinearSVC(C=complexity, class_weight="balanced", dual="auto", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svc.fit(inputs[chosen], references[chosen] == first)
        directions.append(svc.coef_[0])
        bias.append(svc.intercept_[0])
    return SupportVectorMachine(
        feature_set,
        list(labels),
        complexity,
        None,
        speaker_normalization,
        np.float32(directions),
        np.eye(len(directions), dtype=np.float32),  # a pair's margin is the product with its own direction
        np.float32(bias),
        classes.astype(np.int64),
        mean,
        std,
    )
