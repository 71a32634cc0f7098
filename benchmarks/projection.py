"""Projection of the timings of `make bench` to LSSED and to 100,000 hours of speech, as a Markdown table.

    python benchmarks/projection.py --results outputs/bench/results.json --machines 1 32 --accelerator_tflops 20

Assumptions: clips of LSSED's mean length, of which the paper's recipe trains on four fifths; cost that grows with the
clips alone (`linear_cost.py`); PyResNet-152 at PyResNet-50's arithmetic rate, by the GFLOP of docs/models.md; machines
like the one that was timed, which do not wait for each other or for their storage. The rate of an accelerator is an
assumption, not a measurement: what it sustains in training, in TFLOP/s.
"""

import argparse
import json
from pathlib import Path


LSSED_CLIPS, LSSED_HOURS = 147_025, 206
MEAN_SECONDS = LSSED_HOURS * 3600 / LSSED_CLIPS
TRAIN_SHARE, EPOCHS = 0.8, 60
GFLOP = {"PyResNet-50": 3.05, "PyResNet-152": 8.59}  # of a 5 s clip, forward
FRAMES_PER_SECOND, MEL_BINS = 16000 / 512, 128
MANY_HOURS = 100_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True, help="results.json of benchmarks/run.py")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 32], help="default: 1 32")
    parser.add_argument("--accelerator_tflops", type=float, default=20.0, help="default: 20")
    args = parser.parse_args()

    timings = json.loads(args.results.read_text(encoding="utf-8"))["timings"]
    milliseconds = {(timing["what"], timing["contestant"]): timing["median"] for timing in timings}
    front_end = milliseconds["whole chain with denoising", "lssed_hf"]
    step = milliseconds["a clip of a training step, PyResNet-50, batch 16", "with a mask, nothing padded"]
    predict = {
        name: milliseconds["a clip of a folder, end to end", f"PyResNet-50, predict, {name}"]
        for name in ("PyTorch", "OpenVINO")
    }
    many_clips = MANY_HOURS * 3600 / MEAN_SECONDS
    passes = LSSED_CLIPS * TRAIN_SHARE * EPOCHS
    ratio = GFLOP["PyResNet-152"] / GFLOP["PyResNet-50"]
    work = {
        "LSSED: front end, one core": LSSED_CLIPS * front_end,
        "LSSED: PyResNet-50, 60 epochs": passes * step,
        "LSSED: PyResNet-152, 60 epochs": passes * step * ratio,
        "LSSED: predict, PyResNet-50, PyTorch": LSSED_CLIPS * predict["PyTorch"],
        f"{MANY_HOURS:,} h: front end, one core": many_clips * front_end,
        f"{MANY_HOURS:,} h: predict, PyResNet-50, PyTorch": many_clips * predict["PyTorch"],
        f"{MANY_HOURS:,} h: predict, PyResNet-50, OpenVINO": many_clips * predict["OpenVINO"],
    }
    print(f"| what | {' | '.join(f'{number} machine(s)' for number in args.machines)} |")
    print(f"|---|{'---|' * len(args.machines)}")
    for what, total in work.items():
        print(f"| {what} | {' | '.join(_hours(total / 1e3 / number) for number in args.machines)} |")
    # A step is three times the forward pass.
    flop = 3 * GFLOP["PyResNet-152"] * 1e9 * MEAN_SECONDS / 5 * passes
    seconds = flop / (args.accelerator_tflops * 1e12)
    print(f"\nPyResNet-152 on one accelerator of {args.accelerator_tflops:g} TFLOP/s: {_hours(seconds)}.")
    for name, hours in (("LSSED", LSSED_HOURS), (f"{MANY_HOURS:,} h", MANY_HOURS)):
        size = hours * 3600 * FRAMES_PER_SECOND * MEL_BINS * 4
        print(f"Cached features of {name}: {size / 1e9:,.0f} GB.")


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    if hours >= 48:
        return f"{hours / 24:,.0f} days"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


if __name__ == "__main__":
    main()
