"""Ray clusters, joined or started, and calls that are repeated if their worker dies.

Ray is an optional dependency and takes seconds to import, so it is imported on first use.
"""

import os
import socket
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit


#: Engines that `prepare` and `predict` can run on.
ENGINES = ("local", "ray")
#: Repetitions of a call whose worker died. A file that kills every process that reads it must not run forever.
RETRIES = 3
_CONNECT_TIMEOUT = 10  # seconds
_OBJECT_STORE = 1 << 27  # bytes; only paths and probabilities pass through it


@contextmanager
def ray_cluster(address: str | None = None, num_cpus: int | None = None) -> Iterator[ModuleType]:
    """Connect to a cluster for the duration of the block.

    A process that is already connected keeps its connection, and the arguments are ignored.

    Args:
        address: `auto`, `host:port` or `ray://host:port` of a running cluster. Default: start a cluster here.
        num_cpus: Number of CPUs of a cluster that is started. Default: all CPUs of the machine.

    Yields:
        Module `ray`, connected.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address is malformed.
        OSError: There is no cluster at the address, or it cannot be joined or started.
    """
    # Ray reads these when it is imported: no usage statistics, and `uv run` sends no working directory.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    if address is not None:
        # One try takes up to 40 s. Ray's default takes 15 minutes if something else listens at the address.
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    try:
        import ray
    except ImportError as error:
        raise ImportError("engine ray needs Ray; run pip install 'lssed-hf[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    if address is None:
        # Not None: Ray would join the cluster that RAY_ADDRESS names.
        arguments = {"address": "local", "num_cpus": num_cpus}
        arguments |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
    else:
        _check_address(address)
        arguments = {"address": address}
    try:
        try:
            ray.init(**arguments, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # any type: other versions, a wrong token, a busy machine
            action = "start Ray on this machine" if address is None else f"join the Ray cluster at {address}"
            raise OSError(f"cannot {action}: {error}") from error
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Check within seconds that something listens at an address; Ray itself would take longer.

    Raises:
        ValueError: The address is malformed.
        OSError: Nothing listens there.
    """
    if address == "auto":  # Ray itself fails at once
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
    """Call `slot.remote(item)` for every item, one at a time in each slot.

    An item is drawn when a slot is free, so there are never more items under way than slots. A slot that is never
    ready, for want of machines, gets no item. A slot without further items is released.

    Args:
        ray: Module that `ray_cluster` yields.
        slots: Reference to a call that makes the slot ready -> remote function or method of an actor. It is emptied.
        items: Items, none of them None.
        describe: Function that returns the name of an item for errors.

    Yields:
        Item and result, in the order in which the calls finish.

    Raises:
        Exception: A call raised it.
        OSError: A worker died, and so did the workers that repeated the call.
    """
    items = iter(items)
    running = {ready: (slot, None) for ready, slot in slots.items()}
    slots.clear()  # so that nothing but `running` keeps an actor alive
    following = next(items, None)
    try:
        while following is not None or any(item is not None for _, item in running.values()):
            [finished], _ = ray.wait(list(running), num_returns=1)
            slot, item = running.pop(finished)
            result = fetch_result(ray, finished, "the start of a worker" if item is None else describe(item))
            if following is not None:
                running[slot.remote(following)] = slot, following
                following = next(items, None)
            # Without a further item, the last reference to the actor goes: its CPUs are free for another one.
            del slot
            if item is not None:
                yield item, result
    finally:
        for reference, (_, item) in running.items():
            if item is not None:
                ray.cancel(reference)


def fetch_result(ray: ModuleType, reference, name: str) -> Any:
    """Return the result of a call.

    Args:
        ray: Module that `ray_cluster` yields.
        reference: Reference to the call.
        name: Name of the call for errors.

    Raises:
        Exception: The call raised it.
        OSError: The call was given up.
    """
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        raise OSError(
            f"{name}: given up ({type(error).__name__}), as its worker died and so did those that tried again, "
            "perhaps for want of memory or by a file that crashes its reader; mend that and run the same command again"
        ) from error
