"""Tables of own recordings, in the forms that other programs write."""

import json
import shutil

import pytest

from lssed_hf.corpora import CorpusDataError, base
from lssed_hf.corpora.own import folder


@pytest.fixture
def data(tmp_path, write_clip):
    for name in ("one", "two", "three"):
        write_clip(tmp_path / "data" / "clips" / f"{name}.wav", seconds=1.0)
    return tmp_path / "data"


@pytest.fixture
def notes(monkeypatch):
    notes = []
    monkeypatch.setattr(base.logger, "warning", notes.append)
    return notes


def read(data, **options):
    """Return the identifier and the label of each utterance, and rejects."""
    utterances, rejects = folder.FolderCorpus(config_name="default", **options).read(data)
    return {row.id: row.emotion for row in utterances}, rejects


LABELS = {"clips/one": "red", "clips/two": "green", "clips/three": "red"}


class TestPaths:
    @pytest.mark.parametrize(
        "form",
        [
            "clips/{}.wav",
            "clips\\{}.wav",
            "./clips//{}.wav",
            "clips/../clips/{}.wav",
            "clips/{}",
            "data/clips/{}.wav",
            "{data}/clips/{}.wav",
            "{data}/clips/{}",
        ],
    )
    @pytest.mark.parametrize("place", ["metadata.csv", "tables/metadata.csv"])
    def test_ways_to_write_them(self, data, form, place):
        names = [form.replace("{data}", str(data)).format(name) for name in ("one", "two", "three")]
        (data / place).parent.mkdir(exist_ok=True)
        lines = ["path,label", *(f"{name},{label}" for name, label in zip(names, LABELS.values()))]
        (data / place).write_text("\n".join(lines))
        assert read(data) == (LABELS, [])

    def test_by_a_link_to_the_folder(self, data, tmp_path):
        (tmp_path / "link").symlink_to(data)
        (data / "metadata.csv").write_text(f"path,label\n{tmp_path}/link/clips/one.wav,red\n../clips/two.wav,x\n")
        labels, (reject,) = read(data)
        assert labels == {"clips/one": "red"} and "'../clips/two.wav' leads out of the data folder" in reject.reason

    def test_from_the_folder_of_the_table_up(self, data):
        (data / "lists").mkdir()
        (data / "lists" / "metadata.csv").write_text("path,label\n../clips/one.wav,red\n../../secret.wav,red\n")
        labels, (reject,) = read(data)
        assert labels == {"clips/one": "red"} and "leads out of the data folder" in reject.reason

    def test_without_suffix(self, data, write_clip):
        write_clip(data / "clips" / "one.flac")
        (data / "clips" / "two.txt").touch()
        (data / "metadata.csv").write_text("path,label\nclips/one,red\nclips/two,green\nclips/four,red\n")
        labels, rejects = read(data)
        assert labels == {"clips/two": "green"}
        assert [reject.reason for reject in rejects] == [
            "'clips/one' could be one.flac or one.wav; give the suffix",
            f"no file 'clips/four' in {data}",
        ]

    def test_a_bare_name_in_any_folder(self, data, write_clip):
        write_clip(data / "more" / "three.wav")
        (data / "metadata.csv").write_text("path,label\none.wav,red\ntwo,green\nthree.wav,red\nfour.wav,red\n")
        labels, rejects = read(data)
        assert labels == {"clips/one": "red", "clips/two": "green"}
        assert [reject.reason for reject in rejects] == [
            "'three.wav' could be clips/three.wav or more/three.wav; give the path",
            f"no file 'four.wav' in {data}",
        ]

    @pytest.mark.parametrize("on_disk", ["fr\u00f6hlich", "fro\u0308hlich"])
    @pytest.mark.parametrize("in_table", ["fr\u00f6hlich", "fro\u0308hlich"])
    def test_either_form_of_characters(self, data, on_disk, in_table, write_clip):
        write_clip(data / f"{on_disk}.wav")
        (data / "metadata.csv").write_text(f"path,label\n{in_table}.wav,{in_table}\n", encoding="utf-8")
        assert read(data) == ({on_disk: "fr\u00f6hlich"}, [])


class TestForms:
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
    @pytest.mark.parametrize("first", ["", "sep=;\r\n"])
    def test_of_excel(self, data, encoding, first):
        text = f'{first}File;Label;Start;End;Age\r\nclips\\one.wav;müde;0,25;0,5;41,5\r\n"clips\\two.wav";"a;b";;;\r\n'
        (data / "liste.csv").write_bytes(text.encode(encoding))
        utterances, rejects = folder.FolderCorpus(config_name="default").read(data)
        assert [(row.id, row.emotion, row.start, row.age) for row in utterances] == [
            ("clips/one#0.25-0.5", "müde", 0.25, 41.5),
            ("clips/two", "a", None, None),
        ]
        assert not rejects and utterances[1].secondary_emotions == ("b",)

    @pytest.mark.parametrize("suffix", ["csv", "jsonl"])
    def test_of_audiofolder(self, data, suffix):
        for split in ("train", "validation", "test"):
            shutil.copytree(data / "clips", data / split / "data")
            rows = [{"file_name": f"data/{name}.wav", "label": "red"} for name in ("one", "two", "three")]
            lines = [json.dumps(row) for row in rows] if suffix == "jsonl" else ["file_name,label"]
            lines += [] if suffix == "jsonl" else [",".join(row.values()) for row in rows]
            (data / split / f"metadata.{suffix}").write_text("\n".join(lines))
        shutil.rmtree(data / "clips")
        utterances, rejects = folder.FolderCorpus(config_name="default").read(data)
        assert [row.split for row in utterances] == ["test"] * 3 + ["train"] * 3 + ["validation"] * 3 and not rejects
        assert utterances[0].id == "test/data/one"

    def test_of_audiofolder_at_the_top(self, data):
        (data / "metadata.csv").write_text("file_name,emotion\nclips/one.wav,red\n")
        assert read(data)[0] == {"clips/one": "red"}

    def test_one_for_each_split(self, data):
        (data / "train.csv").write_text("path,label\nclips/one.wav,red\nclips/three.wav,red\n")
        (data / "Dev.tsv").write_text("path\tlabel\nclips/two.wav\tgreen\n")
        utterances, _ = folder.FolderCorpus(config_name="default").read(data)
        assert [(row.id, row.split) for row in utterances] == [
            ("clips/two", "validation"),
            ("clips/one", "train"),
            ("clips/three", "train"),
        ]

    def test_recordings_that_no_row_names(self, data, notes):
        (data / "metadata.csv").write_text("path,label\nclips/one.wav,red\nclips/two.wav,\n")
        assert len(read(data)[1]) == 1
        assert notes == [
            "folder: 1 audio file is left out, as no row of metadata.csv names them: clips/three.wav",
        ]

    def test_a_table_of_something_else_beside_folders(self, data, notes):
        (data / "notes.csv").write_text("day,weather\nmonday,rain\n")
        shutil.copytree(data / "clips", data / "takes")
        assert set(read(data)[0].values()) == {"clips", "takes"}
        assert notes[0] == "folder: notes.csv is not read: it has no column with paths of recordings"

    def test_a_table_of_another_name_is_named(self, data, notes):
        (data / "mine.csv").write_text(
            "\n".join(["path,label", *(f"{path}.wav,{name}" for path, name in LABELS.items())])
        )
        assert read(data) == (LABELS, []) and notes == ["folder: the table is mine.csv"]

    def test_labels_in_paths_that_a_table_names(self, data):
        (data / "metadata.csv").write_text("path,label\nclips/one.wav,red\nclips/two.wav,red\n")
        assert read(data, label_pattern=r"(\w+)[.]wav$")[0] == {"clips/one": "one", "clips/two": "two"}


class TestColumns:
    ROWS = (
        "Datei;Stimmung;Notiz;Wer;Nr\nclips/one.wav;wut;x y;a;1\nclips/two.wav;freude;z;b;2\nclips/three.wav;wut;u;b;3"
    )

    def test_by_name_in_any_case(self, data):
        (data / "liste.csv").write_text(self.ROWS)
        options = {"audio_column": "datei", "label_column": "STIMMUNG", "speaker_column": "Wer"}
        utterances, _ = folder.FolderCorpus(config_name="default", **options).read(data)
        assert [(row.emotion, row.speaker_id) for row in utterances] == [("wut", "a"), ("freude", "b"), ("wut", "b")]

    @pytest.mark.parametrize(
        ("header", "options", "flag"),
        [
            ("Datei;Stimmung;Notiz;Wer;Nr", {}, "--audio_column_name datei --label_column_name stimmung"),
            ("Die Datei;Stimmung;Notiz;Wer;Nr", {}, "--audio_column_name 'die datei' --label_column_name stimmung"),
            ("path;Stimmung;Notiz;Wer;Nr", {}, "--label_column_name stimmung"),
            ("path;label;Notiz;Wer;Nr", {"speaker_column": "Who"}, "--speaker_column_name COLUMN"),
            ("path;label;Notiz;Wer;Nr", {"label_column": "Laune"}, "--label_column_name label"),
        ],
    )
    def test_flags_to_paste(self, data, header, options, flag):
        (data / "liste.csv").write_text(self.ROWS.replace(self.ROWS.split("\n")[0], header))
        with pytest.raises(CorpusDataError, match=f"liste.csv has no .* column .looked for .*Add {flag}$"):
            read(data, **options)

    def test_fewest_values_where_no_word_is_known(self, data):
        (data / "liste.csv").write_text("path,a,b\nclips/one.wav,x,p\nclips/two.wav,y,q\nclips/three.wav,z,q\n")
        with pytest.raises(CorpusDataError, match=r"--label_column_name b$"):
            read(data)
