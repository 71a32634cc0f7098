"""Table 6 on a made-up release of DAIC-WOZ: who was left out, and every number once more from the predictions."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from interviews import DEV, TRAIN, Release
from recompute_table6 import counts, exact, phq8_cells, probabilities, read_people, read_tables, shares, threshold_of
from tones import FLAGS

from lssed_hf import cli, load_corpus
from lssed_hf.testing.releases.common import claim


TURNS = [
    (0.5, 1.0, "Ellie", "hm"),
    (1.2, 2.4, "Participant", "yes"),
    (2.5, 3.0, "Ellie", "so"),
    (3.1, 4.5, "Participant", "no"),
]
SYSTEMS = ("tiny", "tiny-development")
SETTINGS = ["--select_on", "training", "development", "--threshold", "training", *FLAGS]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write 14 participants in two splits: two without a session, one excluded, one relabelled, one without turns."""
    folder = tmp_path_factory.mktemp("daic")
    made = Release(folder)
    for path in folder.iterdir():
        if path.is_dir():
            for part in path.iterdir():
                part.unlink()
            path.rmdir()
    (folder / "full_test_split.csv").unlink()
    made.labels(
        TRAIN, *(f"{n},{n % 2},{3 + 12 * (n % 2)},{n // 2 % 2}" for n in range(300, 308)), "309,0,12,1", "342,0,3,0"
    )
    made.labels(DEV, *(f"{n},{n % 2},{3 + 12 * (n % 2)},{n // 2 % 2}" for n in range(310, 318)))
    rng = np.random.default_rng(0)
    for number in (*range(300, 307), 309, 310, *range(312, 318)):  # not 307 and 311
        rows = TURNS if number != 316 else [row for row in TURNS if row[2] == "Ellie"]
        made.transcript(number, *rows)
        frequency = (500 if number % 2 else 900) * rng.uniform(0.6, 1.6)
        sound = 0.3 * np.sin(2 * np.pi * frequency * np.arange(80000) / 16000) + 0.02 * rng.normal(size=80000)
        soundfile.write(folder / f"{number}_P" / f"{number}_AUDIO.wav", sound, 16000)
    return folder


@pytest.fixture(scope="module")
def study(release, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    argv = ["--data_dir", str(release), "--output_dir", str(out), "--models", "tiny=pyresnet50", "--seeds", "0", "1"]
    assert cli.main(["finetune-daic", *argv, *SETTINGS]) == 0
    return out


def test_what_loading_left_out_is_counted_by_reason(study):
    left_out = json.loads((study / "results.json").read_text())["left_out"]
    counts = {entry["reason"]: entry["count"] for entry in left_out}
    assert counts["its session is not there"] == 2 and counts["an excluded session"] == 1
    text = (study / "report.md").read_text(encoding="utf-8")
    assert f"Loading the data left out {sum(counts.values())} rows: " in text
    assert "300" not in str(left_out), "neither file names a participant"


def test_the_participant_flow_adds_up(study, release):
    (header, *_), rows = (
        read_tables(study / "report.md")["Participants"],
        read_tables(study / "report.md")["Participants"],
    )
    by_class = {(row["split"], row["class"]): row for row in rows}
    reasons = [
        name for name in header if name not in ("split", "class", "recruited", "analysed", "relabelled among these")
    ]
    assert set(reasons) == {"its session is not there", "an excluded session", "nothing of its interview is left"}
    for row in rows:
        assert int(row["recruited"]) == int(row["analysed"]) + sum(int(row[name]) for name in reasons)
    for name in ("recruited", *reasons, "analysed", "relabelled among these"):
        assert int(by_class["all", ""][name]) == sum(int(row[name]) for row in rows[:-1])
    listed = [line.split(",") for name in (TRAIN, DEV) for line in (release / name).read_text().split()[1:]]
    assert int(by_class["all", ""]["recruited"]) == len(listed) == 18
    assert by_class["all", ""]["its session is not there"] == "2"
    assert by_class["train", "depressed"]["relabelled among these"] == "1"
    assert by_class["development", "not depressed"]["nothing of its interview is left"] == "1"
    people = read_people(study / "runs" / "tiny" / "seed_0" / "predictions.csv")
    for label, name in enumerate(("not depressed", "depressed")):
        assert int(by_class["development", name]["analysed"]) == sum(row[0] == label for row in people.values())
    text = (study / "report.md").read_text(encoding="utf-8")
    assert "a PHQ-8 score of 10 or more" in text and "not a clinical diagnosis" in text
    low, high = exact(3, 6)
    assert f"3 of 6 (50.0 % [{100 * low:.1f}, {100 * high:.1f}])" in text


def test_another_number_of_people_than_the_papers_is_named(study):
    difference = "they fit the 35 participants of the development set, 12 of them depressed, and here are 6, 3 of them"
    for name in ("report.md", "table.tex"):
        text = (study / name).read_text(encoding="utf-8")
        assert difference in text and "paper: PyResNet (SER)" in text


def test_every_number_follows_from_the_predictions(study):
    tables = read_tables(study / "report.md")
    figures = {row[""]: row for row in tables["Scores by participant"]}
    table6 = {row["system"]: row for row in tables["Table 6"]}
    for name in SYSTEMS:
        runs = {seed: read_people(study / "runs" / name / f"seed_{seed}" / "predictions.csv") for seed in (0, 1)}
        decided = [counts(people, 0.5) for people in runs.values()]
        expected = {**shares(decided), **probabilities(list(runs.values()))}
        assert {title: figures[title][name] for title in expected} == expected
        for score in ("WA", "UA"):
            assert table6[name][f"{score}, participants"] == expected[score]
        for seed, people in runs.items():
            (row,) = [row for row in tables["People"] if (row["system"], row["seed"]) == (name, str(seed))]
            run = counts(people, 0.5)
            found, ill = run["TP"], run["TP"] + run["FN"]
            low, high = exact(found, ill)
            assert row["depressed found"] == f"{found} of {ill} [{low:.2f}, {high:.2f}]"
        for code in ("0", "1"):
            (row,) = [r for r in tables["Groups"] if (r["system"], r["group"]) == (name, f"gender_code: {code}")]
            parts = [{key: value for key, value in people.items() if value[2] == code} for people in runs.values()]
            of_group = shares([counts(part, 0.5) for part in parts])
            assert row["WA"] == of_group["WA"].replace(" ± " + of_group["WA"].split(" ± ")[1].split(" ")[0], "")


def test_thresholds_come_from_training_participants(study):
    figures = {row[""]: row for row in read_tables(study / "report.md")["Scores by participant"]}
    decided = []
    for seed in (0, 1):
        folder = study / "runs" / "tiny" / f"seed_{seed}"
        chosen_on = read_people(folder / "selection" / "predictions.csv")
        assert all(int(name) < 310 for name in chosen_on), "training participants"
        decided.append(counts(read_people(folder / "predictions.csv"), threshold_of(chosen_on)))
    expected = shares(decided)
    assert {title: figures[title]["tiny, own threshold"] for title in expected} == expected
    names = [row["system"] for row in read_tables(study / "report.md")["Table 6"]]
    assert names[:3] == ["tiny", "tiny, own threshold", "tiny-development"], "epochs on development: no threshold"
    text = (study / "report.md").read_text(encoding="utf-8")
    assert "held-out training participants, the same share of each class, by UA" in text
    assert "**Epochs were chosen on the development set for the systems that end in development.**" in text


def test_phq8_scores_are_estimated_by_lines_of_training_participants(study, release):
    truth = {}
    for name in (TRAIN, DEV):
        for line in (release / name).read_text().split()[1:]:
            number, _, score, _ = line.split(",")
            truth[number] = int(score)
    folders = [study / "runs" / "tiny" / f"seed_{seed}" for seed in (0, 1)]
    held_out = [read_people(folder / "selection" / "predictions.csv") for folder in folders]
    scored = [read_people(folder / "predictions.csv") for folder in folders]
    (row,) = read_tables(study / "report.md")["PHQ-8 score"]
    assert row["system"] == "tiny" and row["participants"] == "6", "the other chose epochs on these very people"
    for name, cell in phq8_cells(held_out, scored, truth).items():
        assert row[name].startswith(f"{cell} ["), name
    assert row["always the mean: MAE / RMSE / CCC"].endswith(" / 0.00")


def test_a_prepared_folder_tells_the_same_flow(study, release, tmp_path):
    assert cli.main(["prepare", "daic_woz", str(release), str(tmp_path / "prepared")]) == 0
    flow = json.loads((study / "results.json").read_text())["flow"]
    assert json.loads((tmp_path / "prepared" / "manifest.json").read_text())["participants"] == flow
    assert len(load_corpus("daic_woz", data_dir=release)["validation"].unique("speaker_id")) == 6


def test_a_report_on_synthetic_speech_says_so(study, release, tmp_path):
    said = "**Synthetic interviews, spoken by eSpeak NG**"
    assert said not in (study / "report.md").read_text(encoding="utf-8")
    shutil.copytree(release, tmp_path / "release")
    claim(tmp_path / "made", "daic_woz")
    shutil.copy(tmp_path / "made" / "README.txt", tmp_path / "release")
    assert cli.main(["prepare", "daic_woz", str(tmp_path / "release"), str(tmp_path / "prepared")]) == 0
    argv = ["--models", "tiny=pyresnet50", *FLAGS, "--note", "My note."]
    for data in (["--data_dir", str(tmp_path / "release")], ["--dataset_name", str(tmp_path / "prepared")]):
        out = tmp_path / data[0].strip("-")
        assert cli.main(["finetune-daic", *argv, *data, "--output_dir", str(out)]) == 0
        assert (out / "report.md").read_text(encoding="utf-8").count(f"My note.\n\n{said}") == 1


def test_thresholds_need_training_participants(tmp_path, capsys):
    argv = ["--output_dir", str(tmp_path), "--models", "pyresnet50", "--threshold", "training"]
    with pytest.raises(SystemExit):
        cli.main(["finetune-daic", *argv, "--select_on", "development"])
    assert "--threshold training needs training participants" in capsys.readouterr().err
