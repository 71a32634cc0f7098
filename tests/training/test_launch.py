"""The configuration files for `accelerate launch`, and what they set going as far as a CPU can do it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

from lssed_hf import PyResNetForAudioClassification


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
    assert ended.value.code == 1 and capsys.readouterr().err.splitlines()[-1].startswith("train_asr.py: error: ")


SHARDED_STEP = """
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import lssed_hf

NARROW = {"depths": [1, 1], "embedding_size": 8, "hidden_sizes": [16, 32], "kernel_sizes": [[3, 5], [3]]}
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
dist.destroy_process_group()
"""


def test_two_processes_that_share_the_weights_get_the_gradients_of_one(tmp_path):
    """FSDP on two CPU processes (accelerate has it for accelerators only)."""
    script = tmp_path / "step.py"
    script.write_text(SHARDED_STEP)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Both write at once, so their lines may run into each other.
    assert all(f"rank {rank} holds 0.50" in done.stdout for rank in (0, 1)), done.stdout
