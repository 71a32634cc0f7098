"""Runs of experiments without the seconds that a process takes to import everything, and without their pictures."""

from collections.abc import Iterator

import pytest
from pictures import without_pictures

from lssed_hf.experiments import runs


RUN_IN_PROCESS = runs.run_in_process


@pytest.fixture(scope="module", autouse=True)
def in_this_process() -> Iterator[None]:
    with without_pictures(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "run_in_process", lambda folder, num_threads=None: runs.main([str(folder)]))
        yield


@pytest.fixture
def own_processes(monkeypatch) -> None:
    """Do each run in a process of its own after all."""
    monkeypatch.setattr(runs, "run_in_process", RUN_IN_PROCESS)
