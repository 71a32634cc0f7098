import datasets
import pytest

from lssed_hf.corpora.loading import encode_labels, load_splits
from lssed_hf.corpora.ravdess import Ravdess


@pytest.fixture
def ravdess(tmp_path, write_clip, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for actor in (1, 15, 17):
        for emotion in (1, 5, 8):
            write_clip(tmp_path / "data" / f"03-01-{emotion:02}-01-01-01-{actor:02}.wav")
    return tmp_path / "data"


def test_corpus_of_the_registry_with_four_emotions_by_default(ravdess):
    assert {name: len(rows) for name, rows in load_splits("ravdess", data_dir=ravdess).items()} == {
        "train": 2,
        "validation": 2,
        "test": 2,
    }
    assert len(load_splits("ravdess", "default", ravdess)["train"]) == 3


def test_corpus_without_four_emotions_gives_its_own_default(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    from lssed_hf.corpora.synthetic_interviews import write_synthetic_e_daic

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_synthetic_e_daic(tmp_path / "data", num_participants=1)
    rows = load_splits("e_daic", data_dir=folder, options={"min_seconds": 0.5})["train"]
    assert rows.features["depression"].names == ["not_depressed", "depressed"] and "emotion" not in rows.features


def test_corpus_without_its_folder_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="lssed needs data_dir="):
        load_splits("lssed")


def test_a_folder_of_that_name_wins_over_the_corpus(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "lssed").mkdir()
    datasets.Dataset.from_dict({"emotion": ["sad", "happy"]}).to_parquet(tmp_path / "lssed" / "train.parquet")
    assert list(load_splits("lssed")["train"]["emotion"]) == ["sad", "happy"]


def test_a_corpus_that_can_be_had_needs_no_folder(ravdess, tmp_path, monkeypatch):
    monkeypatch.setattr(Ravdess, "default_data_dir", lambda: ravdess)
    monkeypatch.chdir(tmp_path)
    assert len(load_splits("ravdess")["train"]) == 2
    (tmp_path / "ravdess").mkdir()
    datasets.Dataset.from_dict({"emotion": ["sad"]}).to_parquet(tmp_path / "ravdess" / "train.parquet")
    assert list(load_splits("ravdess")["train"]["emotion"]) == ["sad"]


def test_any_other_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "mine").mkdir()
    datasets.Dataset.from_dict({"label": [3, 1]}).to_parquet(tmp_path / "mine" / "test.parquet")
    splits = load_splits(str(tmp_path / "mine"))
    assert list(splits["test"]["label"]) == [3, 1]


def test_schemes_and_options_are_for_raw_corpora(tmp_path):
    """A folder is divided already: to ignore how it should be divided would give a wrong result."""
    with pytest.raises(ValueError, match="is divided already; a prepared folder has a configuration for each scheme"):
        load_splits(str(tmp_path), split_scheme="paper")
    with pytest.raises(ValueError, match="is divided already"):
        load_splits(str(tmp_path), options={"keep_chinese": True})


class TestEncodeLabels:
    def splits(self, train, test):
        return datasets.DatasetDict(
            train=datasets.Dataset.from_dict({"label": train}), test=datasets.Dataset.from_dict({"label": test})
        )

    def test_text_over_all_splits(self):
        encoded = encode_labels(self.splits(["sad", "happy", "sad"], ["angry"]), "label")
        names = ["angry", "happy", "sad"]
        assert encoded["train"].features["label"].names == encoded["test"].features["label"].names == names
        assert list(encoded["train"]["label"]) == [2, 1, 2] and list(encoded["test"]["label"]) == [0]

    def test_numbers(self):
        encoded = encode_labels(self.splits([7, 3], [7]), "label")
        assert encoded["train"].features["label"].names == ["3", "7"]
        assert list(encoded["train"]["label"]) == [1, 0] and list(encoded["test"]["label"]) == [1]

    def test_class_labels_stay(self):
        label = datasets.ClassLabel(names=["b", "a"])
        splits = self.splits([0, 1], [1]).cast_column("label", label)
        encoded = encode_labels(splits, "label")
        assert encoded["train"].features["label"] == label and list(encoded["train"]["label"]) == [0, 1]

    def test_audio_is_not_decoded(self, tmp_path):
        splits = self.splits(["sad", "angry"], ["sad"])
        for name, rows in splits.items():
            paths = [str(tmp_path / f"gone{index}.wav") for index in range(len(rows))]
            splits[name] = rows.add_column("audio", paths).cast_column("audio", datasets.Audio(sampling_rate=16000))
        encoded = encode_labels(splits, "label")["train"]
        assert list(encoded["label"]) == [1, 0] and encoded.features["audio"] == datasets.Audio(sampling_rate=16000)
        rows = encoded.cast_column("audio", datasets.Audio(decode=False))
        assert rows[1]["audio"]["path"] == str(tmp_path / "gone1.wav")

    def test_no_such_column(self):
        with pytest.raises(ValueError, match=r"split 'train' has no column 'emotion'; it has label"):
            encode_labels(self.splits(["a"], ["b"]), "emotion")
