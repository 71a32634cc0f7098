"""Engines of `prepare`: shards are written by this process, by several, or by the tasks of a Ray cluster.

Each engine is given the shards to write, a `ShardWriter`, and a progress bar that counts utterances. It yields the
report of each shard when it is finished.
"""

import multiprocessing
import multiprocessing.connection
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..ray_cluster import count_places, ray_cluster, work_off
from .shards import Shard, ShardReport, ShardWriter


def choose_engine(
    name: str, num_proc: int | None, ray_address: str | None, folders: Sequence[Path]
) -> Callable[[Sequence[Shard], ShardWriter, tqdm], Iterator[ShardReport]]:
    """Return an engine.

    Args:
        name: Name of the engine, `local` or `ray`.
        num_proc: Number of shards that are written at once; by default one for each core.
        ray_address: Address of a Ray cluster; by default one is started on this machine.
        folders: Folders that hold the corpus.
    """
    if name == "ray":
        return partial(on_ray, folders=folders, address=ray_address, num_proc=num_proc)
    return in_this_process if num_proc == 1 else partial(in_processes, num_proc=num_proc or os.cpu_count())


def in_this_process(shards: Iterable[Shard], writer: ShardWriter, bar: tqdm) -> Iterator[ShardReport]:
    """Write one shard after another."""
    for shard in shards:
        yield writer.write(shard, bar.update)


def in_processes(shards: Iterable[Shard], writer: ShardWriter, bar: tqdm, num_proc: int) -> Iterator[ShardReport]:
    """Write shards in a pool of processes.

    Raises:
        OSError: A worker was killed.
    """
    # Not forked off this process, which may have threads; the server is forked instead, and imports once.
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        context.set_forkserver_preload([__name__])
    counter, first = context.Value("q", 0), bar.n
    pool = ProcessPoolExecutor(num_proc, context, _start_worker, (writer, counter))
    waiting, running = iter(shards), set()
    try:
        while True:
            running.update(pool.submit(_work, shard) for shard in islice(waiting, 2 * num_proc - len(running)))
            if not running:
                break
            done, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            bar.update(first + counter.value - bar.n)
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise OSError(
            "a worker was killed, perhaps for want of memory; run the same command again to go on, with a smaller "
            "--num_proc if need be"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[ShardWriter, Callable[[], None]]  # in a worker process: the writer, and the count of utterances


def _start_worker(writer: ShardWriter, counter) -> None:
    global _worker

    def advance() -> None:
        with counter.get_lock():
            counter.value += 1

    _worker = writer, advance
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _work(shard: Shard) -> ShardReport:
    writer, advance = _worker
    return writer.write(shard, advance)


def on_ray(
    shards: Sequence[Shard],
    writer: ShardWriter,
    bar: tqdm,
    folders: Sequence[Path],
    address: str | None,
    num_proc: int | None,
) -> Iterator[ShardReport]:
    """Write shards on a Ray cluster, a task for each, to storage that all machines share.

    Args:
        shards: Shards to write.
        writer: Writer that each task is given.
        bar: Progress bar that counts utterances.
        folders: Folders of the corpus, all of which a worker must see before it calls a clip missing.
        address: Address of the cluster, as in `ray_cluster`.
        num_proc: Number of tasks at once; by default twice the number of CPUs, so that a cluster can grow.

    Raises:
        OSError: The storage is not shared, or a shard was given up because its workers kept dying.
    """
    if not shards:
        return
    with ray_cluster(address, num_proc) as ray:
        task = ray.remote(num_cpus=1, max_retries=0)(write_in_task)  # work_off repeats
        limit = num_proc or 2 * max(count_places(ray), 1)

        def start() -> tuple[Any, Callable]:
            return ray.put(None), task.remote  # ready at once

        calls = deque((shard, writer, folders) for shard in shards)
        for call, report in work_off(ray, start, limit, calls, lambda call: call[0].name):
            if call is None:
                continue
            if isinstance(report, OSError):
                raise report
            shard, *_ = call
            if not (writer.data / shard.name).is_file():
                raise OSError(
                    f"{shard.name} was written by a worker but is not in {writer.data}; all machines of the cluster "
                    "must share that folder. If it does come up, run the same command again to go on"
                )
            bar.update(len(shard.rows))
            yield report


def write_in_task(call: tuple[Shard, ShardWriter, Sequence[Path]]) -> ShardReport:
    """Write a shard on a machine of the cluster.

    Raises:
        FileNotFoundError: A folder of the corpus or of the output is not there.
    """
    shard, writer, folders = call
    # Where the corpus is not mounted every clip would be missing, and be listed as a reject.
    for folder in (*folders, writer.data, writer.reports):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not there on {socket.gethostname()}; all machines of the cluster must share it"
            )
    return writer.write(shard)
