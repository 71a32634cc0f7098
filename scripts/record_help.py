"""Write the flags that `lssed-hf COMMAND --help` shows, of commands whose flags come from transformers' dataclasses.

Run it after a change of these flags, or with a new version of transformers: `python scripts/record_help.py`.
"""

import transformers

from lssed_hf.cli import adapt, evaluate, train, train_asr
from lssed_hf.cli.grouped_parser import RECORD
from lssed_hf.files import write_json


def recorded_help() -> dict:
    """Return the contents of the record."""
    parsers = [module.parser() for module in (adapt, evaluate, train, train_asr)]
    commands = {
        parser.prog.removeprefix("lssed-hf "): {"usage": parser.usage, "flags": parser.record()} for parser in parsers
    }
    return {"transformers": transformers.__version__, "commands": commands}


if __name__ == "__main__":
    write_json(RECORD, recorded_help())
