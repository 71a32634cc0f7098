"""`lssed-hf prepare`: turn a corpus as distributed into a folder of Parquet shards that `datasets` loads by itself.

Kill it anywhere and run it again: finished shards are kept, and the result has the same bytes. Every utterance that
was left out is listed in `rejects.csv` with its reason, and the counts are checked at the end.
"""

import csv
import errno
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from .. import __version__
from ..corpora import CorpusBuilder, CorpusDataError, Reject, corpus_builder
from ..corpora.prepared import MANIFEST
from ..files import replacing, sha256
from ..ray_cluster import ENGINES
from .dataset_card import write_card
from .plan import Plan, group_name, make_plan
from .shards import AudioOptions, Shard, ShardReport, write_and_report


_WORK = ".partial"  # in the output folder, until everything is there
_COMPLETE = "complete"  # in there, once nothing is left to do but to move the results out
_RESULTS = ("rejects.csv", MANIFEST, "README.md", "data")  # without data, the folder cannot be taken for a whole one


def prepare(
    corpus: str,
    data_dir: str | os.PathLike | None,
    output_dir: str | os.PathLike,
    *,
    config_name: str = "default",
    split_schemes: Sequence[str] | None = None,
    audio_format: str = "flac",
    denoise: bool = False,
    gain: float = 1.0,
    utterances_per_shard: int = 1000,
    num_proc: int | None = 1,
    data_files: str | os.PathLike | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    **config_kwargs,
) -> dict:
    """Write a corpus as a Hub-ready folder: Parquet shards with the audio inside, card, manifest and rejects.

    `datasets.load_dataset(output_dir)` then loads it without this package: configuration `default` (all emotions) and
    `benchmark` (four), by the corpus's first split scheme, and `default_SCHEME`, `benchmark_SCHEME` by the others. The
    audio is stored once. Your own recordings have `benchmark` only with `label_set="lssed"`.

    Args:
        corpus: one of `list_corpora()`.
        data_dir: the folder that holds the corpus; None where the corpus can be had without one.
        output_dir: a new or empty folder, or one of an interrupted run with the same arguments, which is continued.
        config_name: `default` writes `benchmark` too, where there is one; others (`benchmark`, LSSED's feature sets)
            stand alone.
        split_schemes: which to write, all that the corpus has by default.
        audio_format: `flac` or `wav`, 16 bit, mono, 16 kHz.
        denoise: bake the paper's spectral subtraction in, so that the front end has to leave it out.
        gain: factor on the amplitude (2 in the paper) to bake in; what exceeds full scale is clipped and counted.
        utterances_per_shard: rows of a Parquet file; about 90 KB of FLAC each at LSSED's mean of 5 s.
        num_proc: shards at once; None is one for each core, of the cluster with Ray. With more than one on this
            machine, a script has to be guarded by `if __name__ == "__main__":`.
        data_files: metadata file, where the corpus accepts one.
        engine: `local`, or `ray` for a task per shard on a Ray cluster, all of whose machines must see `data_dir` and
            `output_dir` under these names. Either continues what the other began.
        ray_address: cluster to join, as of `ray_cluster`; by default one is started on this machine.
        config_kwargs: switches of the corpus, such as LSSED's `keep_chinese`.

    Returns:
        The manifest: options, counts (`read` = `written` + `rejected`), `seconds`, and each shard's rows, bytes and
        SHA-256.

    Raises:
        CorpusDataError: `data_dir` is not that corpus, or no utterance of it can be used.
        FileExistsError: `output_dir` holds something else, or an unfinished run with other arguments.
        OSError: the disk is full, or workers kept dying; what is finished stays, and the same call continues.
    """
    if utterances_per_shard < 1 or (num_proc is not None and num_proc < 1):
        raise ValueError("utterances_per_shard and num_proc must be 1 or more")
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}; known are {', '.join(ENGINES)}")
    options = AudioOptions(audio_format, denoise, gain)
    builder_class = corpus_builder(corpus)
    data_dir = builder_class.default_data_dir() if data_dir is None else Path(data_dir).expanduser().resolve()
    if not data_dir.is_dir():
        raise FileNotFoundError(f"{corpus}: {data_dir} is not a folder")
    output_dir = Path(output_dir).expanduser().resolve()
    if output_dir == data_dir or data_dir in output_dir.parents:
        raise ValueError(f"output_dir {output_dir} lies in the corpus itself; choose a folder outside of {data_dir}")
    if data_files is not None:
        config_kwargs["data_files"] = {"train": [str(Path(data_files).expanduser().resolve())]}

    def spec(name: str) -> tuple[str, dict]:
        # Without data_dir: the builder would look at every file of the corpus to name a cache that is not used.
        return corpus, {"config_name": name, **config_kwargs}

    names = _build(*spec(config_name)).configurations()
    builders = [_build(*spec(name)) for name in names]
    plan = make_plan(builders, data_dir, split_schemes)
    # For the builders of the workers, which do not read the corpus.
    config_kwargs |= {name: getattr(builders[0].config, name) for name in ("emotions", "vocabulary")}
    setting = {
        "corpus": corpus,
        "config": config_name,
        "split_schemes": list(plan.schemes),
        "utterances_per_shard": utterances_per_shard,
        **asdict(options),
        "lssed_hf": __version__,
    }
    fingerprint = hashlib.sha256(f"{json.dumps(setting)} {plan.fingerprint()}".encode()).hexdigest()

    work = output_dir / _WORK
    if (output_dir / MANIFEST).is_file() and not work.exists():
        return _check_finished(output_dir, fingerprint)
    with _claimed(output_dir, fingerprint), _disk_full_explained(output_dir):
        if not (work / _COMPLETE).exists():
            if engine == "ray":
                from .shards_ray import on_ray

                folders = builders[0].folders(data_dir)
                write = partial(on_ray, folders=folders, address=ray_address, num_proc=num_proc)
            elif num_proc == 1:
                write = _in_this_process
            else:
                write = partial(_in_processes, num_proc=num_proc or os.cpu_count())
            reports = _write_shards(plan, utterances_per_shard, work, spec(config_name), options, write)
            manifest = _manifest({**setting, "fingerprint": fingerprint}, plan, reports, work / "data")
            rejects = [*plan.rejects, *_rejects(plan, reports)]
            _write_rejects(work / "rejects.csv", rejects, builders[0].folders(data_dir))
            _write_json(work / MANIFEST, manifest)
            write_card(work / "README.md", plan, builders, manifest)
            (work / _COMPLETE).touch()
        for name in _RESULTS:
            if (work / name).exists():
                os.replace(work / name, output_dir / name)
        shutil.rmtree(work)
    return json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))


def _build(corpus: str, arguments: dict) -> CorpusBuilder:
    return corpus_builder(corpus)(**arguments)


@contextmanager
def _claimed(output_dir: Path, fingerprint: str) -> Iterator[None]:
    """Hold the folder's lock, and make sure that what is in it is the same preparation, unfinished, or nothing."""
    work = output_dir / _WORK
    ours = work / "fingerprint"
    if output_dir.is_dir() and not work.exists() and (found := sorted(output_dir.iterdir())):
        raise FileExistsError(f"{output_dir} is not empty (it holds {found[0].name}); choose another folder")
    work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileExistsError(f"another process is preparing {output_dir}; wait for it, or choose another") from None
    try:
        if ours.exists() and ours.read_text(encoding="utf-8") != fingerprint:
            raise FileExistsError(
                f"{output_dir} holds an unfinished preparation with other arguments, or of a corpus or lssed_hf that "
                f"changed since; remove {work} to start over"
            )
        with replacing(ours) as partial:
            partial.write_text(fingerprint, encoding="utf-8")
        yield
    finally:
        lock.release()


@contextmanager
def _disk_full_explained(output_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        finished = len(list((output_dir / _WORK / "reports").glob("*.json")))
        raise OSError(
            error.errno,
            f"no space left for {output_dir} ({finished} shards are finished and stay); free some and run the same "
            "command again",
        ) from error


def _check_finished(output_dir: Path, fingerprint: str) -> dict:
    """The manifest of a folder that is complete, once its shards are found to be what was written."""
    manifest = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
    if manifest["fingerprint"] != fingerprint:
        raise FileExistsError(
            f"{output_dir} holds a corpus prepared with other arguments, or from files that changed since; choose "
            "another folder"
        )
    if damaged := damaged_shards(output_dir):
        raise FileExistsError(
            f"{len(damaged)} shards of {output_dir} are missing or damaged ({', '.join(damaged[:3])}); remove the "
            "folder and prepare it again"
        )
    return manifest


def damaged_shards(output_dir: str | os.PathLike) -> list[str]:
    """Files of a prepared folder that are missing or differ from the checksums in its manifest."""
    output_dir = Path(output_dir)
    manifest = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
    return [
        shard["path"]
        for shard in tqdm(manifest["shards"], desc="Checking", unit="shard", disable=None)
        if not (output_dir / shard["path"]).is_file() or sha256(output_dir / shard["path"]) != shard["sha256"]
    ]


def _write_shards(
    plan: Plan,
    utterances_per_shard: int,
    work: Path,
    spec: tuple[str, dict],
    options: AudioOptions,
    write: Callable[..., Iterator[ShardReport]],
) -> list[ShardReport]:
    """Write what is missing, by one of the engines below or `on_ray`; reports of all shards in the plan's order."""
    shards = [shard for group in plan.groups for shard in group.shards(utterances_per_shard)]
    (work / "data").mkdir(exist_ok=True)
    (work / "reports").mkdir(exist_ok=True)
    finished = {shard.name: report for shard in shards if (report := _finished(shard, work))}
    _remove_others(work, finished)  # what a killed run left half-written
    todo = [shard for shard in shards if shard.name not in finished]
    kept = sum(len(shard.rows) for shard in shards if shard.name in finished)
    total = sum(len(shard.rows) for shard in shards)
    with tqdm(total=total, initial=kept, desc="Preparing", unit="clip", disable=None) as bar:
        finished |= {report.name: report for report in write(todo, work, spec, options, bar)}
    _remove_others(work, finished)  # what a killed worker left, where another took over
    return [finished[shard.name] for shard in shards]


def _remove_others(work: Path, finished: Mapping[str, ShardReport]) -> None:
    for path in (*(work / "data").iterdir(), *(work / "reports").iterdir()):
        if path.name.removesuffix(".json") not in finished:
            path.unlink()


def _finished(shard: Shard, work: Path) -> ShardReport | None:
    """The report of a shard that an earlier run wrote, if its file is still what it reported."""
    path, report_path = work / "data" / shard.name, work / "reports" / f"{shard.name}.json"
    if not (path.is_file() and report_path.is_file()):
        return None
    report = ShardReport.read(report_path)
    return report if sha256(path) == report.sha256 else None


def _in_this_process(
    shards: Iterable[Shard], work: Path, spec: tuple[str, dict], options: AudioOptions, bar: tqdm
) -> Iterator[ShardReport]:
    builder = _build(*spec)
    for shard in shards:
        yield write_and_report(shard, work, builder, options, bar.update)


def _in_processes(
    shards: Iterable[Shard], work: Path, spec: tuple[str, dict], options: AudioOptions, bar: tqdm, num_proc: int
) -> Iterator[ShardReport]:
    # Not forked off this process, which may have threads; the server is forked instead, and imports once.
    context = multiprocessing.get_context("forkserver" if hasattr(os, "fork") else "spawn")
    if hasattr(os, "fork"):
        context.set_forkserver_preload([__name__])
    counter, first = context.Value("q", 0), bar.n
    pool = ProcessPoolExecutor(num_proc, context, _start_worker, (work, spec, options, counter))
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


_worker: tuple = ()  # of a worker process: what all of its shards have in common


def _start_worker(work: Path, spec: tuple[str, dict], options: AudioOptions, counter) -> None:
    global _worker

    def advance() -> None:
        with counter.get_lock():
            counter.value += 1

    _worker = (work, _build(*spec), options, advance)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _work(shard: Shard) -> ShardReport:
    return write_and_report(shard, *_worker)


def _rejects(plan: Plan, reports: Sequence[ShardReport]) -> list[Reject]:
    """What could not be written, once where a row is stored for two configurations."""
    main = {group.name for group in plan.groups if plan.configs[0] in group.configs}
    return [reject for report in reports if group_name(report.name) in main for reject in report.rejects]


def _manifest(setting: dict, plan: Plan, reports: Sequence[ShardReport], data: Path) -> dict:
    """What was done, after the counts were found to add up, by what the files themselves say."""
    groups = {group.name: group for group in plan.groups}
    rows = {report.name: pq.read_metadata(data / report.name).num_rows for report in reports}
    main = [report for report in reports if plan.configs[0] in groups[group_name(report.name)].configs]
    written = sum(rows[report.name] for report in main)
    rejected = len(plan.rejects) + sum(len(report.rejects) for report in main)
    if plan.num_read != written + rejected:
        raise RuntimeError(f"{plan.num_read} utterances were read, but {written} written and {rejected} rejected")
    if not written:
        first = [*plan.rejects, *_rejects(plan, reports)][0]
        raise CorpusDataError(
            f"{setting['corpus']}: none of {plan.num_read} utterances can be used, e.g. {first.source}: {first.reason}"
        )
    return {
        **setting,
        "counts": {"read": plan.num_read, "written": written, "rejected": rejected},
        "seconds": round(sum(report.seconds for report in main), 3),
        "clipped": sum(report.clipped for report in main),
        "left_out": plan.left_out({reject.id for report in main for reject in report.rejects}),
        "shards": [
            {
                "path": f"data/{report.name}",
                "sha256": report.sha256,
                "bytes": report.num_bytes,
                "rows": rows[report.name],
                "configs": list(groups[group_name(report.name)].configs),
                "splits": dict(zip(plan.schemes, groups[group_name(report.name)].splits)),
            }
            for report in reports
        ],
    }


def _write_rejects(path: Path, rejects: Iterable[Reject], folders: Sequence[Path]) -> None:
    # Names of files may be any bytes.
    encoding = {"encoding": "utf-8", "errors": "backslashreplace"}
    with replacing(path) as partial, partial.open("w", newline="", **encoding) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "source", "kind", "reason"])
        for reject in rejects:
            source, reason = reject.source, reject.reason
            for folder in folders:  # where the corpus lies on this machine is nobody else's business
                source, reason = (text.replace(f"{folder}{os.sep}", "") for text in (source, reason))
            writer.writerow([reject.id, source, "rule" if reject.by_rule else "fault", reason])


def _write_json(path: Path, content: dict) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
