"""Parsers of the commands: help in groups with an example, and suggestions for misspelt flags."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..suggest import explain


class CommandParser(argparse.ArgumentParser):
    """Parser of one command.

    Args:
        command: Name of the command, as behind `lssed-hf`, or path of a script.
        description: Paragraph on top of the help.
        example: One command line that works, without `lssed-hf COMMAND`.
        **settings: Arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, command: str, description: str | None, example: str, **settings):
        super().__init__(
            prog=command if command.endswith(".py") else f"lssed-hf {command}",
            description=description,
            epilog=f"example: {'python' if command.endswith('.py') else 'lssed-hf'} {command} {example}",
            formatter_class=CompactHelp,
            allow_abbrev=False,
            **settings,
        )

    def error(self, message: str) -> NoReturn:
        """Print one line on the mistake, with the nearest flags, and end with status 2."""
        message = explain(message, self._option_string_actions)
        self.exit(2, f"{self.prog}: error: {message} (`{self.prog} --help` lists the flags)\n")

    def parse_inputs(self, argv: Sequence[str] | None) -> argparse.Namespace:
        """Parse a command whose positionals are `arguments`; there must be one, and flags may stand anywhere.

        Everything behind `--` is a positional, even if it begins with a dash.
        """
        argv = list(sys.argv[1:] if argv is None else argv)
        end = argv.index("--") if "--" in argv else len(argv)
        args = self.parse_intermixed_args(argv[:end])
        args.arguments += argv[end + 1 :]
        if not args.arguments:
            self.error("name at least one recording")
        return args


class CompactHelp(argparse.HelpFormatter):
    """Help that names each flag once, says its default, and keeps short texts on the line of their flag."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:") else super()._fill_text(text, width, indent)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        # Without the spellings --with-hyphens and --no_flag.
        names = [name for name in action.option_strings if "-" not in name[2:]] or action.option_strings
        return f"{', '.join(names)} {self._format_args(action, _placeholder(action))}".rstrip()

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, default = action.help or "", action.default
        if (
            not action.option_strings
            or default in (None, False, argparse.SUPPRESS, "", [])
            or "default" in text.lower()
        ):
            return text
        return f"{text.rstrip('.')} (default: {str(getattr(default, 'value', default)).replace('%', '%%')})"


def _placeholder(action: argparse.Action) -> str:
    """Return the word that stands for a flag's value."""
    if action.type in (int, float):
        return "N" if action.type is int else "X"
    ends = {"_dir": "DIR", "_or_path": "MODEL", "_name": "NAME", "pattern": "REGEX"}
    return next((word for end, word in ends.items() if action.dest.endswith(end)), "VALUE")


def add_recording_arguments(parser: argparse.ArgumentParser, also: str = "") -> None:
    """Add the model and the recordings, which `CommandParser.parse_inputs` and `split_model` take apart.

    Args:
        parser: Parser of the command.
        also: Further things that can be named in place of recordings.
    """
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="RECORDING",
        help=f"audio files, folders that are searched for them, or patterns{also}; in front of them the folder or Hub "
        "name of a model (default: the built-in one)",
    )


def add_model_arguments(parser: argparse._ActionsContainer) -> None:
    """Add `--device` and `--trust_remote_code`."""
    parser.add_argument("--device", help="such as cpu or cuda:0 (default: the GPU if there is one)")
    parser.add_argument("--trust_remote_code", action="store_true", help="allow code from the model's repository")


def add_speaker_arguments(parser: argparse._ActionsContainer) -> None:
    """Add `--speakers` and `--speaker`."""
    parser.add_argument(
        "--speakers", type=Path, metavar="FILE", help="of `enroll`: normalise by a speaker's own statistics"
    )
    parser.add_argument("--speaker", metavar="NAME", help="with --speakers: who speaks (default: the only one there)")


def add_min_confidence(parser: argparse._ActionsContainer) -> None:
    """Add `--min_confidence`."""
    parser.add_argument(
        "--min_confidence",
        type=float,
        default=0.0,
        metavar="P",
        help="say unsure in place of a label where the most probable class has less than P (default: 0)",
    )


_ENGINES = {
    "local": "on this machine, the fastest way (default)",
    "torch": "on this machine, by PyTorch, the built-in models too",
    "ray": "on a Ray cluster, whose machines see the files under the same names (docs/scaling.md)",
}


def add_engine_arguments(parser: argparse._ActionsContainer, *engines: str) -> None:
    """Add `--engine`, and `--ray_address` where Ray is one of the engines.

    Args:
        parser: Parser of the command.
        *engines: Engines that the command has, "local" first.
    """
    texts = "; ".join(f"{engine}: {_ENGINES[engine]}" for engine in engines)
    parser.add_argument("--engine", choices=engines, default="local", help=texts)
    if "ray" in engines:
        parser.add_argument(
            "--ray_address",
            metavar="ADDRESS",
            help="auto, host:6379 or ray://host:10001 (default: one on this machine)",
        )


def engine_of(args: argparse.Namespace) -> str | None:
    """Return the `engine` of `load_speaker_classifier` that `--engine` stands for."""
    return None if args.engine == "local" else args.engine
