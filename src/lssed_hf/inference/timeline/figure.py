"""Picture of emotion over time, drawn without matplotlib's global state (pyplot)."""

from collections.abc import Iterable, Sequence
from itertools import groupby

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from ..classifiers.outputs import Outputs, outputs_of
from .envelope import Envelope
from .formats import tiers
from .scoring import NO_TURN, TimelineSegment


_COLOURS = (
    *("#1f5f9f", "#c05621", "#2f855a", "#805ad5", "#b7791f", "#d53f8c", "#319795", "#5a6575", "#9b2c2c", "#8cabcf"),
    *matplotlib.colormaps["tab20"].colors,
)
_INK, _FAINT_INK, _EMPTY, _WAVE = "#1a202c", "#5a6575", "#f1f1f1", "#6992bf"
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds between ticks
_MOST_TICKS = 12


def draw_timeline(
    segments: Iterable[TimelineSegment],
    labels: Sequence[str] | Outputs,
    envelope: Envelope | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """Draw probabilities over time, stacked, below the waveform; with turns a panel for each speaker.

    Where a clip may have several classes, probabilities are lines, and so are dimensions of a regression model. The
    mean is drawn where windows overlap (see `formats.flatten`). Segments that were not scored are grey.

    Args:
        segments: Segments of `score_timeline`.
        labels: Labels of the classifier, (num_labels,); or its `outputs`, which any kind of model has.
        envelope: Outline that `score_timeline` filled; None for no waveform.
        title: Line above the picture.

    Returns:
        Figure with a canvas of its own; `savefig` needs no display.

    Raises:
        ValueError: There are no segments.

    Examples:
        >>> import numpy as np
        >>> from lssed_hf import draw_timeline
        >>> from lssed_hf.inference.timeline.scoring import TimelineSegment
        >>> segments = [TimelineSegment(0, 3, np.array([0.8, 0.2])), TimelineSegment(3, 6, np.array([0.4, 0.6]))]
        >>> draw_timeline(segments, ["angry", "sad"], title="interview.wav").savefig("timeline.png")
    """
    segments = list(segments)
    if not segments:
        raise ValueError("there are no segments to draw")
    outputs, end = outputs_of(labels), max(segment.end for segment in segments)
    kinds = [kind for kind, names in (("probability", outputs.labels), ("value", outputs.dimensions)) if names]
    panels = [(kind, speaker, pieces) for speaker, pieces in tiers(segments).items() for kind in kinds]
    heights = [*([1.0] if envelope else []), *[1.3] * len(panels)]
    figure = Figure(figsize=(11, 1.1 + 1.4 * sum(heights)), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    if envelope:
        _draw_waveform(all_axes[0], envelope, end)
    for axes, (kind, speaker, pieces) in zip(all_axes[-len(panels) :], panels):
        if kind == "value":
            _draw_lines(axes, pieces, outputs.dimensions, np.array([piece.dimensions for piece in pieces]))
        elif outputs.several:
            _draw_lines(axes, pieces, outputs.labels, np.array([piece.probabilities for piece in pieces]))
        else:
            _draw_stack(axes, pieces, outputs.labels)
        if kind == "probability":
            axes.set_ylim(0, 1)
            axes.set_yticks([0, 0.5, 1])
        _draw_skipped(axes, pieces)
        name = kind if speaker is None else speaker
        axes.set_ylabel(name, fontsize=9, color=_FAINT_INK, parse_math=False)
    for axes in all_axes:
        axes.tick_params(length=0, labelsize=8, labelcolor=_INK)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    bottom = all_axes[-1]
    bottom.set_xlim(0, end)
    bottom.xaxis.set_major_locator(MultipleLocator(next((step for step in _STEPS if end / step <= _MOST_TICKS), end)))
    bottom.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    _draw_legend(figure)
    if title:
        figure.suptitle(title, fontsize=12, color=_INK, parse_math=False)
    return figure


def _draw_waveform(axes: Axes, envelope: Envelope, end: float) -> None:
    edges, low, high = envelope.outline(end)
    axes.stairs(high, edges, baseline=low, fill=True, color=_WAVE, edgecolor=_WAVE, linewidth=0.3)
    loudest = max(float(np.abs([low, high]).max()), 1e-3) if len(low) else 1.0
    axes.set_ylim(-1.05 * loudest, 1.05 * loudest)
    axes.set_yticks([])
    axes.set_ylabel("waveform", fontsize=9, color=_FAINT_INK)


def _draw_lines(axes: Axes, pieces: Sequence[TimelineSegment], names: Sequence[str], values: np.ndarray) -> None:
    """Draw a line for each column of scores (pieces, names), constant over each piece."""
    edges = [*(piece.start for piece in pieces), pieces[-1].end]
    for name, colour, row in zip(names, _COLOURS * (1 + len(names) // len(_COLOURS)), values.T):
        axes.stairs(row, edges, baseline=None, color=colour, linewidth=1.5, label=name)


def _draw_stack(axes: Axes, pieces: Sequence[TimelineSegment], labels: Sequence[str]) -> None:
    edges = [*(piece.start for piece in pieces), pieces[-1].end]
    stacked = np.cumsum([np.zeros(len(pieces)), *np.transpose([piece.probabilities for piece in pieces])], axis=0)
    stacked[0, np.isnan(stacked[-1])] = np.nan
    for label, colour, low, high in zip(labels, _COLOURS * (1 + len(labels) // len(_COLOURS)), stacked, stacked[1:]):
        axes.stairs(high, edges, baseline=low, fill=True, color=colour, linewidth=0, label=label)


def _draw_skipped(axes: Axes, pieces: Sequence[TimelineSegment]) -> None:
    """Shade the pieces without scores."""
    named: set[str] = set()
    for reason, group in groupby(pieces, key=lambda piece: piece.skipped):
        if reason:
            first, *rest = group
            hatch = None if reason == NO_TURN else "///"
            last = rest[-1] if rest else first
            name = None if reason in named else reason
            axes.axvspan(
                first.start, last.end, facecolor=_EMPTY, edgecolor="#d5dae1", linewidth=0, hatch=hatch, label=name
            )
            named.add(reason)


def _draw_legend(figure: Figure) -> None:
    entries = {}
    for axes in figure.axes:
        handles, names = axes.get_legend_handles_labels()
        entries |= dict(zip(names, handles))
    look = {"ncols": min(len(entries), 8), "frameon": False, "fontsize": 9}
    legend = figure.legend(entries.values(), entries, loc="outside lower center", **look)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


__all__ = ["draw_timeline"]
