"""The cache of what models compute from clips."""

import os

import datasets
import pytest
from datasets.arrow_writer import ArrowWriter

from lssed_hf.training.prediction_cache import cached_predictions


FEATURES = datasets.Features({"bytes": datasets.Value("int64")})


@pytest.fixture
def folder(tmp_path, write_clip):
    """Two corpora of three files each, of different lengths."""
    for name, start in (("a", 0.0), ("b", 0.1)):
        for number in range(3):
            write_clip(tmp_path / name / f"{number}.wav", seconds=0.02 + start + number / 1000)
    return tmp_path


@pytest.fixture
def load(folder):
    """Loads a corpus from a data set on the disk, which has the cache."""
    row = {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}
    features = datasets.Features({"audio": row})

    def load(name: str) -> datasets.Dataset:
        stored = folder / f"{name}.arrow"
        if not stored.is_file():
            with ArrowWriter(features=features, path=str(stored)) as writer:
                for path in sorted((folder / name).iterdir()):
                    writer.write({"audio": {"bytes": None, "path": str(path)}})
                writer.finalize()
        return datasets.Dataset.from_file(str(stored)).cast_column("audio", datasets.Audio(decode=False))

    return load


def ask(clips: datasets.Dataset, key: str = "model") -> tuple[list[str], list[int]]:
    """Ask for the sizes of clips: the names of those that were computed, and the sizes."""
    computed = []

    def predict(batch):
        computed.extend(os.path.basename(clip["path"]) for clip in batch["audio"])
        return {"bytes": [os.path.getsize(clip["path"]) for clip in batch["audio"]]}

    return computed, list(cached_predictions(clips, predict, FEATURES, [key], "Measuring")["bytes"])


def test_clips_are_known_by_their_content_whatever_mixture_they_are_in(load):
    computed, first = ask(load("a"))
    assert computed == ["0.wav", "1.wav", "2.wav"] and len(set(first)) == 3
    assert ask(load("a")) == ([], first)
    mixture = datasets.concatenate_datasets([load("b"), load("a")])
    assert ask(mixture.select(range(3, 6))) == ([], first)
    assert ask(mixture.select(range(3)))[0] == computed


def test_another_model_or_a_changed_file_is_computed_anew(load, folder, write_clip):
    computed, first = ask(load("a"))
    assert ask(load("a"), key="other") == (computed, first)
    write_clip(folder / "a" / "1.wav", seconds=0.5)
    again, second = ask(load("a"))
    assert again == computed and second[1] > first[1] and second[::2] == first[::2]


def test_without_clips_there_is_nothing_to_ask(load):
    with pytest.raises(ValueError, match="there are no clips"):
        ask(load("a").select([]))
