"""Fine-tuning for depression detection end to end, on interviews of tones."""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_whisper import write_whisper
from tones import FLAGS, KILLED
from transformers import WhisperFeatureExtractor, WhisperForAudioClassification, WhisperForConditionalGeneration

from lssed_hf import PyResNetFeatureExtractor, cli
from lssed_hf.audio import encode_audio
from lssed_hf.cli import finetune_daic
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.experiments import depression, runs


def write_interviews(folder, flip=()):
    """Participants of both classes in three splits, three turns each; labels of the splits in `flip` are exchanged."""
    rng = np.random.default_rng(0)
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": datasets.Audio(sampling_rate=16000),
            "depression": datasets.ClassLabel(names=["not_depressed", "depressed"]),
            "gender_code": datasets.Value("string"),
            "speaker_id": datasets.Value("string"),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for split, size in (("train", 10), ("validation", 6), ("test", 4)):
        rows = {name: [] for name in features}
        for person in range(size):
            depressed = int(person % 2 == 0)
            number += 1
            for turn in range(3):
                frequency = (400 if depressed else 900) * rng.uniform(0.7, 1.5)
                samples = 0.3 * np.sin(2 * np.pi * frequency * np.arange(6400) / 16000) + 0.02 * rng.normal(size=6400)
                rows["id"].append(f"{number}_{turn}")
                rows["audio"].append(
                    {"bytes": encode_audio(samples.astype(np.float32), 16000), "path": f"{number}_{turn}.flac"}
                )
                rows["depression"].append(depressed if split not in flip else int(person < size // 2))
                rows["gender_code"].append(str(person % 2))
                rows["speaker_id"].append(str(number))
        # Not from_dict, which would encode the audio once more, by torchcodec.
        table = pa.Table.from_pydict(rows, schema=features.arrow_schema)
        datasets.Dataset(table).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def interviews(tmp_path_factory):
    return write_interviews(tmp_path_factory.mktemp("interviews") / "synthetic_interviews")


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(runs, "run_in_process", lambda folder, threads: runs.main([str(folder)]))
        yield


def flags(interviews, output_dir, *more):
    return ["--dataset_name", str(interviews), "--output_dir", str(output_dir), *FLAGS, *more]


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def start(interviews, tmp_path_factory):
    """A model to start from, trained on something else."""
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


def test_starts_and_parts_are_compared(finished):
    out, _ = finished
    results = read(out / "results.json")
    assert [row["name"] for row in results["systems"]] == ["ser", "ser-head", "scratch"], (
        "random weights have no head alone"
    )
    assert [row["strategy"] for row in results["systems"]] == ["all", "head", "all"]
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
    assert "scratch, random weights" not in text and "| scratch | pyresnet50, random weights | all |" in text
    card = (out / "runs" / "ser" / "seed_0" / "README.md").read_text(encoding="utf-8")
    assert "not a medical device" in card and "depression-detection" in card and str(out) not in card
    right = results["systems"][0]["exact"]["0"]
    shares = [f"{right[name]['successes']} of {right[name]['trials']} [" for name in ("right", "found", "cleared")]
    (row,) = [line for line in card.splitlines() if line.startswith("| mean probability |")]
    assert all(share in cell for share, cell in zip(shares, row.split(" | ")[1:], strict=True))
    assert "Training started from `ser`, which had been trained on `synthetic_interviews`." in card


def test_the_head_alone_leaves_the_encoder_as_it_was(finished, start):
    from safetensors.torch import load_file

    out, _ = finished
    before = load_file(start / "model.safetensors")
    after = load_file(out / "runs" / "ser-head" / "seed_0" / "model.safetensors")
    same = {name for name, value in after.items() if value.equal(before[name])}
    assert set(after) - same == {"classifier.weight", "classifier.bias"}


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
    assert "majority vote" in (out / "report.md").read_text(encoding="utf-8")
    assert cli.main(["finetune-daic", "--output_dir", str(out), "--report_only"]) == 0
    assert (out / "results.json").read_bytes() == results


def digest(folder):
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


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


def test_epochs_chosen_on_the_development_set_are_said_to_flatter(interviews, tmp_path):
    argv = flags(interviews, tmp_path, "--models", "pyresnet50", "--select_on", "development", "--max_steps", "1")
    with pytest.warns(UserWarning, match="then too high"):
        assert finetune_daic.main(argv) == 0
    assert "**Epochs were chosen on the development set.**" in (tmp_path / "report.md").read_text(encoding="utf-8")
    settings = read(tmp_path / "runs" / "pyresnet50" / "seed_0" / "settings.json")["settings"]
    assert "validation_split_name" not in settings and settings["test_split_name"] == "validation"


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
    assert "| ser-25ms | ser | all, 25ms |" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert depression.window_overrides(PyResNetFeatureExtractor(), 1024, 512) == {"n_fft": 1024, "hop_length": 512}
    with pytest.raises(ValueError, match="has no window to change"):
        depression.window_overrides(object(), 400, 160)
    assert WhisperFeatureExtractor().n_fft == 400


def test_killed_it_goes_on_and_ends_with_the_same(finished, tmp_path):
    whole, argv = finished
    out = tmp_path / "out"
    argv = [str(out) if text == str(whole) else text for text in argv]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "ser-head/seed_1", "5", "finetune_daic", *argv], capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (out / "report.md").exists() and (out / "runs" / "ser" / "seed_1" / "run.json").is_file()
    assert cli.main(["finetune-daic", *argv]) == 0
    resumed, original = read(out / "results.json"), read(whole / "results.json")
    shutil.rmtree(out)
    assert resumed["systems"] == original["systems"]


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


def test_an_unknown_part_is_named(start, tmp_path, capsys):
    argv = ["--output_dir", str(tmp_path), "--models", str(start), "--train", "tail"]
    assert cli.main(["finetune-daic", *argv]) == 1
    assert "--train tail: it takes full, head or a number of stages" in capsys.readouterr().err


def test_two_processes_end_with_the_figures_of_one(interviews, tmp_path):
    # A network without batch norm, which each process would see a part of, and without dropout.
    network = {"hidden_sizes": [4, 4, 4, 4, 8], "classifier_dropout": 0.0}
    shared = ["--dataset_name", str(interviews), *FLAGS[2:], "--seeds", "0", "1", "--per_device_train_batch_size"]
    shared = [text for text in shared if text != "0.05"]  # the rate of FLAGS is for another network
    shared.remove("--learning_rate")
    models = ["--models", f"fcn=fcn-attention-alexnet --config_overrides {shlex.quote(json.dumps(network))}"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli.main(["finetune-daic", *shared, "8", *models, "--output_dir", str(one)]) == 0
    script = Path(__file__).parents[2] / "scripts" / "finetune_daic.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    command += [*shared, "4", *models, "--output_dir", str(two), "--use_cpu", "true"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    for seed in (0, 1):
        folders = [out / "runs" / "fcn" / f"seed_{seed}" for out in (one, two)]
        assert (
            read(folders[1] / "trainer_state.json")["global_step"]
            == read(folders[0] / "trainer_state.json")["global_step"]
        )
        runs = [read_run(folder) for folder in folders]
        np.testing.assert_allclose(runs[1].probabilities, runs[0].probabilities, atol=1e-4)
    first, second = (read(out / "results.json")["systems"][0]["participants"] for out in (one, two))
    assert first == second
