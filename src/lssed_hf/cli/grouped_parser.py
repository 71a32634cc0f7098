"""Parsers whose help shows common flags in groups, and their help from a record, without an import of transformers.

Flags of `lssed-hf train` come from dataclasses of transformers, which take seconds to import. `recorded_help.json`
holds the flags that `--help` shows; `scripts/record_help.py` writes it.
"""

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .parser import CommandParser


RECORD = Path(__file__).with_name("recorded_help.json")
_TYPES = {kind.__name__: kind for kind in (int, float)}  # of all types, help tells these apart


class GroupedParser(CommandParser):
    """Parser whose help shows flags in groups.

    Args:
        command: Name of the command, as behind `lssed-hf`.
        description: Paragraph on top of the help.
        example: One command line that works, without `lssed-hf COMMAND`.
        groups: Heading -> names of the flags under it, in order.
        usage: Usage line.
        **settings: Arguments of the other base classes.

    Attributes:
        hidden: Flags that only `format_help(everything=True)` shows.
    """

    def __init__(
        self,
        command: str,
        description: str,
        example: str,
        groups: Mapping[str, Sequence[str]],
        usage: str = "%(prog)s [flags]",
        **settings,
    ):
        self.groups = groups
        self.hidden: list[argparse.Action] = []
        super().__init__(command, description, example, usage=usage, **settings)

    def format_help(self, everything: bool = False) -> str:
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, [])
        formatter.add_text(self.description)
        sections = {heading: self._actions_of(names) for heading, names in self.groups.items()}
        sections[""] = self._help_actions()
        if everything:
            sections["all others, of transformers and of this package"] = [
                action for action in self.hidden if action.dest != "help"
            ]
        for heading, actions in sections.items():
            formatter.start_section(heading or "help")
            formatter.add_arguments(actions)
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def _help_actions(self) -> list[argparse.Action]:
        return [action for action in self._actions if action.dest in ("help", "help_all")]

    def _actions_of(self, fields: Sequence[str]) -> list[argparse.Action]:
        # The first action of a field is its flag. A second one switches it off.
        by_field: dict[str, argparse.Action] = {}
        for action in self._actions:
            by_field.setdefault(action.dest, action)
        return [by_field[field] for field in fields]

    def record(self) -> list[dict[str, Any]]:
        """Return the flags that `--help` shows, as JSON, for `print_recorded_help`."""
        shown = [action for fields in self.groups.values() for action in self._actions_of(fields)]
        return [_recorded(action) for action in (*shown, *self._help_actions()[1:])]


def _recorded(action: argparse.Action) -> dict[str, Any]:
    names = ("nargs", "default", "choices", "help", "metavar")
    settings = {name: value for name in names if (value := getattr(action, name)) is not None}
    if "default" in settings:
        settings["default"] = getattr(action.default, "value", action.default)
    if "choices" in settings:
        settings["choices"] = [getattr(choice, "value", choice) for choice in action.choices]
    if action.type in _TYPES.values():
        settings["type"] = action.type.__name__
    if action.nargs == 0:
        del settings["nargs"]
        settings["action"] = "store_true"
    return {"names": list(action.option_strings) or [action.dest], **settings}


def print_recorded_help(
    command: str, argv: Sequence[str] | None, description: str, example: str, groups: Mapping[str, Sequence[str]]
) -> None:
    """Print the help of a command and end it, if help is all that is asked for.

    Nothing is done where the record was made with another version of transformers, whose flags may differ.

    Args:
        command: Name of the command, as behind `lssed-hf`.
        argv: Arguments of the command, by default those of the process.
        description: See `GroupedParser`.
        example: See there.
        groups: See there.
    """
    if list(sys.argv[1:] if argv is None else argv) not in (["-h"], ["--help"]):
        return
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    if record["transformers"] != importlib.metadata.version("transformers"):
        return
    recorded = record["commands"][command]
    parser = GroupedParser(command, description, example, groups, usage=recorded["usage"])
    for flag in recorded["flags"]:
        names = flag.pop("names")
        if "type" in flag:
            flag["type"] = _TYPES[flag["type"]]
        parser.add_argument(*names, **flag)
    parser.print_help()
    parser.exit()
