"""Ray clusters, joined or started, and calls that are repeated if their worker dies.

Ray is an optional dependency and takes seconds to import, so it is imported on first use.
"""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from .signals import restoring_sigterm


#: Engines that `prepare` and `predict` can run on.
ENGINES = ("local", "ray")
#: Repetitions of a call whose worker died. A file that kills every process that reads it must not run forever.
RETRIES = 3
#: Seconds without a result after which the machines are counted. Ray takes up to 20 s to notice that one is gone.
CHECK_INTERVAL = 60
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
    with restoring_sigterm():
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


class NoMachineError(OSError):
    """Error of a cluster whose last machine that could hold a worker is gone."""


def count_places(ray: ModuleType, num_cpus: int = 1, num_gpus: int = 0) -> int:
    """Return the number of workers that the living machines of the cluster can hold.

    Args:
        ray: Module that `ray_cluster` yields.
        num_cpus: Number of CPUs of a worker.
        num_gpus: Number of GPUs of a worker.
    """
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return sum(
        int(min(machine.get("CPU", 0) // num_cpus, machine.get("GPU", 0) // num_gpus if num_gpus else float("inf")))
        for machine in machines
    )


def work_off(
    ray: ModuleType,
    start: Callable[[], tuple[Any, Callable[[Any], Any]]],
    num_workers: int,
    items: deque,
    describe: Callable[[Any], str],
    num_cpus: int = 1,
    num_gpus: int = 0,
) -> Iterator[tuple[Any, Any]]:
    """Let workers process items, one at a time each.

    If a worker dies, another is started in its place, and its item goes to the next free one. Ray's own retries stay
    with the dead worker, and are used up before Ray notices that its machine is gone. A worker that is never ready,
    for want of machines, gets no item. A worker without a further item is released.

    Args:
        ray: Module that `ray_cluster` yields.
        start: Function that starts a worker. It returns a reference that is ready when the worker is, and a function
            that gives the worker an item and returns the reference to the result.
        num_workers: Number of workers.
        items: Items, none of them None. The queue is emptied. The caller may append to it between two results.
        describe: Function that returns the name of an item for errors, and for None that of the start of a worker.
        num_cpus: Number of CPUs of a worker.
        num_gpus: Number of GPUs of a worker.

    Yields:
        Item and result, in the order in which the calls finish. At the start of a worker the item is None. The result
        is an `OSError` if the worker died, and so did `RETRIES` more that repeated the call.

    Raises:
        Exception: A call raised it.
        NoMachineError: The last machine is gone.
        OSError: No worker is left, because all died at their start.
    """
    repeated: deque[tuple[Any, int]] = deque()
    running: dict[Any, tuple[Callable[[Any], Any], Any, int]] = {}  # reference -> worker, item, deaths so far

    def start_worker(deaths: int = 0) -> None:
        ready, give = start()
        running[ready] = give, None, deaths

    for _ in range(num_workers):
        start_worker()
    had_places = count_places(ray, num_cpus, num_gpus) > 0  # else machines are expected to join
    try:
        while items or repeated or any(item is not None for _, item, _ in running.values()):
            finished, _ = ray.wait(list(running), num_returns=1, timeout=CHECK_INTERVAL)
            if not finished:
                if had_places and not count_places(ray, num_cpus, num_gpus):
                    raise NoMachineError(
                        "no machine of the Ray cluster is left that could hold a worker; let one join "
                        "(`ray start --address HEAD:6379`) and run the same command again"
                    )
                continue
            give, item, deaths = running.pop(finished[0])
            result = _fetch(ray, finished[0], partial(describe, item))
            died = isinstance(result, OSError)
            if not died and (repeated or items):
                following, earlier_deaths = repeated.popleft() if repeated else (items.popleft(), 0)
                running[give(following)] = give, following, earlier_deaths
            del give  # perhaps the last reference to an actor, which frees its CPUs for another one
            if died and item is None:
                if deaths < RETRIES:
                    start_worker(deaths + 1)
                elif not running:
                    raise result
                continue
            if died:
                start_worker()
            if died and deaths < RETRIES:
                repeated.append((item, deaths + 1))
            else:
                yield item, result
    finally:
        for reference, (_, item, _) in running.items():
            if item is not None:
                ray.cancel(reference)


def _fetch(ray: ModuleType, reference, describe: Callable[[], str]) -> Any:
    """Return the result of a call, or an `OSError` if its worker died."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        return OSError(
            f"{describe()}: given up ({type(error).__name__}), as its worker died and so did those that tried again, "
            "perhaps for want of memory or by a file that crashes its reader; mend that and run the same command again"
        )
