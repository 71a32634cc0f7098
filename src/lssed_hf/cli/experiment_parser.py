"""Parser of the commands that train several models: `benchmark`, `cross-corpus` and `finetune-daic`."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..escaping import printable
from ..files import write_json
from .parser import CommandParser


if TYPE_CHECKING:
    from ..experiments.experiment_report import Report
    from ..experiments.runs import Run

#: File in an output folder with the command that began it and its flags.
_ASKED = "asked.json"


class ExperimentParser(CommandParser):
    """Parser of a command that takes the flags of `lssed-hf train` besides its own.

    Args:
        command: Name of the command, as behind `lssed-hf`.
        description: Paragraph on top of the help.
        example: One command line that works, without `lssed-hf COMMAND`.
        instead: Flag of `train` that the command sets itself -> what takes its place.
    """

    def __init__(self, command: str, description: str, example: str, instead: Mapping[str, str]):
        super().__init__(command, description, example)
        self.command = command
        self.instead = {"--seed": "--seeds", **instead}
        self.add_argument("--output_dir", type=Path, required=True, help="where the runs and the report go")
        self.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="default: 0")
        self.add_argument(
            "--report_only",
            action="store_true",
            help="write the report of an --output_dir again, from what is finished",
        )

    def parse(self, argv: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
        """Return the arguments of the command, and the flags that are left for `lssed-hf train`.

        With `--report_only`, flags that the folder was begun with are read first, and flags that are given now win.
        """
        argv = list(sys.argv[1:] if argv is None else argv)
        args, flags = self.parse_known_args(argv)
        begun = self._begun(args.output_dir)
        if args.report_only:
            if begun is None:
                self.error(f"--report_only: nothing was begun in {args.output_dir}")
            args, flags = self.parse_known_args([*begun, *argv])
        for flag in (flag.split("=")[0] for flag in flags):
            if flag in self.instead:
                self.error(f"{self.instead[flag]} takes the place of {flag}")
        args.asked = argv
        return args, flags

    def _begun(self, folder: Path) -> list[str] | None:
        """Return the flags that a folder was begun with, None for a new folder. Refuse that of another command."""
        path = folder / _ASKED
        if not path.is_file():
            return None
        asked = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(asked, list):  # of earlier versions, which did not tell the command
            return asked
        if asked["command"] != self.command:
            self.error(f"{folder} holds the runs of `lssed-hf {asked['command']}`: choose another --output_dir")
        return asked["flags"]

    def require(self, args: argparse.Namespace, name: str) -> None:
        """End the command without an argument that `--report_only` alone can do without."""
        if not getattr(args, name):
            self.error(f"the following arguments are required: --{name}")

    def check_systems(self, names: Sequence[str], known: Sequence[str]) -> None:
        """End the command at the name of a system that there is not."""
        for name in names:
            if name not in known:
                self.error(f"no system {name!r}; there are {', '.join(known)}")

    def run(
        self,
        args: argparse.Namespace,
        runs: "Sequence[Run]",
        write_report: "Callable[[], Report | None]",
        jobs: int = 1,
    ) -> int:
        """Do all runs, unless with `--report_only`, write the report, print its first table, and return the status.

        Args:
            args: Arguments from `parse`.
            runs: Runs in the order of work.
            write_report: Function that writes the report from the finished runs.
            jobs: Number of runs at the same time.

        Raises:
            OSError: See `check_runs`.
            ValueError: See `check_runs` and `claimed`.
        """
        from ..experiments.runs import check_runs, do_runs
        from ..training.output_folder import claimed, is_main_process

        with claimed(args.output_dir):
            if not args.report_only:
                check_runs(runs)
                if is_main_process():
                    write_json(args.output_dir / _ASKED, {"command": self.command, "flags": args.asked})
                do_runs(runs, jobs)
            if not is_main_process():
                return 0
            report = write_report()
        if report:
            notes = "".join(f"\n{note}" for note in report.notes)
            print(f"{aligned(report.header, report.rows)}\n{notes}\nReport: {report.path}")
        failed = [run for run in runs if run.problem]
        for run in failed:
            print(printable(f"{self.prog}: {run.title}: {run.problem}"), file=sys.stderr)
        return 1 if failed else 0


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are aligned for a terminal."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
