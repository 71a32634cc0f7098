"""DAIC-WOZ and E-DAIC from their files to rows. All participants and labels here are invented."""

import csv
import errno
import os
import random
import zipfile
from collections import Counter
from dataclasses import fields
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interviews import DEV, FULL_TEST, HEADER, ROWS, TEST, TRAIN, Release, ramp

from lssed_hf import cli, load_audio, load_corpus
from lssed_hf.corpora import CorpusConfig, CorpusDataError, corpus_builder
from lssed_hf.corpora.daic import archives as daic_archives
from lssed_hf.corpora.daic import defects as daic_defects
from lssed_hf.corpora.daic import segments as reasons
from lssed_hf.corpora.daic.daic_woz import DaicWozConfig
from lssed_hf.corpora.daic.defects import DEFAULT_REMEDIES, DEFECTS, INTERRUPTIONS, OFFSETS, REMEDIES, chosen_remedies
from lssed_hf.corpora.daic.segments import KEPT
from lssed_hf.corpora.sources import load_splits
from lssed_hf.preparation.prepare import prepare


FEATURES = ["id", "audio", "depression", "phq8_score", "gender_code", "speaker_role", "speaker_id", "session_id"]
FEATURES += ["start", "end", "transcript"]
E_HEADER = "Participant_ID,Gender,PHQ_Binary,PHQ_Score,PCL-C (PTSD),PTSD Severity"


@pytest.fixture
def release(tmp_path, monkeypatch) -> Release:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return Release((tmp_path / "data").resolve())


def read(release, corpus="daic_woz", **options):
    folder = release.folder if isinstance(release, Release) else release
    return corpus_builder(corpus)(**options).read(folder)


def rows_of(corpus) -> list[dict]:
    undecoded = (rows.cast_column("audio", datasets.Audio(decode=False)) for rows in corpus.values())
    return [row for rows in undecoded for row in rows]


def alone(release, participant: int, *rows, **audio) -> None:
    """Make `participant` the only one of the training set."""
    release.labels(TRAIN, f"{participant},0,3,1")
    release.session(participant, rows or ROWS, **audio)


def of(utterances, participant: int) -> list[tuple[float, float]]:
    return [(row.start, row.end) for row in utterances if row.speaker_id == str(participant)]


class TestRows:
    def test_columns(self, release):
        corpus = load_corpus("daic_woz", release.folder)
        assert {split: len(rows) for split, rows in corpus.items()} == {"train": 3, "validation": 3, "test": 3}
        features = corpus["train"].features
        assert list(features) == FEATURES
        assert features["depression"] == datasets.ClassLabel(names=["not_depressed", "depressed"])
        assert features["audio"] == datasets.Audio(sampling_rate=16000)
        assert features["phq8_score"] == datasets.Value("int32") and features["gender_code"] == datasets.Value(
            "string"
        )
        (row, *_) = rows_of({"validation": corpus["validation"]})
        audio = row.pop("audio")
        assert audio["path"] == "301_0003.flac"
        assert row == {
            "id": "301_0003",
            "depression": 1,
            "phq8_score": 15,
            "gender_code": "0",
            "speaker_role": "participant",
            "speaker_id": "301",
            "session_id": "301",
            "start": 2.0,
            "end": 5.0,
            "transcript": "fine thanks",
        }

    def test_sound_is_cut_out_of_the_recording(self, release):
        for row in rows_of(load_corpus("daic_woz", release.folder)):
            first, last = round(row["start"] * 16000), round(row["end"] * 16000)
            samples = load_audio(row["audio"])
            np.testing.assert_array_equal(np.rint(samples * 32768), ramp(40.0)[first:last])

    def test_recordings_at_another_rate(self, release):
        release.audio(release.folder / "300_P" / "300_AUDIO.wav", rate=48000)
        (row, *_) = rows_of(load_corpus("daic_woz", release.folder))
        assert len(load_audio(row["audio"])) == 3 * 16000

    def test_interviewer_on_request(self, release):
        corpus = load_corpus("daic_woz", release.folder, speakers=["participant", "interviewer"])
        assert Counter(corpus["train"]["speaker_role"]) == {"participant": 3, "interviewer": 4}
        assert set(corpus["train"]["speaker_id"]) == {"300"}
        alone = load_corpus("daic_woz", release.folder, speakers="interviewer")
        assert set(alone["test"]["speaker_role"]) == {"interviewer"}

    def test_four_emotions_are_not_asked_for(self, release):
        corpus = load_splits("daic_woz", data_dir=release.folder, options={"segmentation": "rows"})
        assert corpus["train"].num_rows == 2  # 0.5 s and 0.4 s are below min_seconds
        with pytest.raises(ValueError, match="benchmark"):
            load_corpus("daic_woz", release.folder, "benchmark")

    def test_zips(self, release):
        for participant in (300, 301, 302):
            folder = release.folder / f"{participant}_P"
            with zipfile.ZipFile(release.folder / f"{participant}_P.zip", "w") as archive:
                for path in folder.iterdir():
                    archive.write(path, path.name)
                    path.unlink()
            folder.rmdir()
        unpacked = load_corpus("daic_woz", release.folder, extract_dir=str(release.folder.parent / "unpacked"))
        assert sorted(path.name for path in (release.folder.parent / "unpacked").glob("*_P")) == [
            "300_P",
            "301_P",
            "302_P",
        ]
        cached = load_corpus("daic_woz", release.folder)
        assert rows_of(unpacked) == rows_of(cached)
        assert len(list((release.folder.parent / "cache" / "lssed_hf_daic_woz").glob("*/300_P/300_AUDIO.wav"))) == 1
        with pytest.raises(ValueError, match=r"extract_dir.* is in the corpus"):
            read(release, extract_dir=str(release.folder / "unpacked"))

    def test_participants_without_a_score(self, release):
        release.labels(TRAIN, "300,1,,1")
        (row, *_) = rows_of({"train": load_corpus("daic_woz", release.folder)["train"]})
        assert row["depression"] == 1 and row["phq8_score"] is None


class TestWhatIsNotThere:
    """Participants left out are listed and counted."""

    @pytest.mark.parametrize(
        ("file", "reason"),
        [
            (None, "its session is not there"),
            ("301_AUDIO.wav", "its recording is not there"),
            ("301_TRANSCRIPT.csv", "its transcript is not there"),
        ],
    )
    def test_of_a_participant(self, release, caplog, file, reason):
        folder = release.folder / "301_P"
        for path in list(folder.iterdir()):
            if file in (None, path.name):
                path.unlink()
        if file is None:
            folder.rmdir()
        utterances, rejects = read(release)
        assert not of(utterances, 301) and len(of(utterances, 300)) == 3
        (reject,) = [reject for reject in rejects if reject.id == "301"]
        assert reject.reason == reason and reject.by_rule
        assert f"participant 301: {reason}" in caplog.text
        assert corpus_builder("daic_woz")().account(release.folder).participants == {KEPT: 2, reason: 1}
        with pytest.raises(CorpusDataError, match=f"301.*: {reason}"):
            load_corpus("daic_woz", release.folder, require_complete=True)

    def test_a_session_that_no_file_lists(self, release):
        release.session(310)
        release.session(342)
        rejects = {reject.id: reject for reject in read(release)[1]}
        assert rejects["310"].reason == "no label file lists it" and rejects["310"].source.endswith("310_P")
        assert rejects["342"].reason == "an excluded session"
        rejects = {reject.id: reject for reject in read(release, remedies="none")[1]}
        assert rejects["342"].reason == "no label file lists it"

    @pytest.mark.parametrize("participant", sorted(daic_defects.EXCLUDED_SESSIONS))
    def test_excluded_sessions(self, release, participant):
        alone(release, participant)
        utterances, rejects = read(release)
        assert not of(utterances, participant)
        assert [r.reason for r in rejects if r.id == str(participant)] == ["an excluded session"]
        assert len(of(read(release, remedies="none")[0], participant)) == 3

    def test_labels_of_the_test_set(self, release):
        (release.folder / FULL_TEST).unlink()
        release.labels(TEST, "302,1", header="participant_ID,Gender")
        utterances, rejects = read(release)
        assert {row.split for row in utterances} == {"train", "validation"}
        (reject,) = [reject for reject in rejects if reject.id == "302"]
        assert "full_test_split.csv" in reject.reason and reject.by_rule and reject.source.endswith(f"{TEST}, line 2")

    def test_a_file_of_a_split(self, release, caplog):
        (release.folder / DEV).unlink()
        assert {row.split for row in read(release)[0]} == {"train", "test"}
        assert f"no validation split, because {release.folder} has no {DEV}" in caplog.text

    def test_nothing_of_an_interview_is_left(self, release):
        release.transcript(300, (0, 1, "Ellie", "hi"), (1, 1.5, "Participant", "hi"))
        utterances, rejects = read(release)
        assert not of(utterances, 300)
        assert [r.reason for r in rejects if r.id == "300"] == ["nothing of its interview is left"]

    def test_another_corpus(self, tmp_path):
        with pytest.raises(CorpusDataError, match=f"is not DAIC-WOZ: looked for {TRAIN}.*found nothing"):
            read(tmp_path)
        (tmp_path / "labels").mkdir()
        (tmp_path / "labels" / "train_split.csv").write_text(E_HEADER)
        with pytest.raises(CorpusDataError, match="load it as e_daic"):
            read(tmp_path)
        with pytest.raises(ValueError, match="daic_woz needs data_dir="):
            load_corpus("daic_woz")

    def test_labels_without_any_session(self, release):
        for participant in (300, 301, 302):
            for path in (release.folder / f"{participant}_P").iterdir():
                path.unlink()
        with pytest.raises(CorpusDataError, match=r"daic_woz: no utterance in .*its recording is not there"):
            load_corpus("daic_woz", release.folder)


class TestDefects:
    def test_every_one_has_a_source_and_a_remedy_that_exists(self):
        assert {number for defect in DEFECTS for number in defect.participants} == {
            *(342, 394, 398, 460, 373, 444, 451, 458, 480, 402, 318, 321, 341, 362, 409, 319, 411)
        }
        for defect in DEFECTS:
            assert defect.source and defect.description and (defect.remedy is None or defect.remedy in REMEDIES)
        assert {defect.remedy for defect in DEFECTS if defect.remedy} == set(REMEDIES)

    @pytest.mark.parametrize("name", sorted(OFFSETS))
    @pytest.mark.parametrize("participant", [318, 321, 341, 362])
    def test_misalignment(self, release, name, participant):
        alone(release, participant, seconds=80)
        offset = OFFSETS[name][participant]
        assert of(read(release, offsets=name)[0], participant)[0] == pytest.approx((2 + offset, 5 + offset), abs=1e-6)
        assert of(read(release, remedies=["recompute_binary"])[0], participant)[0] == (2, 5)

    def test_offsets_by_default(self, release):
        alone(release, 321, seconds=80)
        assert read(release)[0][0].start == pytest.approx(2 + 3.8379167, abs=1e-6)
        with pytest.raises(ValueError, match="offsets='mine'; known are adbailey, haren_ctc"):
            read(release, offsets="mine")

    @pytest.mark.parametrize(
        ("name", "participant", "kept"),
        [
            ("documentation", 373, [(300, 302), (425, 427), (430, 432)]),
            ("adbailey", 373, [(300, 302), (360, 362), (430, 432)]),
            ("documentation", 444, [(360 + 30, 362 + 30), (425, 427), (430, 432)]),
        ],
    )
    def test_interruptions(self, release, name, participant, kept):
        starts = (300, 360, 390, 425, 430)
        if participant == 373:
            starts = (300, 360, 425, 430)
        rows = [
            row
            for start in starts
            for row in ((start - 1, start, "Ellie", "x"), (start, start + 2, "Participant", "y"))
        ]
        alone(release, participant, *rows, seconds=440)
        assert of(read(release, interruptions=name)[0], participant) == kept
        assert len(of(read(release, remedies="none")[0], participant)) == len(starts)
        assert set(INTERRUPTIONS) == {"documentation", "adbailey"}

    def test_automatic_rows_from_363_on(self, release):
        rows = [(0, 2, "Ellie", "Intro_1 (hello there)"), (3, 5, "Participant", "yes (laughs)")]
        for participant, text in ((362, "Intro_1 (hello there)"), (363, "hello there")):
            alone(release, participant, *rows, seconds=80)
            utterances, _ = read(release, speakers=["participant", "interviewer"])
            texts = [row.transcript for row in utterances if row.speaker_id == str(participant)]
            assert texts == [text, "yes (laughs)"]

    @pytest.mark.parametrize("participant", sorted(daic_defects.WITHOUT_INTERVIEWER))
    def test_no_interviewer(self, release, caplog, participant):
        rows = [(0, 1, "Participant", "<sync>"), *(row for row in ROWS if row[2] == "Participant")]
        alone(release, participant, *rows)
        assert of(read(release)[0], participant) == [(2, 5), (30, 36)]
        assert of(read(release, remedies=["sync_markers"])[0], participant) == [(2, 36)]
        assert "has no row of the interviewer" not in caplog.text
        alone(release, 303, *rows)
        assert of(read(release)[0], 303) == [(2, 5), (30, 36)]
        assert "the transcript of 303 has no row of the interviewer" in caplog.text

    @pytest.mark.parametrize("participant", [411, 480])
    def test_contested_sessions_stay_by_default(self, release, participant):
        alone(release, participant)
        assert of(read(release)[0], participant)
        utterances, rejects = read(release, remedies=[*DEFAULT_REMEDIES, "contested_sessions"])
        assert not of(utterances, participant)
        assert [r.reason for r in rejects if r.id == str(participant)] == ["a session that some authors leave out"]

    def test_binary(self, release, caplog):
        release.labels(TRAIN, "300,0,10,1")
        assert {row.depression for row in read(release)[0] if row.split == "train"} == {"depressed"}
        assert "participant 300" in caplog.text
        utterances, _ = read(release, remedies="none")
        assert {row.depression for row in utterances if row.split == "train"} == {"not_depressed"}

    @pytest.mark.parametrize("name", ["sync_markers", "chatter", "scrubbed"])
    def test_each_can_be_switched_on_by_itself(self, release, name):
        release.transcript(
            300,
            (1, 2, "Participant", "testing"),
            (3, 4, "Ellie", "hi"),
            (5, 6, "Participant", "[sync]"),
            (7, 8, "Ellie", "hi"),
            (9, 10, "Participant", "scrubbed_entry"),
        )
        spans = {"chatter": (1, 2), "sync_markers": (5, 6), "scrubbed": (9, 10)}
        assert of(read(release, remedies="none")[0], 300) == [*spans.values()]
        expected = [span for remedy, span in spans.items() if remedy != name]
        assert of(read(release, remedies=[name])[0], 300) == expected
        assert of(read(release, remedies=name)[0], 300) == expected

    def test_names(self):
        assert chosen_remedies("default") == set(REMEDIES) - {"contested_sessions"}
        assert chosen_remedies([]) == chosen_remedies("none") == set()
        with pytest.raises(ValueError, match=r"'syncs' is none of misalignment, .*, default, none"):
            corpus_builder("daic_woz")(remedies=["chatter", "syncs"])


class TestAccount:
    def test_every_row_segment_and_participant(self, release):
        release.transcript(
            301,
            (0, 1, "Participant", "x"),
            *ROWS,
            (39, 50, "Participant", "y"),
            (5, 4, "Ellie", ""),
            (1, 2, "Bob", "z"),
        )
        release.session(310)
        release.labels(TRAIN, "300,0,3,1", "303,0,3,1")
        account = corpus_builder("daic_woz")().account(release.folder)
        assert account.participants == {KEPT: 3, "no label file lists it": 1, "its session is not there": 1}
        assert account.segments == {KEPT: 9, reasons.TOO_SHORT: 3}
        assert account.rows == {
            KEPT: 12,
            reasons.TOO_SHORT: 3,
            reasons.NOT_CHOSEN: 12,
            reasons.CHATTER: 1,
            reasons.BEYOND: 1,
            reasons.UNKNOWN_SPEAKER: 1,
            "ends before or when it starts": 1,
        }
        assert account.rows.total() == sum(
            len((release.folder / f"{one}_P" / f"{one}_TRANSCRIPT.csv").read_text().splitlines()) - 1
            for one in (300, 301, 302)
        )

    def test_agrees_with_what_is_listed(self, release):
        builder = corpus_builder("daic_woz")()
        utterances, rejects = builder.read(release.folder)
        account = builder.account(release.folder)
        assert len(utterances) == account.segments[KEPT]
        listed = Counter(reject.reason for reject in rejects)
        for reason in (reasons.NOT_CHOSEN, reasons.TOO_SHORT):
            assert listed[reason] == account.rows[reason] > 0


class TestLeakage:
    def segments(self, release, **options):
        return sorted((row.id, row.start, row.end, row.split, row.transcript) for row in read(release, **options)[0])

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"segmentation": "rows"},
            {"segmentation": "windows", "window_seconds": 2},
            {"max_seconds": 2},
            {"speakers": ["participant", "interviewer"]},
            {"remedies": "none"},
        ],
    )
    def test_labels_choose_no_segment(self, release, options):
        """Shuffle the labels of the test participants, or of all, and compare the segments."""
        rng = random.Random(0)
        people = range(301, 309)
        for participant in people:
            shift = rng.uniform(0, 2)
            release.session(participant, [(a + shift, b + shift, *rest) for a, b, *rest in ROWS])
        before = None
        for scores in ([3] * 4 + [15] * 4, [15] * 4 + [3] * 4, *(rng.sample(range(25), 8) for _ in range(3))):
            rows = [f"{one},{int(score >= 10)},{score},1" for one, score in zip(people, scores)]
            release.labels(DEV, *rows[:4])
            release.labels(FULL_TEST, *rows[4:])
            found = self.segments(release, **options)
            assert before in (None, found) and len(found) >= 18
            before = found

    def test_nobody_is_in_two_splits(self, release):
        release.labels(DEV, "300,0,3,1", "301,0,3,1")
        with pytest.raises(CorpusDataError, match=r"participant 300 is in train .* and in validation"):
            load_corpus("daic_woz", release.folder)
        corpus = load_corpus("daic_woz", Release(release.folder).folder, speakers=["participant", "interviewer"])
        speakers = [set(rows["speaker_id"]) for rows in corpus.values()]
        assert sum(map(len, speakers)) == len(set.union(*speakers)) == 3


# Damage to the session of participant 300, and the message. `load_corpus` stops at these.
FAULTS = [
    pytest.param(lambda f: f.write(300, ""), "found an empty file", id="an empty transcript"),
    pytest.param(lambda f: f.write(300, HEADER.replace("\t", "|")), "looked for the header", id="bars for tabs"),
    pytest.param(lambda f: f.write(300, b"\xff\xfe" + HEADER.encode("utf-16-le")), "not UTF-8", id="UTF-16"),
    pytest.param(lambda f: f.write(300, f"{HEADER}\n1\t2\tEllie\t\xe9".encode("latin-1")), "not UTF-8", id="Latin-1"),
    pytest.param(lambda f: f.write(300, "start_time\tvalue\n1\thi"), "looked for the header", id="missing columns"),
    pytest.param(lambda f: cut(f, 5000), "truncated", id="a truncated recording"),
    pytest.param(lambda f: cut(f, 44), "truncated", id="a header alone"),
    pytest.param(lambda f: cut(f, 0), "empty", id="an empty recording"),
    pytest.param(lambda f: sound(f).write_text("Dear Sir or Madam"), "not an audio file", id="no recording"),
    pytest.param(lambda f: f.audio(sound(f), seconds=0), "no samples|truncated", id="no samples"),
    pytest.param(
        lambda f: sound(f).rename(f.folder / "300_AUDIO.wav") and f.audio(sound(f)), "same", id="two recordings"
    ),
    pytest.param(lambda f: f.labels(TRAIN, "300,0,99,1"), "score 99 is not between", id="a score out of range"),
    pytest.param(lambda f: f.labels(TRAIN, "300x,0,9,1"), "'300x' is no number", id="no participant"),
    pytest.param(lambda f: f.labels(TRAIN, "300,0,9,1", "300,0,8,1"), "score differs", id="a participant twice"),
    pytest.param(lambda f: outside(f), "is a link out of", id="a link out"),
]


def sound(release) -> Path:
    return release.folder / "300_P" / "300_AUDIO.wav"


def cut(release, size: int) -> None:
    os.truncate(sound(release), size)


def outside(release) -> None:
    target = release.folder.parent / "secret.wav"
    sound(release).rename(target)
    sound(release).symlink_to(target)


# Line of a transcript, and the reason why it is listed.
LINES = [
    ("-1\t2\tParticipant\thi", "begins before the recording"),
    ("12\t11\tParticipant\thi", "ends before or when it starts"),
    ("12\t12\tParticipant\thi", "ends before or when it starts"),
    ("39\t41\tParticipant\thi", reasons.BEYOND),
    ("1e5\t2e5\tParticipant\thi", reasons.BEYOND),
    ("a\tb\tParticipant\thi", "its times are missing or no numbers"),
    ("\t\tParticipant\thi", "its times are missing or no numbers"),
    ("nan\tinf\tParticipant\thi", "its times are missing or no numbers"),
    ("12\t14\tBob\thi", reasons.UNKNOWN_SPEAKER),
    ("12\t14\tParticipant \u200b\thi", reasons.UNKNOWN_SPEAKER),
    ("12\t14\t\thi", "has no speaker or no text"),
    ("12\t14\tParticipant\t", "has no speaker or no text"),
    ("12\t14\tParticipant\th\0i", "holds zero bytes"),
    ("12\t14\tParticipant\thi\tthere", "has more cells than the header"),
    ("12\t14\tParticipant\t<sync>", reasons.SYNC),
    ("12\t14\tParticipant\tscrubbed_entry", reasons.SCRUBBED),
]


class TestHostile:
    @pytest.mark.parametrize(("spoil", "message"), FAULTS)
    def test_faults_stop_loading_and_are_listed_by_prepare(self, release, spoil, message):
        spoil(release)
        with pytest.raises(CorpusDataError, match=f"300.*({message})"):
            load_corpus("daic_woz", release.folder)
        output = release.folder.parent / "out"
        manifest = prepare("daic_woz", release.folder, output)
        assert manifest["counts"]["written"] == 6
        participants = corpus_builder("daic_woz")().account(release.folder).participants
        assert participants[KEPT] == 2 and participants.total() == 3
        with (output / "rejects.csv").open(newline="", encoding="utf-8") as file:
            faults = [row for row in csv.DictReader(file) if row["kind"] == "fault"]
        assert len(faults) == 1 and faults[0]["id"].startswith("300")
        assert str(release.folder) + os.sep not in faults[0]["source"]

    @pytest.mark.parametrize(("line", "reason"), LINES)
    def test_lines_are_listed(self, release, line, reason):
        path = release.transcript(300, *ROWS)
        path.write_text(f"{path.read_text()}{line}\n")
        utterances, rejects = read(release)
        assert len(of(utterances, 300)) == 3
        (reject,) = [reject for reject in rejects if reject.id == "300_0011"]
        assert reject.reason == reason and reject.source == f"{path}, line 11" and reject.by_rule

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda text: "\ufeff" + text, id="BOM"),
            pytest.param(lambda text: text.replace("\n", "\r\n"), id="CRLF"),
            pytest.param(lambda text: text.replace("\n", "\n\n\t\t\t\n"), id="empty rows"),
            pytest.param(lambda text: text.replace("\n", "\t\t\n"), id="empty columns"),
            pytest.param(lambda text: text.replace("Participant", "PARTICIPANT"), id="capitals"),
            pytest.param(lambda text: text.replace("fine", '"fine'), id="quotes"),
            pytest.param(lambda text: text.replace("fine", "fine " * 100_000), id="a huge cell"),
        ],
    )
    def test_what_does_not_matter(self, release, change):
        path = release.transcript(300, *ROWS)
        path.write_text(change(path.read_text()), encoding="utf-8", newline="")
        assert of(read(release)[0], 300) == [(2, 5), (8, 9), (30, 36)]

    def test_files_of_macos_and_editors(self, release):
        for name in ("._300_AUDIO.wav", ".~lock.300_TRANSCRIPT.csv#", "__MACOSX/300_P/300_AUDIO.wav", "._300_P.zip"):
            for folder in (release.folder, release.folder / "300_P"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(b"\0\5\26\7")
        assert len(of(read(release)[0], 300)) == 3

    def test_an_evil_zip_is_one_fault(self, release):
        sound(release).unlink()
        with zipfile.ZipFile(release.folder / "300_P.zip", "w") as archive:
            archive.writestr("../300_AUDIO.wav", b"evil")
        utterances, rejects = read(release)
        (fault,) = [reject for reject in rejects if not reject.by_rule]
        assert fault.id == "300" and "leads out of the folder" in fault.reason and of(utterances, 301)
        assert not list(release.folder.parent.rglob("evil"))

    def test_a_full_disk_is_no_sessions_fault(self, release, monkeypatch):
        sound(release).unlink()
        (release.folder / "300_P.zip").touch()

        def fill(*args):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(daic_archives, "extract_archive", fill)
        with pytest.raises(OSError, match="No space left"):
            read(release)

    def test_options_that_do_not_exist(self, release):
        with pytest.raises(ValueError, match="speaker"):
            load_corpus("daic_woz", release.folder, speaker="participant")
        with pytest.raises(ValueError, match="interruptions='x'; known are documentation, adbailey"):
            load_corpus("daic_woz", release.folder, interruptions="x")


@pytest.fixture(scope="module")
def anything(tmp_path_factory) -> Release:
    return Release(tmp_path_factory.mktemp("anything").resolve())


@given(content=st.binary(max_size=150) | st.binary(max_size=80).map(lambda tail: f"{HEADER}\n2\t5\t".encode() + tail))
def test_any_bytes_as_a_transcript(anything, content):
    path = anything.write(300, content)
    utterances, rejects = read(anything)
    assert len(of(utterances, 301)) == 3
    mine = [reject for reject in rejects if reject.id.startswith("300")]
    for one in [*mine, *(row for row in utterances if row.speaker_id == "300")]:
        assert str(path) in one.source or str(path.parent) == one.source
    assert mine or of(utterances, 300)


class TestEDaic:
    TRANSCRIPT = 'Start_Time,End_Time,Text,Confidence\n2,5,fine thanks,0.9\n5.2,6,yes,0.9\n20,23,"well, no",0.9\n'

    @pytest.fixture
    def e_daic(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
        folder = (tmp_path / "data").resolve()
        for number, split, label in ((600, "train", "0,3"), (300, "dev", "0,14"), (601, "test", "1,20")):
            (folder / "labels").mkdir(parents=True, exist_ok=True)
            (folder / "labels" / f"{split}_split.csv").write_text(f"{E_HEADER}\n{number},male,{label},0,20\n")
            Release.audio(None, folder / "data" / f"{number}_P" / f"{number}_AUDIO.wav")
            (folder / "data" / f"{number}_P" / f"{number}_Transcript.csv").write_text(self.TRANSCRIPT)
        return folder

    def test_rows(self, e_daic, caplog):
        corpus = load_corpus("e_daic", e_daic)
        assert list(corpus["train"].features) == FEATURES
        rows = rows_of(corpus)
        assert [(row["start"], row["end"]) for row in rows] == [(2, 5), (20, 23)] * 3
        assert {row["speaker_role"] for row in rows} == {None} and {row["gender_code"] for row in rows} == {"male"}
        assert set(corpus["validation"]["depression"]) == {1}  # the binary column has 0 for a score of 14
        assert "disagree for participant 300" in caplog.text and "interviewer" not in caplog.text

    def test_turns_need_a_pause(self, e_daic):
        with pytest.raises(ValueError, match="give max_gap_seconds, or segmentation='rows'"):
            load_corpus("e_daic", e_daic, segmentation="turns")
        utterances, _ = read(e_daic, "e_daic", segmentation="turns", max_gap_seconds=0.5)
        assert of(utterances, 600) == [(2, 6), (20, 23)]
        utterances, _ = read(e_daic, "e_daic", segmentation="windows", window_seconds=1.5)
        assert of(utterances, 600) == [(2, 3.5), (3.5, 5), (20, 21.5), (21.5, 23)]

    def test_what_it_does_not_have(self, e_daic):
        with pytest.raises(ValueError, match="transcripts have no column for the speaker"):
            load_corpus("e_daic", e_daic, speakers=["participant"])
        with pytest.raises(ValueError, match="'chatter' is none of scrubbed, recompute_binary"):
            load_corpus("e_daic", e_daic, remedies=["chatter"])
        with pytest.raises(CorpusDataError, match="load it as e_daic"):
            load_corpus("daic_woz", e_daic)

    def test_known_offsets_are_not_of_its_transcripts(self, e_daic):
        (e_daic / "labels" / "train_split.csv").write_text(f"{E_HEADER}\n318,male,0,3,0,20\n")
        (e_daic / "data" / "600_P").rename(e_daic / "data" / "318_P")
        for path in (e_daic / "data" / "318_P").iterdir():
            path.rename(path.with_name(path.name.replace("600", "318")))
        assert of(read(e_daic, "e_daic")[0], 318)[0] == (2, 5)

    def test_the_other_layout(self, release):
        with pytest.raises(CorpusDataError, match="load it as daic_woz"):
            load_corpus("e_daic", release.folder)


class TestPrepared:
    def test_folder_and_card(self, release, tmp_path):
        release.session(310)
        manifest = prepare("daic_woz", release.folder, tmp_path / "out")
        assert manifest["counts"]["written"] == 9
        folder = datasets.load_dataset(str(tmp_path / "out"), cache_dir=tmp_path / "load")
        ours = load_corpus("daic_woz", release.folder)
        assert folder["train"].features == ours["train"].features
        for mine, theirs in zip(rows_of(ours), rows_of(folder)):
            np.testing.assert_array_equal(load_audio(mine.pop("audio")), load_audio(theirs.pop("audio")))
            assert mine == theirs
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
        assert "**Do not pass this folder on.** The agreement forbids redistribution" in card
        assert "| `default` | 2 | official | train 3, validation 3, test 3 |" in card
        assert "speech-emotion-recognition" not in card
        with (tmp_path / "out" / "rejects.csv").open(newline="", encoding="utf-8") as file:
            rejects = list(csv.DictReader(file))
        assert {"id": "310", "source": "310_P", "kind": "rule", "reason": "no label file lists it"} in rejects
        assert len(rejects) == manifest["counts"]["rejected"]

    def test_from_the_command_line(self, release, tmp_path, capsys):
        options = ["--options", 'speakers=["interviewer"]', "min_seconds=0.5", "remedies=none"]
        assert cli.main(["prepare", "daic_woz", str(release.folder), str(tmp_path / "out"), *options]) == 0
        assert "12 of " in capsys.readouterr().out
        assert cli.main(["stats", str(tmp_path / "out"), "--output_dir", str(tmp_path / "stats")]) == 0
        output = capsys.readouterr().out
        assert "## Labels (`depression`)" in output and "No two splits share a speaker." in output
        people = output.split("Speakers who have each label:")[1]
        assert people.split("\n")[4].split() == ["|", "not_depressed", "|", "1", "|", "0", "|", "1", "|", "2", "|"]
        assert people.split("\n")[5].split() == ["|", "depressed", "|", "0", "|", "1", "|", "0", "|", "1", "|"]
        assert (tmp_path / "stats" / "stats.png").is_file()
        assert cli.main(["stats", "daic_woz", "--data_dir", str(release.folder)]) == 0
        assert cli.main(["stats", "daic_woz", "--data_dir", str(release.folder), "--compare_lssed"]) == 1
        assert "LSSED's tables are about emotions" in capsys.readouterr().err


@pytest.mark.parametrize("corpus", ["daic_woz", "e_daic"])
def test_label_files_may_be_anywhere(release, tmp_path, corpus):
    labels = tmp_path / "elsewhere" / "labels"
    labels.mkdir(parents=True)
    names = {TRAIN: "train_split.csv", DEV: "dev_split.csv", FULL_TEST: "test_split.csv"}
    for name, other in names.items():
        (release.folder / name).rename(labels / (name if corpus == "daic_woz" else other))
    if corpus == "e_daic":
        for number in (300, 301, 302):
            lines = "Start_Time,End_Time,Text,Confidence\n1,3,hi,0.9\n"
            (release.folder / f"{number}_P" / f"{number}_Transcript.csv").write_text(lines)
            (release.folder / f"{number}_P" / f"{number}_TRANSCRIPT.csv").unlink(missing_ok=True)
            (release.folder / f"{number}_P" / f"{number}_Transcript.csv").write_text(lines)
    for folder in (labels, labels.parent):
        found = load_corpus(corpus, release.folder, labels_dir=str(folder))
        assert {split: set(rows["speaker_id"]) for split, rows in found.items()} == {
            "train": {"300"},
            "validation": {"301"},
            "test": {"302"},
        }
    # Other labels are read anew, though no file of the sessions changed.
    name = TRAIN if corpus == "daic_woz" else "train_split.csv"
    text = (labels / name).read_text().replace("300,0,3", "300,1,23")
    (labels / name).write_text(text)
    again = load_corpus(corpus, release.folder, labels_dir=str(labels))["train"]
    assert set(again["phq8_score"]) == {23}
    with pytest.raises(CorpusDataError, match="labels_dir='nowhere': there is no such folder"):
        load_corpus(corpus, release.folder, labels_dir="nowhere")


def test_documentation_names_every_option_and_defect():
    text = (Path(__file__).parents[3] / "docs" / "daic_woz.md").read_text(encoding="utf-8")
    options = {field.name for field in fields(DaicWozConfig)} - {field.name for field in fields(CorpusConfig)}
    assert not [name for name in (*options, *REMEDIES, *FEATURES) if f"`{name}" not in text and f"{name}=" not in text]
    assert not [number for defect in DEFECTS for number in defect.participants if str(number) not in text]
    for numbers in OFFSETS.values():
        assert not [offset for offset in numbers.values() if f"+{offset}" not in text]
