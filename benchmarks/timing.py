"""Timing of contestants that take turns in one process, so that the noise of a shared machine hits all of them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import torch


PAUSE, LEAD = 0.05, 0.05  # seconds
PACKAGES = ("lssed-hf", "torch", "torchaudio", "transformers", "librosa", "numpy", "scipy", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Case:
    """Ways to do the same thing.

    Attributes:
        what: Name of the thing.
        contestants: Function that does it once, by name. The others are compared with the first one.
        targets: Speed that is aimed at, as a multiple of that of the first one, by name.
        repeats: Number of turns.
        per: Number of clips in a turn, by which times are divided.
    """

    what: str
    contestants: dict[str, Callable[[], object]]
    targets: dict[str, float]
    repeats: int = 30
    per: int = 1


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one contestant: median, quartiles, and the median over turns of the ratio to the first one."""

    what: str
    contestant: str
    median: float
    low: float
    high: float
    ratio: float
    target: float | None


def measure(case: Case) -> list[Timing]:
    """Let the contestants take turns. The first turn compiles and does not count.

    Each runs as it would run alone. Threads of the one before spin for a while, so they are left to fall asleep.
    Untimed calls then wake the processor and fetch weights into its caches, unless a call takes more than a second.
    """
    times: dict[str, list[float]] = {name: [_seconds(run)] for name, run in case.contestants.items()}
    for _ in range(case.repeats):
        for name, run in case.contestants.items():
            time.sleep(PAUSE)
            lead = LEAD if times[name][-1] < 1 else 0
            while lead > 0:
                lead -= _seconds(run)
            times[name].append(_seconds(run))
    times = {name: [seconds * 1e3 / case.per for seconds in values[1:]] for name, values in times.items()}
    first = next(iter(times.values()))
    return [
        Timing(
            case.what,
            name,
            *quartiles(values),
            statistics.median(theirs / ours for theirs, ours in zip(first, values)),
            case.targets.get(name),
        )
        for name, values in times.items()
    ]


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return median, lower and upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    return middle, low, high


def table(timings: Iterable[Timing]) -> str:
    """Return timings as a Markdown table."""
    lines = ["| what | contestant | median ms | quartiles | times as fast | target |", "|---|---|---|---|---|---|"]
    for timing in timings:
        target = f"≥ {timing.target:g}" if timing.target else ""
        spread = f"{timing.low:.2f} to {timing.high:.2f}"
        lines.append(
            f"| {timing.what} | {timing.contestant} | {timing.median:.2f} | {spread} | {timing.ratio:.2f} | {target} |"
        )
    return "\n".join(lines)


def as_json(timings: Iterable[Timing]) -> list[dict]:
    """Return timings, JSON-ready."""
    return [asdict(timing) for timing in timings]


def gigaflops(size: int = 2048, repeats: int = 5) -> float:
    """Return the rate of a large matrix product on this machine in GFLOP/s, the ceiling of every network."""
    left, right = torch.randn(size, size), torch.randn(size, size)
    left @ right
    start = time.perf_counter()
    for _ in range(repeats):
        left @ right
    return repeats * 2 * size**3 / (time.perf_counter() - start) / 1e9


def machine() -> dict:
    """Return processor, threads and versions."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
