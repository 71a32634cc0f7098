"""Trainings without pictures, but where a test asks for them."""

from collections.abc import Iterator

import pytest
from pictures import PLOT_CONFUSION_MATRIX, without_pictures

from lssed_hf.evaluation import report


@pytest.fixture(scope="module", autouse=True)
def no_pictures() -> Iterator[None]:
    with without_pictures():
        yield


@pytest.fixture
def pictures(monkeypatch) -> None:
    """Draw confusion matrices after all."""
    monkeypatch.setattr(report, "plot_confusion_matrix", PLOT_CONFUSION_MATRIX)
