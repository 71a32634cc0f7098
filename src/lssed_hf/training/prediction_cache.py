"""What a saved model says of clips: computed once and cached by `datasets`, in parts that outlive a crash."""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import transformers
from datasets.fingerprint import Hasher
from transformers import AutoConfig

from .. import audio, files, inference, models
from ..inference.classifiers import hooks, probe
from ..inference.classifiers.loading import find_model


#: Clips whose answers are kept or lost together.
SHARD = 100
#: What a model's folder holds besides the model.
_RECORDS = {
    *("training.json", "results.json", "train_results.json", "eval_results.json", "all_results.json"),
    *("trainer_state.json", "cell.json", "settings.json", "asked.json", "log.txt", "error.txt"),
}
_PROSE = {".md", ".csv", ".png", ".tex", ".log"}


def ask(
    clips: datasets.Dataset,
    answer: Callable[[dict[str, list]], dict[str, list]],
    features: datasets.Features,
    key: Sequence[str | None],
    title: str,
    audio_column: str = "audio",
) -> datasets.Dataset:
    """Rows of `features`, one per clip, as `answer` gives them.

    Args:
        clips: with an audio column.
        answer: of a batch of its undecoded rows.
        features: of what it returns.
        key: all that the answers depend on besides the clips and this package's code.
        title: for the progress bar.
        audio_column: its name.

    Raises:
        ValueError: there are no clips.
    """
    if len(clips) == 0:
        raise ValueError("there are no clips that a model could be asked about")
    clips = clips.select_columns([audio_column]).cast_column(audio_column, datasets.Audio(decode=False))
    number = math.ceil(len(clips) / SHARD)
    code, parts = _code(answer), []
    for index in range(number):
        shard = clips.shard(number, index, contiguous=True)
        part = shard.map(
            answer,
            batched=True,
            batch_size=None,
            remove_columns=[audio_column],
            features=features,
            # By itself, `datasets` would hash the function with all that it holds.
            new_fingerprint=Hasher.hash([shard._fingerprint, audio_column, *key, code]),
            desc=f"{title}, {index + 1}/{number}",
        )
        parts.append(part)
    return datasets.concatenate_datasets(parts)


def model_digest(name: str, trust_remote_code: bool = False) -> str:
    """Of a saved model: of whatever its folder holds besides records and reports, or of its commit on the Hub.

    Raises:
        OSError: there is no such model.
    """
    folder = find_model(name)
    if not folder.is_dir():
        config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
        return hashlib.sha256(f"{name}@{config._commit_hash}".encode()).hexdigest()
    # A probe has its encoder in a folder within.
    parts = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and path.name == probe.ENCODER)]
    paths = [
        path
        for part in parts
        for path in sorted(part.iterdir())
        if path.is_file() and path.name not in _RECORDS and path.suffix not in _PROSE and not path.name.startswith(".")
    ]
    lines = [f"{path.relative_to(folder)} {files.sha256(path)}\n" for path in paths]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _code(answer: Callable) -> str:
    """Of what stands between a clip and an answer."""
    waveforms = (audio, inference.base, inference.inputs, inference.classifier, inference.exported, probe)
    own = [Path(module.__file__) for module in (*waveforms, hooks)]
    paths = [Path(answer.__code__.co_filename), *own, *sorted(Path(models.__file__).parent.rglob("*.py"))]
    return hashlib.sha256("".join([transformers.__version__, *map(files.sha256, paths)]).encode()).hexdigest()
