"""Where the time of PyResNet-50 goes, by operator, beside its arithmetic at the rate of a large matrix product.

python benchmarks/operators.py
"""

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

import lssed_hf
from inference import FRAMES, run
from lssed_hf.models.folding import fold_batch_norm
from timing import gigaflops
from training_step import BATCH, step


GFLOP = 3.05  # of a clip's forward pass: benchmarks/count_flops.py
CALLS, SHOWN = 5, 6


def main() -> None:
    model = lssed_hf.create_model("pyresnet50", num_labels=4)
    features, labels = torch.randn(BATCH, FRAMES, 128), torch.randint(0, 4, (BATCH,))
    folded = fold_batch_norm(model.eval())
    rate = gigaflops()
    print("| what | operator | ms a clip | share |\n|---|---|---|---|")
    show("inference, batch 1, batch norm folded", run(folded, features[:1]), 1, GFLOP / rate)
    show(f"inference, batch {BATCH}, batch norm folded", run(folded, features), BATCH, GFLOP / rate)
    show(f"training step, batch {BATCH}", step(model.train(), features, labels, None), BATCH, 3 * GFLOP / rate)
    print(f"\nA large matrix product ran at {rate:.0f} GFLOP/s.")


def show(what: str, call: Callable[[], object], clips: int, floor: float) -> None:
    call()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(CALLS):
            call()
    times = {event.key: event.self_cpu_time_total / 1e3 / CALLS / clips for event in profiler.key_averages()}
    total = sum(times.values())
    largest = sorted(times, key=times.get, reverse=True)[:SHOWN]
    rows = {name: times[name] for name in largest} | {"all others": total - sum(times[name] for name in largest)}
    for name, milliseconds in rows.items():
        print(f"| {what} | {name} | {milliseconds:.2f} | {milliseconds / total:.0%} |")
    print(f"| {what} | its arithmetic alone | {floor * 1e3:.2f} | {floor * 1e3 / total:.0%} |")


if __name__ == "__main__":
    main()
