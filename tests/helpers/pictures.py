"""Reports without confusion matrices, which take a third of the time of a tiny training."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lssed_hf.evaluation import report


PLOT_CONFUSION_MATRIX = report.plot_confusion_matrix


@contextmanager
def without_pictures() -> Iterator[None]:
    """Write an empty file in place of each picture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "plot_confusion_matrix", lambda matrix, labels, path, title=None: Path(path).touch())
        yield
