"""CPU time and memory of whole processes: the prediction of one clip, and the help of every command.

    python benchmarks/start.py --turns 5

Contestants take turns. Each process has one thread. Its CPU time and peak memory are those that the system counted.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from lssed_hf import list_pretrained
from lssed_hf.cli import COMMANDS


_GOAL_PREDICT, _GOAL_HELP = "≤ 1.5 s, ≤ 250 MB", "≤ 0.4 s"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, metavar="N", help="processes of each contestant (default: 5)")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.wav")
        soundfile.write(clip, np.random.default_rng(0).normal(0, 0.05, 5 * 16000), 16000)
        contestants = _contestants(str(clip))
        for command, _ in contestants.values():  # the first one reads files from the disk
            run(command)
        measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contestants}
        for _ in range(args.turns):
            for name, (command, _) in contestants.items():
                measured[name].append(run(command))
    least = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # a child counts its parent's pages until exec
    print(
        f"Medians of {args.turns} turns; one clip of 5 s; a thread in each process. Peak memory is at least the "
        f"{least:.0f} MB of the process that measures.\n"
    )
    print("| process | CPU, s | lowest to highest | wall, s | peak memory, MB | goal |")
    print("|---|---|---|---|---|---|")
    for name, rows in measured.items():
        cpu, wall, memory = zip(*rows)
        figures = f"{statistics.median(cpu):.2f} | {min(cpu):.2f} to {max(cpu):.2f} | {statistics.median(wall):.2f}"
        print(f"| {name} | {figures} | {statistics.median(memory):.0f} | {contestants[name][1]} |")


def _contestants(clip: str) -> dict[str, tuple[list[str], str]]:
    """Return the command line and the goal of each contestant, by name."""
    command = [sys.executable, "-m", "lssed_hf"]
    _, *others = list_pretrained()
    found = {
        "`import torch`": ([sys.executable, "-c", "import torch"], ""),
        "`predict clip.wav`": ([*command, "predict", clip], _GOAL_PREDICT),
        "`predict clip.wav --engine torch`": ([*command, "predict", clip, "--engine", "torch"], ""),
    }
    for name in others:
        found[f"`predict {name} clip.wav`"] = ([*command, "predict", name, clip], _GOAL_PREDICT)
    found["`--help`"] = ([*command, "--help"], _GOAL_HELP)
    return found | {f"`{name} --help`": ([*command, name, "--help"], _GOAL_HELP) for name in COMMANDS}


def run(command: Sequence[str], threads: int = 1) -> tuple[float, float, float]:
    """Run a process and return its CPU seconds, its wall seconds and its peak memory in MB.

    Args:
        command: Command line.
        threads: Threads of the process.

    Raises:
        SystemExit: The process failed.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    begin = os.times().elapsed
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {child.returncode}")
    return usage.ru_utime + usage.ru_stime, os.times().elapsed - begin, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
