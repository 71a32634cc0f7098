"""Scores, intervals, pictures and reports for classified utterances.

Nothing here imports torch, models or corpora: label indices and arrays go in, plain dictionaries and files come out.
"""

from importlib import import_module
from pathlib import Path
from typing import Any


# Public name -> module. Names are loaded on first use, because `evaluate` and matplotlib take seconds to import.
_MODULES = {
    "score": "ser_metrics.ser_metrics",
    "SerMetrics": "ser_metrics.ser_metrics",
    "bootstrap_intervals": "intervals",
    "majority_row": "intervals",
    "plot_confusion_matrix": "plots",
    "evaluate_predictions": "report",
    "write_predictions": "report",
    "write_report": "report",
}
__all__ = ["metric_path", *_MODULES]


def metric_path() -> str:
    """Return the directory of the metric for `evaluate.load`, which then works offline and from any directory.

    Examples:
        >>> import evaluate
        >>> import lssed_hf
        >>> metric = evaluate.load(lssed_hf.metric_path())
        >>> metric.compute(references=[0, 0, 1], predictions=[0, 1, 1])["unweighted_accuracy"]
        0.75
    """
    return str(Path(__file__).parent / "ser_metrics")


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
