"""Table 6 on a made-up release of DAIC-WOZ: who was left out, and every number once more from the predictions."""

import json
import shutil

import numpy as np
import pytest
import soundfile
from interviews import DEV, TRAIN, Release
from recompute_report import FLOW, REASONS, Study, flow, prose_numbers, read_tables
from recompute_run import SingleRun
from recompute_scores import read_people
from tones import FLAGS

from lssed_hf import cli, load_corpus
from lssed_hf.evaluation.report import evaluate_predictions, write_predictions, write_report
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.testing.releases.common import claim


TURNS = [
    (0.5, 1.0, "Ellie", "hm"),
    (1.2, 2.4, "Participant", "yes"),
    (2.5, 3.0, "Ellie", "so"),
    (3.1, 4.5, "Participant", "no"),
    (4.6, 5.1, "Ellie", "well"),
    (5.2, 6.6, "Participant", "oh"),
]
NAMES = ("tiny", "tiny-development", "slow", "slow-development")
MODELS = ["tiny=pyresnet50", "slow=pyresnet50 --learning_rate 0.001"]
SETTINGS = ["--select_on", "training", "development", "--threshold", "training", *FLAGS]
SETTINGS += ["--validation_fraction", "0.4"]


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write 26 participants in two splits: two without a session, one excluded, one relabelled, one without turns."""
    folder = tmp_path_factory.mktemp("daic")
    made = Release(folder)
    for path in folder.iterdir():
        if path.is_dir():
            for part in path.iterdir():
                part.unlink()
            path.rmdir()
    (folder / "full_test_split.csv").unlink()
    rng = np.random.default_rng(0)

    def lines(numbers, depressed):
        labels = {number: int(number in depressed) for number in numbers}
        return [f"{n},{label},{10 * label + rng.integers(10)},{n // 4 % 2}" for n, label in labels.items()]

    made.labels(TRAIN, *lines(range(300, 316), range(301, 316, 2)), "319,0,12,1", "342,0,3,0")
    made.labels(DEV, *lines(range(320, 328), (321, 325, 327)))  # of code 0 only 321
    for number in (*range(300, 315), 319, 320, *range(322, 328)):  # not 315 and 321
        rows = TURNS[: 2 + 2 * (number % 3)]
        made.transcript(number, *(rows if number != 326 else [row for row in rows if row[2] == "Ellie"]))
        frequency = (500 if number % 2 else 900) * rng.uniform(0.6, 1.6)
        sound = 0.3 * np.sin(2 * np.pi * frequency * np.arange(112000) / 16000) + 0.02 * rng.normal(size=112000)
        soundfile.write(folder / f"{number}_P" / f"{number}_AUDIO.wav", sound, 16000)
    return folder


@pytest.fixture(scope="module")
def study(release, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    argv = ["--data_dir", str(release), "--output_dir", str(out), "--models", *MODELS, "--seeds", "0", "1"]
    assert cli.main(["finetune-daic", *argv, *SETTINGS]) == 0
    return out


@pytest.fixture(scope="module")
def drawn(study, tmp_path_factory):
    """Copy the study with predictions that are drawn: networks this small give almost everybody the same answer."""
    out, rng = tmp_path_factory.mktemp("drawn") / "out", np.random.default_rng(7)
    shutil.copytree(study, out)
    for path in sorted(out.rglob("predictions.csv")):
        run, skill = read_run(path.parent), 2 if "slow" in str(path.relative_to(out)) else -1
        people = {name: rng.normal(1, 1.5) for name in run.speakers}
        noise = np.array([rng.normal(people[name], 0.5) for name in run.speakers])
        depressed = 1 / (1 + np.exp(-skill * (2 * run.references - 1) - noise))
        rows, facts = np.stack([1 - depressed, depressed], axis=1), {"speakers": run.speakers, "groups": run.groups}
        write_predictions(path, run.ids, run.references, rows, run.labels, **facts)
        write_report(evaluate_predictions(run.references, rows, run.labels, ids=run.ids, **facts), path.parent)
    return out


@pytest.fixture(scope="module")
def phq8(release):
    """PHQ-8 scores of the label files."""
    lines = [line.split(",") for name in (TRAIN, DEV) for line in (release / name).read_text().split()[1:]]
    return {number: int(score) for number, _, score, _ in lines}


def check_report(folder, release, expected):
    assert read_tables(folder / "report.md") == {"Participants": flow(release), **expected.tables()}
    results, method = (folder / "report.md").read_text(encoding="utf-8").split("\n## How it was done\n")
    assert prose_numbers(results) == expected.prose_numbers()
    assert not prose_numbers(method.split("Of `lssed-hf train`")[0]), "settings of trainings follow"
    table = (folder / "table.tex").read_text(encoding="utf-8")
    assert table.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines() == expected.latex_rows()
    caption = table.split("\\caption")[1].split("\n")[0].replace("\\%", "%")
    assert prose_numbers(caption) == 2 * [str(expected.people), str(expected.ill)]


def test_every_number_follows_from_the_predictions(study, release, phq8):
    check_report(study, release, Study(study, NAMES, phq8))


@pytest.mark.parametrize("decision", ["mean", "vote"])
def test_every_number_follows_from_drawn_predictions(drawn, release, phq8, decision):
    assert cli.main(["finetune-daic", "--output_dir", str(drawn), "--report_only", "--decision", decision]) == 0
    check_report(drawn, release, Study(drawn, NAMES, phq8, decision))


@pytest.mark.parametrize("kind", ["study", "drawn"])
def test_every_number_of_a_single_run_follows_from_its_predictions(kind, request):
    paths = list(request.getfixturevalue(kind).rglob("predictions.csv"))
    assert len(paths) == 12, "four trainings of two seeds, and two of them on those that epochs were chosen on"
    for path in paths:
        text = path.with_name("report.md").read_text(encoding="utf-8")
        run = SingleRun(path, text.split('always "')[1].split('"')[0])
        assert read_tables(path.with_name("report.md")) == run.tables()
        # The list of settings and the rows that loading left out are not of predictions.
        sentences = "\n".join(line for line in text.splitlines() if not line.startswith(("- ", "Loading the data")))
        assert prose_numbers(sentences) == run.prose_numbers(sizes=2 if "test speakers" in text else 1)


def test_what_loading_left_out_is_counted_by_reason(study):
    left_out = json.loads((study / "results.json").read_text())["left_out"]
    counts = {entry["reason"]: entry["count"] for entry in left_out}
    assert counts["its session is not there"] == 2 and counts["an excluded session"] == 1
    text = (study / "report.md").read_text(encoding="utf-8")
    assert f"Loading the data left out {sum(counts.values())} rows: " in text
    assert "300" not in str(left_out), "neither file names a participant"


def test_the_participant_flow_adds_up(study):
    *parts, total = read_tables(study / "report.md")["Participants"]
    for row in (*parts, total):
        assert int(row["recruited"]) == int(row["analysed"]) + sum(int(row[name]) for name in REASONS)
    for name in FLOW:
        assert int(total[name]) == sum(int(row[name]) for row in parts)
    assert [total[name] for name in FLOW] == ["26", "2", "1", "1", "22", "1"]
    text = (study / "report.md").read_text(encoding="utf-8")
    assert "a PHQ-8 score of 10 or more" in text and "not a clinical diagnosis" in text


def test_another_number_of_people_than_the_papers_is_named(study):
    difference = "they fit the 35 participants of the development set, 12 of them depressed, and here are 6, 2 of them"
    for name in ("report.md", "table.tex"):
        text = (study / name).read_text(encoding="utf-8")
        assert difference in text and "paper: PyResNet (SER)" in text


def test_thresholds_come_from_training_participants(study):
    for path in study.glob("runs/*/*/selection/predictions.csv"):
        assert all(int(name) < 320 for name in read_people(path))
    names = [row["system"] for row in read_tables(study / "report.md")["Table 6"]]
    assert names[:3] == ["tiny", "tiny, own threshold", "tiny-development"], "epochs on development: no threshold"
    text = (study / "report.md").read_text(encoding="utf-8")
    assert "held-out training participants, the same share of each class, by UA" in text
    assert "**Epochs were chosen on the development set for the systems that end in development.**" in text


def test_a_network_learns_phq8_scores(release, tmp_path):
    argv = ["--corpus", "daic_woz", "--data_dir", str(release), "--test_split_name", "validation", *FLAGS]
    argv += ["--model_name_or_path", "pyresnet50", "--problem_type", "regression", "--dimensions", "phq8_score"]
    assert cli.main(["train", *argv, "--output_dir", str(tmp_path)]) == 0
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Depression detection, by utterance\n") and "| **phq8_score** |" in text


def test_systems_whose_epochs_were_chosen_on_the_scored_people_are_no_measure(study, capsys):
    said = "Epochs of tiny-development, slow-development were chosen on the scored participants"
    for name in ("report.md", "table.tex"):
        assert said in (study / name).read_text(encoding="utf-8")
    assert cli.main(["finetune-daic", "--output_dir", str(study), "--report_only"]) == 0
    out = capsys.readouterr().out
    assert said in out and "The paper's rows are of another test set: they fit the 35" in out


def test_scored_people_who_are_in_the_training_set_are_told(study, tmp_path, capsys):
    said = "2 of the 6 test speakers (33 %) are in the training set too"
    assert said not in (study / "report.md").read_text(encoding="utf-8")
    out = shutil.copytree(study, tmp_path / "out")
    path = out / "runs" / "slow" / "seed_1" / "training.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**record, "shared_speakers": {"train, test": 2}}), encoding="utf-8")
    assert cli.main(["finetune-daic", "--output_dir", str(out), "--report_only"]) == 0
    assert said in capsys.readouterr().out and said in (out / "report.md").read_text(encoding="utf-8")
    assert said.replace("%", r"\%") in (out / "table.tex").read_text(encoding="utf-8")


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
        assert "(synthetic speech)" in (out / "table.tex").read_text(encoding="utf-8")


def test_thresholds_need_training_participants(tmp_path, capsys):
    argv = ["--output_dir", str(tmp_path), "--models", "pyresnet50", "--threshold", "training"]
    with pytest.raises(SystemExit):
        cli.main(["finetune-daic", *argv, "--select_on", "development"])
    assert "--threshold training needs training participants" in capsys.readouterr().err
