"""Handlers of signals, set for a while."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def restoring_sigterm() -> Iterator[None]:
    """Give SIGTERM the handler back that it has now, at the end of the block.

    A handler that stays is that of every process which is forked later. Such a process may miss the signal while it
    waits for a lock, and the pool that sent it then waits for ever.
    """
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


__all__ = ["restoring_sigterm"]
