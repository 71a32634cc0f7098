"""Check of the shared memory that loader workers pass batches through: torch waits for ever where it is too small."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch


_PLACE = "/dev/shm"


class SharedMemoryError(OSError):
    """Error of a loader worker that has no room for its batch. Outside of the worker it keeps the last line alone."""

    def __init__(self, message: str):
        super().__init__(message.strip().rpartition("SharedMemoryError: ")[2])


class RoomyCollator:
    """Collator that raises an error in a loader worker whose batch does not fit into the shared memory.

    Args:
        collate: Collator of batches.
    """

    def __init__(self, collate: Callable[[Sequence[Any]], Mapping[str, Any]]):
        self.collate = collate

    def __call__(self, clips: Sequence[Any]) -> Mapping[str, Any]:
        batch = self.collate(clips)
        if torch.utils.data.get_worker_info() is not None and os.path.isdir(_PLACE):
            needed = sum(value.nbytes for value in batch.values() if isinstance(value, torch.Tensor))
            place = os.statvfs(_PLACE)
            if place.f_bavail * place.f_frsize < needed:
                raise SharedMemoryError(
                    f"{_PLACE} has no room for a batch of {needed / 2**20:.1f} MB: give --dataloader_num_workers 0, "
                    "or more shared memory (docker run --shm-size)"
                )
        return batch


__all__ = ["RoomyCollator", "SharedMemoryError"]
