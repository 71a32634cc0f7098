"""Cache of what a saved model computes from clips, in shards that outlive a crash."""

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import transformers
from datasets.fingerprint import Hasher
from transformers import AutoConfig

from .. import audio, decoding, files, models
from ..hub.run_folders import LAYOUTS
from ..inference import classifiers
from ..inference.classifiers.loading import find_model
from ..inference.classifiers.probe import ENCODER
from .output_folder import SETTINGS, clip_stamp
from .selection import CORPUS_COLUMN


#: Number of clips whose predictions are kept or lost together.
SHARD = 100
#: Files in a model's folder that are no part of the model.
_RECORDS = {
    *("training.json", "results.json", "train_results.json", "eval_results.json", "all_results.json"),
    *("trainer_state.json", SETTINGS, "settings.json", "asked.json", "log.txt", "error.txt", *LAYOUTS.values()),
}
_PROSE = {".md", ".csv", ".png", ".tex", ".log"}


def cached_predictions(
    clips: datasets.Dataset,
    predict: Callable[[dict[str, list]], dict[str, list]],
    features: datasets.Features,
    key: Sequence[str | None],
    title: str,
    audio_column: str = "audio",
) -> datasets.Dataset:
    """Return one row of `features` for each clip. `datasets` caches them by clips, key and code.

    Clips count by their content, so those of one corpus (column `CORPUS_COLUMN`) are found again in other mixtures.

    Args:
        clips: Dataset with an audio column.
        predict: Function of a batch of undecoded clips that returns their rows.
        features: Columns of the result.
        key: Everything else that the predictions depend on, but for the code of this package.
        title: Title of the progress bar.
        audio_column: Name of the column with the audio.

    Raises:
        ValueError: There are no clips.
    """
    if len(clips) == 0:
        raise ValueError("there are no clips that a model could be asked about")
    corpora = clips[CORPUS_COLUMN] if CORPUS_COLUMN in clips.column_names else [None] * len(clips)
    clips = clips.select_columns([audio_column]).cast_column(audio_column, datasets.Audio(decode=False))
    # No shard has clips of two corpora, so that those of one are the same in other mixtures.
    shards = []
    for _, block in itertools.groupby(range(len(clips)), key=corpora.__getitem__):
        rows = clips.select(list(block))
        number = math.ceil(len(rows) / SHARD)
        shards += [rows.shard(number, index, contiguous=True) for index in range(number)]
    code = _code_digest(predict)
    return datasets.concatenate_datasets(
        [
            shard.map(
                predict,
                batched=True,
                batch_size=None,
                remove_columns=[audio_column],
                features=features,
                # By itself, `datasets` would hash the function with all that it holds.
                new_fingerprint=Hasher.hash([list(map(clip_stamp, shard[audio_column])), audio_column, *key, code]),
                desc=f"{title}, {index}/{len(shards)}",
            )
            for index, shard in enumerate(shards, start=1)
        ]
    )


def model_digest(name: str, trust_remote_code: bool = False) -> str:
    """Return a digest of a saved model: its files without records and reports, or its commit on the Hub.

    Raises:
        OSError: There is no such model.
    """
    folder = find_model(name)
    if not folder.is_dir():
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
        return hashlib.sha256(f"{name}@{config._commit_hash}".encode()).hexdigest()
    # A probe has its encoder in a folder within.
    folders = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and path.name == ENCODER)]
    paths = [
        path
        for place in folders
        for path in sorted(place.iterdir())
        if path.is_file() and path.name not in _RECORDS and path.suffix not in _PROSE and not path.name.startswith(".")
    ]
    lines = [f"{path.relative_to(folder)} {files.sha256(path)}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _code_digest(predict: Callable) -> str:
    """Hash the code that turns a clip into a prediction."""
    packages = [Path(package.__file__).parent for package in (decoding, classifiers, models)]
    sources = [path for package in packages for path in sorted(package.rglob("*.py"))]
    paths = [Path(predict.__code__.co_filename), Path(audio.__file__), *sources]
    return hashlib.sha256("".join([transformers.__version__, *map(files.sha256, paths)]).encode()).hexdigest()
