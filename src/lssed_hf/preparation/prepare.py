"""Preparation of a corpus as distributed: a folder of Parquet shards that `datasets` loads by itself.

Kill it anywhere and run it again: finished shards are kept, and the result has the same bytes. Every utterance that
was left out is listed in `rejects.csv` with its reason, and the counts are checked at the end.
"""

import csv
import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from .. import __version__
from ..corpora import CorpusBuilder, Reject, corpus_builder
from ..corpora.prepared import MANIFEST
from ..corpora.sources import is_synthetic
from ..escaping import csv_cell
from ..files import replacing, sha256
from ..ray_cluster import ENGINES
from .dataset_card import write_card
from .engines import choose_engine
from .plan import Plan, group_name, make_plan, nothing_left
from .shards import AudioOptions, Shard, ShardReport, ShardWriter


_WORK = ".partial"  # folder in the output folder, until everything is there
_COMPLETE = "complete"  # file in that folder, once only moving the results out is left
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
    """Write a corpus as a folder for the Hub: Parquet shards with the audio inside, card, manifest and rejects.

    `datasets.load_dataset(output_dir)` then loads it without this package. The configurations `default` (all emotions)
    and `benchmark` (four) have the corpus's first split scheme, `default_SCHEME` and `benchmark_SCHEME` the others.
    The audio is stored once. Your own recordings have `benchmark` only with `label_set="lssed"`.

    Args:
        corpus: Name of the corpus, one of `list_corpora()`.
        data_dir: Folder that holds the corpus; None for a corpus that is downloaded or made.
        output_dir: New or empty folder, or that of an interrupted run with the same arguments, which is continued.
        config_name: Configuration; `default` includes `benchmark`, where there is one. Others (`benchmark`, LSSED's
            feature sets) stand alone.
        split_schemes: Split schemes to write; by default all that the corpus has.
        audio_format: Format of the clips, `flac` or `wav`: 16 bit, mono, 16 kHz.
        denoise: Whether to apply the paper's spectral subtraction now, so that the front end has to leave it out.
        gain: Factor on the amplitude (2 in the paper). Samples beyond full scale are clipped, and the clips counted.
            Resampling overshoots it as well, in loud recordings, and is counted apart.
        utterances_per_shard: Rows of a Parquet file; about 90 KB of FLAC each at LSSED's mean of 5 s.
        num_proc: Shards at once; None is one for each core, of the cluster with Ray. With more than one on this
            machine, a script has to be guarded by `if __name__ == "__main__":`.
        data_files: Metadata file, where the corpus accepts one.
        engine: `local`, or `ray` for a task per shard on a Ray cluster. All machines of the cluster must see
            `data_dir` and `output_dir` under these names. Either engine continues the work of the other.
        ray_address: Address of a cluster to join, as in `ray_cluster`; by default one is started on this machine.
        config_kwargs: Switches of the corpus, such as LSSED's `keep_chinese`.

    Returns:
        Manifest: options, counts (`read` = `written` + `rejected`), `seconds`, and the rows, bytes and SHA-256 of each
        shard.

    Raises:
        CorpusDataError: `data_dir` does not hold that corpus, or none of its utterances can be used.
        FileExistsError: `output_dir` holds something else, or an unfinished run with other arguments.
        OSError: The disk is full, or workers kept dying. Finished shards stay, and the same call continues.
    """
    if utterances_per_shard < 1 or (num_proc is not None and num_proc < 1):
        raise ValueError("utterances_per_shard and num_proc must be 1 or more")
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}; known are {', '.join(ENGINES)}")
    options = AudioOptions(audio_format, denoise, gain)
    data_dir, output_dir = _folders(corpus, data_dir, output_dir)
    if data_files is not None:
        config_kwargs["data_files"] = {"train": [str(Path(data_files).expanduser().resolve())]}
    if (scheme := config_kwargs.get("split_scheme")) and split_schemes is None:
        split_schemes = [scheme]
    # Without data_dir: the builder would look at every file of the corpus to name a cache that is not used.
    build = partial(corpus_builder(corpus), **config_kwargs)
    builders = [build(config_name=name) for name in build(config_name=config_name).configurations()]
    plan = make_plan(builders, data_dir, split_schemes)
    setting = {
        "corpus": corpus,
        "config": config_name,
        "split_schemes": list(plan.schemes),
        "utterances_per_shard": utterances_per_shard,
        **asdict(options),
        "lssed_hf": __version__,
    }
    fingerprint = hashlib.sha256(f"{json.dumps(setting)} {plan.fingerprint()}".encode()).hexdigest()

    work, folders = output_dir / _WORK, builders[0].folders(data_dir)
    if (output_dir / MANIFEST).is_file() and not work.exists():
        return _check_finished(output_dir, fingerprint)
    # The builders of the workers do not read the corpus: they are told its classes.
    config_kwargs |= {name: getattr(builders[0].config, name) for name in builders[0].RESOLVED}
    writer = ShardWriter(work, corpus, {"config_name": config_name, **config_kwargs}, options)
    with _claimed(output_dir, fingerprint), _disk_full_explained(output_dir):
        if not (work / _COMPLETE).exists():
            write = choose_engine(engine, num_proc, ray_address, folders)
            shards = [shard for group in plan.groups for shard in group.shards(utterances_per_shard)]
            reports = _write_shards(shards, writer, write)
            manifest = _manifest({**setting, "fingerprint": fingerprint}, plan, shards, reports, writer.data)
            if flow := builders[0].participant_flow(data_dir):
                manifest["participants"] = flow
            if is_synthetic(data_dir):
                manifest["synthetic"] = True
            _write_documents(work, plan, builders, manifest, [*plan.rejects, *_rejects(plan, reports)], folders)
            (work / _COMPLETE).touch()
        for name in _RESULTS:
            if (work / name).exists():
                os.replace(work / name, output_dir / name)
        shutil.rmtree(work)
    return json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))


def _folders(corpus: str, data_dir: str | os.PathLike | None, output_dir: str | os.PathLike) -> tuple[Path, Path]:
    """Return the folders of the corpus and of the output, resolved.

    Raises:
        FileNotFoundError: The corpus is not there.
        ValueError: The output folder lies in the corpus.
    """
    builder_class = corpus_builder(corpus)
    given = builder_class.default_data_dir() if data_dir is None else Path(data_dir).expanduser().resolve()
    if not given.is_dir():
        raise FileNotFoundError(f"{corpus}: {given} is not a folder")
    output_dir = Path(output_dir).expanduser().resolve()
    if output_dir == given or given in output_dir.parents:
        raise ValueError(f"output_dir {output_dir} lies in the corpus itself; choose a folder outside of {given}")
    return given, output_dir


@contextmanager
def _claimed(output_dir: Path, fingerprint: str) -> Iterator[None]:
    """Lock the output folder, and check that it is empty or holds the same preparation, unfinished."""
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
    """Return the manifest of a complete folder after a check of its shards."""
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
    """List the files of a prepared folder that are missing or differ from the checksums in its manifest."""
    output_dir = Path(output_dir)
    manifest = json.loads((output_dir / MANIFEST).read_text(encoding="utf-8"))
    return [
        shard["path"]
        for shard in tqdm(manifest["shards"], desc="Checking", unit="shard", disable=None)
        if not (output_dir / shard["path"]).is_file() or sha256(output_dir / shard["path"]) != shard["sha256"]
    ]


def _write_shards(
    shards: Sequence[Shard],
    writer: ShardWriter,
    write: Callable[[Sequence[Shard], ShardWriter, tqdm], Iterator[ShardReport]],
) -> list[ShardReport]:
    """Write the missing shards with an engine, and return the reports of all."""
    writer.data.mkdir(exist_ok=True)
    writer.reports.mkdir(exist_ok=True)
    finished = {shard.name: report for shard in shards if (report := _finished(shard, writer))}
    _remove_others(writer, finished)  # halves that a killed run left
    todo = [shard for shard in shards if shard.name not in finished]
    kept = sum(len(shard.rows) for shard in shards if shard.name in finished)
    total = sum(len(shard.rows) for shard in shards)
    with tqdm(total=total, initial=kept, desc="Preparing", unit="clip", disable=None) as bar:
        finished |= {report.name: report for report in write(todo, writer, bar)}
    _remove_others(writer, finished)  # halves that a killed worker left
    return [finished[shard.name] for shard in shards]


def _remove_others(writer: ShardWriter, finished: Mapping[str, ShardReport]) -> None:
    for path in (*writer.data.iterdir(), *writer.reports.iterdir()):
        if path.name.removesuffix(".json") not in finished:
            path.unlink()


def _finished(shard: Shard, writer: ShardWriter) -> ShardReport | None:
    """Return the report of a shard that an earlier run wrote, if the file still has the reported checksum."""
    path, report_path = writer.data / shard.name, writer.reports / f"{shard.name}.json"
    if not (path.is_file() and report_path.is_file()):
        return None
    report = ShardReport.read(report_path)
    return report if sha256(path) == report.sha256 else None


def _rejects(plan: Plan, reports: Sequence[ShardReport]) -> list[Reject]:
    """Return the utterances that could not be written, each once although two configurations may store it."""
    main = {group.name for group in plan.groups if plan.configs[0] in group.configs}
    return [reject for report in reports if group_name(report.name) in main for reject in report.rejects]


def _manifest(setting: dict, plan: Plan, shards: Sequence[Shard], reports: Sequence[ShardReport], data: Path) -> dict:
    """Return the manifest after a check that the rows in the files add up."""
    groups = {group.name: group for group in plan.groups}
    rows = {report.name: pq.read_metadata(data / report.name).num_rows for report in reports}
    main = [report for report in reports if plan.configs[0] in groups[group_name(report.name)].configs]
    written = sum(rows[report.name] for report in main)
    rejected = len(plan.rejects) + sum(len(report.rejects) for report in main)
    if plan.num_read != written + rejected:
        raise RuntimeError(f"{plan.num_read} utterances were read, but {written} written and {rejected} rejected")
    if not written:
        raise nothing_left(setting["corpus"], [*plan.rejects, *_rejects(plan, reports)])
    clipped = sum((Counter(report.clipped) for report in main), Counter())
    return {
        **setting,
        "counts": {"read": plan.num_read, "written": written, "rejected": rejected},
        "seconds": round(sum(report.seconds for report in main), 3),
        "clipped": clipped.total(),
        "clipped_by": dict(clipped.most_common()),
        "left_out": plan.left_out({reject.id for report in main for reject in report.rejects}),
        "shards": [
            {
                "path": f"data/{report.name}",
                "sha256": report.sha256,
                "bytes": report.num_bytes,
                "rows": rows[report.name],
                "configs": list(groups[group_name(report.name)].configs),
                "splits": dict(zip(plan.schemes, groups[group_name(report.name)].splits)),
                "positions": _positions(plan, shard, report),
            }
            for shard, report in zip(shards, reports)
        ],
    }


def _positions(plan: Plan, shard: Shard, report: ShardReport) -> str:
    """Return the places of a shard's rows in the corpus as it is read, as text like `0-12 15 17-40`."""
    rejected = {reject.id for reject in report.rejects}
    places = [plan.positions[row.id] for row, _ in shard.rows if row.id not in rejected]
    breaks = [i for i in range(len(places) + 1) if i in (0, len(places)) or places[i] != places[i - 1] + 1]
    runs = [(places[first], places[after - 1]) for first, after in pairwise(breaks)]
    return " ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def _write_documents(
    work: Path,
    plan: Plan,
    builders: Sequence[CorpusBuilder],
    manifest: dict,
    rejects: Sequence[Reject],
    folders: Sequence[Path],
) -> None:
    _write_rejects(work / "rejects.csv", rejects, folders)
    with replacing(work / MANIFEST) as path:
        path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    write_card(work / "README.md", plan, builders, manifest)


def _write_rejects(path: Path, rejects: Iterable[Reject], folders: Sequence[Path]) -> None:
    encoding = {"encoding": "utf-8", "errors": "backslashreplace"}  # names of files may be any bytes
    with replacing(path) as partial, partial.open("w", newline="", **encoding) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "source", "kind", "reason"])
        for reject in rejects:
            source, reason = reject.source, reject.reason
            for folder in folders:  # the place of the corpus on this machine is private
                source, reason = (text.replace(f"{folder}{os.sep}", "") for text in (source, reason))
            kind = "rule" if reject.by_rule else "fault"
            writer.writerow(map(csv_cell, (reject.id, source, kind, reason)))
