"""Tables of models in README.md: recorded UA, size of the weights, and time of a clip on this machine.

    python benchmarks/models_table.py [--chart docs/images/models.png]

UA is read from benchmarks/results. The chart shows the mean UA of the first table. A clip is 3.7 s of noise, the mean
length on RAVDESS; times are medians of systems that take turns, front end included, on as many threads as torch takes.
The networks of the second table have random weights, which changes no time.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import lssed_hf
from lssed_hf.evaluation.text_tables import markdown_table
from lssed_hf.experiments.leave_one_out import BY_SPEAKER
from lssed_hf.inference import AudioClassifier
from lssed_hf.inference.classifiers.classifier import Classifier
from lssed_hf.models.registry import create_feature_extractor
from timing import Case, measure


RESULTS = Path(__file__).parent / "results"
LABELS = ["angry", "neutral", "happy", "sad"]
ZOO = ("pyresnet-small", "pyresnet50", "vgg16", "resnet18", "fcn-attention-alexnet", "mts3-alexnet")


def main() -> None:
    """Print the tables, and draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the chart (.png)")
    args = parser.parse_args()
    if args.chart:
        draw_chart(args.chart)
    with tempfile.TemporaryDirectory() as folder:
        networks = {}
        for name in ZOO:
            lssed_hf.create_model(name, labels=LABELS).save_pretrained(Path(folder, name))
            create_feature_extractor(name, normalization="none").save_pretrained(Path(folder, name))
            networks[f"{name}, random"] = AudioClassifier(Path(folder, name))
        classifiers = {name: lssed_hf.load_classifier(name) for name in lssed_hf.list_pretrained()} | networks
        costs = cost_cells(classifiers)
    print(pretrained_table(costs))
    scores = zoo_scores()
    rows = [[f"`{name}`", f"{scores[name]:.3f}", *costs[f"{name}, random"]] for name in ZOO]
    print(markdown_table(["model", "UA, RAVDESS", "ms per clip", "MB"], rows))


def cost_cells(classifiers: Mapping[str, Classifier]) -> dict[str, list[str]]:
    """Return the cells of milliseconds and of megabytes by model."""
    clip = np.random.default_rng(0).normal(0, 0.1, round(3.7 * 16000)).astype(np.float32)

    def passes(classifier: Classifier) -> Callable[[], Any]:  # by itself, encoder-small would keep the embedding
        return torch.inference_mode()(lambda: classifier.model(**classifier.inputs([clip])))

    calls = {name: passes(classifier) for name, classifier in classifiers.items()}
    times = {one.contestant: one.median for one in measure(Case("a clip of 3.7 s", calls, {}, repeats=15))}
    sizes = {name: os.path.getsize(Path(each.name, "model.safetensors")) / 1e6 for name, each in classifiers.items()}
    return {name: [f"{times[name]:.0f}", f"{sizes[name]:.1f}"] for name in classifiers}


def pretrained_table(costs: Mapping[str, list[str]]) -> str:
    """Return the table of the models that come with the package: UA on corpora that were left out, and costs."""
    corpora, systems = _left_out()
    rows = []
    for name in costs:
        for system, given in ((name, "nothing"), (f"{name}, {BY_SPEAKER}", "speakers")):
            if system in systems:
                by_corpus = systems[system]["corpora"]
                scores = [by_corpus[corpus]["unweighted_accuracy"]["mean"] for corpus in corpora]
                cells = [f"{score:.3f}" for score in (*scores, np.mean(scores))]
                rows.append([f"`{name}`", given, *cells, *costs[name]])
    return markdown_table(["model", "known", *corpora, "mean UA", "ms per clip", "MB"], rows)


def draw_chart(path: Path) -> None:
    """Draw the mean UA of the models that come with the package, on corpora that were left out."""
    systems = {name: system["mean"]["unweighted_accuracy"] for name, system in _left_out()[1].items()}
    names = [name for name in lssed_hf.list_pretrained() if name in systems]
    figure = Figure(figsize=(7.2, 0.6 + 0.85 * len(names)), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    kinds = {"recordings of unknown people": ("", "#8cabcf"), "known which are of one person": (BY_SPEAKER, "#1f5f9f")}
    for offset, (title, (suffix, color)) in zip((-0.2, 0.2), kinds.items()):
        means = [systems[f"{name}, {suffix}" if suffix else name] for name in names]
        values = [mean["value"] for mean in means]
        errors = [[mean["value"] - mean["low"], mean["high"] - mean["value"]] for mean in means]
        heights = np.arange(len(names)) + offset
        axes.barh(heights, values, 0.36, xerr=np.transpose(errors), color=color, ecolor="#5a6575", label=title)
        for height, value in zip(heights, values):
            axes.text(
                0.01, height, f"{value:.2f}", va="center", color="#1a202c" if not suffix else "white", fontsize=9
            )
    axes.axvline(0.25, color="#5a6575", linewidth=1, linestyle=(0, (4, 3)), label="a guess")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("UA on corpora that were left out of the training", fontsize=9, color="#5a6575")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=8.5)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.1)


def zoo_scores() -> dict[str, float]:
    """Return the recorded UA on RAVDESS's test actors by network."""
    table5 = {row["name"]: row["unweighted_accuracy"]["mean"] for row in _read("ravdess_table5")["systems"]}
    small = _read("which_one")["systems"]["PyResNet small"]["pairs"][0]["unweighted_accuracy"]["mean"]
    return {**table5, "pyresnet-small": small}


def _left_out() -> tuple[list[str], dict[str, dict]]:
    """Return the corpora, and the systems by name, of the recorded comparisons of corpora that were left out."""
    recorded = [_read(folder) for folder in ("left_out_small", "left_out")]
    systems = {system["name"]: system for results in recorded for system in results["systems"]}
    return recorded[0]["corpora"], systems


def _read(folder: str) -> dict:
    return json.loads((RESULTS / folder / "results.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
