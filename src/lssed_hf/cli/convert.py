"""`lssed-hf convert`: turn a model of another project into a folder for transformers."""

import sys
from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Turn a PyResNet that LSSED's authors released, or an ESPnet2 speech recogniser, into a folder for
transformers. No file is trusted: weights are read as data, and nothing else in them is run."""
EXAMPLE = """PyResNet50.pth outputs/pyresnet50_lssed
         lssed-hf convert asr_train_asr_conformer_valid.acc.ave.zip outputs/conformer"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("convert", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "source", type=Path, help="a released PyResNet (.pth), or an ESPnet2 model: a .zip as released, or a folder"
    )
    parser.add_argument("output_dir", type=Path, help="folder to write, new or empty")
    pyresnet = parser.add_argument_group("PyResNet")
    pyresnet.add_argument("--labels", nargs="+", help="in the order of the outputs (default: angry neutral happy sad)")
    espnet = parser.add_argument_group("ESPnet2")
    espnet.add_argument("--config_file", help="config.yaml within the model, where it has several")
    espnet.add_argument("--checkpoint_file", help=".pth file within the model, where it has several")
    espnet.add_argument("--bpe_model", help="sentencepiece model within the model, where config.yaml names another")
    arguments = vars(parser.parse_args(argv))

    from ..hub.conversion.convert import convert_checkpoint
    from ..inference.classifiers.network import no_loading_bar

    with no_loading_bar():
        made = convert_checkpoint(**arguments)
    for note in made.notes:
        print(f"not taken over: {note}", file=sys.stderr)
    print(f"{arguments['source']} ({made.checkpoint}): {made.model} -> {made.folder}")
    return 0
