"""Picture of `lssed-hf stats`, drawn without the global state of matplotlib (pyplot)."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from ..wording import counted
from .statistics import UNKNOWN


_INK, _FAINT_INK, _LINE = "#1a202c", "#5a6575", "#d5dae1"
# Everyone tells blue from orange; the colour between them is lighter.
_SPLIT_COLOURS = {"train": "#1f5f9f", "validation": "#9bbbd9", "test": "#e08a2e"}
_OTHER_COLOURS = ("#1f5f9f", "#e08a2e", "#9bbbd9", "#6f8f3f", "#8a6fa8", "#8b94a1")
_LEGEND = {"frameon": False, "fontsize": 9.5, "labelcolor": _INK, "handlelength": 1, "handleheight": 1}
_GENDER_COLOURS = {"female": "#7b5ea7", "male": "#3f9486", UNKNOWN: "#b4bcc8"}


def plot_statistics(statistics: Mapping[str, Any], path: str | os.PathLike) -> Path:
    """Draw utterances by emotion and split, durations, and speakers by gender and age group, as a PNG.

    Args:
        statistics: Counts from `corpus_statistics`. Unknown ones are left out of the picture.
        path: File to write, in a folder that exists.

    Returns:
        Path of the file.
    """
    emotions = {name: row for name, row in statistics["emotions"].items() if row["total"]}
    colours = _split_colours(list(statistics["splits"]))
    histogram = statistics["durations"]["histogram"]
    speakers = statistics["speakers"] and _speaker_bars(statistics["speakers"]["table"])
    # Inches of the panels at the right, one above the other, and at the left.
    heights = [2.4] if histogram else []
    if speakers:
        heights.append(0.5 + 0.2 * len(speakers))
    height = 1.6 + max(0.36 * len(emotions), sum(heights) + 0.7 * (len(heights) - 1), 1.5)
    columns = 2 if heights else 1
    size = (12.6 if heights else 6.8, height)
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    figure.suptitle(_summary(statistics), x=0.01, ha="left", fontsize=12.5, color=_INK)

    grid = figure.add_gridspec(
        max(len(heights), 1), columns, height_ratios=heights or None, width_ratios=[1.25, 1][:columns]
    )
    _draw_emotions(figure.add_subplot(grid[:, 0]), emotions, colours, statistics["label_column"])
    if histogram:
        _draw_durations(figure.add_subplot(grid[0, 1]), histogram, colours)
    if speakers:
        _draw_speakers(figure.add_subplot(grid[-1, 1]), speakers)
    figure.savefig(path, format="png", bbox_inches="tight", pad_inches=0.15)
    return Path(path)


def _summary(statistics: Mapping[str, Any]) -> str:
    corpus = statistics["corpus"]
    facts = [counted(corpus["utterances"], "utterance")]
    if corpus["speakers"] is not None:
        facts.append(counted(corpus["speakers"], "speaker"))
    if (seconds := corpus["seconds"]) is not None:
        facts.append(f"{seconds / 3600:,.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes")
    return f"{_shortened(statistics['name'], 40)}: {', '.join(facts)}"


def _split_colours(splits: Sequence[str]) -> dict[str, str]:
    if set(splits) <= set(_SPLIT_COLOURS):
        return {split: _SPLIT_COLOURS[split] for split in splits}
    return {split: _OTHER_COLOURS[index % len(_OTHER_COLOURS)] for index, split in enumerate(splits)}


def _draw_emotions(
    axes: Axes, emotions: Mapping[str, Mapping[str, Any]], colours: Mapping[str, str], label_column: str
) -> None:
    names = sorted(emotions, key=lambda name: -emotions[name]["total"])
    begin = [0] * len(names)
    for split, colour in colours.items():
        numbers = [emotions[name]["splits"][split] for name in names]
        axes.barh(range(len(names)), numbers, left=begin, height=0.68, color=colour, label=_shortened(split, 20))
        begin = [left + number for left, number in zip(begin, numbers)]
    for row, name in enumerate(names):
        percent = emotions[name]["percent"]
        share = f"{percent:.1f} %" if percent >= 0.05 else "< 0.1 %"
        axes.text(begin[row], row, f" {begin[row]:,}  ({share})", va="center", fontsize=9, color=_INK)
    axes.set_yticks(range(len(names)), [_shortened(name, 20) for name in names])
    axes.set_ylim(max(len(names), 5) - 0.4, -0.6)  # few bars stay slim
    _finish(axes, f"Utterances by {label_column}")
    _drop_axis(axes)
    if len(colours) > 1:  # the legend, of the durations too, stands right below the last bar
        below = {"bbox_to_anchor": (0, len(names) - 0.5), "bbox_transform": axes.transData}
        axes.legend(loc="upper left", ncols=4, borderpad=0, borderaxespad=0.5, **below, **_LEGEND)


def _draw_durations(axes: Axes, histogram: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    edges, tail = histogram["edges"], histogram["tail"]
    bins = len(edges) - 1
    begin = [0] * bins
    for split, colour in colours.items():
        numbers = histogram["splits"][split]
        axes.bar(range(bins), numbers, bottom=begin, width=0.94, align="edge", color=colour)
        begin = [low + number for low, number in zip(begin, numbers)]
    # The bin of the longest clips is open: its right edge has no place on this axis.
    ticks = range(0, bins if tail else bins + 1, max(1, round(bins / 8)))
    axes.set_xticks([tick - 0.03 for tick in ticks], [f"{edges[tick]:g}" for tick in ticks])
    if tail:
        note = f"the last bar is all over {edges[-2]:g} s, up to {edges[-1]:,.1f} s"
        axes.set_xlabel(note, loc="right", fontsize=8, color=_FAINT_INK)
    axes.set_xlim(-0.2, max(bins, 5) + 0.2)
    _finish(axes, "Clips by duration (seconds)")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", color=_LINE, linewidth=0.7)


def _speaker_bars(table: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int]]:
    """Return age group, gender and number of speakers of each bar, top to bottom."""
    genders = [gender for gender in table if gender != "total" and table[gender]["total"]]
    ages = [age for age in table["total"] if age != "total" and table["total"][age]]
    return [(age, gender, table[gender][age]) for age in ages for gender in genders]


def _draw_speakers(axes: Axes, bars: Sequence[tuple[str, str, int]]) -> None:
    genders = list(dict.fromkeys(gender for _, gender, _ in bars))
    ages = list(dict.fromkeys(age for age, _, _ in bars))
    height = 0.8 / len(genders)
    for index, gender in enumerate(genders):
        rows = [row + (index - (len(genders) - 1) / 2) * height for row in range(len(ages))]
        numbers = [number for _, other, number in bars if other == gender]
        colour = _GENDER_COLOURS.get(gender, _OTHER_COLOURS[index % len(_OTHER_COLOURS)])
        axes.barh(rows, numbers, height=0.9 * height, color=colour, label=_shortened(gender, 16))
        for row, number in zip(rows, numbers):
            axes.text(number, row, f" {number:,}", va="center", fontsize=9, color=_INK)
    names = ["age unknown" if age == UNKNOWN else _shortened(age.replace("_", " "), 16) for age in ages]
    axes.set_yticks(range(len(ages)), names)
    axes.set_ylim(len(ages) - 0.5, -0.5)
    _finish(axes, "Speakers by gender and age group")
    _drop_axis(axes)
    axes.legend(loc="center left", bbox_to_anchor=(0.99, 0.5), **_LEGEND)


def _finish(axes: Axes, title: str) -> None:
    """Give a panel its title and the look of all panels."""
    axes.set_title(title, loc="left", fontsize=11, color=_INK, pad=10)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=9.5, labelcolor=_INK)
    axes.set_axisbelow(True)


def _drop_axis(axes: Axes) -> None:
    """Replace the axis of horizontal bars, whose numbers stand at their ends, by room for the longest."""
    axes.set_xticks([])
    axes.margins(x=0.3)


def _shortened(name: str, longest: int) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
