"""Training on LSSED's feature sets, which stand in place of audio: flags that go with them, and their front end."""

import json
from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np

from ..corpora.feature_sets import feature_set_of
from ..inference.classifiers.svm import FEATURES_SVM
from ..models.registry import list_models
from .arguments import DataArguments, ModelArguments, RecipeArguments


#: Feature set -> flags for what the user leaves open. A picture has no known frame rate, and its sound is not at hand.
FEATURE_SET_FLAGS = {
    "spectrogram": (
        *("--crop_seconds", "0", "--perturbed_copies", "0", "--speed", "0", "--pitch_shift", "0"),
        *("--gain_db", "0", "--eq_db", "0"),
    ),
    "is13_compare": ("--model_name_or_path", FEATURES_SVM),
    "vq_wav2vec": ("--model_name_or_path", FEATURES_SVM),
}
#: Flags that need the sound, decibels or seconds, and the reason.
_NEED_AUDIO = {
    **dict.fromkeys(
        ("perturbed_copies", "teacher", "unlabelled_dir", "adversarial", "adversarial_test", "probe", "chunk_length"),
        "needs the sound",
    ),
    **dict.fromkeys(("gain_db", "eq_db"), "needs decibels, and the scale of a picture is not known"),
    "crop_seconds": "needs a frame rate, and that of a picture is not known",
    "speaker_normalization": "needs one scale for all pictures of a speaker, and theirs is not known",
}
_NETWORKS = ("pyresnet", "resnet", "vgg", "adv-vgg", "fcn-attention", "mts")
_SETTINGS = ("normalization", "mean", "std", "padding_value")  # of the front end that have an effect on pictures


def check_feature_set(
    data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, dataset: datasets.DatasetDict
) -> None:
    """Check that the model takes the clips of a data set: audio, or one of LSSED's feature sets.

    Args:
        data_args: Names of splits and columns.
        model_args: Model to train.
        args: Recipe.
        dataset: Splits.

    Raises:
        ValueError: It does not, or a flag has no meaning for the feature set.
    """
    name = model_args.model_name_or_path
    kind = feature_set_of(dataset[data_args.train_split_name].features[data_args.audio_column_name])
    if kind is None:
        if name == FEATURES_SVM:
            raise ValueError(f"{name} is for --dataset_config_name is13_compare or vq_wav2vec of lssed, not for audio")
        return
    if kind != "spectrogram":
        if name != FEATURES_SVM:
            raise ValueError(f"{name} takes no {kind} features: use --model_name_or_path {FEATURES_SVM}")
        return
    if name in list_models() and not name.startswith(_NETWORKS):
        found = ", ".join(model for model in list_models() if model.startswith(_NETWORKS))
        raise ValueError(f"{name} takes no spectrograms of others: use one of {found}")
    if name == FEATURES_SVM:
        raise ValueError(f"{name} takes no spectrograms: use a network such as pyresnet50")
    for group in (model_args, args):
        for flag, reason in _NEED_AUDIO.items():
            if getattr(group, flag, None) not in (None, False, 0, "none"):
                raise ValueError(f"--{flag} {reason}: leave it out for spectrograms, or set it to 0")
    if denied := sorted(_overrides(model_args).keys() - set(_SETTINGS)):
        raise ValueError(
            f"--feature_extractor_overrides {', '.join(denied)}: spectrograms are computed already; only "
            f"{', '.join(_SETTINGS)} have an effect"
        )


def front_end_overrides(
    data_args: DataArguments, model_args: ModelArguments, dataset: datasets.DatasetDict
) -> Mapping[str, Any]:
    """Return the parameters of the front end of a network of the zoo: those of the flag, and of the data."""
    rows, column = dataset[data_args.train_split_name], data_args.audio_column_name
    if feature_set_of(rows.features[column]) != "spectrogram":
        return _overrides(model_args)
    height = np.shape(rows[0][column])[1]
    return {**_overrides(model_args), "input_type": "spectrogram", "num_mel_bins": height}


def _overrides(model_args: ModelArguments) -> dict[str, Any]:
    return json.loads(model_args.feature_extractor_overrides or "{}")


__all__ = ["FEATURE_SET_FLAGS", "check_feature_set", "front_end_overrides"]
