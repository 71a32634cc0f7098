import csv
import os
from collections import Counter, defaultdict
from pathlib import Path

import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Utterance, base
from lssed_hf.corpora.lssed import Lssed
from lssed_hf.labels import EMOTIONS
from lssed_hf.preparation.lssed_tables import PUBLISHED_EMOTIONS


Rows = list[dict[str, object]]


@pytest.fixture
def release(tmp_path, write_clip):
    """Write a release: a metadata CSV with the rows' columns, and a clip for every row."""

    def release(rows: Rows, metadata: str = "metadata_english_all.csv", audio: str = "wav_all/{}.wav") -> Path:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        with (folder / metadata).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for row in rows:
            name = str(row.get("name") or row.get("file") or row.get("id"))
            write_clip(folder / audio.format(Path(name).stem))
        return folder

    return release


@pytest.fixture
def load(tmp_path):
    def load(folder, config="default", **kwargs) -> datasets.Dataset:
        """Load all splits together, audio undecoded."""
        splits = load_corpus("lssed", folder, config, cache_dir=tmp_path / "cache", **kwargs)
        rows = datasets.concatenate_datasets(list(splits.values()))
        return rows.cast_column("audio", datasets.Audio(decode=False))

    return load


def people(number: int, each: int = 4) -> Rows:
    """Return rows of `number` speakers with `each` utterances, of six emotions in turn."""
    emotions = ["angry", "neutral", "happy", "sad", "bored", "other"]
    return [
        {"name": f"E{speaker:04}_{clip:04}", "faces": emotions[(speaker + clip) % 6]}
        for speaker in range(1, number + 1)
        for clip in range(each)
    ]


def named(rows: datasets.Dataset) -> list[str]:
    """Return the names of the emotions in the order of the ids."""
    emotions = dict(zip(rows["id"], rows["emotion"]))
    return [rows.features["emotion"].int2str(emotions[name]) for name in sorted(emotions)]


class TestMetadata:
    @pytest.mark.parametrize("metadata", ["metadata_english_all.csv", "metadata_4class.csv", "metadata.csv"])
    @pytest.mark.parametrize("audio", ["wav_all/{}.wav", "wav/{}.flac", "audio/{}.mp3", "{}.wav", "wav_all/{}.WAV"])
    def test_known_names_and_places(self, release, load, metadata, audio):
        folder = release(people(3, 1), metadata, audio)
        rows = load(folder)
        assert sorted(row["audio"]["path"] for row in rows) == sorted(
            str(folder / audio.format(name)) for name in rows["id"]
        )
        assert all(load_audio(row["audio"]).size for row in rows)

    @pytest.mark.parametrize("name", ["name", "file", "id"])
    @pytest.mark.parametrize("emotion", ["emotion", "faces", "label"])
    def test_column_names(self, release, load, name, emotion):
        values = ["sad", "angry", "excitement"]
        rows = [{name: f"E000{n}_1", emotion: value} for n, value in enumerate(values)]
        assert named(load(release(rows))) == ["sad", "angry", "excited"]

    @pytest.mark.parametrize("written", ["{}.wav", "wav_all/{}.wav", "{}"])
    def test_names_with_folder_or_suffix(self, release, load, written):
        rows = [{"name": written.format(f"E000{n}_1"), "label": "sad"} for n in range(3)]
        assert sorted(load(release(rows))["id"]) == ["E0000_1", "E0001_1", "E0002_1"]

    def test_names_with_dots(self, release, load, write_clip):
        rows = [{"name": f"E000{n}_12.5", "label": "sad"} for n in range(3)]
        folder = release(rows, audio="other/{}.wav")
        for row in rows:
            write_clip(folder / "wav_all" / f"{row['name']}.wav")
        assert sorted(load(folder)["id"]) == [row["name"] for row in rows]

    def test_the_preferred_of_several_folders_and_formats(self, release, load, write_clip):
        folder = release(people(3, 1), audio="wav/{}.wav")
        for name in ("E0001_0000.wav", "wav_all/speaker_1/E0001_0000.wav", "wav/E0002_0000.flac", "E0003_0000.mp3"):
            write_clip(folder / name)
        assert sorted(row["audio"]["path"].removeprefix(f"{folder}/") for row in load(folder)) == [
            "wav/E0002_0000.flac",
            "wav/E0003_0000.wav",
            "wav_all/speaker_1/E0001_0000.wav",
        ]

    @pytest.mark.parametrize("form", ["{}", "{}.0", " {} "])
    def test_numbers_are_in_lsseds_order(self, release, load, form):
        rows = [{"name": f"E{n:04}_1", "label": form.format(n)} for n in range(11)]
        assert named(load(release(rows))) == list(EMOTIONS)

    @pytest.mark.parametrize("separator", [";", "|", "/", ",", "; "])
    def test_several_emotions(self, release, load, separator):
        rows = people(3, 1)
        rows[0]["faces"] = separator.join(["sad", "disappointment", "other"])
        row = next(row for row in load(release(rows)) if row["id"] == "E0001_0000")
        assert row["emotion"] == 3
        assert row["secondary_emotions"] == [4, 10]

    def test_every_column(self, release, load):
        first = {
            "name": "E0007_0001",
            "faces": "Happiness",
            "gender": "Male",
            "age": "41",
            "age_group": "Middle-aged",
            "speaker": "S7",
            "session": "12",
            "start": "1.25",
            "end": "3.5",
            "transcript": " Well, yes. ",
        }
        second = {**dict.fromkeys(first, ""), "name": "E0008_0001", "faces": "sad"}
        third = {**second, "name": "E0009_0001", "gender": "f", "age_group": "o"}
        rows = {row["id"]: row for row in load(release([first, second, third]))}
        for row in rows.values():
            del row["audio"]
        assert rows["E0007_0001"] == {
            "id": "E0007_0001",
            "emotion": 2,
            "secondary_emotions": [],
            "gender": 1,
            "age_group": 1,
            "age": 41.0,
            "speaker_id": "S7",
            "session_id": "12",
            "start": 1.25,
            "end": 3.5,
            "transcript": "Well, yes.",
        }
        unknown = dict.fromkeys(("age", "session_id", "start", "end", "transcript"))
        assert rows["E0008_0001"] == {
            "id": "E0008_0001",
            "emotion": 3,
            "secondary_emotions": [],
            "gender": -1,
            "age_group": -1,
            "speaker_id": "0008",  # from the name
            **unknown,
        }
        assert (rows["E0009_0001"]["gender"], rows["E0009_0001"]["age_group"]) == (0, 2)

    @pytest.mark.parametrize("value", ["1", "1.0", "True", "TRUE"])
    def test_chinese_speech_is_left_out(self, release, load, value, monkeypatch):
        warnings = []
        monkeypatch.setattr(base.logger, "warning", warnings.append)
        rows = [{**row, "is_Chinese": "0"} for row in people(4, 1)]
        rows[1]["is_Chinese"] = value
        assert sorted(load(release(rows))["speaker_id"]) == ["0001", "0003", "0004"]
        assert warnings == ["lssed: 1 utterance is left out: is_Chinese is set (keep_chinese=True keeps these)"]

    def test_byte_order_mark_and_short_lines(self, release, load):
        folder = release([{**row, "transcript": "Yes."} for row in people(3, 1)])
        path = folder / "metadata_english_all.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[1] = lines[1].removesuffix(",Yes.")
        path.write_text("\n".join(lines), encoding="utf-8-sig")
        assert sorted(load(folder)["transcript"], key=str) == [None, "Yes.", "Yes."]


class TestErrors:
    def test_not_lssed(self, tmp_path, load, write_clip):
        write_clip(tmp_path / "other" / "speech.wav")
        with pytest.raises(CorpusDataError, match=r"not LSSED: looked for metadata_english_all.csv.*found speech.wav"):
            load(tmp_path / "other")
        (tmp_path / "nothing").mkdir()
        with pytest.raises(CorpusDataError, match="found nothing"):
            load(tmp_path / "nothing")

    def test_missing_audio_is_listed(self, release, load):
        folder = release(people(3, 2))
        for name in ("E0001_0001", "E0003_0000"):
            (folder / "wav_all" / f"{name}.wav").unlink()
        with pytest.raises(CorpusDataError) as error:
            load(folder)
        for part in (
            "2 of 6 utterances",
            "line 3 (E0001_0001)",
            "line 6 (E0003_0000)",
            ".flac",
            "wav_all",
            str(folder),
        ):
            assert part in str(error.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"faces": "confused"}, "unknown emotion 'confused'"),
            ({"faces": ""}, "no emotion given"),
            ({"faces": "11"}, "emotion number 11; LSSED has 0 to 10"),
            ({"split": "holdout"}, "split 'holdout' is none of train, validation, test"),
        ],
    )
    def test_a_bad_value_is_located(self, release, load, change, message):
        rows = [{"gender": "", "age": "", "split": "", **row} for row in people(3, 1)]
        rows[1].update(change)
        with pytest.raises(CorpusDataError, match=rf"metadata_english_all.csv, line 3 \(E0002_0000\): .*{message}"):
            load(release(rows))

    @pytest.mark.parametrize("column", ["name", "faces"])
    def test_missing_columns(self, release, load, column):
        rows = [{("x" if key == column else key): value for key, value in row.items()} for row in people(3, 1)]
        wanted = {
            "name": "no name column: looked for name, file, path, file_name, filename, id",
            "faces": "no emotion column",
        }[column]
        with pytest.raises(CorpusDataError, match=f"{wanted}.*found .*x"):
            load(release(rows))

    def test_empty_metadata(self, tmp_path, load):
        (tmp_path / "metadata.csv").touch()
        with pytest.raises(CorpusDataError, match="found an empty file"):
            load(tmp_path)

    def test_too_few_speakers(self, release, load):
        with pytest.raises(ValueError, match="2 speakers cannot fill 3 speaker-disjoint splits"):
            load(release(people(2)))


class TestSplits:
    def load(self, folder, tmp_path, config="default", **kwargs):
        return load_corpus("lssed", folder, config, cache_dir=tmp_path / "cache", **kwargs)

    def test_speakers_are_kept_apart(self, release, tmp_path):
        splits = self.load(release(people(20)), tmp_path)
        speakers = {name: set(rows["speaker_id"]) for name, rows in splits.items()}
        assert {name: len(members) for name, members in speakers.items()} == {"train": 14, "validation": 2, "test": 4}
        assert len(set().union(*speakers.values())) == 20

    def test_the_papers_split(self, release, tmp_path):
        splits = self.load(release(people(30)), tmp_path, split_scheme="paper")
        assert {name: len(rows) for name, rows in splits.items()} == {"train": 96, "test": 24}
        assert set(Counter(splits["test"]["emotion"]).values()) == {4}
        assert set(splits["train"]["speaker_id"]) & set(splits["test"]["speaker_id"])  # it leaks speakers

    @pytest.mark.parametrize("scheme", ["paper", "speaker"])
    def test_a_split_column_wins(self, release, tmp_path, scheme):
        rows = people(3, 3)
        for row in rows:
            row["split"] = {"0": "train", "1": "validation", "2": "test"}[row["name"][-1]]
        splits = self.load(release(rows), tmp_path, split_scheme=scheme)
        assert {name: {row[-1] for row in rows["id"]} for name, rows in splits.items()} == {
            "train": {"0"},
            "validation": {"1"},
            "test": {"2"},
        }

    def test_rows_without_a_split_are_told_of(self, release, tmp_path, monkeypatch):
        warnings = []
        monkeypatch.setattr(base.logger, "warning", warnings.append)
        rows = [{**row, "split": "train"} for row in people(3, 1)]
        rows[0]["split"] = ""
        splits = self.load(release(rows), tmp_path)
        assert {name: len(rows) for name, rows in splits.items()} == {"train": 2}
        assert warnings == ["lssed: 1 utterance without a split is left out"]

    @pytest.mark.parametrize("scheme", ["paper", "speaker"])
    def test_benchmark_and_default_hold_out_the_same_utterances(self, release, tmp_path, scheme):
        """Otherwise a model trained on four classes could have seen the test set of eleven."""
        folder = release(people(30, 5))
        full, four = (self.load(folder, tmp_path, config, split_scheme=scheme) for config in ("default", "benchmark"))
        for name in full:
            kept = {row for row, emotion in zip(full[name]["id"], full[name]["emotion"]) if emotion < 4}
            assert kept == set(four[name]["id"]) and kept

    def test_unknown_scheme(self, release, tmp_path):
        with pytest.raises(ValueError, match="split_scheme='random'; lssed has speaker, paper"):
            self.load(release(people(3)), tmp_path, split_scheme="random")


def undecoded(rows):
    return rows.cast_column("audio", datasets.Audio(decode=False))


class TestLoadDataset:
    """`datasets.load_dataset("lssed", ...)` after `import lssed_hf`."""

    @pytest.fixture
    def folder(self, release):
        return release(people(12, 6))

    @pytest.fixture
    def load(self, tmp_path):
        return lambda *args, **kwargs: datasets.load_dataset("lssed", *args, cache_dir=tmp_path / "cache", **kwargs)

    def test_equals_load_corpus(self, folder, load, tmp_path):
        ours = load_corpus("lssed", folder, "benchmark", cache_dir=tmp_path / "ours")
        theirs = load("benchmark", data_dir=str(folder))
        assert {name: undecoded(rows).to_list() for name, rows in theirs.items()} == {
            name: undecoded(rows).to_list() for name, rows in ours.items()
        }
        assert theirs["train"].features["emotion"].names == ["angry", "neutral", "happy", "sad"]

    def test_default_config(self, folder, load):
        assert load(data_dir=str(folder))["train"].features["emotion"].names == list(EMOTIONS)

    def test_split_slices_and_scheme(self, folder, load):
        train = load(data_dir=str(folder), split="train")
        half = load(data_dir=str(folder), split="train[:50%]")
        assert list(half["id"]) == list(train["id"])[: len(train) // 2]
        paper = load(data_dir=str(folder), split_scheme="paper")
        assert set(paper) == {"train", "test"}

    def test_streaming(self, folder, load):
        whole = load("benchmark", data_dir=str(folder), split="test")
        stream = undecoded(load("benchmark", data_dir=str(folder), split="test", streaming=True))
        rows = list(stream)
        assert rows == undecoded(whole).to_list()
        assert load_audio(rows[0]["audio"]).shape == (320,)

    def test_metadata_as_data_files(self, folder, load):
        """Nothing below the folder is listed, which matters at 147,025 clips."""
        metadata = folder / "metadata_english_all.csv"
        rows = load("benchmark", data_files=str(metadata), data_dir=str(folder))
        expected = load("benchmark", data_dir=str(folder))
        assert undecoded(rows["test"]).to_list() == undecoded(expected["test"]).to_list()
        stream = load("benchmark", data_files=str(metadata), data_dir=str(folder), split="test", streaming=True)
        assert list(undecoded(stream)) == undecoded(rows["test"]).to_list()

    def test_any_metadata_as_data_files(self, folder, load, tmp_path):
        lines = (folder / "metadata_english_all.csv").read_text().splitlines()
        own = tmp_path / "my_selection.csv"
        own.write_text("\n".join(lines[:25]))
        rows = load(data_files=str(own), data_dir=str(folder))
        assert sum(map(len, rows.values())) == 24
        (folder / "relative.csv").write_text("\n".join(lines[:19]))
        rows = load(data_files="relative.csv", data_dir=str(folder))
        assert sum(map(len, rows.values())) == 18

    def test_edited_metadata_is_read_again(self, folder, load):
        metadata = folder / "metadata_english_all.csv"
        arguments = {"data_files": str(metadata), "data_dir": str(folder)}
        assert sum(map(len, load(**arguments).values())) == 72
        metadata.write_text("\n".join(metadata.read_text().splitlines()[:-6]))
        os.utime(metadata, (1, 1))
        assert sum(map(len, load(**arguments).values())) == 66

    def test_two_metadata_files(self, folder, load):
        (folder / "b.csv").write_text((folder / "metadata_english_all.csv").read_text())
        with pytest.raises(CorpusDataError, match="one metadata file is read, but data_files are"):
            load(data_files=["metadata_english_all.csv", "b.csv"], data_dir=str(folder))

    def test_no_data_dir(self, folder, load, monkeypatch):
        monkeypatch.chdir(folder)
        with pytest.raises(ValueError, match="lssed needs data_dir="):
            load()


class TestFeatureSets:
    """Feature sets that the agreement names, in place of audio."""

    @pytest.fixture
    def values(self):
        return {f"E{number:04d}_1": np.random.default_rng(number).integers(0, 256, (16, 9)) for number in range(6)}

    @pytest.fixture
    def folder(self, tmp_path, values):
        image = pytest.importorskip("PIL.Image")
        folder = tmp_path / "raw"
        for name in ("spec_librosa", "vq-wav2vec", "IS13-ComParE"):
            (folder / name).mkdir(parents=True)
        lines = ["name;f1;f2;f3"]
        for number, (name, array) in enumerate(values.items()):
            picture = image.fromarray(array.astype(np.uint8))
            (picture.convert("RGB") if number % 2 else picture).save(folder / "spec_librosa" / f"{name}.png")
            np.save(folder / "vq-wav2vec" / f"{name}.npy", array.astype(np.int16))
            lines.append(f"{name};{array[0, 0]};{array[0, 1]};{array[0, 2] / 3}")
        (folder / "IS13-ComParE" / "is13_compare.csv").write_text("\n".join(lines))
        rows = [f"{name},{number % 4},0" for number, name in enumerate(values)]
        (folder / "metadata_4class.csv").write_text("\n".join(["name,label,is_Chinese", *rows]))
        return folder

    @pytest.mark.parametrize("streaming", [False, True])
    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ("spectrogram", lambda array: array[None].tolist()),
            ("is13_compare", lambda array: np.float32([array[0, 0], array[0, 1], array[0, 2] / 3]).tolist()),
            ("vq_wav2vec", lambda array: array.tolist()),
        ],
    )
    def test_values(self, folder, values, tmp_path, config, expected, streaming):
        splits = datasets.load_dataset(
            "lssed",
            config,
            data_dir=str(folder),
            data_files=str(folder / "metadata_4class.csv"),
            cache_dir=tmp_path / "cache",
            streaming=streaming,
        )
        assert "audio" not in splits["train"].features
        rows = {row["id"]: row for split in splits.values() for row in split}
        assert {name: row["features"] for name, row in rows.items()} == {
            name: expected(array) for name, array in values.items()
        }
        assert [rows[name]["emotion"] for name in values] == [0, 1, 2, 3, 0, 1]


class TestAtFullSize:
    """147,025 utterances of 820 speakers with the totals of the paper's Table 3."""

    @pytest.fixture(scope="class")
    def utterances(self):
        emotions = [emotion for emotion, parts in PUBLISHED_EMOTIONS.items() for _ in range(sum(parts))]
        return [
            Utterance(id=str(number), path="", emotion=emotion, speaker_id=f"{1 + number % 820:04d}")
            for number, emotion in enumerate(emotions)
        ]

    def test_the_papers_split_gives_table_3(self, utterances):
        splits = Lssed().assign_splits(utterances, "paper")
        counts = Counter((row.emotion, split) for row, split in zip(utterances, splits))
        assert counts == {
            (emotion, split): number
            for emotion, parts in PUBLISHED_EMOTIONS.items()
            for split, number in zip(("train", "test"), parts)
        }

    def test_no_speaker_is_in_two_splits(self, utterances):
        speakers = defaultdict(set)
        for row, split in zip(utterances, Lssed().assign_splits(utterances, "speaker")):
            speakers[split].add(row.speaker_id)
        assert {split: len(members) for split, members in speakers.items()} == {
            "train": 574,
            "validation": 82,
            "test": 164,
        }
        assert len(set().union(*speakers.values())) == 820
