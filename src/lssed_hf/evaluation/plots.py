"""Pictures for reports, drawn without touching matplotlib's global state (pyplot)."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure


# Nearly white to blue in equal steps of OKLab, a perceptually uniform space: twice the per cent looks twice as blue.
_BLUES = LinearSegmentedColormap.from_list(
    "light_blues", ["#f8fafc", "#d3dfed", "#afc5de", "#8cabcf", "#6992bf", "#4678af", "#1f5f9f"]
)
_INK, _FAINT_INK, _EMPTY = "#1a202c", "#5a6575", "#f1f1f1"


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
        path: Where to write; its folder must exist.
        title: A line above the picture.

    Returns:
        The path.

    Raises:
        ValueError: The matrix is not square, holds negative numbers, or has another size than the labels.
    """
    counts = np.asarray(matrix)
    if counts.shape != (len(labels), len(labels)) or not len(labels):
        raise ValueError(f"{len(labels)} labels need a square matrix of that size, got shape {counts.shape}")
    if (counts < 0).any():
        raise ValueError("a confusion matrix holds counts, got a negative number")
    totals = counts.sum(axis=1, keepdims=True)
    percent = np.divide(100 * counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)

    side = 2.2 + 0.78 * len(labels)
    figure = Figure(figsize=(side, side), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
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
    if title:
        axes.set_title(title, fontsize=12, color=_INK, pad=12, wrap=True)

    # White lines between the cells instead of a frame and tick marks.
    axes.set_xticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(len(labels) - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)

    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)
