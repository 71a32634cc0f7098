"""Picture of README.md: UA with intervals of the systems of a recorded benchmark, the best first.

python benchmarks/draw_systems.py docs/images/systems.png
"""

import argparse
import json
from pathlib import Path

from lssed_hf.evaluation.plots import plot_scores


RESULTS = Path(__file__).parent / "results" / "ravdess_table5" / "results.json"
#: How a report writes the names of backbones and algorithms.
NAMES = {
    "adv-vgg16": "ADV-VGG-16",
    "fcn-attention-alexnet": "FCN-Attention (AlexNet)",
    "mts3-alexnet": "MTS, 3 branches (AlexNet)",
    "pyresnet50": "PyResNet-50",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "vgg11": "VGG-11",
    "vgg16": "VGG-16",
}


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the PNG file to write")
    parser.add_argument("--results", type=Path, default=RESULTS, help="results.json of `lssed-hf benchmark`")
    args = parser.parse_args()
    results = json.loads(args.results.read_text(encoding="utf-8"))
    rows = []
    for system in results["systems"]:
        score = system["unweighted_accuracy"]
        rows.append(
            {
                "name": NAMES.get(system["name"], system["name"]),
                "value": score["mean"],
                "low": score["low"],
                "high": score["high"],
                "points": list(score["by_seed"].values()),
                "published": None,
            }
        )
    rows.sort(key=lambda row: -row["value"])
    label = f"UA of {results['num_utterances']} test clips of {results['corpus']}, with 95 % intervals"
    plot_scores(rows, args.output, majority=results["majority"]["unweighted_accuracy"], xlabel=label)


if __name__ == "__main__":
    main()
