"""Table of models in README.md: recorded UA on RAVDESS, size of the weights, and time of one clip on this machine.

    python benchmarks/models_table.py

UA is read from benchmarks/results. A clip is 3.7 s of noise, the mean length on RAVDESS; times are medians of systems
that take turns, front end included, on as many threads as torch takes. Weights are random but for the built-in model,
which changes no time.
"""

import json
import os
import tempfile
from pathlib import Path

import numpy as np

import lssed_hf
from lssed_hf.inference import AudioClassifier
from lssed_hf.models.registry import create_feature_extractor
from timing import Case, measure


RESULTS = Path(__file__).parent / "results"
LABELS = ["angry", "neutral", "happy", "sad"]
ZOO = ("pyresnet-small", "pyresnet50", "vgg16", "resnet18", "fcn-attention-alexnet", "mts3-alexnet")


def main() -> None:
    """Print the table."""
    scores = recorded()
    with tempfile.TemporaryDirectory() as folder:
        classifiers = {"built-in": AudioClassifier(lssed_hf.DEFAULT_MODEL)}
        for name in ZOO:
            lssed_hf.create_model(name, labels=LABELS).save_pretrained(Path(folder, name))
            create_feature_extractor(name, normalization="none").save_pretrained(Path(folder, name))
            classifiers[name] = AudioClassifier(Path(folder, name))
        clip = np.random.default_rng(0).normal(0, 0.1, round(3.7 * 16000)).astype(np.float32)
        calls = {name: lambda each=each: each.logits([clip]) for name, each in classifiers.items()}
        times = {one.contestant: one.median for one in measure(Case("a clip of 3.7 s", calls, {}, repeats=15))}
        sizes = {
            name: os.path.getsize(Path(each.name, "model.safetensors")) / 1e6 for name, each in classifiers.items()
        }
    print("| model | UA, RAVDESS | ms per clip | MB |\n|---|---|---|---|")
    for name in classifiers:
        print(f"| `{name}` | {scores[name]:.3f} | {times[name]:.0f} | {sizes[name]:.1f} |")


def recorded() -> dict[str, float]:
    """Return the recorded UA on RAVDESS's test actors by model."""
    built_in = _read("default_model/ravdess")["metrics"]["unweighted_accuracy"]
    table5 = {row["name"]: row["unweighted_accuracy"]["mean"] for row in _read("ravdess_table5")["systems"]}
    small = _read("which_one")["systems"]["PyResNet small"]["pairs"][0]["unweighted_accuracy"]["mean"]
    return {**table5, "built-in": built_in, "pyresnet-small": small}


def _read(folder: str) -> dict:
    return json.loads((RESULTS / folder / "results.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
