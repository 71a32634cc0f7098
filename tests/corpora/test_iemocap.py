import shutil
from collections import Counter

import datasets
import numpy as np
import pytest

from lssed_hf import load_audio, load_corpus
from lssed_hf.corpora import CorpusDataError, base, corpus_builder
from lssed_hf.labels import EMOTIONS


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write a synthetic release of two sessions: 19 turns each, 2 of them without agreement."""
    pytest.importorskip("espeakng_loader")
    from lssed_hf.testing.synthesize import synthesize

    return synthesize("iemocap", tmp_path_factory.mktemp("iemocap") / "release", num_speakers=4)


@pytest.fixture
def load(tmp_path):
    """Load the splits, audio undecoded."""

    def load(folder, *args, scheme: str | None = "session2", **kwargs) -> datasets.DatasetDict:
        splits = load_corpus("iemocap", folder, *args, split_scheme=scheme, cache_dir=tmp_path / "cache", **kwargs)
        return splits.cast_column("audio", datasets.Audio(decode=False))

    return load


@pytest.fixture
def read(tmp_path):
    return lambda folder: corpus_builder("iemocap")(cache_dir=str(tmp_path / "cache")).read(folder)


@pytest.fixture
def write_dialog(tmp_path, write_clip):
    """Write a dialog of lines and a sentence file for every turn, without transcripts or recording."""

    def write_dialog(*lines: str, dialog: str = "Ses01F_impro01", session: int = 1):
        folder = tmp_path / "raw" / f"Session{session}"
        path = folder / "dialog" / "EmoEvaluation" / f"{dialog}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n" + "\n".join(lines) + "\n")
        for letter in "FM":
            write_clip(folder / "sentences" / "wav" / dialog / f"{dialog}_{letter}000.wav")
        return tmp_path / "raw"

    return write_dialog


def entry(turn: str = "Ses01F_impro01_F000", label: str = "ang", start: str = "6.2901", end: str = "8.2357") -> str:
    return f"[{start} - {end}]\t{turn}\t{label}\t[2.5000, 2.5000, 2.5000]"


def rows_of(splits: datasets.DatasetDict) -> dict[str, dict]:
    return {row["id"]: row for rows in splits.values() for row in rows}


def named(splits: datasets.DatasetDict) -> Counter:
    names = next(iter(splits.values())).features["emotion"].names
    return Counter(names[row["emotion"]] for row in rows_of(splits).values())


class TestRelease:
    def test_one_row(self, release, load):
        row = rows_of(load(release))["Ses01M_script01_1_F000"]
        lines = (release / "Session1/dialog/transcriptions/Ses01M_script01_1.txt").read_text().splitlines()
        assert row == {
            "id": "Ses01M_script01_1_F000",
            "audio": {
                "bytes": None,
                "path": str(release / "Session1/sentences/wav/Ses01M_script01_1/Ses01M_script01_1_F000.wav"),
            },
            "emotion": EMOTIONS.index("neutral"),
            "secondary_emotions": [],
            "gender": 0,
            "age_group": -1,
            "age": None,
            "speaker_id": "Ses01F",  # the speaker, who wears no markers here
            "session_id": "1",
            "start": 0.4,
            "end": pytest.approx(float(lines[0].split("-")[1].split("]")[0])),
            "transcript": lines[0].split("]: ")[1],
            "valence": 3.0,
            "arousal": pytest.approx(2.6),
            "dominance": 3.0,
        }

    def test_labels(self, release, load):
        """Each label is once in an improvisation; fru counts as other, and xxx is left out."""
        splits = load(release)
        emotions = {turn: EMOTIONS[row["emotion"]] for turn, row in rows_of(splits).items()}
        improvised = {turn[-4:]: emotion for turn, emotion in emotions.items() if "Ses01F_impro01" in turn}
        assert improvised == {
            "F000": "angry",
            "M000": "neutral",
            "F001": "happy",
            "M001": "sad",
            "F002": "excited",
            "M002": "surprised",
            "F003": "fearful",
            "M003": "disgusted",
            "F004": "other",
            "M004": "other",
        }
        assert named(splits) == {
            **dict.fromkeys(["angry", "happy", "sad", "excited"], 4),
            **{"neutral": 6, "other": 6, "surprised": 2, "fearful": 2, "disgusted": 2},
        }

    def test_benchmark_counts_excited_as_happy(self, release, load):
        splits = load(release, "benchmark")
        assert named(splits) == {"angry": 4, "neutral": 6, "happy": 8, "sad": 4}
        assert rows_of(splits)["Ses02F_impro01_F002"]["emotion"] == 2  # exc

    def test_gender_is_that_of_who_speaks(self, release, load):
        people = {(row["speaker_id"], row["gender"], row["session_id"]) for row in rows_of(load(release)).values()}
        assert people == {("Ses01F", 0, "1"), ("Ses01M", 1, "1"), ("Ses02F", 0, "2"), ("Ses02M", 1, "2")}

    @pytest.mark.parametrize(("scheme", "tested"), [("session1", "1"), ("session2", "2")])
    def test_a_session_is_left_out(self, release, load, scheme, tested):
        splits = load(release, scheme=scheme)
        assert {name: len(rows) for name, rows in splits.items()} == {"train": 17, "test": 17}
        assert set(splits["test"]["session_id"]) == {tested}
        assert not set(splits["train"]["speaker_id"]) & set(splits["test"]["speaker_id"])

    def test_what_the_raters_disagree_on_is_told_of(self, release, load, monkeypatch):
        warnings = []
        monkeypatch.setattr(base.logger, "warning", warnings.append)
        load(release)
        assert warnings == ["iemocap: 4 utterances are left out: the raters did not agree (xxx)"]

    def test_rejects_are_located(self, release, read):
        utterances, rejects = read(release)
        assert (len(utterances), len(rejects)) == (34, 4)
        evaluation = release / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
        assert (rejects[0].id, rejects[0].by_rule) == ("Ses01F_impro01_F005", True)
        path, _, line = rejects[0].source.rpartition(", line ")
        assert path == str(evaluation)
        assert "\tSes01F_impro01_F005\txxx\t" in evaluation.read_text().split("\n")[int(line) - 1]

    def test_every_sentence_decodes(self, release, load):
        for row in rows_of(load(release)).values():
            assert len(load_audio(row["audio"])) / 16000 == pytest.approx(row["end"] - row["start"], abs=0.001)

    def test_without_sentences_turns_are_cut_out_of_dialogs(self, release, load, tmp_path):
        copy = shutil.copytree(release, tmp_path / "copy")
        shutil.rmtree(copy / "Session1" / "sentences")
        (copy / "Session2" / "sentences" / "wav" / "Ses02F_impro01" / "Ses02F_impro01_M001.wav").unlink()
        whole, cut = rows_of(load(release)), rows_of(load(copy))
        assert cut.keys() == whole.keys()
        for turn, row in cut.items():
            if row["session_id"] == "1" or turn == "Ses02F_impro01_M001":
                recording = copy / f"Session{row['session_id']}" / "dialog" / "wav" / f"{turn.rsplit('_', 1)[0]}.wav"
                samples = load_audio(row["audio"])
                assert row["audio"]["path"] == f"{turn}.flac"
                np.testing.assert_array_equal(samples, load_audio(recording, start=row["start"], end=row["end"]))
                # Times are written to 0.1 ms, so each may be a sample off.
                assert abs(len(samples) - len(load_audio(whole[turn]["audio"]))) <= 2
            else:
                assert row["audio"]["bytes"] is None
            assert {**row, "audio": None} == {**whole[turn], "audio": None}

    def test_the_folder_above(self, release, load, tmp_path):
        shutil.copytree(release, tmp_path / "above" / "IEMOCAP_full_release")
        assert rows_of(load(tmp_path / "above")).keys() == rows_of(load(release)).keys()

    def test_same_seed_same_release(self, release, tmp_path):
        from lssed_hf.testing.synthesize import synthesize

        again = synthesize("iemocap", tmp_path / "again", num_speakers=4)
        contents = [
            {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            for folder in (release, again)
        ]
        assert contents[0] == contents[1]

    @pytest.mark.parametrize("number", [1, 2, 5, 12])
    def test_speakers_come_in_pairs(self, tmp_path, number):
        from lssed_hf.testing.synthesize import synthesize

        with pytest.raises(ValueError, match=f"num_speakers={number} is not 4, 6, 8 or 10"):
            synthesize("iemocap", tmp_path / "out", num_speakers=number)


class TestSplits:
    def test_session_5_is_tested_on_by_default(self, write_dialog, load):
        for session in (1, 3, 5):
            dialog = f"Ses0{session}M_script02_2"
            folder = write_dialog(entry(f"{dialog}_M000"), dialog=dialog, session=session)
        splits = load(folder, scheme=None)
        assert {name: sorted(rows["session_id"]) for name, rows in splits.items()} == {
            "train": ["1", "3"],
            "test": ["5"],
        }

    def test_schemes_of_a_part_of_the_corpus(self, write_dialog, read, tmp_path):
        builder = corpus_builder("iemocap")(cache_dir=str(tmp_path / "cache"))
        folder = write_dialog(entry())
        assert list(builder.split_schemes(read(folder)[0])) == []
        folder = write_dialog(entry("Ses04F_impro01_F000"), dialog="Ses04F_impro01", session=4)
        assert list(builder.split_schemes(read(folder)[0])) == ["session1", "session4"]
        folder = write_dialog(entry("Ses05F_impro01_F000"), dialog="Ses05F_impro01", session=5)
        assert list(builder.split_schemes(read(folder)[0])) == ["session5", "session1", "session4"]

    def test_a_session_that_is_not_there(self, write_dialog, load):
        folder = write_dialog(entry())
        with pytest.raises(CorpusDataError, match=r"tests on session 5 .*of session 1 alone; add another session"):
            load(folder, scheme=None)
        write_dialog(entry("Ses02F_impro01_F000"), dialog="Ses02F_impro01", session=2)
        with pytest.raises(CorpusDataError, match=r"session 3 .*of session 1, 2 alone; choose session1, session2"):
            load(folder, scheme="session3")


class TestLines:
    @pytest.mark.parametrize(
        ("line", "name", "message"),
        [
            (entry(label="bor"), "Ses01F_impro01_F000", "label 'bor' is none of ang, .*, xxx"),
            (entry("Ses01F_impro02_F000"), "Ses01F_impro02_F000", "is no turn of Ses01F_impro01 in Session1"),
            (entry("Ses01F_impro01_X000"), "Ses01F_impro01_X000", "is no turn of Ses01F_impro01 in Session1"),
            (entry(start="9.5"), "Ses01F_impro01_F000", r"ends at 8.2357 s, before or when it starts \(9.5 s\)"),
            (entry(end="six"), "Ses01F_impro01_F000", r"is not \[start - end\] turn label"),
            (entry().replace("\tang", ""), "Ses01F_impro01_F000", r"is not \[start - end\] turn label"),
            (entry()[1:], "Ses01F_impro01_F000", r"is not \[start - end\] turn label"),
            ("[6.2901 - 8.2357]", "", r"is not \[start - end\] turn label"),
            (
                entry("Ses01F_impro01_F007"),
                "Ses01F_impro01_F007",
                "neither .*F007.wav nor .*Ses01F_impro01.wav is there",
            ),
        ],
    )
    def test_a_faulty_line_is_located(self, write_dialog, load, line, name, message):
        folder = write_dialog(entry("Ses01F_impro01_M000"), "", line)
        with pytest.raises(
            CorpusDataError,
            match=rf"1 of 2 utterances .*EmoEvaluation/Ses01F_impro01.txt, line 5 \({name}\): .*{message}",
        ):
            load(folder)

    def test_a_dialog_of_another_session(self, write_dialog, load):
        folder = write_dialog(entry("Ses02F_impro01_F000"), dialog="Ses02F_impro01", session=1)
        with pytest.raises(CorpusDataError, match=r"is no turn of Ses02F_impro01 in Session1"):
            load(folder)

    def test_raters_lines_are_not_turns(self, write_dialog, read):
        raters = "C-E1:\tOther;\t(l\u00e4stig)\nA-E3:\tval 1; act 4; dom  5;\t()"
        folder = write_dialog(entry(), raters)
        path = folder / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
        path.write_bytes(path.read_text().encode("latin-1").replace(b"\n", b"\r\n"))
        (path.parent / "Attribute").mkdir()
        (path.parent / "Attribute" / "Ses01F_impro01_e1.txt").write_text("Ses01F_impro01_F000 :act 3;")
        (path.parent / "._Ses01F_impro01.txt").write_bytes(b"\0\5\26\7[")
        utterances, rejects = read(folder)
        assert [row.id for row in utterances] == ["Ses01F_impro01_F000"] and rejects == []

    def test_a_turn_twice(self, write_dialog, load):
        with pytest.raises(CorpusDataError, match=r"1 of 2 .*\(Ses01F_impro01_F000\): the same id"):
            load(write_dialog(entry(), entry()))

    def test_transcripts(self, write_dialog, read):
        """Turns without a line have no transcript, and other lines belong to no turn."""
        folder = write_dialog(entry(), entry("Ses01F_impro01_M000"))
        path = folder / "Session1" / "dialog" / "transcriptions" / "Ses01F_impro01.txt"
        path.parent.mkdir()
        path.write_text("M: [BREATHING]\nSes01F_impro01_F000 [006.2901-008.2357]: Well: it is [here], no?\n")
        assert {row.id[-4:]: row.transcript for row in read(folder)[0]} == {
            "F000": "Well: it is [here], no?",
            "M000": None,
        }
        path.write_bytes(b"Ses01F_impro01_F000 [006.2901-008.2357]: caf\xe9\n")
        assert [row.transcript for row in read(folder)[0]] == ["caf\xe9", None]

    def test_a_stereo_recording_is_mixed(self, write_dialog, write_clip, load):
        folder = write_dialog(entry("Ses01F_impro01_F001", start="0.5", end="0.75"))
        recording = write_clip(folder / "Session1/dialog/wav/Ses01F_impro01.wav", seconds=1, channels=2)
        write_dialog(entry("Ses02F_impro01_F000"), dialog="Ses02F_impro01", session=2)
        row = load(folder)["train"][0]
        assert (row["id"], row["start"], row["end"]) == ("Ses01F_impro01_F001", 0.5, 0.75)
        samples = load_audio(row["audio"])
        assert samples.shape == (4000,)
        np.testing.assert_array_equal(samples, load_audio(recording)[8000:12000])


class TestOtherFolders:
    def test_not_iemocap(self, tmp_path, load):
        (tmp_path / "data" / "Actor_01").mkdir(parents=True)
        with pytest.raises(
            CorpusDataError, match=r"not IEMOCAP: looked for Session1 to Session5 .*found Actor_01; give"
        ):
            load(tmp_path / "data")

    def test_a_session_without_labels(self, write_dialog, load):
        folder = write_dialog(entry())
        (folder / "Session2" / "sentences").mkdir(parents=True)
        with pytest.raises(CorpusDataError, match=r"Session2 has no dialog/EmoEvaluation/Ses\*.txt"):
            load(folder)

    def test_no_agreement_at_all(self, write_dialog, load):
        with pytest.raises(CorpusDataError, match=r"no utterance in .*the raters did not agree \(xxx\)"):
            load(write_dialog(entry(label="xxx")))
