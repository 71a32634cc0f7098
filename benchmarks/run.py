"""All timings side by side, or some of them, as Markdown and JSON: `make bench`.

    python benchmarks/run.py --only front_end inference --output_dir outputs/bench

Contestants take turns within one process; medians, quartiles and ratios of the same turns are reported. Two things
take processes of their own and are commands of their own: `linear_cost.py` and `processes.py`.
"""

import argparse
import importlib
import json
from pathlib import Path

from timing import Timing, as_json, gigaflops, machine, measure, table


PARTS = ("front_end", "inference", "training_step", "loader", "folder")


def main() -> None:
    """Measure what the command line names, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/bench"))
    args = parser.parse_args()

    facts = machine()
    rates = [gigaflops()]
    timings: list[Timing] = []
    for part in args.only:
        for case in importlib.import_module(part).cases():
            timings += measure(case)
            print(table(timings[-len(case.contestants) :]), flush=True)
        rates.append(gigaflops())
    facts["gigaflops"] = [round(rate) for rate in rates]
    args.output_dir.mkdir(parents=True, exist_ok=True)
    results = {"machine": facts, "timings": as_json(timings)}
    (args.output_dir / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items() if number)
    text = (
        f"# Timings\n\n{table(timings)}\n\n{facts['processor']}, {facts['threads']} threads, {facts['instructions']}; "
        f"Python {facts['python']}, {versions}.\nA large float32 matrix product ran at "
        f"{', '.join(f'{rate:.0f}' for rate in rates)} GFLOP/s before, between and after the parts.\n"
    )
    (args.output_dir / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
