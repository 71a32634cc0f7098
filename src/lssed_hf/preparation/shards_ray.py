"""`lssed-hf prepare --engine ray`: one task per shard, which writes it and its report to storage that all share."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from ..corpora import corpus_builder
from ..ray_cluster import RETRIES, ray_cluster, work_off
from .shards import AudioOptions, Shard, ShardReport, write_and_report


def on_ray(
    shards: Sequence[Shard],
    work: Path,
    spec: tuple[str, dict],
    options: AudioOptions,
    bar: tqdm,
    folders: Sequence[Path],
    address: str | None,
    num_proc: int | None,
) -> Iterator[ShardReport]:
    """Write shards, and yield the report of each when it is finished.

    Args:
        shards: what to write.
        work: where, as of `write_and_report`.
        spec: name of the corpus and arguments of its builder.
        options: of the audio.
        bar: counts utterances.
        folders: that hold the corpus, all of which a worker must see before it calls a clip missing.
        address: of `ray_cluster`.
        num_proc: shards at once; by default twice as many as there are CPUs, so that a cluster can grow.

    Raises:
        OSError: the storage is not shared, or a shard was given up because its workers kept dying.
    """
    if not shards:
        return
    with ray_cluster(address, num_proc) as ray:
        task = ray.remote(num_cpus=1, max_retries=RETRIES)(write_in_task)
        limit = num_proc or 2 * max(int(ray.cluster_resources().get("CPU", 0)), 1)
        slots = {ray.put(None): task for _ in range(limit)}  # ready at once
        calls = ((shard, work, spec, options, folders) for shard in shards)
        for (shard, *_), report in work_off(ray, slots, calls, lambda call: call[0].name):
            if not (work / "data" / shard.name).is_file():
                raise OSError(
                    f"{shard.name} was written by a worker but is not in {work / 'data'}; all machines of the cluster "
                    "must share that folder. If it does come up, run the same command again to go on"
                )
            bar.update(len(shard.rows))
            yield report


def write_in_task(call: tuple[Shard, Path, tuple[str, dict], AudioOptions, Sequence[Path]]) -> ShardReport:
    """Runs on a worker."""
    shard, work, (corpus, arguments), options, folders = call
    # Where the corpus is not mounted every clip would be missing, and be listed as a reject.
    for folder in (*folders, work / "data", work / "reports"):
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not there on {socket.gethostname()}; all machines of the cluster must share it"
            )
    return write_and_report(shard, work, corpus_builder(corpus)(**arguments), options, lambda: None)
