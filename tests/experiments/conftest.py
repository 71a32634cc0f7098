"""Runs of experiments without the seconds that a process takes to import everything, and without their pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lssed_hf.evaluation import report
from lssed_hf.experiments import runs


RUN_IN_PROCESS = runs.run_in_process


@pytest.fixture(scope="module", autouse=True)
def in_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "run_in_process", lambda folder, num_threads=None: runs.main([str(folder)]))
        # tests/evaluation and tests/training draw it.
        patch.setattr(report, "plot_confusion_matrix", lambda matrix, labels, path, title=None: Path(path).touch())
        yield


@pytest.fixture
def own_processes(monkeypatch) -> None:
    """Do each run in a process of its own after all."""
    monkeypatch.setattr(runs, "run_in_process", RUN_IN_PROCESS)
