"""Advice for trainings that stop at a clip that cannot be decoded."""

import functools
from collections.abc import Callable
from typing import Any

from ..audio import AudioError
from ..corpora.corpus_arguments import CorpusArguments
from ..corpora.sources import find_source


def with_advice_on_damaged_clips(train: Callable[..., Any]) -> Callable[..., Any]:
    """Make a training's errors about a clip say how to train without it.

    Args:
        train: Function whose first argument is the `CorpusArguments`.
    """

    @functools.wraps(train)
    def advised(data_args: CorpusArguments, *args: Any, **kwargs: Any) -> Any:
        try:
            return train(data_args, *args, **kwargs)
        except AudioError as error:
            raise AudioError(f"{error}. {_advice(data_args)}") from error

    return advised


def _advice(data_args: CorpusArguments) -> str:
    if data_args.dataset_name is not None:
        source = find_source(data_args.dataset_name, data_args.data_dir)
        if source.corpus is not None and source.manifest is None:
            folder = source.path or "FOLDER"
            return (
                f"To train without such clips, run `lssed-hf prepare {source.corpus} {folder} OUT`, which lists them "
                "in OUT/rejects.csv, and give --data_dir OUT"
            )
    return "To train without it, remove its row from the data set"


__all__ = ["with_advice_on_damaged_clips"]
