"""The configuration files for `accelerate launch`."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import launch_command_parser

from lssed_hf import PyResNetForAudioClassification


FOLDER = Path(__file__).parents[2] / "scripts" / "accelerate"


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
