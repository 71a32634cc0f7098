"""Time of PyResNet-50 by operator, beside its arithmetic at the rate of a large matrix product.

python benchmarks/operators.py
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch.profiler import ProfilerActivity, profile

import lssed_hf
from inference import FRAMES, run
from lssed_hf.hub.export import export_model
from lssed_hf.models.folding import fold_batch_norm
from timing import gigaflops
from training_step import BATCH, step


GFLOP = 3.05  # of a clip's forward pass: benchmarks/count_flops.py
CALLS, SHOWN = 5, 6


def main() -> None:
    """Measure, and print a table."""
    model = lssed_hf.create_model("pyresnet50", num_labels=4)
    features, labels = torch.randn(BATCH, FRAMES, 128), torch.randint(0, 4, (BATCH,))
    folded = fold_batch_norm(model.eval())
    rate = gigaflops()
    print("| what | operator | ms a clip | share |\n|---|---|---|---|")
    show("inference, batch 1, ONNX Runtime", onnx_runtime(model, features[:1]), 1, GFLOP / rate)
    show("inference, batch 1, batch norm folded", pytorch(run(folded, features[:1])), 1, GFLOP / rate)
    show(f"inference, batch {BATCH}, batch norm folded", pytorch(run(folded, features)), BATCH, GFLOP / rate)
    training = pytorch(step(model.train(), features, labels, None))
    show(f"training step, batch {BATCH}", training, BATCH, 3 * GFLOP / rate)
    print(f"\nA large matrix product ran at {rate:.0f} GFLOP/s.")


def onnx_runtime(model: torch.nn.Module, features: torch.Tensor) -> dict[str, float]:
    """Return the milliseconds of a call by operator, as ONNX Runtime notes them."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(Path(folder, "model"))
        lssed_hf.PyResNetFeatureExtractor(normalization="none").save_pretrained(Path(folder, "model"))
        export_model(Path(folder, "model"), Path(folder, "onnx"))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.profile_file_prefix = str(Path(folder, "profile"))
        inputs = {"input_features": features.numpy(), "attention_mask": np.ones(features.shape[:2], dtype=np.int64)}
        options.enable_profiling = True
        session = onnxruntime.InferenceSession(Path(folder, "onnx", "model.onnx"), options)
        for _ in range(CALLS + 1):  # the first one allocates
            session.run(["logits"], inputs)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    times = defaultdict(float)
    for event in kernels[len(kernels) // (CALLS + 1) :]:
        times[event["args"]["op_name"]] += event["dur"] / 1e3 / CALLS
    return times


def pytorch(call: Callable[[], object]) -> dict[str, float]:
    """Return the milliseconds of a call by operator, as PyTorch notes them."""
    call()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(CALLS):
            call()
    return {event.key: event.self_cpu_time_total / 1e3 / CALLS for event in profiler.key_averages()}


def show(what: str, times: dict[str, float], clips: int, floor: float) -> None:
    """Print a table of times by operator."""
    times = {name: milliseconds / clips for name, milliseconds in times.items()}
    total = sum(times.values())
    largest = sorted(times, key=times.get, reverse=True)[:SHOWN]
    rows = {name: times[name] for name in largest} | {"all others": total - sum(times[name] for name in largest)}
    for name, milliseconds in rows.items():
        print(f"| {what} | {name} | {milliseconds:.2f} | {milliseconds / total:.0%} |")
    print(f"| {what} | its arithmetic alone | {floor * 1e3:.2f} | {floor * 1e3 / total:.0%} |")


if __name__ == "__main__":
    main()
