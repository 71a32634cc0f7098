"""Numbers of a report of depression detection, recomputed from predictions and label files without the package."""

import csv
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy.optimize import bisect
from scipy.special import betaincinv
from sklearn.metrics import roc_auc_score


Z = 1.959963984540054


def exact(hits: float, number: float) -> tuple[float, float]:
    low = betaincinv(hits, number - hits + 1, 0.025) if hits else 0.0
    return low, betaincinv(hits + 1, number - hits, 0.975) if hits < number else 1.0


def cell(value: float, bounds: tuple[float, float], by_seed: list[float]) -> str:
    deviation = f" ± {stdev(by_seed):.3f}" if len(by_seed) > 1 else ""
    return f"{value:.3f}{deviation} [{bounds[0]:.3f}, {bounds[1]:.3f}]"


def read_people(path: Path) -> dict[str, tuple[int, float, str]]:
    """Return class, mean probability and code of gender of each participant of a predictions.csv."""
    rows: dict[str, list[dict]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["speaker"], []).append(row)
    return {
        name: (
            int(of_person[0]["reference"] == "depressed"),
            mean(float(row["probability_depressed"]) for row in of_person),
            of_person[0]["gender_code"],
        )
        for name, of_person in rows.items()
    }


def counts(people: dict[str, tuple[int, float, str]], threshold: float) -> dict[str, int]:
    called = [(label, score > threshold) for label, score, _ in people.values()]
    return {
        "TP": sum(label and call for label, call in called),
        "FN": sum(label and not call for label, call in called),
        "TN": sum(not label and not call for label, call in called),
        "FP": sum(not label and call for label, call in called),
    }


def share_of(runs: list[dict[str, int]], above: str, below: str) -> tuple[float, tuple[float, float], list[float]]:
    """Return a share of summed counts, its exact interval for mean counts, and the shares by run."""
    over, under = (mean(sum(run[key] for key in keys.split()) for run in runs) for keys in (above, below))
    singles = [
        sum(run[key] for key in above.split()) / number
        for run in runs
        if (number := sum(run[key] for key in below.split()))
    ]
    return (over / under, exact(over, under), singles) if under else (None, None, [])


def shares(runs: list[dict[str, int]]) -> dict[str, str]:
    """Return the cells of a system's scores by participant that follow from its decisions."""
    cells = {}
    wa = share_of(runs, "TP TN", "TP TN FP FN")
    sensitivity, specificity = share_of(runs, "TP", "TP FN"), share_of(runs, "TN", "TN FP")
    ua = mean([sensitivity[0], specificity[0]])
    reach = [sqrt(sum((part[0] - part[1][side]) ** 2 for part in (sensitivity, specificity))) / 2 for side in (0, 1)]
    ua_by_seed = [mean(pair) for pair in zip(sensitivity[2], specificity[2], strict=True)]
    cells["WA"] = cell(*wa)
    cells["UA"] = cell(ua, (max(ua - reach[0], 0), min(ua + reach[1], 1)), ua_by_seed)
    rows = {"sensitivity": sensitivity, "specificity": specificity}
    rows |= {"PPV": share_of(runs, "TP", "TP FP"), "NPV": share_of(runs, "TN", "TN FN")}
    for name, (value, bounds, by_seed) in rows.items():
        cells[name] = "not estimable" if value is None else cell(value, bounds, by_seed)
    for name, right in (("F1 depressed", "TP"), ("F1 not depressed", "TN")):
        value, bounds, by_seed = share_of(runs, right, f"{right} FP FN")
        f1 = [2 * number / (1 + number) for number in (value, *bounds, *by_seed)]
        cells[name] = cell(f1[0], (f1[1], f1[2]), f1[3:])
    return cells


def probabilities(runs: list[dict[str, tuple[int, float, str]]]) -> dict[str, str]:
    """Return the cells of AUC and Brier score."""
    labels = np.array([label for label, _, _ in runs[0].values()])
    scores = np.array([[score for _, score, _ in run.values()] for run in runs])
    areas = [roc_auc_score(labels, row) for row in scores]
    area, (ill, well) = mean(areas), (int(labels.sum()), int((1 - labels).sum()))

    def misfit(truth: float) -> float:
        half = (ill + well) / 2 - 1
        q1, q2 = truth / (2 - truth), 2 * truth**2 / (1 + truth)
        spread = truth * (1 - truth) + half * (q1 - truth**2) + half * (q2 - truth**2)
        return abs(area - truth) - Z * sqrt(max(spread, 0) / (ill * well))

    low = 0.0 if area == 0 else bisect(misfit, 1e-12, min(area, 1 - 1e-9))
    high = 1.0 if area == 1 else bisect(misfit, max(area, 1e-9), 1 - 1e-12)
    errors = (scores - labels) ** 2
    means, value = errors.mean(axis=0), float(errors.mean())
    from scipy.stats import t

    number = value * (1 - value) / (means.var(ddof=1) / len(means)) * (Z / t.ppf(0.975, len(means) - 1)) ** 2
    brier = cell(value, exact(value * number, number), errors.mean(axis=1).tolist())
    return {"AUC": cell(area, (low, high), areas), "Brier score": brier}


def threshold_of(people: dict[str, tuple[int, float, str]]) -> float:
    """Return the threshold with the highest balanced accuracy that is closest to a half."""
    scores = sorted({score for _, score, _ in people.values()})
    candidates = [0.5, *((low + high) / 2 for low, high in pairwise(scores))]

    def balanced(threshold: float) -> float:
        run = counts(people, threshold)
        return run["TP"] / (run["TP"] + run["FN"]) + run["TN"] / (run["TN"] + run["FP"])

    best = max(map(balanced, candidates))
    return min((one for one in candidates if balanced(one) > best - 1e-9), key=lambda one: abs(one - 0.5))


def phq8_cells(
    held_out: list[dict[str, tuple[int, float, str]]], scored: list[dict[str, tuple[int, float, str]]], truth: dict
) -> dict[str, str]:
    """Return MAE, RMSE and CCC without their intervals, of lines that the held-out people of each run fit."""
    rows = []
    for fitted, people in zip(held_out, scored, strict=True):
        known = np.array([[score, truth[name]] for name, (_, score, _) in fitted.items()])
        line = np.poly1d(np.polyfit(known[:, 0], known[:, 1], 1))
        right = np.array([truth[name] for name in people], dtype=float)
        guess = np.clip([line(score) for _, score, _ in people.values()], 0, 24)
        covariance = np.cov(right, guess, ddof=0)
        ccc = 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + (right.mean() - guess.mean()) ** 2)
        rows.append([np.abs(right - guess).mean(), np.sqrt(((right - guess) ** 2).mean()), ccc])
    columns = dict(zip(("MAE", "RMSE", "CCC"), np.array(rows).T.tolist(), strict=True))
    return {name: f"{mean(values):.3f} ± {stdev(values):.3f}" for name, values in columns.items()}


def read_tables(report: Path) -> dict[str, list[dict[str, str]]]:
    """Return the first table of each section of a report, rows by header."""
    tables: dict[str, list[dict[str, str]]] = {}
    for section in report.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("|")]
        cells = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
        if len(cells) > 2:
            tables[title] = [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]
    return tables
