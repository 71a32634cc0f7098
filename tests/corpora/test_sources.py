from unittest import mock

import datasets
import huggingface_hub
import pyarrow as pa
import pytest

from lssed_hf.corpora import load_corpus
from lssed_hf.corpora.corpus_arguments import CorpusArguments
from lssed_hf.corpora.ravdess import Ravdess
from lssed_hf.corpora.sources import encode_labels, find_source, load_splits
from lssed_hf.preparation.prepare import prepare


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
    from lssed_hf.testing.releases.e_daic import write_synthetic_e_daic

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
    """Refuse what has no effect on a data set that is divided already."""
    datasets.Dataset.from_dict({"label": ["sad"]}).to_parquet(tmp_path / "mine" / "train.parquet")
    with pytest.raises(ValueError, match=r"--split_scheme paper is for corpora, and .*mine is divided already"):
        load_splits(str(tmp_path / "mine"), split_scheme="paper")
    with pytest.raises(ValueError, match=r"label_map cannot be changed in .*mine, which is read as it is"):
        load_splits(str(tmp_path / "mine"), options={"label_map": ["wut=angry"]})


def test_options_of_another_corpus_are_refused(ravdess):
    with pytest.raises(ValueError, match=r"--label_map is for recordings of your own .*; ravdess has its own labels"):
        load_splits("ravdess", data_dir=ravdess, options={"label_map": ["wut=angry"]})
    with pytest.raises(ValueError, match="ravdess has no option 'keep_chinese'"):
        load_splits("ravdess", data_dir=ravdess, options={"keep_chinese": True})


@pytest.mark.parametrize("name", ["./gone", "/gone/further", "a/b/c", "~/gone"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(name, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*; corpora are aesdd, "):
        load_splits(name)


def test_a_missing_data_dir(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder: there is no folder .*gone"):
        load_splits(None, data_dir=tmp_path / "gone")
    (tmp_path / "a.csv").touch()
    with pytest.raises(FileNotFoundError, match=r"ravdess: .*a\.csv is not a folder; give the folder that it is in"):
        load_splits("ravdess", data_dir=tmp_path / "a.csv")
    with pytest.raises(ValueError, match="no data: give --data_dir, the folder of your recordings, or --dataset_name"):
        load_splits(None)


def test_what_is_nowhere(monkeypatch):
    def nowhere(*args, **kwargs):
        raise datasets.exceptions.DatasetNotFoundError("not there")

    monkeypatch.setattr(datasets, "load_dataset", nowhere)
    with pytest.raises(FileNotFoundError, match=r"radvess is neither a folder, nor a corpus \(aesdd.*nor on the Hub"):
        load_splits("radvess")


class TestOwnRecordings:
    @pytest.fixture
    def data(self, tmp_path, write_clip, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        for name in ("a", "b", "c"):
            write_clip(tmp_path / "mine" / f"{name}.wav")
        (tmp_path / "mine" / "list.csv").write_text(
            "Datei,Kategorie,Wer,split\na.wav,wut,x,train\nb.wav,ruhig,y,train\nc.wav,wut,z,test\n"
        )
        return tmp_path / "mine"

    COLUMNS = {"audio_column_name": "Datei", "label_column_name": "Kategorie", "speaker_column_name": "Wer"}

    def test_columns_have_the_names_that_were_asked_for(self, data):
        splits = CorpusArguments(data_dir=str(data), **self.COLUMNS).load()
        rows = splits["train"]
        assert rows.features["Kategorie"].names == ["ruhig", "wut"] and list(rows["Kategorie"]) == [1, 0]
        assert list(rows["Wer"]) == ["x", "y"] and isinstance(rows.features["Datei"], datasets.Audio)
        assert not {"audio", "emotion", "speaker_id"} & set(rows.column_names)

    def test_by_its_name_or_as_data_dir(self, data):
        for arguments in (
            CorpusArguments(str(data), **self.COLUMNS),
            CorpusArguments("folder", str(data), **self.COLUMNS),
        ):
            assert len(arguments.load()["train"]) == 2
        assert CorpusArguments(data_dir=str(data)).dataset_name == "folder"

    def test_flags_are_options(self, data):
        columns = {**self.COLUMNS, "label_column_name": "emotion"}
        arguments = CorpusArguments(
            data_dir=str(data), label_map=["wut=rage"], dataset_options='{"label_column": "kategorie"}', **columns
        )
        assert arguments.load()["train"].features["emotion"].names == ["rage", "ruhig"]
        with pytest.raises(ValueError, match=r"--dataset_options '{' is not JSON"):
            CorpusArguments(data_dir=str(data), dataset_options="{").load()

    def test_columns_that_are_not_there_are_proposed(self, data):
        with pytest.raises(ValueError, match=r"list\.csv has no path column .*Add --audio_column_name datei"):
            CorpusArguments(data_dir=str(data)).load()
        with pytest.raises(ValueError, match=r"has no label column .*Add --label_column_name kategorie"):
            CorpusArguments(data_dir=str(data), audio_column_name="DATEI").load()
        columns = {**self.COLUMNS, "speaker_column_name": "Who"}
        with pytest.raises(
            ValueError, match=r"has no speaker column \(looked for who\); found datei, kategorie, wer, split"
        ):
            CorpusArguments(data_dir=str(data), **columns).load()

    def test_columns_of_a_data_set(self, tmp_path):
        rows = {"audio": ["a.wav"], "label": ["sad"], "who": ["x"]}
        datasets.Dataset.from_dict(rows).to_parquet(tmp_path / "theirs" / "train.parquet")
        name = str(tmp_path / "theirs")
        with pytest.raises(
            ValueError, match=r"no column 'emotion'; it has audio, label, who.* --label_column_name label"
        ):
            CorpusArguments(name).load()
        assert CorpusArguments(name, label_column_name="label").load()["train"].features["label"].names == ["sad"]
        for flag in ("audio_column_name", "speaker_column_name"):
            with pytest.raises(
                ValueError, match=f"no column 'person'; it has audio, label, who: name one by --{flag}"
            ):
                CorpusArguments(name, label_column_name="label", **{flag: "person"}).load()


class TestPrepared:
    @pytest.fixture(scope="class")
    def prepared(self, tmp_path_factory, write_clip):
        """Prepare LSSED of four speakers in two schemes, with a class that `benchmark` lacks."""
        folder = tmp_path_factory.mktemp("prepared")
        lines = ["name,emotion"]
        for speaker in range(4):
            for index, emotion in enumerate(("sad", "angry", "fear", "fear", "boring")):
                write_clip(folder / "raw" / f"E000{speaker}_{index}.wav")
                lines.append(f"E000{speaker}_{index},{emotion}")
        (folder / "raw" / "metadata.csv").write_text("\n".join(lines))
        prepare("lssed", folder / "raw", folder / "ravdess")  # under another corpus's name
        return folder / "ravdess"

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    @pytest.mark.parametrize("given", ["name", "data_dir", "both", "name in its folder"])
    def test_four_emotions_unless_more_are_asked_for(self, prepared, given, monkeypatch, caplog):
        monkeypatch.chdir(prepared.parent)
        name, data_dir = {
            "name": (str(prepared), None),
            "data_dir": (None, prepared),
            "both": ("lssed", prepared),
            "name in its folder": ("ravdess", None),
        }[given]
        assert find_source(name, data_dir).corpus == "lssed"
        with caplog.at_level("WARNING"):
            splits = load_splits(name, None, data_dir)
        assert splits["train"].features["emotion"].names == ["angry", "neutral", "happy", "sad"]
        assert sum(map(len, splits.values())) == 8
        line = "lssed: configuration 'benchmark' leaves out 12 of 20 utterances: 8 fearful, 4 bored"
        assert line in caplog.messages
        assert sum(map(len, load_splits(name, "default", data_dir).values())) == 20

    def test_schemes_are_configurations(self, prepared):
        by_scheme = load_splits(str(prepared), split_scheme="paper")
        by_name = load_splits(str(prepared), "benchmark_paper")
        assert set(by_scheme) == {"train", "test"} and by_scheme["test"]["id"][:] == by_name["test"]["id"][:]
        assert set(load_splits(str(prepared), split_scheme="speaker")) == {"train", "validation", "test"}
        with pytest.raises(
            ValueError, match="was prepared with --split_schemes speaker paper, not random: choose one"
        ):
            load_splits(str(prepared), split_scheme="random")

    def test_mistakes(self, prepared):
        with pytest.raises(ValueError, match=r"was prepared from lssed, not emodb: give --dataset_name .* alone"):
            load_splits("emodb", data_dir=prepared)
        with pytest.raises(
            ValueError, match="has no configuration 'spectrogram'; it has default, benchmark, default_p"
        ):
            load_splits(str(prepared), "spectrogram")
        with pytest.raises(
            ValueError, match=r"keep_chinese cannot be changed in .*, which is a prepared folder of lssed"
        ):
            load_splits(str(prepared), options={"keep_chinese": True})

    def test_own_recordings(self, tmp_path, write_clip, caplog):
        for name in ("train/wut/a", "train/freude/b", "test/wut/c", "test/ekel/d"):
            write_clip(tmp_path / "raw" / f"{name}.wav")
        prepare("folder", tmp_path / "raw", tmp_path / "free", num_proc=2)
        assert load_splits(str(tmp_path / "free"))["test"].features["emotion"].names == ["ekel", "freude", "wut"]
        with pytest.raises(ValueError, match="has no configuration 'benchmark'; it has default"):
            load_splits(str(tmp_path / "free"), "benchmark")
        label_map = ["wut=angry", "freude=joy", "ekel=disgust"]
        prepare("folder", tmp_path / "raw", tmp_path / "lssed", label_set="lssed", label_map=label_map)
        splits = load_splits(str(tmp_path / "lssed"))
        assert splits["test"].features["emotion"].names == ["angry", "happy", "disgusted"]
        with caplog.at_level("WARNING"):
            assert len(load_splits(str(tmp_path / "lssed"), "benchmark")["test"]) == 1
        assert "folder: configuration 'benchmark' leaves out 1 of 4 utterances: 1 disgusted" in caplog.messages


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

    @pytest.mark.parametrize("label", [datasets.Value("string"), datasets.ClassLabel(names=["0", "1"])])
    def test_rows_without_a_label_are_left_out_and_counted(self, caplog, label):
        splits = self.splits(["0", None, "1", "0"], [None, None]).cast_column("label", label)
        with caplog.at_level("WARNING"):
            encoded = encode_labels(splits, "label")
        assert list(encoded) == ["train"] and list(encoded["train"]["label"]) == [0, 1, 0]
        assert encoded["train"].features["label"].names == ["0", "1"]
        assert caplog.messages == [
            "split 'train': 1 of 4 rows have no value in column 'label' and are left out",
            "split 'test': 2 of 2 rows have no value in column 'label' and are left out",
            "split 'test' has no rows with a value in column 'label', and is left out",
        ]
        with pytest.raises(ValueError, match="no row of the splits test has a value in column 'label'"):
            encode_labels(datasets.DatasetDict(test=splits["test"]), "label")

    def test_numbers_with_gaps(self):
        encoded = encode_labels(self.splits([1.0, float("nan"), 0.0], [1.0]), "label")["train"]
        assert encoded.features["label"].names == ["0.0", "1.0"] and list(encoded["label"]) == [1, 0]

    def test_minus_one_is_no_class(self):
        splits = self.splits([-1, 1], [0]).cast_column("label", datasets.ClassLabel(names=["a", "b"]))
        assert list(encode_labels(splits, "label")["train"]["label"]) == [1]

    def test_no_such_column(self):
        with pytest.raises(ValueError, match=r"split 'train' has no column 'emotion'; it has label"):
            encode_labels(self.splits(["a"], ["b"]), "emotion")


def test_a_misspelt_corpus_gets_a_name(monkeypatch):
    with pytest.raises(ValueError, match=r"unknown corpus 'ravdes'.*; did you mean ravdess\?"):
        load_corpus("ravdes", ".")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", mock.Mock(side_effect=OSError("no network")))
    with pytest.raises(FileNotFoundError, match=r"ravdes is neither a folder nor a corpus .*; did you mean ravdess\?"):
        load_splits("ravdes")


def audio_splits(audio, labels):
    features = datasets.Features({"audio": datasets.Audio(), "emotion": datasets.Value("string")})
    table = pa.Table.from_pydict({"audio": audio, "emotion": labels}, schema=features.arrow_schema)
    return datasets.DatasetDict(train=datasets.Dataset(table))


@pytest.mark.parametrize("nothing", [None, {"bytes": None, "path": None}])
def test_rows_without_audio_are_left_out_and_counted(caplog, nothing):
    splits = audio_splits([{"bytes": None, "path": "a.wav"}, nothing, {"bytes": b"b", "path": None}], ["x", "y", "z"])
    splits["train"] = splits["train"].select([2, 1, 0])
    with caplog.at_level("WARNING"):
        rows = CorpusArguments("x").encode(splits)["train"]
    assert list(rows["emotion"]) == [1, 0] and rows.features["emotion"].names == ["x", "z"]
    assert caplog.messages == ["split 'train': 1 of 3 rows have no value in column 'audio' and are left out"]


def test_a_regression_needs_no_labels():
    splits = audio_splits([{"bytes": b"a", "path": None}] * 2, ["x", None])
    rows = CorpusArguments("x").encode(splits, "regression")["train"]
    assert len(rows) == 2 and len(rows.features["emotion"].names) == 1


@pytest.mark.parametrize(
    ("content", "message"), [(b"PAR1", "damaged, or no Parquet file"), (None, "has no rows: write it again")]
)
def test_files_without_rows_are_named(tmp_path, content, message):
    features = datasets.Features({"emotion": datasets.ClassLabel(names=["a"])})
    for split, labels in (("train", [0]), ("test", [])):
        datasets.Dataset.from_dict({"emotion": labels}, features).to_parquet(tmp_path / f"{split}.parquet")
    if content is not None:
        (tmp_path / "test.parquet").write_bytes(content)
    for streaming in (False, True):
        with pytest.raises(ValueError, match=rf"test\.parquet:? {message}"):
            load_splits(str(tmp_path), streaming=streaming)
