"""Pictures for reports, drawn without touching matplotlib's global state (pyplot)."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from sklearn.metrics import roc_curve

from .text_tables import fixed


# Nearly white to blue in equal steps of OKLab, a perceptually uniform space, so that twice the per cent looks twice as
# blue.
_BLUES = LinearSegmentedColormap.from_list(
    "light_blues", ["#f8fafc", "#d3dfed", "#afc5de", "#8cabcf", "#6992bf", "#4678af", "#1f5f9f"]
)
# White for no loss, red for a large loss, blue for a target that is easier than the source.
_LOSSES = LinearSegmentedColormap.from_list(
    "losses", ["#1f5f9f", "#6992bf", "#afc5de", "#f8fafc", "#edc2b5", "#dc8670", "#b03a2e"]
)
_CURVES = (
    *("#1f5f9f", "#c05621", "#2f855a", "#805ad5", "#5a6575", "#b7791f"),
    *("#0e9aa7", "#c2417c", "#86a93a", "#3b2f73", "#7a4a2b", "#e07a9b"),
)
_MARKERS = ("o", "s", "D")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_INK, _FAINT_INK, _EMPTY, _LINE, _BLUE = "#1a202c", "#5a6575", "#f1f1f1", "#d5dae1", "#1f5f9f"


def plot_confusion_matrix(
    matrix: Sequence[Sequence[int]] | np.ndarray,
    labels: Sequence[str],
    path: str | os.PathLike,
    title: str | None = None,
) -> Path:
    """Draw a confusion matrix as a PNG: per cent of each row, with the counts below.

    The colours always run from 0 to 100 %, so pictures of different systems compare.

    Args:
        matrix: Counts (C, C); rows are references, columns predictions. A row without references stays grey.
        labels: Class names, (C,).
        path: File to write; its folder must exist.
        title: Line above the picture.

    Returns:
        The path.

    Raises:
        ValueError: The matrix is not square, holds negative numbers, or has another size than the labels.
    """
    return plot_confusion_matrices({title: matrix}, labels, path)


def plot_confusion_matrices(
    matrices: Mapping[str | None, Sequence[Sequence[int]] | np.ndarray],
    labels: Sequence[str],
    path: str | os.PathLike,
) -> Path:
    """Draw confusion matrices side by side, as in the paper's Figure 2.

    Args:
        matrices: Counts (C, C) by title; None is no title.
        labels: Class names, (C,).
        path: File to write; its folder must exist.

    Returns:
        The path.

    Raises:
        ValueError: See `plot_confusion_matrix`.
    """
    counts = [_checked_counts(matrix, labels) for matrix in matrices.values()]
    side = 2.2 + 0.78 * len(labels)
    figure = Figure(figsize=(side * len(counts), side), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for index, (title, matrix) in enumerate(zip(matrices, counts, strict=True)):
        axes = figure.add_subplot(1, len(counts), index + 1)
        _draw_confusion(axes, matrix, labels)
        if title:
            # matplotlib wraps by the width of the figure, not of the panel.
            wrapped = title if len(counts) == 1 else textwrap.fill(title, 10 + 8 * len(labels))
            axes.set_title(wrapped, fontsize=12, color=_INK, pad=12, wrap=True)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_scores(
    rows: Sequence[Mapping[str, Any]],
    path: str | os.PathLike,
    *,
    majority: float,
    xlabel: str = "UA",
) -> Path:
    """Draw one score of several systems as dots with their intervals, beside the score of the majority class.

    Args:
        rows: Systems from top to bottom: `name`, `value`, `low` and `high` (None for no interval), `published`, the
            paper's score or None, and `points`, the scores of single seeds.
        path: File to write; its folder must exist.
        majority: Score of always answering with the largest class.
        xlabel: Name of the score.

    Returns:
        The path.
    """
    figure = Figure(figsize=(8.2, 1.7 + 0.38 * len(rows)), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axvline(majority, color=_FAINT_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1, label="majority class")
    for height, row in enumerate(rows):
        if row["low"] is not None:
            axes.plot([row["low"], row["high"]], [height] * 2, color="#8cabcf", linewidth=3, solid_capstyle="round")
        if len(row["points"]) > 1:
            label = "single seeds" if "single seeds" not in axes.get_legend_handles_labels()[1] else None
            heights = [height] * len(row["points"])
            axes.plot(row["points"], heights, "|", color=_BLUE, markersize=9, zorder=3, label=label)
    heights = range(len(rows))
    axes.plot([row["value"] for row in rows], heights, "o", color=_BLUE, markersize=7, zorder=4, label="here")
    published = [(row["published"], height) for height, row in zip(heights, rows) if row["published"] is not None]
    if published:
        hollow = {"markerfacecolor": "white", "markeredgecolor": "#c05621", "markeredgewidth": 1.6, "markersize": 7}
        axes.plot(*zip(*published), "D", zorder=5, label="paper, on LSSED", linestyle="none", **hollow)
    axes.set_yticks(heights, [textwrap.shorten(row["name"], 44, placeholder=" …") for row in rows], fontsize=10)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(xlabel, fontsize=10, color=_FAINT_INK)
    axes.grid(axis="x", color=_LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    handles, _ = axes.get_legend_handles_labels()
    look = {"frameon": False, "fontsize": 9.5, "labelcolor": _INK}
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), **look)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_losses(
    losses: Mapping[str, np.ndarray],
    details: Mapping[str, Sequence[Sequence[str]]],
    names: Sequence[str],
    path: str | os.PathLike,
) -> Path:
    """Draw losses on other corpora as heat maps side by side; colours run from -0.6 to 0.6.

    Args:
        losses: Losses (M, M) by title: rows are corpora of training, columns corpora of testing; NaN where nothing was
            tested.
        details: Small text for each cell, M x M, by title.
        names: Names of the M corpora.
        path: File to write; its folder must exist.

    Returns:
        The path.
    """
    side = 2.4 + 1.1 * len(names)
    figure = Figure(figsize=(side * len(losses), side), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    for index, (title, matrix) in enumerate(losses.items()):
        axes = figure.add_subplot(1, len(losses), index + 1)
        axes.imshow(matrix, cmap=_LOSSES.with_extremes(bad=_EMPTY), vmin=-0.6, vmax=0.6)
        for row, column in np.argwhere(~np.isnan(matrix)):
            loss = matrix[row, column]
            ink = "white" if abs(loss) > 0.4 else _INK
            text = "own" if row == column else fixed(loss, "+.3f")
            axes.text(column, row + 0.02, text, ha="center", va="bottom", fontsize=11, color=ink)
            axes.text(column, row + 0.08, details[title][row][column], ha="center", va="top", fontsize=7.5, color=ink)
        axes.set_xticks(range(len(names)), names, fontsize=10, color=_INK)
        axes.set_yticks(range(len(names)), names, fontsize=10, color=_INK)
        axes.set_xlabel("tested on", fontsize=10, color=_FAINT_INK, labelpad=8)
        axes.set_ylabel("trained on", fontsize=10, color=_FAINT_INK, labelpad=8)
        axes.set_title(title, fontsize=12, color=_INK, pad=12)
        _white_lines(axes, len(names))
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_curves(
    curves: Mapping[str, Mapping[str, Sequence[Mapping[str, float | None]]]],
    path: str | os.PathLike,
    *,
    xlabel: str,
    ylabel: str = "UA",
) -> Path:
    """Draw scores against a small whole number, one panel per title, with intervals as bars.

    Args:
        curves: Points of `x`, `value`, `low` and `high` (None for no interval), by title of the panel and name of the
            curve.
        path: File to write; its folder must exist.
        xlabel: Name of the horizontal axis.
        ylabel: Name of the vertical axis.

    Returns:
        The path.
    """
    figure = Figure(figsize=(1.2 + 4.6 * len(curves), 4.4), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    names = list(dict.fromkeys(name for panel in curves.values() for name in panel))
    first = None
    for index, (title, panel) in enumerate(curves.items()):
        axes = first = figure.add_subplot(1, len(curves), index + 1, sharey=first)
        ticks = sorted({point["x"] for points in panel.values() for point in points})
        for name, points in panel.items():
            number = names.index(name)
            colour = _CURVES[number % len(_CURVES)]
            # Numbers such as 1, 2, 4, 8 are equally far apart, and the bars of one number stand side by side.
            at = [ticks.index(point["x"]) + 0.07 * (number - (len(names) - 1) / 2) for point in points]
            axes.plot(
                at,
                [point["value"] for point in points],
                f"{_MARKERS[number // len(_CURVES) % len(_MARKERS)]}-",
                color=colour,
                markersize=6,
                label=name,
                zorder=3,
            )
            for x, point in zip(at, points):
                if point["low"] is not None:
                    axes.plot([x, x], [point["low"], point["high"]], color=colour, linewidth=1.6, alpha=0.45)
        axes.set_xticks(range(len(ticks)), [str(tick) for tick in ticks])
        axes.set_title(title, fontsize=12, color=_INK, pad=12)
        axes.set_xlabel(xlabel, fontsize=10, color=_FAINT_INK)
        axes.grid(axis="y", color=_LINE, linewidth=0.7)
        axes.tick_params(length=0, labelcolor=_INK)
        axes.spines[:].set_visible(False)
        axes.legend(frameon=False, fontsize=9.5, labelcolor=_INK, loc="lower right")
        if index == 0:
            axes.set_ylabel(ylabel, fontsize=10, color=_FAINT_INK)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_trade_off(
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]],
    costs: Mapping[str, Mapping[str, float]],
    path: str | os.PathLike,
    *,
    ylabel: str = "UA",
) -> Path:
    """Draw scores of systems against their costs: a column per test set, and a row with a logarithmic axis per cost.

    Args:
        scores: `mean`, `low` and `high` (None for no interval), by title of the column and name of the system.
        costs: Positive costs, by name of the axis and of the system. Systems without a cost are left out of the row.
            Systems with costs that differ by less than a tenth stand side by side.
        path: File to write; its folder must exist.
        ylabel: Name of the score.

    Returns:
        The path.
    """
    names = list(dict.fromkeys(name for panel in scores.values() for name in panel))
    size = (1.2 + 3.3 * len(scores), 0.9 + 3.1 * len(costs) + 0.26 * -(-len(names) // 3))
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(costs), len(scores), sharey=True, sharex="row", squeeze=False)
    for index, (xlabel, cost) in enumerate(costs.items()):
        row = grid[index]
        places = _side_by_side(cost)
        for axes, (title, panel) in zip(row, scores.items()):
            for name in panel.keys() & cost.keys():
                number, score = names.index(name), panel[name]
                look = {"color": _CURVES[number % len(_CURVES)], "zorder": 3}
                if score["low"] is not None:
                    axes.plot([places[name]] * 2, [score["low"], score["high"]], linewidth=1.6, alpha=0.45, **look)
                marker = _MARKERS[number // len(_CURVES) % len(_MARKERS)]
                axes.plot(places[name], score["mean"], marker, markersize=7, linestyle="none", label=name, **look)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.margins(x=0.08)
            axes.set_xlabel(xlabel, fontsize=10, color=_FAINT_INK)
            axes.grid(color=_LINE, linewidth=0.7)
            axes.tick_params(which="both", length=0, labelcolor=_INK)
            axes.spines[:].set_visible(False)
            if index == 0:
                axes.set_title(title, fontsize=12, color=_INK, pad=10)
        row[0].set_ylabel(ylabel, fontsize=10, color=_FAINT_INK)
    shown: dict[str, Any] = {}
    for axes in grid.flat:
        for handle, name in zip(*axes.get_legend_handles_labels()):
            shown.setdefault(name, handle)
    order = sorted(shown, key=names.index)
    legend = {"frameon": False, "fontsize": 9.5, "labelcolor": _INK, "ncols": 3}
    figure.legend([shown[name] for name in order], order, loc="outside lower center", **legend)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def _side_by_side(cost: Mapping[str, float]) -> dict[str, float]:
    """Return costs with those that are about the same moved apart by fortieths of a logarithmic axis."""
    clusters: list[list[str]] = []
    for name in sorted(cost, key=cost.__getitem__):
        if clusters and cost[name] < 1.1 * cost[clusters[-1][0]]:
            clusters[-1].append(name)
        else:
            clusters.append([name])
    step = max(1.05, (max(cost.values()) / min(cost.values())) ** (1 / 40)) if cost else 1
    return {
        name: cost[name] * step ** (place - (len(cluster) - 1) / 2)
        for cluster in clusters
        for place, name in enumerate(cluster)
    }


def plot_roc(
    scores: Mapping[str, np.ndarray], references: np.ndarray, path: str | os.PathLike, *, title: str | None = None
) -> Path:
    """Draw ROC curves: the share of positives found against the share of false alarms.

    Later curves are thinner and have other dashes, so that curves on top of each other can be told apart.

    Args:
        scores: Probability of the positive class, (N,), by name of the curve.
        references: Classes, 1 for positive and 0 for negative, (N,); both must occur.
        path: File to write; its folder must exist.
        title: Line above the picture.

    Returns:
        The path.
    """
    figure = Figure(figsize=(5.2, 5.2), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1, linestyle=(0, (4, 3)))
    for index, (name, values) in enumerate(scores.items()):
        alarms, found, _ = roc_curve(references, values, drop_intermediate=False)
        name = textwrap.shorten(name, 40, placeholder=" …")
        width = 1.2 + 4.8 * (1 - index / len(scores)) if len(scores) > 1 else 1.8
        style = _DASHES[index % len(_DASHES)]
        axes.plot(alarms, found, color=_CURVES[index % len(_CURVES)], linewidth=width, linestyle=style, label=name)
    axes.set_xlabel("false alarms (1 − specificity)", fontsize=10, color=_FAINT_INK)
    axes.set_ylabel("found (sensitivity)", fontsize=10, color=_FAINT_INK)
    axes.set_aspect("equal")
    axes.grid(color=_LINE, linewidth=0.7)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK, loc="lower right")
    if title:
        axes.set_title(title, fontsize=11, color=_INK, wrap=True)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_reliability(calibrations: Mapping[str, Mapping[str, Any]], path: str | os.PathLike) -> Path:
    """Draw how often predictions are right against their confidence, one line per system, as a PNG.

    Args:
        calibrations: Result of `calibration` by name of the system.
        path: File to write; its folder must exist.

    Returns:
        The path.
    """
    figure = Figure(figsize=(5.4, 5.0), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1.2, zorder=1)
    for number, (name, row) in enumerate(calibrations.items()):
        colour = _CURVES[number % len(_CURVES)]
        points = [(bin["confidence"], bin["accuracy"], bin["count"]) for bin in row["bins"]]
        confidences, accuracies, counts = (np.array(values) for values in zip(*points))
        axes.plot(confidences, accuracies, "-", color=colour, zorder=2, label=f"{name} (ECE {row['ece']:.2f})")
        axes.scatter(confidences, accuracies, s=10 + 120 * counts / counts.max(), color=colour, zorder=3)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence", fontsize=10, color=_FAINT_INK)
    axes.set_ylabel("accuracy", fontsize=10, color=_FAINT_INK)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=9.5, labelcolor=_INK, loc="upper left")
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_observed_shares(systems: Mapping[str, Sequence[Mapping[str, Any]]], path: str | os.PathLike) -> Path:
    """Draw how many people are depressed against their score, with exact intervals: the calibration of the scores.

    Args:
        systems: Result of `observed_shares` by name of the system.
        path: File to write; its folder must exist.

    Returns:
        The path.
    """
    figure = Figure(figsize=(5.6, 5.0), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_LINE, linewidth=1.2, zorder=1)
    for number, (name, rows) in enumerate(systems.items()):
        shift = 0.012 * (number - (len(systems) - 1) / 2)  # so that bars of systems stand beside each other
        points = [(row["score"] + shift, row["successes"] / row["trials"], row) for row in rows]
        scores, observed = [point[0] for point in points], np.array([point[1] for point in points])
        bounds = np.array([[row["low"], row["high"]] for _, _, row in points]).T
        axes.errorbar(
            scores,
            observed,
            yerr=np.abs(bounds - observed),
            color=_CURVES[number % len(_CURVES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=5,
            linewidth=1.2,
            elinewidth=0.9,
            capsize=2,
            label=textwrap.shorten(name, 40, placeholder=" …"),
        )
        for score, share, row in points:
            axes.annotate(f"{row['trials']}", (score, share), (3, 4), textcoords="offset points", fontsize=7)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("score of a participant", fontsize=10, color=_FAINT_INK)
    axes.set_ylabel("share who are depressed, with number of participants", fontsize=10, color=_FAINT_INK)
    axes.grid(color=_LINE, linewidth=0.7)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, labelcolor=_INK, loc="upper left")
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def plot_people(
    scores: Mapping[str, np.ndarray],
    references: np.ndarray,
    path: str | os.PathLike,
    *,
    names: Sequence[str],
    xlabel: str,
) -> Path:
    """Draw the score of every person as a dot, a row per system, coloured by class. No person is named.

    Args:
        scores: Scores between 0 and 1, (N,), by name of the system.
        references: Class number of each person, (N,).
        path: File to write; its folder must exist.
        names: Names of the classes.
        xlabel: Name of the score.

    Returns:
        The path.
    """
    figure = Figure(figsize=(8.2, 1.5 + 0.75 * len(scores)), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axvline(0.5, color=_FAINT_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for height, values in enumerate(scores.values()):
        for number, name in enumerate(names):
            chosen = np.sort(values[references == number])
            # Each class has its lane, and equal scores are moved a little up and down.
            lane = height + 0.18 * (2 * number - 1) + 0.1 * (np.arange(len(chosen)) % 3 - 1)
            label = name if height == 0 else None
            axes.plot(chosen, lane, "o", color=_CURVES[number], markersize=5, alpha=0.75, label=label)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(len(scores) - 0.45, -0.55)
    axes.set_yticks(range(len(scores)), [textwrap.shorten(name, 40, placeholder=" …") for name in scores], fontsize=10)
    axes.set_xlabel(xlabel, fontsize=10, color=_FAINT_INK)
    axes.grid(axis="x", color=_LINE, linewidth=0.7)
    axes.tick_params(length=0, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    figure.legend(loc="outside upper left", ncols=len(names), frameon=False, fontsize=9.5, labelcolor=_INK)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def _checked_counts(matrix: Sequence[Sequence[int]] | np.ndarray, labels: Sequence[str]) -> np.ndarray:
    counts = np.asarray(matrix)
    if counts.shape != (len(labels), len(labels)) or not len(labels):
        raise ValueError(f"{len(labels)} labels need a square matrix of that size, got shape {counts.shape}")
    if (counts < 0).any():
        raise ValueError("a confusion matrix holds counts, got a negative number")
    return counts


def _draw_confusion(axes: Axes, counts: np.ndarray, labels: Sequence[str]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    axes.imshow(percent, cmap=_BLUES.with_extremes(bad=_EMPTY), vmin=0, vmax=100)

    for row, column in np.argwhere(~np.isnan(percent)):
        share = percent[row, column]
        ink, faint_ink = ("white", "white") if share > 60 else (_INK, _INK if share > 20 else _FAINT_INK)
        axes.text(column, row + 0.02, f"{share:.1f}", ha="center", va="bottom", fontsize=11, color=ink)
        axes.text(column, row + 0.1, f"{counts[row, column]:,}", ha="center", va="top", fontsize=7.5, color=faint_ink)

    ticks = range(len(labels))
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if len(labels) > 4 else {}
    axes.set_xticks(ticks, labels, fontsize=10, color=_INK, **slanted)
    rows = [f"{label}\n{total:,}" for label, total in zip(labels, totals[:, 0], strict=True)]
    axes.set_yticks(ticks, rows, fontsize=10, color=_INK, linespacing=1.3)
    axes.set_xlabel("Predicted (% of the row, count below)", fontsize=10, color=_FAINT_INK, labelpad=8)
    axes.set_ylabel("True", fontsize=10, color=_FAINT_INK, labelpad=8)
    _white_lines(axes, len(labels))


def _white_lines(axes: Axes, size: int) -> None:
    """Draw white lines between the cells of a matrix instead of a frame and tick marks."""
    axes.set_xticks(np.arange(size - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(size - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
