"""Pictures of the page, as wide as the visitor's window, drawn without the global state of matplotlib (pyplot)."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..inference.timeline.envelope import Envelope
from .analysis import Features


_INK, _FAINT_INK, _LINE, _BLUE = "#1a202c", "#5a6575", "#d5dae1", "#1f5f9f"
_KILOHERTZ = (0.25, 0.5, 1, 2, 4, 8)
_DPI = 96  # CSS pixels per inch
# Parts of a legend in CSS pixels: a colour with the space around it, a letter, a row.
_KEY, _LETTER, _ROW = 56, 7, 20


def draw_features(features: Features, width: int = 800) -> Figure:
    """Draw the input of a network: a spectrogram or a waveform.

    Args:
        features: Input of the network, from `front_end`.
        width: Width of the figure in CSS pixels.
    """
    figure = Figure(dpi=2 * _DPI, layout="constrained", facecolor="white")  # twice, for screens with finer pixels
    FigureCanvasAgg(figure)
    _fit(figure, width, height=260 if features.values.ndim == 2 else 160)
    axes = figure.add_subplot()
    length = len(features.values) * (features.step or 1)
    if features.values.ndim == 2:
        axes.imshow(
            features.values.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=(0, length, 0, features.values.shape[1]),
        )
        _label_bins(axes, features)
    else:
        envelope = Envelope()
        envelope.add(features.values)
        edges, low, high = envelope.outline(length)
        axes.stairs(high, edges, baseline=low, fill=True, color=_BLUE, edgecolor=_BLUE, linewidth=0.3)
        axes.set_xlim(0, length)
        axes.set_ylabel("amplitude", color=_FAINT_INK, fontsize=10)
    axes.set_xlabel("seconds" if features.step else "frame", color=_FAINT_INK, fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=max(3, width // 90), integer=length > 4))
    axes.tick_params(colors=_FAINT_INK, labelsize=9.5, color=_LINE)
    for spine in axes.spines.values():
        spine.set_color(_LINE)
    return figure


def fit_timeline(figure: Figure, width: int) -> Figure:
    """Resize a figure of `draw_timeline` to a width in CSS pixels, with the ticks and columns that fit."""
    time = figure.axes[-1].xaxis
    time.set_major_locator(MaxNLocator(nbins=max(3, width // 70), steps=[1, 1.5, 3, 6, 10], integer=True))
    figure.axes[-1].tick_params(axis="x", pad=7)  # clear of the 0 of the other axis
    handles, names = figure.axes[-1].get_legend_handles_labels()
    for legend in figure.legends:
        legend.remove()
    most = (width - _KEY) // _LETTER
    names = [name if len(name) <= most else f"{name[: most - 1]}…" for name in names]
    columns = max(1, (width - 2 * _LETTER) // (_KEY + _LETTER * max(map(len, names), default=0)))
    rows = math.ceil(len(names) / columns)
    columns = math.ceil(len(names) / max(1, rows))  # equally many in each row
    figure.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=9.5)
    height = figure.get_size_inches()[1] * _DPI
    _fit(figure, width, height + _ROW * max(0, rows - 1))
    return figure


def _fit(figure: Figure, width: float, height: float) -> None:
    """Set the size of a figure in CSS pixels."""
    figure.set_size_inches(width / _DPI, height / _DPI)


def _label_bins(axes: Axes, features: Features) -> None:
    if features.frequencies is None:
        axes.set_ylabel("bin", color=_FAINT_INK, fontsize=10)
        return
    centres = features.frequencies / 1000
    ticks = [tick for tick in _KILOHERTZ if centres[0] <= tick <= centres[-1] * 1.05]
    axes.set_yticks(np.interp(ticks, centres, np.arange(len(centres)) + 0.5), [f"{tick:g}" for tick in ticks])
    axes.set_ylabel("kHz (mel scale)", color=_FAINT_INK, fontsize=10)
