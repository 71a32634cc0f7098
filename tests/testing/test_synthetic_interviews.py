"""Synthetic interviews: the layout and the known defects of the real corpora."""

import csv
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest


pytest.importorskip("espeakng_loader")

from lssed_hf import cli, load_audio
from lssed_hf.corpora import corpus_builder
from lssed_hf.corpora.daic import segments as reasons
from lssed_hf.testing.releases.daic_woz import write_synthetic_daic_woz
from lssed_hf.testing.releases.e_daic import write_synthetic_e_daic


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_synthetic_daic_woz(tmp_path_factory.mktemp("interviews") / "daic_woz", num_participants=10).resolve()


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> dict:
    return {"extract_dir": str(tmp_path_factory.mktemp("unpacked"))}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def level(row) -> float:
    return float(np.sqrt(np.mean(load_audio(row.path, start=row.start, end=row.end) ** 2)))


def test_layout(folder):
    names = {path.name for path in folder.iterdir()}
    assert names >= {"README.txt", "318_P", "444_P.zip", "451_P", "full_test_split.csv"}
    assert (folder / "README.txt").read_text().startswith("Synthetic speech, not daic_woz.")
    with zipfile.ZipFile(folder / "444_P.zip") as archive:
        assert {"444_AUDIO.wav", "444_TRANSCRIPT.csv", "__MACOSX/._444_AUDIO.wav"} < set(archive.namelist())
    train = table(folder / "train_split_Depression_AVEC2017.csv")
    assert len(train[0]) == 12 and list(train[0])[:4] == ["Participant_ID", "PHQ8_Binary", "PHQ8_Score", "Gender"]
    test = table(folder / "test_split_Depression_AVEC2017.csv")
    assert list(test[0]) == ["participant_ID", "Gender"]
    full = table(folder / "full_test_split.csv")
    assert [row["Participant_ID"] for row in full] == [*(row["participant_ID"] for row in test), "", ""]
    for rows in (train, [row for row in full if row["Participant_ID"]]):
        score = "PHQ8_Score" if "PHQ8_Score" in rows[0] else "PHQ_Score"
        assert all(0 <= int(row[score]) <= 24 for row in rows)
    items = [name for name in train[0] if name.startswith("PHQ8_")][2:]
    assert sum(not row["PHQ8_Sleep"] for row in train) == 1
    for row in train:
        if row["PHQ8_Sleep"]:
            assert sum(int(row[item]) for item in items) == int(row["PHQ8_Score"])
    wrong = [row for row in train if int(row["PHQ8_Binary"]) != (int(row["PHQ8_Score"]) >= 10)]
    assert len(wrong) == 1


def test_every_defect_is_planted_and_mended(folder, options, caplog):
    builder = corpus_builder("daic_woz")(**options)
    utterances, rejects = builder.read(folder)
    assert not [reject for reject in rejects if not reject.by_rule]
    assert {reject.reason for reject in rejects} == {
        "ends before or when it starts",
        "has no speaker or no text",
        "its session is not there",
        "no label file lists it",
        reasons.BEYOND,
        reasons.CHATTER,
        reasons.INTERRUPTED,
        reasons.NOT_CHOSEN,
        reasons.SCRUBBED,
        reasons.SYNC,
    }
    wrong = next(
        row["Participant_ID"]
        for row in table(folder / "train_split_Depression_AVEC2017.csv")
        if int(row["PHQ8_Binary"]) != (int(row["PHQ8_Score"]) >= 10)
    )
    assert f"disagree for participant {wrong}: the label now follows the score" in caplog.text
    account = builder.account(folder)
    assert account.participants[reasons.KEPT] == 10 and account.segments[reasons.KEPT] == len(utterances)
    labels = {(row.split, row.depression) for row in utterances}
    assert len(labels) == 6  # both in each split
    speakers = Counter(row.speaker_id for row in utterances)
    assert len(speakers) == 10 and min(speakers.values()) >= 3


def test_segments_are_where_the_participant_speaks(folder, options):
    utterances, _ = corpus_builder("daic_woz")(**options).read(folder)
    assert min(level(row) for row in utterances) > 0.02
    # Misaligned as it stands, the transcript points to other moments: silence, or the interviewer in the distance.
    utterances, _ = corpus_builder("daic_woz")(remedies=["sync_markers", "chatter"], **options).read(folder)
    assert max(level(row) for row in utterances if row.speaker_id == "318" and row.end < 30) < 0.005
    interviewer, _ = corpus_builder("daic_woz")(speakers="interviewer", **options).read(folder)
    assert max(level(row) for row in interviewer) < 0.03
    assert all("(" not in row.transcript for row in interviewer)


def test_the_label_can_be_heard(folder, options):
    utterances, _ = corpus_builder("daic_woz")(segmentation="rows", **options).read(folder)
    speed = {label: [] for label in ("depressed", "not_depressed")}
    for row in utterances:
        speed[row.depression].append(len(row.transcript.split()) / (row.end - row.start))
    assert np.mean(speed["depressed"]) < 0.9 * np.mean(speed["not_depressed"])


def test_without_defects(tmp_path):
    folder = write_synthetic_daic_woz(tmp_path / "d", num_participants=2, defects=False)
    utterances, rejects = corpus_builder("daic_woz")(extract_dir=str(tmp_path / "x")).read(folder.resolve())
    assert {reject.reason for reject in rejects} == {reasons.NOT_CHOSEN}
    assert {row.speaker_id for row in utterances} == {"300", "301"} and len(utterances) == 10


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for write, arguments in ((write_synthetic_daic_woz, {"defects": False}), (write_synthetic_e_daic, {})):
        first, again, other = (
            contents(write(tmp_path / write.__name__ / name, num_participants=2, seed=seed, **arguments))
            for name, seed in (("first", 1), ("again", 1), ("other", 2))
        )
        assert first == again and first.keys() == other.keys() and first != other


def test_e_daic(tmp_path):
    folder = write_synthetic_e_daic(tmp_path / "e", num_participants=4).resolve()
    assert (folder / "data" / "300_P.tar.gz").is_file() and (folder / "data" / "600_P" / "600_AUDIO.wav").is_file()
    assert load_audio(folder / "data" / "601_P" / "601_AUDIO.wav", 48000).size > 48000 * 10
    utterances, rejects = corpus_builder("e_daic")(extract_dir=str(tmp_path / "x")).read(folder)
    assert {row.speaker_id for row in utterances} == {"600", "300", "601", "301"}
    assert {row.split for row in utterances} == {"train", "validation", "test"} and not rejects
    assert min(level(row) for row in utterances) > 0.02


@pytest.mark.parametrize(
    ("write", "arguments", "message"),
    [
        (write_synthetic_daic_woz, {"num_participants": 7}, "between 8 and 150, got 7"),
        (write_synthetic_daic_woz, {"num_participants": 0, "defects": False}, "between 1 and 150, got 0"),
        (write_synthetic_e_daic, {"num_participants": 151}, "between 1 and 150, got 151"),
    ],
)
def test_numbers_out_of_range(tmp_path, write, arguments, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_only_its_own_kind_is_written_over(tmp_path):
    folder = tmp_path / "d"
    write_synthetic_daic_woz(folder, num_participants=2, defects=False)
    write_synthetic_daic_woz(folder, num_participants=1, defects=False)
    assert sorted(path.name for path in folder.glob("*_P*")) == ["300_P"]
    with pytest.raises(FileExistsError, match="nor our synthetic e_daic"):
        write_synthetic_e_daic(folder, num_participants=1)
    (folder / "README.txt").unlink()
    with pytest.raises(FileExistsError, match="is not empty, nor our synthetic daic_woz"):
        write_synthetic_daic_woz(folder, num_participants=1, defects=False)
    assert (folder / "300_P").is_dir()


def test_from_the_command_line(tmp_path, capsys):
    assert cli.main(["synthesize", "e_daic", str(tmp_path / "e"), "--num_speakers", "1"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "e")
    assert cli.main(["synthesize", "daic_woz", str(tmp_path / "d"), "--num_speakers", "3"]) == 1
    assert "between 8 and 150" in capsys.readouterr().err
