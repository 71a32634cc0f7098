"""Parsers of commands whose flags are fields of dataclasses: common flags in groups, the rest on request."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import HfArgumentParser

from .grouped_parser import GroupedParser


class DataclassParser(GroupedParser, HfArgumentParser):
    """Parser of dataclasses of arguments.

    Args:
        command: Name of the command, as behind `lssed-hf`.
        description: Paragraph on top of the help.
        example: One command line that works, without `lssed-hf COMMAND`.
        dataclass_types: Dataclasses whose fields are flags.
        groups: Heading -> fields that `--help` shows under it; `--help_all` shows all others too.
        **settings: Arguments of `argparse.ArgumentParser`.
    """

    def __init__(
        self,
        command: str,
        description: str,
        example: str,
        dataclass_types: Sequence[type],
        groups: Mapping[str, Sequence[str]],
        **settings,
    ):
        super().__init__(command, description, example, groups, dataclass_types=dataclass_types, **settings)
        shown = {name for names in groups.values() for name in names}
        self.hidden = [action for action in self._actions if action.option_strings and action.dest not in shown]
        if any(action.dest != "help" for action in self.hidden):
            text = "show every flag and exit"
            self.add_argument("--help_all", action=_HelpAll, nargs=0, default=argparse.SUPPRESS, help=text)

    def parse(self, argv: Sequence[str] | None) -> tuple[Any, ...]:
        """Return an instance of each dataclass; a flag that none of them has ends the command with a suggestion."""
        *parsed, unknown = self.parse_args_into_dataclasses(
            argv, return_remaining_strings=True, look_for_args_file=False
        )
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return tuple(parsed)


class _HelpAll(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        print(parser.format_help(everything=True), end="")
        parser.exit()
