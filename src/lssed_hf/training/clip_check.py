"""Check of test clips before a training, which reads them only when it is over."""

import datasets
import numpy as np
from tqdm.auto import tqdm

from ..audio import load_audio
from ..corpora.feature_sets import feature_set_of
from ..inference.classifiers.checks import refusing
from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor
from .arguments import DataArguments, ModelArguments
from .feature_sets import front_end_overrides


def check_test_clips(data_args: DataArguments, model_args: ModelArguments, splits: datasets.DatasetDict) -> None:
    """Read each test clip once. Without a test split, nothing is checked.

    Args:
        data_args: Names of splits and columns.
        model_args: Model to train.
        splits: Splits.

    Raises:
        AudioError, FileNotFoundError: A clip cannot be decoded. The message names its file.
        ValueError: A spectrogram has another height than those of the training.
    """
    column = data_args.audio_column_name
    if data_args.test_split_name not in splits:
        return
    rows = splits[data_args.test_split_name]
    kind = feature_set_of(rows.features[column])
    if kind is None:
        for row in _bar(rows.select_columns([column]).cast_column(column, datasets.Audio(decode=False))):
            load_audio(row[column])
    elif kind == "spectrogram":
        front_end = PyResNetFeatureExtractor(**front_end_overrides(data_args, model_args, splits))
        for index, row in enumerate(_bar(rows)):
            with refusing(row.get("id") or f"row {index}"):
                front_end.extract(np.asarray(row[column], np.float32))


def _bar(rows: datasets.Dataset) -> tqdm:
    return tqdm(rows, "Checking test clips", unit="clip", disable=None)
