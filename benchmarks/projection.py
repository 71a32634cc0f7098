"""Projection of recorded timings to LSSED and to 100,000 hours of speech on several machines, as Markdown tables.

    python benchmarks/projection.py --machines 1 8 64 --accelerator_tflops 20

Commands are those of `machines.py`. One machine runs them by itself, several as a Ray cluster. Added to the share of
each machine are the start (Ray, the model) and the work of the command's own process, which does not get shorter.
`timeline` has no engine for Ray: its recordings, of an hour each, are split among the machines, which take whole ones.

PyResNets have the timings of `run.py`, divided by the number of machines.

Assumptions: clips of LSSED's mean length, of which the paper's recipe trains on four fifths; cost that grows with the
clips alone (`linear_cost.py`); PyResNet-152 at PyResNet-50's arithmetic rate, by the GFLOP of docs/models.md; machines
like the one that was timed, which do not wait for each other, for a network or for their storage. The rate of an
accelerator is an assumption, not a measurement: what it sustains in training, in TFLOP/s.
"""

import argparse
import json
import math
from pathlib import Path


LSSED_CLIPS, LSSED_HOURS = 147_025, 206
MEAN_SECONDS = LSSED_HOURS * 3600 / LSSED_CLIPS
TRAIN_SHARE, EPOCHS = 0.8, 60
GFLOP = {"PyResNet-50": 3.05, "PyResNet-152": 8.59}  # of a 5 s clip, forward
FRAMES_PER_SECOND, MEL_BINS = 16000 / 512, 128
CORPORA = {"LSSED": LSSED_HOURS, "100,000 h": 100_000}
COMMANDS = ("prepare", "predict encoder-small", "predict pyresnet-small", "timeline")
RECORDED = Path(__file__).parent / "results" / "speed"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RECORDED, help="folder of results.json and machines.json")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 8, 64], help="default: 1 8 64")
    parser.add_argument("--accelerator_tflops", type=float, default=20.0, help="default: 20")
    args = parser.parse_args()

    results, measured = (
        json.loads((args.results / name).read_text(encoding="utf-8")) for name in ("results.json", "machines.json")
    )
    rows = {
        f"{corpus}: {command}": [seconds_of(measured, command, hours, machines) for machines in args.machines]
        for corpus, hours in CORPORA.items()
        for command in COMMANDS
    }
    print(table("time, core-hours", rows, args.machines, measured["cores"]))
    passes = LSSED_CLIPS * TRAIN_SHARE * EPOCHS
    seconds = {(timing["what"], timing["contestant"]): timing["median"] / 1e3 for timing in results["timings"]}
    step = seconds["a clip of a training step, PyResNet-50, batch 16", "with a mask, nothing padded"]
    clip = seconds["a clip of a folder, end to end", "PyResNet-50, predict, PyTorch"]
    work = {
        f"LSSED: train {name}, {EPOCHS} epochs": passes * step * gflop / GFLOP["PyResNet-50"]
        for name, gflop in GFLOP.items()
    }
    work |= {f"{corpus}: predict PyResNet-50": hours * 3600 / MEAN_SECONDS * clip for corpus, hours in CORPORA.items()}
    rows = {what: [total / machines for machines in args.machines] for what, total in work.items()}
    print(table("shared evenly: time, core-hours", rows, args.machines, measured["cores"]))
    # A step is three times the forward pass.
    flop = 3 * GFLOP["PyResNet-152"] * 1e9 * MEAN_SECONDS / 5 * passes
    hours = flop / (args.accelerator_tflops * 1e12) / 3600
    print(f"PyResNet-152 on one accelerator of {args.accelerator_tflops:g} TFLOP/s: {hours:.1f} h.")
    for name, hours in CORPORA.items():
        size = hours * 3600 * FRAMES_PER_SECOND * MEL_BINS * 4
        print(f"Cached features of {name}: {size / 1e9:,.0f} GB.")


def seconds_of(measured: dict, command: str, hours: float, machines: int) -> float:
    """Return the seconds that a command takes.

    Args:
        measured: Contents of `machines.json`.
        command: One of `COMMANDS`.
        hours: Hours of audio.
        machines: Number of machines.
    """
    if command == "timeline":
        row = measured["commands"]["timeline, local"]
        return math.ceil(hours / machines) * (row["start"] + 3600 * row["seconds"])
    if machines == 1:
        row = measured["commands"][f"{command}, local"]
        return row["start"] + 3600 * hours * row["seconds"]
    row = measured["commands"][f"{command}, ray"]
    return row["start"] + 3600 * hours * (row["seconds"] / machines + row["own"])


def table(title: str, rows: dict[str, list[float]], machines: list[int], cores: int) -> str:
    """Return a table of the seconds of each row by the number of machines."""
    lines = [f"| {title} | {' | '.join(f'{number} machine(s)' for number in machines)} |"]
    lines.append(f"|---|{'---|' * len(machines)}")
    for what, seconds in rows.items():
        cells = [
            f"{_hours(value)}, {_number(value / 3600 * cores * number)}" for value, number in zip(seconds, machines)
        ]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _hours(seconds: float) -> str:
    if seconds >= 3600:
        return f"{_number(seconds / 3600)} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
