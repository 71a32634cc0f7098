"""`lssed-hf cross-corpus --leave_one_out`, end to end on corpora of tones."""

import json

import numpy as np
import pytest
from matplotlib.image import imread
from tiny_whisper import write_whisper
from tones import write_emodb, write_ravdess

from lssed_hf import cli
from lssed_hf.cli import cross_corpus as cross_corpus_command
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.experiments import leave_one_out, runs
from lssed_hf.experiments.benchmark import parse_systems
from lssed_hf.experiments.leave_one_out import LeftOutTest, make_runs
from lssed_hf.files import write_json


PROBE = "--probe true --probe_pooling statistics --probe_layer 1 --probe_C 0.1 --validation_fraction 0"
SYSTEMS = ("plain", "speakers", "speakers, by speaker")
UA = "unweighted_accuracy"


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def argv(corpora, whisper):
    folders = [f"{name}={folder}" for name, folder in corpora.items()]
    systems = [f"plain={whisper} {PROBE}", f"speakers={whisper} {PROBE} --speaker_normalization all"]
    quiet = ["--disable_tqdm", "true", "--report_to", "none"]
    return ["--leave_one_out", "--corpora", *corpora, "--data_dirs", *folders, "--models", *systems, *quiet]


@pytest.fixture(scope="module")
def finished(argv, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("left_out") / "out"
    assert cli.main(["cross-corpus", *argv, "--output_dir", str(output_dir)]) == 0
    return output_dir


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_results_are_those_of_the_runs(finished):
    results = read(finished / "results.json")
    assert results["corpora"] == ["ravdess", "emodb"] and results["labels"] == ["angry", "neutral", "happy", "sad"]
    assert tuple(system["name"] for system in results["systems"]) == SYSTEMS and results["failures"] == {}
    for system in results["systems"]:
        name, _, kind = system["name"].partition(", ")
        scores = []
        for corpus, row in system["corpora"].items():
            assert row["num_utterances"] == {"ravdess": 96, "emodb": 72}[corpus]  # all clips
            folder = finished / "runs" / name / f"without_{corpus}" / "seed_0" / f"on_it_{'all' if kind else 'none'}"
            tested = read(folder / "results.json")
            assert row[UA]["mean"] == tested["metrics"][UA]
            assert ("speaker_normalization" in tested) == bool(kind)
            scores.append(row[UA]["mean"])
        assert system["mean"][UA]["value"] == pytest.approx(np.mean(scores))
    assert [row["other"] for row in results["comparisons"]] == list(SYSTEMS[1:])


def test_models_are_trained_on_all_clips_of_the_others_alone(finished):
    for system in ("plain", "speakers"):
        for corpus, number in (("ravdess", 72), ("emodb", 96)):
            facts = read(finished / "runs" / system / f"without_{corpus}" / "seed_0" / "training.json")
            assert set(facts["splits"]) == {"train"} and facts["splits"]["train"]["num_utterances"] == number
            assert [row["name"] for row in facts["corpora"]] == ["emodb" if corpus == "ravdess" else "ravdess"]
    ids = {corpus: set(read_run(path).ids) for corpus in ("ravdess", "emodb") for path in folders_of(finished, corpus)}
    assert (len(ids["ravdess"]), len(ids["emodb"])) == (96, 72)


def folders_of(finished, corpus):
    return (finished / "runs").glob(f"*/without_{corpus}/seed_0/on_it_*")


def test_the_report_has_tables_and_pictures(finished):
    text = (finished / "report.md").read_text(encoding="utf-8")
    assert text.startswith("# Corpora that were left out: ravdess, emodb\n")
    for part in ("| system | ravdess | emodb | mean UA | ECE |", "| plain |", "| speakers, by speaker |", "## Recipe"):
        assert part in text
    assert "ravdess: 96 clips of 6 speakers; emodb: 72 clips of 6 speakers." in text
    assert "## Missing" not in text and str(finished) not in text
    for name in ("reliability.png", "confusion.png"):
        assert f"![{name}]({name})" in text and imread(finished / name)[..., :3].std() > 0.01
    assert "left out" in (finished / "table.tex").read_text(encoding="utf-8")


def test_the_card_of_a_model_has_its_score_on_the_corpus_that_was_left_out(finished):
    for system in ("plain", "speakers"):
        card = (finished / "runs" / system / "without_emodb" / "seed_0" / "README.md").read_text(encoding="utf-8")
        assert "emodb" in card.lower()


def test_what_is_finished_is_kept(finished, argv, capsys):
    model = finished / "runs" / "plain" / "without_emodb" / "seed_0" / "model.safetensors"
    before, results = model.stat().st_mtime_ns, (finished / "results.json").read_bytes()
    for name in ("report.md", "results.json"):
        (finished / name).unlink()
    (finished / "runs" / "speakers" / "without_emodb" / "seed_0" / "on_it_all" / "run.json").unlink()
    assert cli.main(["cross-corpus", *argv, "--output_dir", str(finished)]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 9 and "speakers, by speaker, on emodb, seed 0: log in" in printed
    assert "mean UA" in printed and f"Report: {finished / 'report.md'}" in printed
    assert model.stat().st_mtime_ns == before and (finished / "results.json").read_bytes() == results
    (finished / "report.md").unlink()
    assert cli.main(["cross-corpus", "--output_dir", str(finished), "--report_only"]) == 0
    assert (finished / "report.md").is_file()
    assert (
        cli.main(["cross-corpus", *argv, "--probe_C", "1", "--output_dir", str(finished)]) == 0
    )  # a system's own wins
    assert cli.main(["cross-corpus", *argv, "--chunk_length", "5", "--output_dir", str(finished)]) == 1
    assert "was begun with other settings: chunk_length was not given and is 5 now" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_fails_is_named_and_the_rest_is_reported(argv, whisper, tmp_path, capsys):
    systems = [f"plain={whisper} {PROBE}", f"bad={whisper} {PROBE} --probe_layer 9"]
    argv = [*argv[: argv.index("--models") + 1], *systems, *argv[argv.index("--disable_tqdm") :]]
    assert cli.main(["cross-corpus", *argv, "--output_dir", str(tmp_path)]) == 1
    assert "bad without emodb, seed 0: ValueError: --probe_layer 9" in capsys.readouterr().err
    results = read(tmp_path / "results.json")
    assert [system["name"] for system in results["systems"]] == ["plain"] and len(results["failures"]) == 4
    assert "## Missing" in (tmp_path / "report.md").read_text(encoding="utf-8")


def flags_of(corpora):
    return {name: ["--dataset_name", name, "--data_dir", str(folder)] for name, folder in corpora.items()}


def test_runs_of_three_corpora(corpora, tmp_path):
    other = write_emodb(tmp_path / "more", "NFT")  # no angry clips
    write_json(tmp_path / "more" / "unused.json", {})
    data_flags = {**flags_of(corpora), str(other): ["--dataset_name", str(other), "--data_dir", str(other)]}
    data_flags = {name: flags for name, flags in data_flags.items() if name in corpora}
    specs = parse_systems(["pyresnet50", "own=pyresnet50 --speaker_normalization all"])
    made = make_runs(specs, data_flags, ["--num_train_epochs", "1"], [3, 4], tmp_path / "out", ["sad", "happy"])
    assert len(made) == 2 * 2 * (2 + 3)  # corpora x seeds x (training and tests of each system)
    training = made["pyresnet50", "emodb", 4].settings
    assert training["train_split_name"] == "all" and training["seed"] == 4 and "extra_corpora" not in training
    assert training["dataset_name"] == "ravdess" and training["num_train_epochs"] == 1
    tested = made[LeftOutTest("own, by speaker", "emodb", 3)]
    assert tested.settings["speaker_normalization"] == "all" and tested.settings["labels"] == ["sad", "happy"]
    assert tested.settings["dataset_name"] == "emodb" and tested.settings["splits"] == ["train", "validation", "test"]
    assert tested.folder.parent == made["own", "emodb", 3].folder
    assert made[LeftOutTest("own", "emodb", 3)].settings["speaker_normalization"] == "none"
    assert LeftOutTest("pyresnet50, by speaker", "emodb", 3) not in made
    with pytest.raises(ValueError, match="not all corpora have 'bored'"):
        make_runs(specs, data_flags, [], [0], tmp_path / "out", ["bored"])


def test_other_corpora_are_extra_ones(corpora, tmp_path):
    third = write_ravdess(tmp_path / "third")
    data_flags = {**flags_of(corpora), "folder": ["--dataset_name", "ravdess", "--data_dir", str(third)]}
    made = make_runs(parse_systems(["pyresnet50"]), data_flags, [], [0], tmp_path / "out")
    extra = {corpus: made["pyresnet50", corpus, 0].settings["extra_corpora"] for corpus in data_flags}
    assert extra == {
        "ravdess": [f"folder={third}"],
        "emodb": [f"folder={third}"],
        "folder": [f"emodb={corpora['emodb']}"],
    }


def test_the_largest_class_is_that_of_all_training_clips(corpora, tmp_path):
    folder = write_emodb(tmp_path / "emodb")
    for name in ("03a01Fa", "12a01Ta", "13a01Ta"):  # of the training speakers more are sad, of all more are happy
        (folder / f"{name}.wav").unlink()
    data_flags = flags_of({"ravdess": corpora["ravdess"], "emodb": folder})
    made = make_runs(parse_systems(["pyresnet50"]), data_flags, [], [0], tmp_path / "out", ["sad", "happy"])
    assert made[LeftOutTest("pyresnet50", "ravdess", 0)].settings["majority_label"] == "happy"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--corpora", "ravdess", "emodb", "--models", "pyresnet50"], "--models goes with --leave_one_out"),
        (["--leave_one_out"], "--leave_one_out takes --corpora, two at least"),
        (["--leave_one_out", "--corpora", "ravdess"], "--leave_one_out takes --corpora, two at least"),
        (["--leave_one_out", "--corpora", "ravdess", "ravdess"], "--leave_one_out takes --corpora, two at least"),
        (["--leave_one_out", "--source", "a", "--target", "b"], "neither --source, --target nor --few_shot"),
        (["--leave_one_out", "--corpora", "a", "b", "--few_shot", "1"], "neither --source, --target nor --few_shot"),
        (
            ["--leave_one_out", "--corpora", "a", "b", "--target_split", "all"],
            "whatever --target_split is: leave it out",
        ),
        (["--leave_one_out", "--corpora", "a", "b", "--data_dirs", "c=x"], "takes CORPUS=VALUE with one of a, b"),
        (
            ["--leave_one_out", "--corpora", "a", "b", "--extra_corpora", "c=x"],
            "--corpora takes the place of --extra_corpora",
        ),
    ],
)
def test_flags_that_make_no_sense_end_the_program(tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit):
        cross_corpus_command.main(["--output_dir", str(tmp_path), *argv])
    assert message in capsys.readouterr().err


def test_nothing_is_reported_before_a_test_is_finished(tmp_path):
    key = LeftOutTest("x", "a", 0)
    made = {key: runs.Run("x", tmp_path / "x", "evaluate", {"labels": ["angry"]})}
    assert leave_one_out.write_leave_one_out(made, ["a", "b"], tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_a_teacher_may_be_another_system(corpora, tmp_path):
    specs = parse_systems(["big=vgg11", "small=pyresnet-small --teacher big /elsewhere"])
    made = make_runs(specs, flags_of(corpora), [], [3], tmp_path)
    expected = [str(tmp_path / "runs" / "big" / "without_emodb" / "seed_3"), "/elsewhere"]
    assert made["small", "emodb", 3].settings["teacher"] == expected
