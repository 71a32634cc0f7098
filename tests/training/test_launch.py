"""Scripts, configuration files for `accelerate launch`, and training on two processes of a CPU."""

import json
import os
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser
from safetensors.numpy import load_file
from tone_interviews import write_interviews
from tones import FLAGS, write_ravdess

from lssed_hf import PyResNetForAudioClassification, cli
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.experiments import runs


SCRIPTS = Path(__file__).parents[2] / "scripts"
FOLDER = SCRIPTS / "accelerate"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_it(path):
    config = load_config_from_file(str(path))
    assert config.num_processes % config.num_machines == 0 and config.mixed_precision == "bf16"
    known = vars(launch_command_parser().parse_args(["script.py"]))
    assert set(config.fsdp_config) <= set(known)


def test_fsdp_shards_blocks_of_the_network():
    config = load_config_from_file(str(FOLDER / "fsdp.yaml"))
    block = config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"]
    assert block in PyResNetForAudioClassification._no_split_modules


@pytest.mark.parametrize(
    ("script", "usage"),
    [
        ("train_lssed.py", "lssed-hf train [flags]"),
        ("evaluate_lssed.py", "lssed-hf evaluate [flags]"),
        ("cross_corpus.py", "lssed-hf cross-corpus "),
        ("finetune_daic.py", "lssed-hf finetune-daic "),
        ("train_asr.py", "scripts/train_asr.py [flags]"),
    ],
)
def test_scripts_are_commands(script, usage, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    assert ended.value.code == 0 and capsys.readouterr().out.startswith(f"usage: {usage}")


def test_errors_of_a_script_are_one_line(monkeypatch, capsys, tmp_path):
    flags = ["--dataset_name", str(tmp_path / "none"), "--output_dir", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["train_asr.py", *flags])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / "train_asr.py"), run_name="__main__")
    assert ended.value.code == 1 and capsys.readouterr().err.splitlines()[-1].startswith(
        "scripts/train_asr.py: error: "
    )


# A step of a network whose weights two processes share, then `finetune-daic` on the same two.
LAUNCHED = """
import runpy
import sys

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import lssed_hf

NARROW = {"depths": [1, 1], "embedding_size": 8, "hidden_sizes": [16, 32], "kernel_sizes": [[3, 5], [3]]}
NARROW["num_mel_bins"] = None
dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (2,))


def make():
    torch.manual_seed(0)
    return lssed_hf.create_model("pyresnet50", num_labels=4, groups=[[1, 2], [1]], **NARROW).eval()


whole, sharded = make(), make()
for module in sharded.modules():
    if type(module).__name__ in sharded._no_split_modules:
        fully_shard(module, mesh=mesh)
fully_shard(sharded, mesh=mesh)
features, labels = torch.randn(8, 40, 128), torch.randint(0, 4, (8,))
dist.broadcast(features, 0), dist.broadcast(labels, 0)
whole(features, labels=labels).loss.backward()
own = slice(4 * dist.get_rank(), 4 * dist.get_rank() + 4)
sharded(features[own], labels=labels[own]).loss.backward()
for expected, shard in zip(whole.parameters(), sharded.parameters(), strict=True):
    torch.testing.assert_close(shard.grad.full_tensor(), expected.grad, rtol=1e-4, atol=1e-6)
held = sum(parameter.to_local().numel() for parameter in sharded.parameters())
print(f"rank {dist.get_rank()} holds {held / whole.num_parameters():.2f}", flush=True)
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


@pytest.fixture(scope="module")
def finetune_flags(tmp_path_factory):
    # A network without batch norm, which each process would see a part of, and without dropout.
    network = {"hidden_sizes": [4, 4, 4, 4, 8], "classifier_dropout": 0.0}
    flags = dict(zip(FLAGS[2::2], FLAGS[3::2]))
    del flags["--learning_rate"]  # of another network
    flags |= {"--dataset_name": str(write_interviews(tmp_path_factory.mktemp("data") / "interviews"))}
    flags |= {"--models": f"fcn=fcn-attention-alexnet --config_overrides {shlex.quote(json.dumps(network))}"}
    return [*(text for flag in flags.items() for text in flag), "--seeds", "0", "1", "--num_train_epochs", "1"]


@pytest.fixture(scope="module")
def launched(finetune_flags, forking_python, tmp_path_factory):
    """Launch two processes as torchrun does, and return what they print and the output folder of `finetune-daic`."""
    folder = tmp_path_factory.mktemp("launched")
    (folder / "launched.py").write_text(LAUNCHED)
    flags = [*finetune_flags, "--per_device_train_batch_size", "4", "--use_cpu", "true"]
    argv = [
        str(folder / "launched.py"),
        str(SCRIPTS / "finetune_daic.py"),
        "--output_dir",
        str(folder / "out"),
        *flags,
    ]
    return forking_python.run(f"import launching; launching.launch(2, {argv!r})"), folder / "out"


def test_two_processes_that_share_the_weights_get_the_gradients_of_one(launched):
    """Check FSDP on two CPU processes (accelerate has it for accelerators only)."""
    printed, _ = launched
    # Both write at once, so their lines may run into each other.
    assert all(f"rank {rank} holds 0.50" in printed for rank in (0, 1)), printed


def test_two_processes_end_with_the_figures_of_one(launched, finetune_flags, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "run_in_process", lambda folder, num_threads: runs.main([str(folder)]))
    _, two = launched
    one = tmp_path / "one"
    batch = ["--per_device_train_batch_size", "8"]
    assert cli.main(["finetune-daic", *finetune_flags, *batch, "--output_dir", str(one)]) == 0

    def read(path: Path) -> dict:
        return json.loads(path.read_text(encoding="utf-8"))

    for seed in (0, 1):
        folders = [out / "runs" / "fcn" / f"seed_{seed}" for out in (one, two)]
        steps = [read(folder / "trainer_state.json")["global_step"] for folder in folders]
        assert steps[0] == steps[1]
        scored = [read_run(folder) for folder in folders]
        np.testing.assert_allclose(scored[1].probabilities, scored[0].probabilities, atol=1e-4)
    first, second = (read(out / "results.json")["systems"][0]["participants"] for out in (one, two))
    # Probabilities agree up to rounding, so the decisions are the same, and squared errors nearly.
    brier = [scores.pop("brier")["mean"] for scores in (first, second)]
    assert first == second and brier[0] == pytest.approx(brier[1], abs=1e-3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Flags of a training, and its folder after a run in one process, with two batches of four clips in each step."""
    folder = tmp_path_factory.mktemp("trained")
    flags = ["--dataset_name", "ravdess", "--data_dir", str(write_ravdess(folder / "ravdess")), *FLAGS]
    flags += ["--use_cpu", "true", "--logging_steps", "1", "--per_device_train_batch_size", "4"]
    flags += ["--load_best_model_at_end", "false"]  # running statistics decide which one is best
    one = ["--gradient_accumulation_steps", "2", "--output_dir", str(folder / "one")]
    assert cli.main(["train", *flags, *one]) == 0
    return flags, folder / "one"


@pytest.mark.parametrize(
    "launcher",
    [
        ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
        [
            *("accelerate.commands.launch", "--config_file", str(FOLDER / "ddp.yaml"), "--mixed_precision", "no"),
            *("--num_machines", "1", "--num_processes", "2", "--main_process_port", "0"),
        ],
    ],
    ids=["torchrun", "accelerate launch"],
)
def test_two_processes_train_as_one(launcher, trained, tmp_path):
    flags, one = trained
    command = [sys.executable, "-m", *launcher, str(SCRIPTS / "train_lssed.py"), *flags, "--output_dir", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stderr

    weights, expected = (load_file(folder / "model.safetensors") for folder in (tmp_path, one))
    for name, values in expected.items():
        # Each process has running statistics of its own batches, and those of the first one are saved.
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            np.testing.assert_allclose(weights[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    states = [json.loads((folder / "trainer_state.json").read_text(encoding="utf-8")) for folder in (tmp_path, one)]
    losses = [[row["loss"] for row in state["log_history"] if "loss" in row] for state in states]
    assert len(losses[1]) == 8
    np.testing.assert_allclose(*losses, rtol=1e-5)
