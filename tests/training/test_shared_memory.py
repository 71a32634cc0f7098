"""Loader workers and shared memory that is too small: an error, where torch would wait for ever."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from lssed_hf.training.shared_memory import RoomyCollator, SharedMemoryError


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the place of shared memory is that of Linux")


def collate(clips):
    return {"values": torch.stack(clips)}


@pytest.mark.parametrize("free", [0, 2**30])
def test_a_batch_needs_room(free, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_bavail=free, f_frsize=1))
    settings = {"batch_size": 2, "num_workers": 2, "timeout": 120, "multiprocessing_context": "fork"}
    loader = torch.utils.data.DataLoader(torch.ones(6, 2**18), collate_fn=RoomyCollator(collate), **settings)
    if free:
        assert [batch["values"].shape for batch in loader] == [(2, 2**18)] * 3
        return
    batches = iter(loader)
    with pytest.raises(SharedMemoryError) as caught:
        next(batches)
    batches._shutdown_workers()  # they hold the pipes of other tests
    assert str(caught.value) == (
        "/dev/shm has no room for a batch of 2.0 MB: give --dataloader_num_workers 0, or more shared memory "
        "(docker run --shm-size)"
    )


def test_without_workers_no_room_is_needed(monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda place: pytest.fail("it looks"))
    assert RoomyCollator(collate)([torch.ones(3)])["values"].shape == (1, 3)
