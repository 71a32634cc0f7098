"""Runs the tests that feed parsers with damaged and random input, for minutes and with ever new seeds.

    python scripts/fuzz.py --minutes 10

Tests with the marker `fuzz` belong to the parser of their file. Each parser gets its minutes, and memory is bounded.
Failures are printed with the seed that repeats them, and examples are kept in outputs/fuzz.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path


ROOT = Path(__file__).parents[1]
#: Bytes of address space of a process, of which imports take 5 GiB.
MEMORY = 12 * 2**30
#: Seconds after which a run counts as hanging.
PATIENCE = 600


def main() -> int:
    """Fuzz every parser, and return 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10, help="time for each parser (default: 10)")
    parser.add_argument("--parsers", nargs="+", type=Path, help="files of tests (default: all with the marker)")
    args = parser.parse_args()
    files = args.parsers or sorted(
        path for path in (ROOT / "tests").rglob("test_*.py") if "mark.fuzz" in path.read_text(encoding="utf-8")
    )
    failed = [path for path in files if not fuzz(path, 60 * args.minutes)]
    for path in failed:
        print(f"FAILED {path.relative_to(ROOT)}")
    return int(bool(failed))


def fuzz(path: Path, seconds: float) -> bool:
    """Run the tests of a file until its time is over, and return whether all passed."""
    path, begin, runs = path.resolve(), time.monotonic(), 0
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "fuzz", "OMP_NUM_THREADS": "1"}
    while (elapsed := time.monotonic() - begin) < seconds:
        seed = time.time_ns() % 2**32
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--show-capture=no",
            "-m",
            "fuzz",
            f"--hypothesis-seed={seed}",
            str(path),
        ]
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, preexec_fn=bound, timeout=PATIENCE, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired:
            print(f"{path.relative_to(ROOT)}: seed {seed} took over {PATIENCE} s")
            return False
        if done.returncode:
            print(f"{done.stdout[-4000:]}\n{done.stderr[-2000:]}\n{' '.join(command)}: exit status {done.returncode}")
            return False
        runs += 1
    print(f"{path.relative_to(ROOT)}: {runs} runs in {elapsed / 60:.1f} min, no failure", flush=True)
    return True


def bound() -> None:
    """Limit the memory of this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    sys.exit(main())
