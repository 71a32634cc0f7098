"""Loader workers and shared memory that is too small: an error, where torch would wait for ever."""

import os
import subprocess
import sys

import pytest
import torch

from lssed_hf.training.shared_memory import RoomyCollator


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the place of shared memory is that of Linux")

#: In a Python of its own: workers of the loader are forks, and this one has threads and pipes that they would share.
LOADING = """
import os
from types import SimpleNamespace

import torch

from lssed_hf.training.shared_memory import RoomyCollator

os.statvfs = lambda place: SimpleNamespace(f_bavail={free}, f_frsize=1)
settings = {{"batch_size": 2, "num_workers": 2, "timeout": 120, "multiprocessing_context": "fork"}}
collate = RoomyCollator(lambda clips: {{"v": torch.stack(clips)}})
loader = torch.utils.data.DataLoader(torch.ones(6, 2**18), collate_fn=collate, **settings)
try:
    print([tuple(batch["v"].shape) for batch in loader])
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (
            0,
            "SharedMemoryError: /dev/shm has no room for a batch of 2.0 MB: give --dataloader_num_workers 0, or more "
            "shared memory (docker run --shm-size)\n",
        ),
        (2**30, f"{[(2, 2**18)] * 3}\n"),
    ],
)
def test_a_batch_needs_room(free, expected):
    command = [sys.executable, "-c", LOADING.format(free=free)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == expected, done.stderr


def test_without_workers_no_room_is_needed(monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda place: pytest.fail("it looks"))
    collate = RoomyCollator(lambda clips: {"values": torch.stack(clips)})
    assert collate([torch.ones(3)])["values"].shape == (1, 3)
