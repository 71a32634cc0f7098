"""The cells of a benchmark: pieces of work that each run in a process and a folder of their own, and once.

A cell's folder holds `settings.json` (what is asked), `log.txt`, whatever the work writes and, last of all,
`cell.json`. Where that is, the cell is finished and left alone; a cell that was stopped goes on as its work does:
`train` from its last checkpoint. A process of its own gives all memory back, and may run out of it, without harm to
the other cells.
"""

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import filelock
import numpy as np
from transformers import HfArgumentParser

from ..files import replacing
from ..hub.cards.model_card import write_model_card
from ..hub.training_record import read_record
from ..inference.evaluate import evaluate_model
from ..inference.speaker_normalization import SpeakerArguments
from ..training.arguments import DataArguments, FlagParser
from ..training.recipes import with_recipe
from ..training.train import train_model


#: In an output folder: the flags of the command that began it.
_ASKED = "asked.json"
#: Flags of `lssed-hf train` that change no result: a cell may be asked for again with others.
IRRELEVANT = {
    *("output_dir", "restart", "disable_tqdm", "report_to", "run_name", "log_level", "logging_steps"),
    *("preprocessing_num_workers", "dataloader_num_workers", "save_total_limit"),
}


@dataclass(frozen=True)
class Cell:
    """A piece of work.

    Attributes:
        title: for people.
        folder: where it is done.
        work: a key of `WORKS`.
        settings: what the work is given, JSON.
        keep_model: whether a finished cell keeps its weights. Its checkpoints always go.
    """

    title: str
    folder: Path
    work: str
    settings: dict[str, Any]
    keep_model: bool = True

    @property
    def facts(self) -> dict[str, Any] | None:
        """What `cell.json` holds, None until the cell is finished."""
        path = self.folder / "cell.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def problem(self) -> str | None:
        """Why the cell is not finished; None if it is."""
        if self.facts is not None:
            return None
        path = self.folder / "error.txt"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else "not finished"


def training_settings(flags: Sequence[str]) -> dict[str, Any]:
    """Return the flags of `lssed-hf train` that are not at their defaults, by name; folders become absolute.

    Raises:
        ValueError: A flag that `train` does not know, or a value that it does not take.
    """
    parser = FlagParser()
    defaults = vars(parser.parse_args(["--dataset_name", ""]))
    given = vars(parser.parse_args(with_recipe(flags)))
    settings = {name: value for name, value in given.items() if value != defaults[name]}
    for name in ("data_dir", "model_name_or_path", "teacher", "unlabelled_dir", "extra_corpora"):
        value = settings.get(name)
        if isinstance(value, list):
            settings[name] = [_absolute(path) for path in value]
        elif value is not None:
            settings[name] = _absolute(value)
    return json.loads(json.dumps(settings, default=str))


def _absolute(path: str) -> str:
    """A folder, or that of NAME=FOLDER; whatever else as it is."""
    if os.path.isdir(path):
        return os.path.abspath(path)
    name, equals, folder = path.partition("=")
    return f"{name}={os.path.abspath(folder)}" if equals and os.path.isdir(folder) else path


def check_settings(cells: Sequence[Cell]) -> None:
    """Make sure that cells that were begun earlier are to go on with what they were begun with.

    Raises:
        ValueError: a cell was begun with other settings; the message names the differences.
    """
    for cell in cells:
        path = cell.folder / "settings.json"
        begun = json.loads(path.read_text(encoding="utf-8"))["settings"] if path.is_file() else cell.settings
        differences = [
            f"{name} was {_shown(begun, name)} and is {_shown(cell.settings, name)} now"
            for name in sorted((begun.keys() | cell.settings.keys()) - IRRELEVANT)
            if _shown(begun, name) != _shown(cell.settings, name)
        ]
        if differences:
            raise ValueError(
                f"{cell.folder} was begun with other settings: {'; '.join(differences)}. Ask for the same again, "
                "choose another --output_dir, or delete that folder"
            )


def _shown(settings: dict[str, Any], name: str) -> str:
    return repr(settings[name]) if name in settings else "not given"


def recipe(cells: Mapping[str, Cell]) -> str:
    """What was asked of all trainings and of each, for a report: Markdown. Folders of this machine are left out.

    Args:
        cells: one of each system, by its name.
    """
    left_out = {"seed", "output_dir", "data_dir"}
    settings = {
        name: {key: value for key, value in cell.settings.items() if key not in left_out}
        for name, cell in cells.items()
    }
    first = next(iter(settings.values()))
    common = {
        key: value for key, value in first.items() if all(other.get(key) == value for other in settings.values())
    }
    lines = [f"- all: {_flags(common)}"]
    for name, own in settings.items():
        special = {"model_name_or_path": "pyresnet50", **own}
        special = {key: value for key, value in special.items() if key not in common}
        lines.append(f"- {name}: {_flags(special)}")
    return "Of `lssed-hf train`; all other flags are at their defaults.\n\n" + "\n".join(lines)


def _flags(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} `{_without_folders(value)}`" for key, value in settings.items())


def _without_folders(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(str(_without_folders(part)) for part in value)
    name, equals, folder = str(value).partition("=")
    if equals and os.path.isabs(folder):
        return name
    return Path(value).name if os.path.isabs(str(value)) else value


def parse_asked(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> tuple[argparse.Namespace, list[str], list[str]]:
    """What a command with `--output_dir` and `--report_only` is asked for.

    Returns:
        The parsed arguments, the flags that are left for `lssed-hf train`, and all of them as they were given. With
        `--report_only` they are those that the folder was begun with, and what is given now besides.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    args, flags = parser.parse_known_args(argv)
    if args.report_only:
        asked = args.output_dir / _ASKED
        if not asked.is_file():
            parser.error(f"--report_only: nothing was begun in {args.output_dir}")
        args, flags = parser.parse_known_args([*json.loads(asked.read_text(encoding="utf-8")), *argv])
    return args, flags, argv


def refuse_flags(parser: argparse.ArgumentParser, flags: Sequence[str], instead: Mapping[str, str]) -> None:
    """End the program at flags of `train` that a command sets itself."""
    for flag in flags:
        if flag.split("=")[0] in instead:
            parser.error(f"{instead[flag.split('=')[0]]} takes the place of {flag.split('=')[0]}")


def run_and_report(
    prog: str,
    cells: Sequence[Cell],
    args: argparse.Namespace,
    argv: Sequence[str],
    write_report: Callable[[], Path | None],
    jobs: int = 1,
) -> int:
    """Do all cells, unless `args.report_only`, and write the report; the exit status.

    Args:
        prog: the command, for messages.
        cells: in the order of work.
        args, argv: from `parse_asked`.
        write_report: gives the path of the report, None without one.
        jobs: see `run_cells`.

    Raises:
        ValueError: see `check_settings` and `claimed`.
    """
    with claimed(args.output_dir):
        if not args.report_only:
            check_settings(cells)
            if is_main_process():
                write_json(args.output_dir / _ASKED, list(argv))
            run_cells(cells, jobs)
        if not is_main_process():
            return 0
        report = write_report()
    if report:
        print(_first_table(report.read_text(encoding="utf-8")))
        print(f"\nReport: {report}")
    failed = [cell for cell in cells if cell.problem]
    for cell in failed:
        print(f"{prog}: {cell.title}: {cell.problem}", file=sys.stderr)
    return 1 if failed else 0


def _first_table(report: str) -> str:
    """Return the first table of a report, which is Markdown, aligned for a terminal."""
    lines = itertools.dropwhile(lambda line: not line.startswith("|"), report.splitlines())
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in itertools.takewhile(lambda line: line.startswith("|"), lines)
    ]
    rows = rows[:1] + rows[2:]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def run_cells(cells: Sequence[Cell], jobs: int = 1) -> None:
    """Do the cells that are not finished, in their order. One that fails has a `problem`, and stops no other.

    Args:
        cells: none may need what another one does, if there are several jobs.
        jobs: cells at work at once, among which the processors are divided.
    """
    if _world_size() > 1 and jobs > 1:
        raise ValueError("several cells at once are for one process, and torchrun started more")
    num_threads = None if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)
    work = [(f"[{number}/{len(cells)}] {cell.title}", cell, num_threads) for number, cell in enumerate(cells, start=1)]
    if jobs == 1:
        for arguments in work:
            _run_cell(*arguments)
    else:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda arguments: _run_cell(*arguments), work))


def _run_cell(title: str, cell: Cell, num_threads: int | None) -> None:
    if cell.facts is not None:
        if is_main_process():
            print(f"{title}: finished before", flush=True)
        return
    if not is_main_process():
        if cell.work == "train":
            train_model(*FlagParser().parse_dict(cell.settings))
        return
    asked = {"work": cell.work, "keep_model": cell.keep_model, "settings": cell.settings}
    write_json(cell.folder / "settings.json", asked)
    (cell.folder / "error.txt").unlink(missing_ok=True)
    if _world_size() > 1:
        # The processes of torchrun stay together for all cells; an error in one of them ends them all.
        print(title, flush=True)
        do_cell(cell.folder)
        return
    print(f"{title}: log in {cell.folder / 'log.txt'}", flush=True)
    run_in_process(cell.folder, num_threads)
    if cell.problem:
        print(f"{title}: failed: {cell.problem}", flush=True)


def is_main_process() -> bool:
    """Whether this process is the only one, or the one of several (torchrun) that scores and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_in_process(folder: Path, num_threads: int | None = None) -> None:
    """Do the cell of a folder in a new process, which ends when this one does, however this one ends.

    Args:
        folder: of the cell.
        num_threads: of its computations, by default what the libraries take.
    """
    environment = os.environ if num_threads is None else {**os.environ, "OMP_NUM_THREADS": str(num_threads)}
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        # Nothing is ever written to the pipe: it closes when this process is gone.
        command = [sys.executable, "-m", __name__, str(folder)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment
        ) as process:
            try:
                status = process.wait()
            except BaseException:
                process.kill()
                raise
    if status and not (folder / "error.txt").is_file():
        name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        (folder / "error.txt").write_text(f"its process ended with {name} (out of memory?), see log.txt\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Do the cell of a folder, in this process."""
    (folder,) = map(Path, sys.argv[1:] if argv is None else argv)
    try:
        do_cell(folder)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        (folder / "error.txt").write_text(f"{reason}\n", encoding="utf-8")
        return 1
    return 0


def do_cell(folder: Path) -> None:
    asked = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    facts = WORKS[asked["work"]](folder, asked["settings"])
    write_json(folder / "cell.json", facts)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if not asked["keep_model"]:
        for part in (*folder.rglob("*.safetensors*"), *folder.glob("README.md")):  # nor a card of no model
            part.unlink()


def train_cell(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """`lssed-hf train` into the folder. `train_seconds` are those since it was last resumed, if it was."""
    data_args, model_args, args = FlagParser().parse_dict({**settings, "output_dir": str(folder)})
    resumed = any(folder.glob("checkpoint-*")) and not args.restart
    if not train_model(data_args, model_args, args):
        raise ValueError(f"{data_args.dataset_name} has no split {data_args.test_split_name!r} to score on")
    metrics = json.loads((folder / "train_results.json").read_text(encoding="utf-8"))
    validation = json.loads((folder / "eval_results.json").read_text(encoding="utf-8"))
    return {
        "num_parameters": read_record(folder)["num_parameters"],
        "train_seconds": metrics["train_runtime"],
        "resumed": resumed,
        "validation_unweighted_accuracy": validation.get("eval_unweighted_accuracy"),
    }


def evaluate_cell(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Score the model of the folder above on the clips of some `splits` that have one of some `labels`.

    Whose statistics clips are normalised by is that of its training, unless the settings say otherwise.
    """
    if not (folder.parent / "cell.json").is_file():
        raise ValueError("its model is not trained")
    data_args, splits, labels = data_arguments(settings), settings["splits"], settings["labels"]
    dataset = data_args.load()
    trained = json.loads((folder.parent / "settings.json").read_text(encoding="utf-8"))["settings"]
    (speaker_args,) = HfArgumentParser(SpeakerArguments).parse_dict({**trained, **settings}, allow_extra_keys=True)
    rows = datasets.concatenate_datasets([dataset[split] for split in splits])
    names = np.asarray(rows.features[data_args.label_column_name].names)
    rows = rows.select(np.flatnonzero(np.isin(names[rows[data_args.label_column_name]], labels)))
    evaluate_model(
        folder.parent,
        rows,
        folder,
        audio_column=data_args.audio_column_name,
        label_column=data_args.label_column_name,
        speaker_column=data_args.speaker_column_name,
        speaker_normalization=speaker_args,
        majority_label=settings["majority_label"],
        trust_remote_code=settings.get("trust_remote_code", False),
        context={"dataset": data_args.dataset_name, "split": ", ".join(splits)},
    )
    write_model_card(folder.parent)  # with these scores
    return {}


def data_arguments(settings: dict[str, Any]) -> DataArguments:
    """The arguments of the data among others."""
    (arguments,) = HfArgumentParser(DataArguments).parse_dict(settings, allow_extra_keys=True)
    return arguments


#: Functions of a cell's folder and settings that give the contents of `cell.json`.
WORKS = {"train": train_cell, "evaluate": evaluate_cell}


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other benchmarks out of a folder.

    Raises:
        ValueError: one is at work there.
    """
    if not is_main_process():
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise ValueError(f"another run is at work in {folder}: wait for it, or choose another --output_dir") from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _die_with_parent() -> None:
    """End this process as soon as its standard input closes."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _die_with_parent()
    sys.exit(main())
