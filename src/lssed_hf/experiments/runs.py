"""Runs of an experiment: trainings and evaluations, each in a process and a folder of its own.

The folder of a run holds `settings.json` (what to do), `log.txt`, the files that the work writes and, written last,
`run.json`. A run that has it is finished and left alone. An unfinished run goes on where it stopped: a training goes
on from its last checkpoint. The end of a process gives all its memory back, and a process that runs out of memory
does no harm to the other runs.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from transformers import HfArgumentParser

from ..corpora.omissions import gathering
from ..escaping import printable
from ..files import read_json, write_json
from ..hub.cards.model_card import write_model_card
from ..hub.run_folders import facts_path
from ..inference.classifiers.svm import CLASSICAL
from ..inference.evaluate import evaluate_model
from ..inference.speaker_normalization import SpeakerArguments
from ..models.registry import list_models
from ..training.arguments import DataArguments, FlagParser
from ..training.output_folder import differences, is_main_process
from ..training.pretrained import find_start
from ..training.selection import ALL_SPLITS, training_splits
from ..training.train import train_model


@dataclass(frozen=True)
class Run:
    """Training or evaluation of a model.

    Attributes:
        title: Name of the run, for people.
        folder: Folder of the run.
        work: Key of `WORKS`.
        settings: Settings of the work, JSON-ready.
        keep_model: Whether a finished run keeps its weights. Its checkpoints are always deleted.
    """

    title: str
    folder: Path
    work: str
    settings: dict[str, Any]
    keep_model: bool = True

    @property
    def facts(self) -> dict[str, Any] | None:
        """Contents of `run.json`, None until the run is finished."""
        path = facts_path(self.folder)
        return read_json(path) if path.is_file() else None

    @property
    def problem(self) -> str | None:
        """Reason why the run is not finished, None if it is."""
        if self.facts is not None:
            return None
        path = self.folder / "error.txt"
        return path.read_text(encoding="utf-8").strip() if path.is_file() else "not finished"


def check_runs(runs: Sequence[Run]) -> None:
    """Check that runs that were begun earlier go on with the same settings, and that there are models to start from.

    Raises:
        OSError: See `find_start`.
        ValueError: The same, or a run was begun with other settings. The message names the differences.
    """
    known = {None, *list_models(), *CLASSICAL, *(str(run.folder.absolute()) for run in runs)}
    for run in runs:
        start = run.settings.get("model_name_or_path")
        if start not in known and run.facts is None:
            find_start(start)
        path = run.folder / "settings.json"
        if not path.is_file():
            continue
        begun = read_json(path)["settings"]
        if changed := differences(begun, run.settings):
            raise ValueError(
                f"{run.folder} was begun with other settings: {'; '.join(changed)}. Ask for the same again, choose "
                "another --output_dir, or delete that folder"
            )


def do_runs(runs: Sequence[Run], jobs: int = 1) -> None:
    """Do the runs that are not finished, in their order. A run that fails gets a `problem` and stops no other.

    Args:
        runs: Runs to do. With several jobs, none may need the outcome of another.
        jobs: Number of runs at the same time, among which the processors are divided.
    """
    if _world_size() > 1 and jobs > 1:
        raise ValueError("several runs at once are for one process, and torchrun started more")
    num_threads = None if jobs == 1 else max(1, (os.cpu_count() or 1) // jobs)
    work = [(f"[{number}/{len(runs)}] {run.title}", run, num_threads) for number, run in enumerate(runs, start=1)]
    if jobs == 1:
        for arguments in work:
            _do_run(*arguments)
    else:
        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda arguments: _do_run(*arguments), work))


def _do_run(title: str, run: Run, num_threads: int | None) -> None:
    if run.facts is not None:
        if is_main_process():
            print(printable(f"{title}: finished before"), flush=True)
        return
    if not is_main_process():
        if run.work == "train":
            train_model(*FlagParser().parse_dict(run.settings))
        return
    asked = {"work": run.work, "keep_model": run.keep_model, "settings": run.settings}
    write_json(run.folder / "settings.json", asked)
    (run.folder / "error.txt").unlink(missing_ok=True)
    if _world_size() > 1:
        # The processes of torchrun stay together for all runs; an error in one of them ends them all.
        print(printable(title), flush=True)
        work_in_folder(run.folder)
        return
    print(printable(f"{title}: log in {run.folder / 'log.txt'}"), flush=True)
    run_in_process(run.folder, num_threads)
    if run.problem:
        print(printable(f"{title}: failed: {run.problem}"), flush=True)


def _world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def run_in_process(folder: Path, num_threads: int | None = None) -> None:
    """Do the run of a folder in a new process. It ends when this process ends, however this one ends.

    Args:
        folder: Folder of the run.
        num_threads: Threads of its computations. Default: the choice of the libraries.
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
    """Do the run of a folder in this process, and return the exit status."""
    (folder,) = map(Path, sys.argv[1:] if argv is None else argv)
    try:
        work_in_folder(folder)
    except Exception as error:
        traceback.print_exc()
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        (folder / "error.txt").write_text(f"{reason}\n", encoding="utf-8")
        return 1
    return 0


def work_in_folder(folder: Path) -> None:
    """Do the work that `settings.json` asks for, write `run.json`, and delete what a finished run does not keep."""
    asked = read_json(folder / "settings.json")
    facts = WORKS[asked["work"]](folder, asked["settings"])
    write_json(facts_path(folder), facts)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)
    if not asked["keep_model"]:
        for path in (*folder.rglob("*.safetensors*"), *folder.glob("README.md")):  # nor a card of no model
            path.unlink()


def train_run(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Train as `lssed-hf train` does. `train_seconds` are those since the training was last resumed, if it was."""
    data_args, model_args, args = FlagParser().parse_dict({**settings, "output_dir": str(folder)})
    resumed = any(folder.glob("checkpoint-*")) and not args.restart
    trained = train_model(data_args, model_args, args)
    if not trained.results and data_args.train_split_name != ALL_SPLITS:
        raise ValueError(f"{data_args.dataset_name} has no split {data_args.test_split_name!r} to score on")
    return {
        "num_parameters": trained.num_parameters,
        "train_seconds": trained.train_metrics["train_runtime"],
        "resumed": resumed,
        "validation_unweighted_accuracy": trained.validation_metrics.get("eval_unweighted_accuracy"),
    }


def evaluate_run(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Score the model of the folder above on the clips of some `splits` that have one of some `labels`.

    Clips are normalised as in the training of the model, unless the settings say otherwise.
    """
    if not facts_path(folder.parent).is_file():
        raise ValueError("its model is not trained")
    data_args, splits, labels = data_arguments(settings), settings["splits"], settings["labels"]
    with gathering() as left_out:
        dataset = data_args.load()
    trained = read_json(folder.parent / "settings.json")["settings"]
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
        left_out=left_out,
        context={"dataset": data_args.dataset_name, "split": ", ".join(splits)},
    )
    write_model_card(folder.parent)  # with these scores
    return {}


def evaluate_selection(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Score the model of the folder above on the clips that its epochs were chosen on."""
    if not facts_path(folder.parent).is_file():
        raise ValueError("its model is not trained")
    trained = read_json(folder.parent / "settings.json")["settings"]
    data_args, model_args, args = FlagParser().parse_dict({**trained, "output_dir": str(folder.parent)})
    evaluate_model(
        folder.parent,
        training_splits(data_args, args.seed)[data_args.validation_split_name],
        folder,
        audio_column=data_args.audio_column_name,
        label_column=data_args.label_column_name,
        speaker_column=data_args.speaker_column_name,
        speaker_normalization=model_args,
        trust_remote_code=model_args.trust_remote_code,
        context={"dataset": data_args.dataset_name, "split": "held out of training"},
    )
    return {}


def data_arguments(settings: dict[str, Any]) -> DataArguments:
    """Return the arguments of the data that are among some settings."""
    (arguments,) = HfArgumentParser(DataArguments).parse_dict(settings, allow_extra_keys=True)
    return arguments


#: Kind of work -> function that does it in the folder of a run, with its settings, and returns what `run.json` holds.
WORKS = {"train": train_run, "evaluate": evaluate_run, "evaluate_selection": evaluate_selection}


def _die_with_parent() -> None:
    """End this process as soon as its standard input closes."""

    def wait() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _die_with_parent()
    sys.exit(main())
