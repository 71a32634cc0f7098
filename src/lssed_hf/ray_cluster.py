"""Ray: joining or starting a cluster, and calls that are made again where their worker dies.

Ray is an extra and takes seconds to import, so that happens where a cluster is asked for.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit


#: Where `prepare` and `predict` can run.
ENGINES = ("local", "ray")
#: How often a call is made again after its worker died. A file that kills whoever reads it must not go round for ever.
RETRIES = 3
_CONNECT_TIMEOUT = 10  # seconds
_OBJECT_STORE = 1 << 27  # bytes; paths and probabilities are all that passes through it


@contextmanager
def ray_cluster(address: str | None = None, num_cpus: int | None = None) -> Iterator[ModuleType]:
    """The module `ray`, connected to a cluster for as long as the block lasts.

    A process that is connected already stays so, whatever the arguments.

    Args:
        address: `auto`, `host:port` or `ray://host:port` of a running cluster; without one it is started here.
        num_cpus: of the one that is started, those of the machine by default.

    Raises:
        ImportError: Ray is not installed.
        OSError: there is no cluster at that address, or it cannot be joined or started.
    """
    # Ray reads these when it is imported. Nothing is reported to anyone, and `uv run` sends no working directory.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    if address is not None:
        # Asked once, for up to 40 s, rather than for a quarter of an hour where something else listens at the address.
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    try:
        import ray
    except ImportError as error:
        raise ImportError("engine ray needs Ray; run pip install 'lssed-hf[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    if address is None:
        # "local" rather than None, with which Ray would join what RAY_ADDRESS names.
        arguments = {"address": "local", "num_cpus": num_cpus}
        arguments |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    else:
        _check_address(address)
        arguments = {"address": address}
    try:
        try:
            ray.init(**arguments, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # of any type: other versions, a wrong token, a machine that is too busy
            what = "start Ray on this machine" if address is None else f"join the Ray cluster at {address}"
            raise OSError(f"cannot {what}: {error}") from error
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise OSError in seconds where nothing listens; Ray itself would take longer, and ValueError for no address."""
    if address == "auto":  # fails at once by itself
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not (host and port):
        raise ValueError(f"--ray_address {address!r} is not auto, host:port or ray://host:port")
    try:
        socket.create_connection((host, port), _CONNECT_TIMEOUT).close()
    except OSError as error:
        raise OSError(
            f"no Ray cluster answers at {address} ({error}); `ray start --head` prints the address of one"
        ) from error


def work_off(
    ray: ModuleType, slots: MutableMapping, items: Iterable, describe: Callable[[Any], str]
) -> Iterator[tuple[Any, Any]]:
    """Call `slot.remote(item)` for every item, one at a time in each slot, and yield (item, result) as they finish.

    Items are drawn when a slot is free, so that no more of them are under way than there are slots.

    Args:
        ray: from `ray_cluster`.
        slots: a remote function or an actor's method for each reference whose result says that the slot is ready.
            A slot that is never ready, for want of machines, gets no item; one that is not needed any more is let go.
            Emptied.
        items: what to call them with; None is no item.
        describe: an item in words, for errors.

    Raises:
        Exception: what a call raised, as if it had been made here.
        OSError: a worker died, and so did those that the call was given to again.
    """
    items = iter(items)
    running = {ready: (slot, None) for ready, slot in slots.items()}
    slots.clear()  # so that nothing but `running` keeps an actor alive
    following = next(items, None)
    try:
        while following is not None or any(item is not None for _, item in running.values()):
            [finished], _ = ray.wait(list(running), num_returns=1)
            slot, item = running.pop(finished)
            result = value(ray, finished, "the start of a worker" if item is None else describe(item))
            if following is not None:
                running[slot.remote(following)] = slot, following
                following = next(items, None)
            # Else the last reference to an actor goes, which frees its CPUs for one that lost its machine.
            del slot
            if item is not None:
                yield item, result
    finally:
        for reference, (_, item) in running.items():
            if item is not None:
                ray.cancel(reference)


def value(ray: ModuleType, reference, what: str) -> Any:
    """What a call returned, or raised; OSError where it was given up. `what` it was, in words."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise OSError(
            f"{what}: given up ({type(error).__name__}), as its worker died and so did those that tried again, "
            "perhaps for want of memory or by a file that crashes its reader; mend that and run the same command again"
        ) from error
