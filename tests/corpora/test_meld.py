import csv
import shutil
from collections import Counter
from datetime import datetime

import datasets
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, base, corpus_builder
from lssed_hf.labels import EMOTIONS


FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
COLUMNS = [
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write a synthetic release: dialogues of seven utterances, four for training and two each for the rest."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("av")
    from lssed_hf.testing.synthesize import synthesize

    return synthesize("meld", tmp_path_factory.mktemp("meld") / "release")


@pytest.fixture
def load(tmp_path):
    """Load the splits, audio undecoded."""

    def load(folder, *args, **kwargs) -> datasets.DatasetDict:
        splits = load_corpus("meld", folder, *args, cache_dir=tmp_path / "cache", **kwargs)
        return splits.cast_column("audio", datasets.Audio(decode=False))

    return load


@pytest.fixture
def read(tmp_path):
    return lambda folder, **kwargs: corpus_builder("meld")(cache_dir=str(tmp_path / "cache"), **kwargs).read(folder)


@pytest.fixture
def write_split(tmp_path, write_clip):
    """Write the table of a split with `line`s, and a WAV file for every line."""

    def write_split(*lines: dict, split: str = "train", table: str = "", media: str = ""):
        folder = tmp_path / "raw"
        path = folder / table / f"{split}_sent_emo.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(lines)
        for row in lines:
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}.wav"
            write_clip(folder / media / FOLDERS[split] / name)
        return folder

    return write_split


def line(dialogue: int | str = 0, number: int | str = 0, **changes) -> dict:
    return {
        **dict(zip(COLUMNS, ["1", "Put it there.", "Joey", "anger", "negative", dialogue, number, "3", "19"])),
        **{"StartTime": "00:14:38,127", "EndTime": "00:14:40,378"},
        **changes,
    }


def seconds(time: str) -> float:
    return (datetime.strptime(time, "%H:%M:%S,%f") - datetime(1900, 1, 1)).total_seconds()


def rows_of(splits: datasets.DatasetDict) -> dict[str, dict]:
    return {row["id"]: row for rows in splits.values() for row in rows}


@pytest.mark.slow
class TestRelease:
    def test_official_splits(self, release, load):
        splits = load(release)
        assert {name: len(rows) for name, rows in splits.items()} == {"train": 28, "validation": 14, "test": 14}
        for name, split in (("train", "train"), ("validation", "dev"), ("test", "test")):
            assert {row.split("_")[0] for row in splits[name]["id"]} == {split}
            assert "Joey" in splits[name]["speaker_id"]
        assert len(rows_of(splits)) == 56  # no id twice

    def test_one_row(self, release, load):
        with (release / "dev_sent_emo.csv").open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            given = list(reader)[8]
        assert reader.fieldnames == COLUMNS
        row = rows_of(load(release))["dev_dia1_utt1"]
        assert row == {
            "id": "dev_dia1_utt1",
            "audio": {"bytes": None, "path": str(release / "dev_splits_complete" / "dia1_utt1.mp4")},
            "emotion": EMOTIONS.index("happy"),  # joy
            "secondary_emotions": [],
            "gender": 1,
            "age_group": -1,
            "age": None,
            "speaker_id": "Chandler",
            "session_id": "dev_dia1",
            "start": pytest.approx(seconds(given["StartTime"])),
            "end": pytest.approx(seconds(given["EndTime"])),
            "transcript": given["Utterance"],
        }
        assert (given["Speaker"], given["Emotion"]) == ("Chandler", "joy") and seconds(given["StartTime"]) > 120

    def test_emotions(self, release, load):
        splits = load(release)
        names = splits["test"].features["emotion"].names
        seven = ["angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"]
        assert Counter(names[emotion] for emotion in splits["test"]["emotion"]) == dict.fromkeys(seven, 2)
        benchmark = load(release, "benchmark")["test"]
        assert benchmark.features["emotion"].names == ["angry", "neutral", "happy", "sad"]
        assert Counter(benchmark["emotion"]) == dict.fromkeys(range(4), 2)

    def test_genders(self, release, load):
        people = {row["speaker_id"]: row["gender"] for row in rows_of(load(release)).values()}
        men, women = dict.fromkeys(["Chandler", "Joey", "Ross"], 1), dict.fromkeys(["Monica", "Phoebe", "Rachel"], 0)
        assert people == {**men, **women, "Agnes": -1, "Bernard": -1}

    def test_videos_decode(self, release, load):
        for row in rows_of(load(release)).values():
            # AAC comes in frames of 1,024 samples at 48 kHz.
            assert len(load_audio(row["audio"])) / 16000 == pytest.approx(row["end"] - row["start"], abs=0.05)

    def test_extra_files_are_there_and_not_read(self, release, read):
        assert (release / "train_splits" / "._dia0_utt0.mp4").is_file()
        assert (release / "output_repeated_splits_test" / "final_videos_testdia0_utt0.mp4").is_file()
        assert read(release)[1] == []

    def test_too_many_speakers(self, tmp_path, release):
        from lssed_hf.testing.synthesize import synthesize

        with pytest.raises(ValueError, match=r"10 names, got num_speakers=11"):
            synthesize("meld", tmp_path / "out", num_speakers=11)


class TestFiles:
    def test_sound_is_taken_before_video(self, write_split, write_clip, read):
        folder = write_split(line(), line(0, 1), line(0, 2))
        media = folder / "train_splits"
        for name in ("dia0_utt0.mp4", "dia0_utt1.mp4", "dia0_utt2.MP4", "._dia0_utt2.wav"):
            (media / name).write_bytes(b"video")
        (media / "dia0_utt1.wav").unlink()
        write_clip(media / "dia0_utt1.flac")
        (media / "dia0_utt2.wav").unlink()
        paths = [row.path for row in read(folder)[0]]
        assert paths == [str(media / name) for name in ("dia0_utt0.wav", "dia0_utt1.flac", "dia0_utt2.MP4")]

    @pytest.mark.parametrize(
        ("table", "media"),
        [("", ""), ("MELD.Raw", "MELD.Raw"), ("data/MELD", ""), ("MELD.Raw/train", "MELD.Raw/train"), ("", "train")],
    )
    def test_places(self, write_split, load, table, media):
        folder = write_split(line(), table=table, media=media)
        row = load(folder)["train"][0]
        assert row["audio"]["path"] == str(folder / media / "train_splits" / "dia0_utt0.wav")
        assert load_audio(row["audio"]).shape == (320,)

    def test_clips_are_those_of_their_part(self, write_split, load):
        for split in FOLDERS:
            folder = write_split(line(Speaker=split), split=split)
        rows = rows_of(load(folder))
        assert {name: (row["speaker_id"], row["audio"]["path"]) for name, row in rows.items()} == {
            f"{split}_dia0_utt0": (split, str(folder / FOLDERS[split] / "dia0_utt0.wav")) for split in FOLDERS
        }

    def test_missing_clips(self, write_split, load):
        folder = write_split(line(), line(4, 2))
        (folder / "train_splits" / "dia4_utt2.wav").unlink()
        with pytest.raises(
            CorpusDataError,
            match=r"1 of 2 .*train_sent_emo.csv, line 3 \(train_dia4_utt2\): no clip dia4_utt2.mp4 .*in train_splits/",
        ):
            load(folder)
        shutil.rmtree(folder / "train_splits")
        with pytest.raises(CorpusDataError, match=r"2 of 2 utterances cannot be used"):
            load(folder)

    def test_clips_without_a_table(self, write_split, load):
        folder = write_split(line(), split="dev")
        write_split(line(), split="test")
        (folder / "dev_sent_emo.csv").unlink()
        with pytest.raises(CorpusDataError, match=r"has clips in dev_splits_complete/, but no dev_sent_emo.csv"):
            load(folder)

    def test_not_meld(self, tmp_path, load, write_clip):
        write_clip(tmp_path / "data" / "train_splits" / "dia0_utt0.wav")
        with pytest.raises(
            CorpusDataError, match=r"not MELD: looked for train_sent_emo.csv, .*found train_splits; give"
        ):
            load(tmp_path / "data")


class TestDefects:
    @pytest.fixture
    def folder(self, write_split):
        """Write the known defects, and the same numbers in a split where they are sound."""
        write_split(line(125, 3), line(309, 0), line(38, 5), split="train")
        write_split(line(110, 7), line(38, 5), split="dev")
        return write_split(line(220, 0), line(38, 4), line(110, 7), line(125, 3), line(309, 0), split="test")

    def test_left_out_by_rule(self, folder, load, read, monkeypatch):
        warnings = []
        monkeypatch.setattr(base.logger, "warning", warnings.append)
        sound = {"train_dia38_utt5", "dev_dia38_utt5", "test_dia110_utt7", "test_dia125_utt3", "test_dia309_utt0"}
        assert rows_of(load(folder)).keys() == sound
        assert sorted(warnings) == [
            "meld: 1 utterance is left out: the release lacks the file",
            "meld: 1 utterance is left out: the release's file is corrupt",
            "meld: 3 utterances are left out: lasts minutes, badly cut (keep_badly_cut=True keeps these)",
        ]
        utterances, rejects = read(folder)
        assert all(reject.by_rule for reject in rejects) and len(utterances) == 5
        assert (rejects[0].id, rejects[0].source) == ("train_dia125_utt3", f"{folder / 'train_sent_emo.csv'}, line 2")

    @pytest.mark.parametrize("config", ["default", "benchmark"])
    def test_badly_cut_ones_can_be_kept(self, folder, load, config):
        kept = rows_of(load(folder, config, keep_badly_cut=True)).keys() - rows_of(load(folder, config)).keys()
        assert kept == {"train_dia309_utt0", "test_dia220_utt0", "test_dia38_utt4"}


class TestLines:
    @pytest.mark.parametrize(
        ("start", "end", "seconds"),
        [
            ("00:16:16,059", "00:16:21,731", (976.059, 981.731)),
            ("1:00:44,769", "1:00:46.146", (3644.769, 3646.146)),
            ("00:16:21,731", "00:16:16,059", (None, None)),  # the end is before the start
            ("00:16:16,059", "00:16:16,059", (None, None)),
            ("00:16:16,059", "", (None, None)),
            ("16 minutes", "00:16:16,059", (None, None)),
        ],
    )
    def test_times_in_the_episode(self, write_split, load, start, end, seconds):
        row = load(write_split(line(StartTime=start, EndTime=end)))["train"][0]
        assert (row["start"], row["end"]) == (pytest.approx(seconds[0]), pytest.approx(seconds[1]))
        assert load_audio(row["audio"]).shape == (320,)  # the whole clip

    @pytest.mark.parametrize(
        ("changes", "name", "message"),
        [
            ({"Emotion": "bored"}, "train_dia7_utt1", "emotion 'bored' is none of neutral, joy, "),
            ({"Emotion": ""}, "train_dia7_utt1", "emotion '' is none of"),
            ({"Dialogue_ID": "seven"}, "train_diaseven_utt1", "Dialogue_ID and Utterance_ID must be numbers"),
            ({"Utterance_ID": ""}, r"train_dia7_utt\?", "Dialogue_ID and Utterance_ID must be numbers"),
        ],
    )
    def test_a_faulty_line_is_located(self, write_split, load, changes, name, message):
        folder = write_split(line(), line(7, 1, **changes))
        with pytest.raises(
            CorpusDataError, match=rf"1 of 2 utterances .*train_sent_emo.csv, line 3 \({name}\): .*{message}"
        ):
            load(folder)

    def test_too_many_cells(self, write_split, load):
        folder = write_split(line())
        path = folder / "train_sent_emo.csv"
        path.write_text(path.read_text().rstrip() + ",7\n")
        with pytest.raises(CorpusDataError, match=r"line 2 \(train_dia0_utt0\): 12 cells where the header has 11"):
            load(folder)

    def test_a_line_twice(self, write_split, load):
        with pytest.raises(CorpusDataError, match=r"1 of 2 .*\(train_dia0_utt0\): the same id"):
            load(write_split(line(), line()))

    def test_missing_column(self, write_split, load):
        folder = write_split(line())
        path = folder / "train_sent_emo.csv"
        path.write_text(path.read_text().replace("Utterance_ID", "Turn"))
        with pytest.raises(
            CorpusDataError, match=r"no utterance number column: looked for utterance_id, found sr no.,"
        ):
            load(folder)

    def test_windows_1252(self, write_split, load, caplog):
        folder = write_split(line(), line(0, 1, Utterance="Caf\u00e9."))
        path = folder / "train_sent_emo.csv"
        path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
        with caplog.at_level("WARNING"):
            assert load(folder)["train"]["transcript"][1] == "Caf\u00e9."
        assert "train_sent_emo.csv is not UTF-8 and is read as Windows-1252, e.g. line 3: " in caplog.text

    def test_what_may_be_missing(self, write_split, load):
        row = load(write_split(line(Speaker="", Utterance="", Emotion="Joy")))["train"][0]
        assert (row["speaker_id"], row["gender"], row["transcript"], row["emotion"]) == (None, -1, None, 2)

    def test_commas_and_quotes_in_the_words(self, write_split, load):
        text = 'Oh, "that" one\u2019s mine, no?'
        assert load(write_split(line(Utterance=text)))["train"]["transcript"] == [text]
