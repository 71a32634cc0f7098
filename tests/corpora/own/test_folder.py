"""People's own recordings: tables, trees, labels, speakers and splits."""

import csv
import re
import shlex

import datasets
import numpy as np
import pytest

from lssed_hf import labels, load_audio, load_corpus
from lssed_hf.cli import prepare as prepare_command
from lssed_hf.corpora import CorpusDataError, Reject, base
from lssed_hf.corpora.own import folder
from lssed_hf.corpora.sources import load_splits
from lssed_hf.testing.synthesize import synthesize


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
        """Return utterances by id, and rejects."""
        utterances, rejects = folder.FolderCorpus(config_name="default", **options).read(data)
        return {row.id: row for row in utterances}, rejects

    return read


@pytest.fixture
def notes(monkeypatch):
    notes = []
    monkeypatch.setattr(base.logger, "warning", notes.append)
    return notes


@pytest.fixture
def tree(data, write_clip):
    """Return a function that writes clips at paths below the folder."""

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
        labels = {"sub/a": "joy", "b": "sad" if name.endswith(".jsonl") else "SAD"}
        assert {name: row.emotion for name, row in utterances.items()} == labels
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
        with pytest.raises(CorpusDataError, match=r"data holds several metadata files: a\.tsv, b\.csv; keep one"):
            read()
        write_table(rows), write_table(rows, "metadata.tsv")
        with pytest.raises(CorpusDataError, match=r"several metadata files: metadata\.csv, metadata\.tsv"):
            read()

    def test_data_files_name_any_table(self, tree, load, write_table, data, tmp_path):
        """Check paths that start at the folder of the table."""
        tree("deep/a.wav", "deep/b.wav", "c.wav")
        rows = [{"path": name, "emotion": "sad", "split": "train"} for name in ("a.wav", "deep/b.wav", "c.wav")]
        table = write_table(rows, "deep/own.csv")
        assert load(data_files=str(table))["train"]["id"][:] == ["deep/a", "deep/b", "c"]
        elsewhere = tmp_path / "own.csv"
        elsewhere.write_text(table.read_text())
        assert load(data_files=str(elsewhere))["train"]["id"][:] == ["deep/a", "deep/b", "c"]

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
                emotion="Anger",
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
            ({"path": "metadata.csv"}, "'metadata.csv' is no audio or video file"),
            ({"emotion": ""}, "no label given; looked for emotion, label"),
            ({"start": "1", "end": ""}, "has a start alone; give both, or none for the whole file"),
            ({"start": "", "end": "1"}, "has an end alone"),
            ({"split": "eval"}, "split 'eval' is none of train, validation, test"),
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
    def test_folders_named_after_labels(self, tree, read, data):
        tree("Angry/a.wav", "joy/deep/er/b.flac", "sad/a.mp3", "sad/.hidden.wav", ".trash/c.wav")
        (data / "sad" / "notes.txt").touch()
        (data / "sad" / "clip.mp4").touch()
        utterances, rejects = read()
        assert {name: (row.emotion, row.split) for name, row in utterances.items()} == {
            "Angry/a": ("Angry", None),
            "joy/deep/er/b": ("joy", None),
            "sad/a": ("sad", None),
            "sad/clip": ("sad", None),
        }
        assert not rejects
        assert [row.emotion for row in read(label_set="lssed")[0].values()] == ["angry", "happy", "sad", "sad"]

    def test_any_labels_are_the_classes(self, tree, load, notes):
        tree("zen/a.wav", "Müde/b.wav", "Mu\u0308de/c.wav", "calm/d.wav", "calm/e.wav", "calm/f.wav")
        rows = load()
        assert rows["train"].features["emotion"].names == ["Müde", "calm", "zen"]
        found = {split: sorted(part["emotion"]) for split, part in rows.items()}
        assert found == {"train": [0, 1, 1, 2], "test": [0, 1]}
        assert "classes of one or two clips cannot be in every split: Müde (2), zen (1)" in notes[1]

    def test_splits_above_labels(self, tree, load):
        tree("train/sad/a.wav", "train/angry/b.wav", "dev/sad/a.wav", "Testing/happy/x/y.wav")
        assert {name: rows["id"][:] for name, rows in load().items()} == {
            "train": ["train/angry/b", "train/sad/a"],
            "validation": ["dev/sad/a"],
            "test": ["Testing/happy/x/y"],
        }

    def test_files_too_high_in_the_tree(self, tree, read, data):
        tree("train/sad/a.wav", "test/b.wav", "c.wav")
        utterances, rejects = read()
        assert set(utterances) == {"train/sad/a"}
        assert rejects == [
            Reject(path.stem, str(path), "in no folder of a label; move it to one")
            for path in (data / "c.wav", data / "test" / "b.wav")
        ]

    @pytest.mark.parametrize("order", ["speaker/label", "label/speaker"])
    @pytest.mark.parametrize("speakers", ["Actor_01 Actor_02 Actor_03", "0012 0013 0099", "anna ben carla"])
    @pytest.mark.parametrize("labels", ["Wut Freude Ärger", "enojo alegría miedo", "red green blue"])
    def test_levels_of_labels_and_speakers(self, tree, read, notes, order, speakers, labels):
        names = {"speaker": speakers.split(), "label": labels.split()}
        first, second = order.split("/")
        tree(*(f"{upper}/{lower}/{clip}.wav" for upper in names[first] for lower in names[second] for clip in "ab"))
        if labels.startswith("red") and speakers.startswith("anna"):  # these names allow both readings
            names = {"speaker": names[second], "label": names[first]}
            order = "label/speaker"
        utterances, rejects = read()
        found = {(row.speaker_id, row.emotion) for row in utterances.values()}
        assert found == {(who, label) for who in names["speaker"] for label in names["label"]} and not rejects
        levels = ("2nd", "1st") if order == "speaker/label" else ("1st", "2nd")
        assert f"folder: 3 labels from the {levels[0]} folder level, 3 speakers from the {levels[1]}; " in notes[0]

    def test_the_other_reading_can_be_pasted(self, tree, read, notes):
        tree(*(f"{upper}/{lower}/a.wav" for upper in ("anna", "ben") for lower in ("red", "green")))
        assert {(row.speaker_id, row.emotion) for row in read()[0].values()} == {
            (lower, upper) for upper in ("anna", "ben") for lower in ("red", "green")
        }
        _, label, _, speaker = shlex.split(notes[0].partition("the other way round: ")[2])
        assert {
            (row.speaker_id, row.emotion) for row in read(label_pattern=label, speaker_pattern=speaker)[0].values()
        } == {(upper, lower) for upper in ("anna", "ben") for lower in ("red", "green")}

    def test_levels_that_tell_nothing(self, tree, read):
        tree("mine/takes/red/a.wav", "mine/takes/green/b.wav", "mine/takes/green/take1/c.wav")
        assert {row.emotion for row in read()[0].values()} == {"red", "green"}

    def test_classes_that_are_numbers(self, tree, read):
        tree("0/a.wav", "1/b.wav")
        assert [(row.emotion, row.speaker_id) for row in read()[0].values()] == [("0", None), ("1", None)]

    @pytest.mark.parametrize(
        ("names", "found"),
        [
            (["Actor_01/a.wav", "Actor_02/a.wav"], "Actor_01/, Actor_02/. Labels in names"),
            (["train/a.wav", "test/a.wav"], "test/, train/. Labels in names"),
            (["audio/a.wav", "audio/b.wav"], "found audio/. Labels in names of files such as a.wav"),
            (["Actor_01/03-01-05-01-01-01-01.wav"], "named as those of a corpus: give --dataset_name ravdess"),
            (["03a01Fa.wav"], "named as those of a corpus: give --dataset_name emodb"),
            (
                ["a.wav"],
                "found a.wav. Labels in names of files such as a.wav are found by --label_pattern, a ",
            ),
            (["x-sad-1.wav", "y-Wut-2.wav"], r"found by --label_pattern '(?:^|/)[^/-]+-([^/.-]+)[^/]*$'"),
            ([], "found nothing. No file below it is audio by its suffix"),
        ],
    )
    def test_another_folder(self, tree, read, data, names, found):
        data.mkdir()
        tree(*names)
        with pytest.raises(CorpusDataError) as error:
            read()
        tables = "metadata.csv, metadata.tsv, metadata.jsonl, metadata.json"
        start = f"{data}: looked for a table ({tables}) or a folder for each label"
        assert str(error.value).startswith(start) and found in str(error.value)

    def test_labels_in_the_names_of_files(self, tree, read):
        tree("anna-sad-1.wav", "anna-Wut-2.wav", "Actor_02/ben-froh-1.wav", "x.wav")
        with pytest.raises(CorpusDataError) as error:
            read()
        pattern = re.search(r"--label_pattern '(.*)'", str(error.value))
        utterances, rejects = read(label_pattern=pattern[1])
        assert [row.emotion for row in utterances.values()] == ["froh", "Wut", "sad"]
        assert [reject.id for reject in rejects] == ["x"]

    def test_spreadsheets(self, tree, data, read, notes):
        tree("a.wav", "audio/a.wav")
        (data / "list.xlsx").touch()
        with pytest.raises(CorpusDataError, match=r"list\.xlsx is a spreadsheet, which is not read: save it as CSV"):
            read()
        tree("sad/a.wav")
        (data / "audio" / "a.wav").unlink()
        assert set(read()[0]) == {"sad/a"} and "list.xlsx is not read; save it as CSV" in notes[0]

    def test_columns_of_no_table(self, tree, read):
        tree("sad/a.wav")
        with pytest.raises(
            CorpusDataError, match=r"--label_column_name Kategorie names a column, and .* has no table"
        ):
            read(label_column="Kategorie")


class TestLabels:
    def test_they_stay_as_they_are(self, tree, load, write_table):
        labels = ["calm", "Joy, bright", "joy/pride", "3", "sad;müde", "calm"]
        rows = [{"path": f"{index}.wav", "emotion": label, "split": "train"} for index, label in enumerate(labels)]
        tree(*(row["path"] for row in rows))
        write_table(rows)
        found = load()["train"]
        assert found.features["emotion"].names == ["3", "Joy, bright", "calm", "joy/pride", "sad"]
        names = found.features["secondary_emotions"].feature.names
        assert names == ["3", "Joy, bright", "calm", "joy/pride", "müde", "sad"]
        secondary = [[names[label] for label in row] for row in found["secondary_emotions"]]
        assert secondary == [[], [], [], [], ["müde"], []]

    def test_lists_of_json(self, tree, data, read):
        tree("a.wav")
        (data / "metadata.jsonl").write_text('{"path": "a.wav", "label": ["red", "green"]}')
        (row,) = read()[0].values()
        assert (row.emotion, row.secondary_emotions) == ("red", ("green",))

    def test_spellings_of_one_class(self, tree, read, write_table, notes):
        labels = ["happy", "Happy", "happy ", "HAPPY", "sad"]
        tree(*(f"{index}.wav" for index in range(5)))
        write_table([{"path": f"{index}.wav", "emotion": label} for index, label in enumerate(labels)])
        assert [row.emotion for row in read()[0].values()] == ["happy"] * 4 + ["sad"]
        assert notes == ["folder: 'happy' (2), 'HAPPY' (1), 'Happy' (1) are one class, 'happy'"]

    @pytest.mark.parametrize("as_pairs", [True, False])
    def test_names_of_ones_own(self, tree, read, write_table, notes, as_pairs):
        tree("a.wav", "b.wav", "c.wav", "d.wav")
        labels = {"a": "Wut", "b": "ruhig; müde", "c": "sad", "d": "wut;sad"}
        write_table([{"path": f"{name}.wav", "emotion": label} for name, label in labels.items()])
        label_map = {"wut ": "rage", "Ruhig; müde": "rest", "sad": "blue", "typo": "x"}
        utterances, rejects = read(label_map=[f"{a}={b}" for a, b in label_map.items()] if as_pairs else label_map)
        assert {name: (row.emotion, *row.secondary_emotions) for name, row in utterances.items()} == {
            "a": ("rage",),
            "b": ("rest",),
            "c": ("blue",),
            "d": ("rage", "blue"),
        }
        assert not rejects
        assert notes == ["folder: label_map: no clip has the label typo; labels are Wut, ruhig; müde, sad, wut;sad"]

    def test_names_of_lssed(self, tree, read, write_table):
        tree("a.wav", "b.wav", "c.wav", "d.wav", "e.wav")
        labels = {"a": "Wut", "b": "ruhig/müde", "c": "sad", "d": "3", "e": "wut,joy"}
        write_table([{"path": f"{name}.wav", "emotion": label} for name, label in labels.items()])
        label_map = {"wut ": "anger", "Ruhig/Müde": "Neutral", "3": "bored", "sad": "happy"}
        utterances, rejects = read(label_set="lssed", label_map=label_map)
        assert {name: (row.emotion, *row.secondary_emotions) for name, row in utterances.items()} == {
            "a": ("angry",),
            "b": ("neutral",),
            "c": ("happy",),  # a synonym of a name of LSSED
            "d": ("bored",),
            "e": ("angry", "happy"),
        }
        assert not rejects

    def test_classes_of_lssed_in_its_order(self, tree, load):
        tree("train/fear/a.wav", "train/joy/b.wav", "test/calm/c.wav")
        rows = load(label_set="lssed")
        assert rows["train"].features["emotion"].names == ["neutral", "happy", "fearful"]
        assert rows["train"].features["secondary_emotions"].feature.names == list(labels.EMOTIONS)

    def test_unknown_labels_of_lssed(self, tree, load, write_table, data):
        found = ["sad", "wut", "froh", "wut", "sehr müde"]
        names = [f"{index}.wav" for index in range(5)]
        tree(*names)
        write_table([{"path": name, "emotion": label} for name, label in zip(names, found)])
        with pytest.raises(CorpusDataError, match="4 of 5 utterances cannot be used") as error:
            load(label_set="lssed")
        assert f"{data / 'metadata.csv'}, line 3 (1.wav): unknown emotion 'wut'; names are angry" in str(error.value)
        assert "rename yours by --label_map froh=happy 'sehr müde=other' wut=angry" in str(error.value)

    def test_four_emotions(self, tree, load, notes):
        tree("train/sad/a.wav", "train/bored/a.wav", "train/fear/b.wav", "test/sad/a.wav", "test/fear/c.wav")
        for _ in range(2):  # the second time from the cache
            notes.clear()
            rows = load("benchmark")
            assert [part["id"][:] for part in rows.values()] == [["train/sad/a"], ["test/sad/a"]]
            assert rows["test"].features["emotion"].names == EMOTIONS
            line = "folder: configuration 'benchmark' leaves out 3 of 5 utterances: 2 fearful, 1 bored"
            assert line in notes

    @pytest.mark.parametrize("label_map", [{3: "sad"}, ["wut"], ["=sad"], ["wut=sad", "wut=angry"], {"wut": None}])
    def test_bad_maps(self, tree, read, label_map):
        tree("sad/a.wav")
        with pytest.raises(ValueError, match=r"label_map .*give pairs of a label and its name, as --label_map wut="):
            read(label_map=label_map)

    def test_what_is_no_name_of_lssed(self, tree, read):
        tree("sad/a.wav")
        with pytest.raises(ValueError, match="label_map: unknown emotion 'rage'"):
            read(label_map={"wut": "rage"}, label_set="lssed")
        with pytest.raises(ValueError, match="label_set='mine'; known is lssed"):
            read(label_set="mine")

    def test_another_map_or_column_is_another_cache(self, tree, load, write_table):
        tree("a.wav")
        write_table([{"path": "a.wav", "emotion": "red", "colour": "blue", "split": "train"}])

        def classes(**options):
            return load(**options)["train"].features["emotion"].names

        assert classes() == ["red"] and classes(label_map={"red": "rot"}) == ["rot"]
        assert classes(label_column="Colour") == ["blue"] and classes() == ["red"]
        assert classes(label_map=["red=rot"]) == ["rot"]
        assert folder.FolderCorpus.BUILDER_CONFIGS[0].emotions is None  # the class keeps no labels of one folder


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
            (str(data / name), f"--speaker_pattern '(s1|)_' finds no speaker in {name!r}")
            for name in ("happy/_a.wav", "sad/x.wav")
        ]

    @pytest.mark.parametrize(
        ("pattern", "message"),
        [
            ("(s", r"--speaker_pattern '\(s' is no regular expression: missing \)"),
            ("s[0-9]", "has 0 groups; put the speaker's part, and no other, between"),
            ("(s)([0-9])", "has 2 groups"),
            (3, "--speaker_pattern 3 is no regular expression"),
        ],
    )
    def test_bad_patterns(self, tree, read, pattern, message):
        tree("sad/a.wav")
        with pytest.raises(ValueError, match=message):
            read(speaker_pattern=pattern)

    @pytest.mark.parametrize("field", ["label", "speaker"])
    def test_a_pattern_that_would_take_years(self, tree, read, field):
        tree(f"sad/{'a' * 60}!.wav")
        pattern = "/((?:a|aa)+)$"
        words = f"--{field}_pattern {pattern!r} takes over 1 s on 'sad/aaaa"
        with pytest.raises(TimeoutError, match=re.escape(words)):
            read(**{f"{field}_pattern": pattern})


class TestSplits:
    def test_speakers_are_kept_apart(self, tree, load, write_table, notes):
        rows = people(20)
        tree(*[row["path"] for row in rows])
        write_table(rows)
        splits = load()
        speakers = {name: set(rows["speaker_id"]) for name, rows in splits.items()}
        assert {name: len(members) for name, members in speakers.items()} == {"train": 14, "validation": 2, "test": 4}
        assert len(set().union(*speakers.values())) == 20 and not notes

    @pytest.mark.parametrize("known", [True, False])
    def test_at_random(self, tree, load, write_table, notes, known):
        rows = people(10) if known else [{**row, "speaker": ""} for row in people(10)]
        tree(*[row["path"] for row in rows])
        write_table(rows)
        splits = load(split_scheme="random" if known else None)
        assert {name: sorted(rows["emotion"]) for name, rows in splits.items()} == {
            "train": [emotion for emotion in range(4) for _ in range(8)],
            "test": [0, 0, 1, 1, 2, 2, 3, 3],
        }
        assert len(notes) == 1 and "the same voices may be on both sides" in notes[0]
        assert ("as no speakers are known (a column 'speaker' or --speaker_pattern names them)" in notes[0]) != known
        assert ("divided at random by the split scheme random: " in notes[0]) == known

    def test_schemes(self, tree, read, write_table, data):
        tree("a.wav", "b.wav", "c.wav", "d.wav")
        builder = folder.FolderCorpus()

        def schemes(*speakers, **more):
            rows = [{"path": f"{name}.wav", "emotion": "sad", "speaker": who} for name, who in zip("abcd", speakers)]
            write_table([{**rows[0], **more}, *rows[1:]])
            return tuple(builder.split_schemes(builder.read(data)[0]))

        assert schemes("", "b", "c") == ("random",)
        assert schemes("a", "b", "c", "") == ("speaker", "random")
        assert schemes("a", "b", "c", split="test") == ("official",)

    def test_clips_of_unknown_speakers_are_for_training(self, tree, load, write_table, notes):
        rows = people(4)
        tree(*[row["path"] for row in rows])
        rows[5]["speaker"] = ""
        write_table(rows)
        splits = load()
        assert "1/1" in splits["train"]["id"][:] and sum(map(len, splits.values())) == 16
        assert notes == ["folder: 1 clip of unknown speakers is for training; test speakers may be among them"]

    @pytest.mark.parametrize(("number", "word"), [(2, "2"), (0, "no")])
    def test_too_few_speakers(self, tree, load, write_table, notes, number, word):
        rows = people(number) or [{**row, "speaker": ""} for row in people(3)]
        tree(*[row["path"] for row in rows])
        write_table(rows)
        with pytest.raises(CorpusDataError, match=f"needs 3 speakers, one for each split, and {number} are known"):
            load(split_scheme="speaker")
        assert set(load()) == {"train", "test"} and any(f"as {word} speakers are known" in line for line in notes)

    def test_a_scheme_beside_a_split_column(self, tree, load, write_table, notes):
        tree("a.wav", "b.wav")
        write_table([{"path": f"{name}.wav", "emotion": "sad", "split": "train"} for name in "ab"])
        assert len(load(split_scheme="random")["train"]) == 2
        assert "folder: --split_scheme random has no effect: the clips have splits of their own" in notes

    def test_a_split_column_wins(self, tree, load, write_table):
        rows = [{**row, "split": split} for row, split in zip(people(1), ["Training", "val", "test", ""])]
        tree(*[row["path"] for row in rows])
        write_table(rows)
        assert {name: rows["id"][:] for name, rows in load().items()} == {
            "train": ["0/0"],
            "validation": ["0/1"],
            "test": ["0/2"],
        }


def test_an_uneven_tree_gets_the_pattern_that_reads_it(tree, read, data):
    tree(*(f"anna/{label}/{clip}.wav" for label in ("angry", "sad") for clip in range(3)), "sad/x.wav")
    utterances, rejects = read()
    assert len(utterances) == 6 and len(rejects) == 1
    (reason,) = (reject.reason for reject in rejects)
    assert reason.startswith("labels are the 2nd folder level, which it lacks: put it as deep as the others")
    pattern = re.search("--label_pattern '(.+)'", reason)[1]
    utterances, rejects = read(label_pattern=pattern)
    assert {row.emotion for row in utterances.values()} == {"angry", "sad"} and len(utterances) == 7 and not rejects


def test_needs_a_folder():
    with pytest.raises(ValueError, match="folder needs --data_dir, the folder that holds your recordings"):
        load_corpus("folder")


def test_load_splits_keeps_all_classes(tree, data, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    tree("train/sad/a.wav", "train/bored/a.wav", "test/sad/a.wav")
    assert load_splits("folder", data_dir=data)["train"].features["emotion"].names == ["bored", "sad"]


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


class TestRatings:
    ROWS = [
        {"path": f"{speaker}.wav", "emotion": "sad", "speaker": f"s{speaker}", "split": "train", "mood": mood}
        for speaker, mood in enumerate(("-0.5", "1,25", "", "high"))
    ]

    @pytest.fixture(autouse=True)
    def clips(self, tree):
        tree(*(row["path"] for row in self.ROWS))

    def test_are_columns_of_floats(self, write_table, load, notes):
        write_table(self.ROWS)
        rows = load(columns={"arousal": "mood"})["train"]
        assert rows["arousal"][:] == [-0.5, 1.25, None, None] and rows.features["arousal"].dtype == "float32"
        assert "valence" not in rows.column_names
        assert any("arousal" in line and "'high'" in line for line in notes)

    def test_numbers_beyond_float32_are_named(self, write_table, load, notes):
        write_table([{**self.ROWS[0], "mood": "1e300"}, *self.ROWS[1:]])
        assert load(columns={"arousal": "mood"})["train"]["arousal"][:] == [None, 1.25, None, None]
        assert any("arousal" in line and "'1e300'" in line for line in notes)

    def test_a_column_without_ratings_adds_nothing(self, write_table, load):
        write_table([{**row, "arousal": ""} for row in self.ROWS])
        assert "arousal" not in load()["train"].column_names

    def test_stay_in_a_prepared_folder(self, write_table, data, tmp_path):
        write_table(self.ROWS[:3])
        prepare = ["folder", str(data), str(tmp_path / "prepared"), "--columns", "arousal=mood"]
        assert prepare_command.main(prepare) == 0
        assert load_splits(str(tmp_path / "prepared"))["train"]["arousal"][:] == [-0.5, 1.25, None]

    def test_need_no_labels(self, write_table, load):
        write_table([{"path": row["path"], "valence": number} for number, row in enumerate(self.ROWS)])
        rows = load(split_scheme="none")["train"]
        assert rows["valence"][:] == [0, 1, 2, 3] and rows.features["emotion"].names == ["unlabelled"]
