"""Fine-tuning for depression detection end to end, on interviews of tones."""

import hashlib
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from interruption import stopped_at
from tiny_whisper import write_whisper
from tone_interviews import write_interviews
from tones import FLAGS
from transformers import WhisperFeatureExtractor, WhisperForAudioClassification, WhisperForConditionalGeneration

from lssed_hf import PyResNetFeatureExtractor, cli
from lssed_hf.cli import finetune_daic
from lssed_hf.experiments import depression


@pytest.fixture(scope="module")
def interviews(tmp_path_factory):
    return write_interviews(tmp_path_factory.mktemp("interviews") / "synthetic_interviews")


def flags(interviews, output_dir, *more):
    return ["--dataset_name", str(interviews), "--output_dir", str(output_dir), *FLAGS, *more]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def start(interviews, tmp_path_factory):
    """Train a model to start from on something else."""
    folder = tmp_path_factory.mktemp("start") / "ser"
    argv = ["--dataset_name", str(interviews), "--label_column_name", "gender_code", "--output_dir", str(folder)]
    assert cli.main(["train", *argv, *FLAGS]) == 0
    return folder


@pytest.fixture(scope="module")
def finished(interviews, start, tmp_path_factory):
    out = tmp_path_factory.mktemp("daic") / "out"
    more = [
        "--note",
        "**Tones**",
        "--models",
        f"ser={start}",
        "pyresnet50",
        "--train",
        "full",
        "head",
        "--seeds",
        "0",
        "1",
    ]
    argv = flags(interviews, out, *more)
    # The configuration of the network is that of the folder, and no flag for it.
    argv = [*argv[: argv.index("--config_overrides")], *argv[argv.index("--config_overrides") + 2 :]]
    argv = [text if text != "pyresnet50" else f"scratch=pyresnet50 {overrides()}" for text in argv]
    assert cli.main(["finetune-daic", *argv]) == 0
    return out, argv


def overrides():
    index = FLAGS.index("--config_overrides")
    return f"--config_overrides '{FLAGS[index + 1]}'"


@pytest.mark.slow
def test_starts_and_parts_are_compared(finished):
    out, _ = finished
    results = read(out / "results.json")
    assert [row["name"] for row in results["systems"]] == ["ser", "ser-head", "scratch"], (
        "random weights have no head alone"
    )
    assert [row["strategy"] for row in results["systems"]] == ["all", "head, 66 of 402 parameters", "all"]
    assert results["num_participants"] == 6 and results["num_depressed"] == 3 and results["num_utterances"] == 18
    for row in results["systems"]:
        assert row["seeds"] == [0, 1]
        for seed in ("0", "1"):
            scored = read(out / "runs" / row["name"] / f"seed_{seed}" / "results.json")
            by_seed = row["utterances"]["weighted_accuracy"]["by_seed"]
            assert by_seed[seed] == pytest.approx(scored["metrics"]["weighted_accuracy"])
            assert scored["context"]["split"] == "validation", "the official development set"
            assert [group["value"] for group in scored["groups"]["gender_code"]] == ["0", "1"]
    assert {"report.md", "table.tex", "roc.png", "participants.png"} <= {path.name for path in out.iterdir()}
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "\n**Tones**\n" in text and "held-out training participants" in text
    assert "| scratch | scratch: pyresnet50 | all |" in text
    assert "| ser-head | classifier: synthetic_interviews | head, 66 of 402 parameters |" in text
    assert "Who was left out before this data set was made is not known." in text
    assert "paper: " not in text, "another corpus than the paper's"
    own = (out / "runs" / "ser" / "seed_0" / "report.md").read_text(encoding="utf-8")
    assert own.startswith("# Depression detection, by utterance\n")
    card = (out / "runs" / "ser" / "seed_0" / "README.md").read_text(encoding="utf-8")
    assert "not a medical device" in card and "depression-detection" in card and str(out) not in card
    right = results["systems"][0]["exact"]["0"]
    shares = [f"{right[name]['successes']} of {right[name]['trials']} [" for name in ("right", "found", "cleared")]
    (row,) = [line for line in card.splitlines() if line.startswith("| mean probability |")]
    assert all(share in cell for share, cell in zip(shares, row.split(" | ")[1:], strict=True))
    assert "name: WA (accuracy), by utterance" in card
    assert "Training started from `ser`, which had been trained on `synthetic_interviews`." in card


def test_the_head_alone_leaves_the_encoder_as_it_was(finished, start):
    from safetensors.torch import load_file

    out, _ = finished
    before = load_file(start / "model.safetensors")
    after = load_file(out / "runs" / "ser-head" / "seed_0" / "model.safetensors")
    same = {name for name, value in after.items() if value.equal(before[name])}
    assert set(after) - same == {"classifier.weight", "classifier.bias"}


@pytest.mark.slow
def test_a_recogniser_of_transformers_is_a_start_like_any_other(interviews, tmp_path):
    whisper, out = write_whisper(tmp_path / "whisper"), tmp_path / "out"
    argv = flags(interviews, out, "--models", f"asr={whisper} --chunk_length 1", "--train", "full", "1", "head")
    for flag in ("--config_overrides", "--feature_extractor_overrides"):  # those of a PyResNet
        argv = [*argv[: argv.index(flag)], *argv[argv.index(flag) + 2 :]]
    assert cli.main(["finetune-daic", *argv, "--num_train_epochs", "1"]) == 0
    results = read(out / "results.json")
    assert [row["name"] for row in results["systems"]] == ["asr", "asr-1", "asr-head"] and not results["failures"]
    before = WhisperForConditionalGeneration.from_pretrained(whisper, dtype=torch.float32).model.encoder.layers
    for name, moved in {"asr": [True, True], "asr-1": [False, True], "asr-head": [False, False]}.items():
        after = WhisperForAudioClassification.from_pretrained(out / "runs" / name / "seed_0").encoder.layers
        same = [torch.equal(one.fc1.weight, other.fc1.weight) for one, other in zip(before, after, strict=True)]
        assert same == [not move for move in moved]


def test_once_more_changes_nothing(finished, capsys):
    out, argv = finished
    results = (out / "results.json").read_bytes()
    card = (out / "runs" / "ser" / "seed_0" / "README.md").read_bytes()
    assert cli.main(["finetune-daic", *argv]) == 0
    assert capsys.readouterr().out.count("finished before") == 6
    assert (out / "results.json").read_bytes() == results
    assert (out / "runs" / "ser" / "seed_0" / "README.md").read_bytes() == card
    assert cli.main(["finetune-daic", "--output_dir", str(out), "--report_only", "--decision", "vote"]) == 0
    assert "share of utterances called depressed is above a half" in (out / "report.md").read_text(encoding="utf-8")
    assert cli.main(["finetune-daic", "--output_dir", str(out), "--report_only"]) == 0
    assert (out / "results.json").read_bytes() == results


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_labels_of_scored_participants_change_no_weight_and_no_answer(interviews, tmp_path):
    shuffled = write_interviews(tmp_path / "shuffled", flip=("validation", "test"))
    outputs = []
    for folder in (interviews, shuffled):
        out = tmp_path / f"out_{folder.name}"
        assert cli.main(["finetune-daic", *flags(folder, out, "--models", "pyresnet50")]) == 0
        outputs.append(out / "runs" / "pyresnet50" / "seed_0")
    one, other = outputs
    assert digest(one) == digest(other)
    rows = [(folder / "predictions.csv").read_text(encoding="utf-8").splitlines() for folder in outputs]
    without_labels = [
        [cell for index, cell in enumerate(line.split(",")) if index != 3] for lines in rows for line in lines
    ]
    half = len(rows[0])
    assert rows[0][0].split(",")[3] == "reference"
    assert without_labels[:half] == without_labels[half:]
    assert rows[0] != rows[1], "the labels did change"
    assert (
        read(one / "trainer_state.json")["best_model_checkpoint"].rsplit("-")[-1]
        == (read(other / "trainer_state.json")["best_model_checkpoint"].rsplit("-")[-1])
    )


@pytest.mark.slow
def test_epochs_chosen_on_the_development_set_are_said_to_flatter(interviews, tmp_path):
    argv = flags(interviews, tmp_path, "--models", "pyresnet50", "--select_on", "development", "--max_steps", "1")
    with pytest.warns(UserWarning, match="then too high"):
        assert finetune_daic.main(argv) == 0
    assert "**Epochs were chosen on the development set.**" in (tmp_path / "report.md").read_text(encoding="utf-8")
    settings = read(tmp_path / "runs" / "pyresnet50" / "seed_0" / "settings.json")["settings"]
    assert "validation_split_name" not in settings and settings["test_split_name"] == "validation"


@pytest.mark.slow
def test_windows_are_exchanged_and_features_normalised_anew(start, interviews, tmp_path):
    argv = ["--dataset_name", str(interviews), "--output_dir", str(tmp_path), "--models", f"ser={start}"]
    flags_without_overrides = FLAGS[FLAGS.index("--num_train_epochs") :]
    assert cli.main(["finetune-daic", *argv, "--front_ends", "own", "25ms", *flags_without_overrides]) == 0
    own, other = (
        read(tmp_path / "runs" / name / "seed_0" / "preprocessor_config.json") for name in ("ser", "ser-25ms")
    )
    assert (own["n_fft"], own["hop_length"]) == (1024, 512) and (other["n_fft"], other["hop_length"]) == (400, 160)
    assert own["mean"] == read(start / "preprocessor_config.json")["mean"] and other["mean"] != own["mean"]
    assert other["do_denoise"] is False, "the rest of the front end stays"
    assert "| ser-25ms | classifier: synthetic_interviews | all, 25ms |" in (tmp_path / "report.md").read_text(
        encoding="utf-8"
    )
    assert depression.window_overrides(PyResNetFeatureExtractor(), 1024, 512) == {"n_fft": 1024, "hop_length": 512}
    with pytest.raises(ValueError, match="has no window to change"):
        depression.window_overrides(object(), 400, 160)
    assert WhisperFeatureExtractor().n_fft == 400


def test_interrupted_it_goes_on_and_ends_with_the_same(finished, tmp_path, capsys):
    whole, argv = finished
    out = shutil.copytree(whole, tmp_path / "out")
    argv = [str(out) if text == str(whole) else text for text in argv]
    (out / "report.md").unlink()
    run = out / "runs" / "ser-head" / "seed_1"
    shutil.rmtree(run)
    with stopped_at(5, "ser-head/seed_1"):
        assert cli.main(["finetune-daic", *argv]) == 130
    assert not (out / "report.md").exists() and list(run.glob("checkpoint-*")) and not (run / "run.json").exists()
    assert cli.main(["finetune-daic", *argv]) == 0
    assert read(run / "run.json")["resumed"]
    assert read(out / "results.json")["systems"] == read(whole / "results.json")["systems"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "required: --models"),
        (["--models", "a", "--seed", "1"], "--seeds takes the place of --seed"),
        (["--models", "a", "--test_split_name", "test"], "--evaluate_on takes the place of"),
        (["--models", "pyresnet50", "--reference", "b"], "no system 'b'; there are pyresnet50"),
        (["--report_only"], "nothing was begun in"),
    ],
)
def test_flags_that_make_no_sense_end_the_program(tmp_path, capsys, argv, message):
    with pytest.raises(SystemExit):
        finetune_daic.main(["--output_dir", str(tmp_path), *argv])
    assert message in capsys.readouterr().err


def with_column(interviews, folder, name, values, split=None):
    """Write the interviews with another column, null where a dictionary of rows has no value."""
    folder.mkdir()
    for path in interviews.glob("*.parquet"):
        table = pq.read_table(path)
        if split is None or path.name.startswith(split):
            table = table.drop_columns([name]) if name in table.column_names else table
            table = table.append_column(name, pa.array([values.get(row) for row in range(len(table))]))
        pq.write_table(table, folder / path.name)
    return folder


def test_impossible_scores_count_as_unknown(interviews, tmp_path, caplog):
    values = {0: 99, 1: 99, 2: 99, 3: 24, 6: -1, 9: 0, 12: -7}
    data = with_column(interviews, tmp_path / "data", "phq8_score", values, "train")
    with caplog.at_level("WARNING"):
        found = depression.phq8_scores({"dataset_name": str(data), "label_column_name": "depression"})
    assert found == {"2": 24, "4": 0}
    assert "phq8_score of participant 1 (99), 5 (-7) is no number from 0 to 24" in caplog.text


def test_utterances_without_participants_are_refused_before_the_runs(interviews, tmp_path, capsys):
    data = with_column(interviews, tmp_path / "data", "speaker_id", {0: "a"}, "validation")
    argv = flags(data, tmp_path / "out", "--models", "pyresnet50", "--seeds", "0")
    assert cli.main(["finetune-daic", *argv]) == 1
    captured = capsys.readouterr()
    assert "split 'validation': 17 of 18 utterances have no participant in column 'speaker_id'" in captured.err
    assert not (tmp_path / "out" / "runs").exists()


def test_an_unknown_part_is_named(start, tmp_path, capsys):
    argv = ["--output_dir", str(tmp_path), "--models", str(start), "--train", "tail"]
    assert cli.main(["finetune-daic", *argv]) == 1
    assert "--train tail: it takes full, head or a number of stages" in capsys.readouterr().err
