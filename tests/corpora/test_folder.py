"""Anybody's own recordings, by metadata or by folders named after emotions."""

import csv
import re

import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, Reject, folder
from lssed_hf.corpora.loading import load_splits
from lssed_hf.preparation.synthesize import synthesize


EMOTIONS = ["angry", "neutral", "happy", "sad"]


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def write_table(data):
    def write_table(rows: list[dict[str, object]], name: str = "metadata.csv", separator: str = ","):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write_table


@pytest.fixture
def load(data, tmp_path):
    return lambda *args, **kwargs: load_corpus("folder", data, *args, cache_dir=tmp_path / "cache", **kwargs)


@pytest.fixture
def read(data):
    def read(**options):
        """Utterances by id, and rejects."""
        utterances, rejects = folder.FolderCorpus(config_name="default", **options).read(data)
        return {row.id: row for row in utterances}, rejects

    return read


@pytest.fixture
def warnings(monkeypatch):
    warnings = []
    monkeypatch.setattr(folder.logger, "warning", warnings.append)
    return warnings


@pytest.fixture
def tree(data, write_clip):
    """Writes clips at these paths below the folder."""

    def tree(*names: str):
        for name in names:
            write_clip(data / name)

    return tree


def people(number: int, each: int = 4, **more) -> list[dict[str, object]]:
    return [
        {"path": f"{speaker}/{clip}.wav", "emotion": EMOTIONS[clip % 4], "speaker": f"s{speaker}", **more}
        for speaker in range(number)
        for clip in range(each)
    ]


class TestMetadata:
    @pytest.mark.parametrize("name", ["metadata.csv", "metadata.TSV", "labels.csv", "metadata.jsonl"])
    def test_found_in_the_folder(self, tree, data, read, write_table, name):
        tree("sub/a.wav", "b.flac")
        if name.endswith(".jsonl"):
            (data / name).write_text(
                '{"file_name": "sub/a.wav", "label": "joy"}\n{"path": "b.flac", "emotion": "sad"}'
            )
        else:
            write_table([{"path": "sub/a.wav", "emotion": "joy"}, {"path": "./b.flac", "emotion": "SAD"}], name, "\t")
        utterances, rejects = read()
        assert {name: row.emotion for name, row in utterances.items()} == {"sub/a": "happy", "b": "sad"}
        assert utterances["sub/a"].path == str(data / "sub/a.wav") and not rejects

    def test_metadata_comes_before_other_tables_and_folders(self, tree, data, read, write_table):
        tree("sad/a.wav")
        (data / "notes.csv").write_text("nothing,of,interest\n")
        write_table([{"path": "sad/a.wav", "emotion": "happy"}])
        assert read()[0]["sad/a"].emotion == "happy"

    def test_several_tables(self, tree, read, write_table):
        tree("a.wav")
        rows = [{"path": "a.wav", "emotion": "sad"}]
        write_table(rows, "b.csv"), write_table(rows, "a.tsv")
        with pytest.raises(CorpusDataError, match=r"data holds several metadata files: a\.tsv, b\.csv; give one"):
            read()
        write_table(rows), write_table(rows, "metadata.tsv")
        with pytest.raises(CorpusDataError, match=r"several metadata files: metadata\.csv, metadata\.tsv"):
            read()

    def test_data_files_name_any_table(self, tree, load, write_table, data, tmp_path):
        """Its paths may start at its own folder."""
        tree("deep/a.wav", "deep/b.wav", "c.wav")
        rows = [{"path": name, "emotion": "sad", "split": "train"} for name in ("a.wav", "deep/b.wav", "c.wav")]
        table = write_table(rows, "deep/own.csv")
        assert load(data_files=str(table))["train"]["id"][:] == ["deep/a", "deep/b", "c"]
        elsewhere = tmp_path / "own.csv"
        elsewhere.write_text(table.read_text())
        with pytest.raises(CorpusDataError, match=r"1 of 3 .*own.csv, line 2 \(a.wav\): no file 'a.wav' in .*data"):
            load(data_files=str(elsewhere))

    @pytest.mark.parametrize("path", ["path", "file", "file_name", "filename", "audio", "name"])
    @pytest.mark.parametrize("emotion", ["emotion", "label"])
    def test_columns(self, tree, read, write_table, path, emotion):
        tree("a.wav")
        write_table([{path: "a.wav", emotion: "sad"}])
        assert read()[0]["a"].emotion == "sad"

    def test_every_column(self, tree, read, write_table, data):
        tree("x/talk.wav")
        row = {
            "path": "x\\talk.wav",
            "emotion": "Anger; other",
            "speaker": "Anna",
            "session": "7",
            "gender": "F",
            "age": "41",
            "age_group": "middle aged",
            "start": "0.25",
            "end": "1",
            "transcript": "Well, yes.",
            "split": "Dev",
        }
        write_table([row])
        assert read()[0] == {
            "x/talk#0.25-1.0": folder.Utterance(
                id="x/talk#0.25-1.0",
                path=str(data / "x" / "talk.wav"),
                emotion="angry",
                secondary_emotions=("other",),
                gender="female",
                age_group="middle_aged",
                age=41.0,
                speaker_id="Anna",
                session_id="7",
                start=0.25,
                end=1.0,
                transcript="Well, yes.",
                split="validation",
                cut=True,
                source=f"{data / 'metadata.csv'}, line 2",
            )
        }

    def test_times_mean_parts(self, data, load, write_clip, write_table):
        write_clip(data / "talk.wav", seconds=1.0), write_clip(data / "whole.wav")
        parts = [(0, 0.25), (0.25, 0.35), ("", "")]
        rows = [{"path": "talk.wav", "emotion": "sad", "start": start, "end": end} for start, end in parts]
        write_table([{**row, "split": "test"} for row in [*rows, {**rows[2], "path": "whole.wav"}]])
        rows = load()["test"].cast_column("audio", datasets.Audio(decode=False))
        assert rows["id"][:] == ["talk#0.0-0.25", "talk#0.25-0.35", "talk", "whole"]
        assert rows["start"][:] == [0, 0.25, None, None] and rows["end"][:] == [0.25, 0.35, None, None]
        sounds = [load_audio(row["audio"]) for row in rows]
        assert [len(sound) for sound in sounds] == [4000, 1600, 16000, 320]
        np.testing.assert_array_equal(np.concatenate(sounds[:2]), sounds[2][:5600])

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"path": ""}, "no file given; looked for path, file, file_name"),
            ({"path": "gone.wav"}, "no file 'gone.wav' in .*data"),
            ({"path": "a"}, "'a' is no audio or video file by its suffix; known are .wav"),
            ({"path": "metadata.csv"}, "'metadata.csv' is no audio or video file"),
            ({"emotion": ""}, "no emotion given"),
            ({"start": "1", "end": ""}, "has a start alone; give both, or none for the whole file"),
            ({"start": "", "end": "1"}, "has an end alone"),
            ({"split": "eval"}, "split 'eval' is none of train, validation, test"),
            ({"gender": "x"}, "gender 'x' is none of female, male"),
        ],
    )
    def test_bad_rows_are_located(self, tree, read, write_table, data, change, message):
        tree("a.wav", "b.wav", "c.wav")
        rows = [
            {"path": f"{name}.wav", "emotion": "sad", "start": "", "end": "", "split": "", "gender": ""}
            for name in "abc"
        ]
        rows[1] |= change
        write_table(rows)
        utterances, (reject,) = read()
        assert set(utterances) == {"a", "c"} and not reject.by_rule
        assert reject.source == f"{data / 'metadata.csv'}, line 3"
        assert re.search(message, reject.reason)

    def test_videos(self, data, read, write_table):
        data.mkdir()
        for name in ("a.mp4", "b.AVI"):
            (data / name).write_bytes(b"not looked at yet")
        write_table([{"path": "a.mp4", "emotion": "sad"}, {"path": "b.AVI", "emotion": "sad", "start": 1, "end": 2}])
        assert [row.cut for row in read()[0].values()] == [False, True]


class TestTree:
    def test_folders_named_after_emotions(self, tree, read, data):
        tree("Angry/a.wav", "joy/deep/er/b.flac", "sad/a.mp3", "sad/.hidden.wav", ".trash/c.wav")
        (data / "sad" / "notes.txt").touch()
        (data / "sad" / "clip.mp4").touch()
        utterances, rejects = read()
        assert {name: (row.emotion, row.split) for name, row in utterances.items()} == {
            "Angry/a": ("angry", None),
            "joy/deep/er/b": ("happy", None),
            "sad/a": ("sad", None),
            "sad/clip": ("sad", None),
        }
        assert not rejects

    def test_splits_above_emotions(self, tree, load):
        tree("train/sad/a.wav", "train/angry/b.wav", "dev/sad/a.wav", "Testing/happy/x/y.wav")
        assert {name: rows["id"][:] for name, rows in load().items()} == {
            "train": ["train/angry/b", "train/sad/a"],
            "validation": ["dev/sad/a"],
            "test": ["Testing/happy/x/y"],
        }

    def test_files_in_no_folder_of_an_emotion(self, tree, read, data):
        tree("sad/a.wav", "b.wav")
        assert read()[1] == [Reject("b", str(data / "b.wav"), "in no folder of an emotion; move it to one")]

    def test_files_in_no_folder_of_an_emotion_below_a_split(self, tree, read, data):
        tree("train/sad/a.wav", "test/b.wav", "c.wav")
        utterances, rejects = read()
        assert set(utterances) == {"train/sad/a"}
        assert [reject.source for reject in rejects] == [str(data / "c.wav"), str(data / "test" / "b.wav")]

    def test_an_unknown_folder_among_known_ones(self, tree, read, data):
        tree("sad/a.wav", "wut/b.wav", "wut/c.wav", "train/d.wav")
        utterances, rejects = read()
        assert set(utterances) == {"sad/a"} and len(rejects) == 3
        assert rejects[1].source == str(data / "wut" / "b.wav")
        assert rejects[1].reason.startswith("unknown emotion 'wut'; known are angry, ")
        assert rejects[1].reason.endswith("label_map={'train': ..., 'wut': ...}")

    @pytest.mark.parametrize(
        ("names", "found"),
        [
            (
                ["Actor_01/a.wav", "Actor_02/a.wav"],
                "Actor_01/, Actor_02/, and audio in folders named Actor_01, Actor_02",
            ),
            (["a.wav"], "a.wav, and no audio in its folders"),
            ([], "nothing, and no audio in its folders"),
        ],
    )
    def test_another_folder(self, tree, read, data, names, found):
        data.mkdir()
        tree(*names)
        with pytest.raises(CorpusDataError) as error:
            read()
        assert f"{data}: looked for metadata (metadata.csv, metadata.tsv, metadata.jsonl) or folders" in str(
            error.value
        )
        assert f"found {found}. Other names are explained by label_map=" in str(error.value)


class TestLabelMap:
    def test_own_labels(self, tree, read, write_table):
        tree("a.wav", "b.wav", "c.wav", "d.wav", "e.wav")
        labels = {"a": "Wut", "b": "ruhig/müde", "c": "sad", "d": "3", "e": "wut;sad"}
        write_table([{"path": f"{name}.wav", "emotion": label} for name, label in labels.items()])
        utterances, rejects = read(label_map={"wut ": "anger", "Ruhig/Müde": "Neutral", "3": "bored", "sad": "happy"})
        found = {name: (row.emotion, *row.secondary_emotions) for name, row in utterances.items()}
        assert found == {
            "a": ("angry",),
            "b": ("neutral",),
            "c": ("happy",),  # ours, said otherwise
            "d": ("bored",),
            "e": ("angry", "happy"),
        }
        assert not rejects

    def test_folders(self, tree, read):
        tree("wut/a.wav", "froh/b.wav")
        assert {row.emotion for row in read(label_map={"wut": "angry", "froh": "happy"})[0].values()} == {
            "angry",
            "happy",
        }

    def test_unknown_labels_are_all_in_the_error(self, tree, load, write_table, data):
        labels = ["sad", "wut", "froh", "wut", "müde"]
        names = [f"{index}.wav" for index in range(5)]
        tree(*names)
        write_table([{"path": name, "emotion": label} for name, label in zip(names, labels)])
        with pytest.raises(CorpusDataError, match="4 of 5 utterances cannot be used") as error:
            load()
        assert f"{data / 'metadata.csv'}, line 3 (1.wav): unknown emotion 'wut'; known are angry" in str(error.value)
        assert "say what others mean by label_map={'froh': ..., 'müde': ..., 'wut': ...}" in str(error.value)

    def test_many_unknown_labels(self, tree, read, write_table):
        tree("a.wav")
        write_table([{"path": "a.wav", "emotion": f"label{index}", "speaker": index} for index in range(20)])
        assert "label_map={'label0': ..., 'label1': ..., " in read()[1][0].reason
        assert read()[1][0].reason.endswith(", ...}")

    @pytest.mark.parametrize("label_map", [{"wut": "rage"}, {"wut": None}, {3: "sad"}, ["wut"]])
    def test_bad_maps(self, tree, read, label_map):
        tree("sad/a.wav")
        with pytest.raises(ValueError, match=r"label_map=.*give pairs of a label and an emotion"):
            read(label_map=label_map)


class TestSpeakers:
    @pytest.mark.parametrize(
        "pattern", ["^([^/]+)/", "(?P<speaker>s[0-9]+)/", r"(x)?(?P<speaker>s\d)", r"(\w+)/\w+\.wav$"]
    )
    def test_out_of_the_path(self, tree, read, write_table, pattern):
        tree("s1/a.wav", "s2/a.wav")
        write_table([{"path": f"{speaker}/a.wav", "emotion": "sad"} for speaker in ("s1", "s2")])
        assert [row.speaker_id for row in read(speaker_pattern=pattern)[0].values()] == ["s1", "s2"]

    def test_a_column_comes_first(self, tree, read, write_table):
        tree("s1/a.wav", "s2/a.wav")
        rows = [{"path": "s1/a.wav", "speaker": "Anna"}, {"path": "s2/a.wav", "speaker": ""}]
        write_table([{**row, "emotion": "sad"} for row in rows])
        assert [row.speaker_id for row in read(speaker_pattern="(s.)/")[0].values()] == ["Anna", "s2"]

    def test_paths_that_do_not_match(self, tree, read, data):
        tree("sad/s1_a.wav", "sad/x.wav", "happy/_a.wav")
        utterances, rejects = read(speaker_pattern="(s1|)_")
        assert {row.id: row.speaker_id for row in utterances.values()} == {"sad/s1_a": "s1"}
        assert [(reject.source, reject.reason) for reject in rejects] == [
            (str(data / name), f"speaker_pattern='(s1|)_' finds no speaker in {name!r}")
            for name in ("happy/_a.wav", "sad/x.wav")
        ]

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("(s", r"speaker_pattern='\(s' is no regular expression: missing \)"),
            ("s[0-9]", "has 0 groups; put the speaker's part, and no other, between"),
            ("(s)([0-9])", "has 2 groups"),
            (3, "speaker_pattern=3 is no regular expression"),
        ],
    )
    def test_bad_patterns(self, tree, read, pattern, message):
        tree("sad/a.wav")
        with pytest.raises(ValueError, match=message):
            read(speaker_pattern=pattern)


class TestSplits:
    def test_speakers_are_kept_apart(self, tree, load, write_table, warnings):
        rows = people(20)
        tree(*[row["path"] for row in rows])
        write_table(rows)
        splits = load()
        speakers = {name: set(rows["speaker_id"]) for name, rows in splits.items()}
        assert {name: len(members) for name, members in speakers.items()} == {"train": 14, "validation": 2, "test": 4}
        assert len(set().union(*speakers.values())) == 20 and not warnings

    @pytest.mark.parametrize("known", [True, False])
    def test_at_random(self, tree, load, write_table, warnings, known):
        rows = people(10) if known else [{**row, "speaker": ""} for row in people(10)]
        tree(*[row["path"] for row in rows])
        write_table(rows)
        splits = load(split_scheme="random" if known else None)
        assert {name: sorted(rows["emotion"]) for name, rows in splits.items()} == {
            "train": [emotion for emotion in range(4) for _ in range(8)],
            "test": [0, 0, 1, 1, 2, 2, 3, 3],
        }
        assert len(warnings) == 1 and "the same voices may be on both sides" in warnings[0]

    def test_schemes(self, tree, read, write_table, data):
        tree("a.wav", "b.wav")
        builder = folder.FolderCorpus()

        def schemes(**more):
            write_table(
                [{"path": "a.wav", "emotion": "sad", **more}, {"path": "b.wav", "emotion": "sad", "speaker": "b"}]
            )
            return tuple(builder.split_schemes(builder.read(data)[0]))

        assert schemes() == ("random",)
        assert schemes(speaker="a") == ("speaker", "random")
        assert schemes(split="test") == ("official",)

    def test_some_speakers_are_unknown(self, tree, load, write_table):
        rows = people(4)
        tree(*[row["path"] for row in rows])
        rows[5]["speaker"] = ""
        write_table(rows)
        with pytest.raises(
            CorpusDataError, match=r"the speaker of 1 utterances is unknown \(1/1\).*split_scheme='random'"
        ):
            load()
        assert len(load(split_scheme="random")["test"]) == 3

    def test_too_few_speakers(self, tree, load, write_table):
        rows = people(2)
        tree(*[row["path"] for row in rows])
        write_table(rows)
        with pytest.raises(CorpusDataError, match=r"2 speakers cannot fill 3 .*choose split_scheme='random'"):
            load()

    def test_a_split_column_wins(self, tree, load, write_table):
        rows = [{**row, "split": split} for row, split in zip(people(1), ["Training", "val", "test", ""])]
        tree(*[row["path"] for row in rows])
        write_table(rows)
        assert {name: rows["id"][:] for name, rows in load().items()} == {
            "train": ["0/0"],
            "validation": ["0/1"],
            "test": ["0/2"],
        }


def test_needs_a_folder():
    with pytest.raises(ValueError, match="folder needs data_dir=, the folder that holds your recordings"):
        load_corpus("folder")


def test_load_splits_with_four_emotions(tree, data, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    tree("train/sad/a.wav", "train/bored/a.wav", "test/sad/a.wav")
    splits = load_splits("folder", data_dir=data)
    assert {name: rows["id"][:] for name, rows in splits.items()} == {"train": ["train/sad/a"], "test": ["test/sad/a"]}
    assert splits["test"].features["emotion"].names == EMOTIONS


def test_synthetic_layout(tmp_path):
    pytest.importorskip("espeakng_loader")
    synthesize("folder", tmp_path / "own", num_speakers=3)
    splits = load_corpus("folder", tmp_path / "own", cache_dir=tmp_path / "cache")
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 9, "validation": 9, "test": 9}
    rows = splits["test"].cast_column("audio", datasets.Audio(decode=False))
    names = [rows.features["emotion"].int2str(emotion) for emotion in rows["emotion"]]
    assert names == ["neutral", "angry", "happy", "sad", "neutral", "angry", "happy", "sad", "surprised"]
    for row in rows:
        samples = load_audio(row["audio"])
        assert 0.5 * 16000 < len(samples) < 8 * 16000 and np.abs(samples).max() > 0.01
        assert row["end"] is None or len(samples) == pytest.approx((row["end"] - row["start"]) * 16000, abs=2)
