"""Writing one Parquet shard: decode, cut, optionally denoise, encode; every utterance is written or rejected."""

import errno
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..audio import encode_audio, load_audio
from ..corpora import CorpusBuilder, Reject, Utterance
from ..corpora.base import SAMPLING_RATE
from ..files import replacing, sha256


AUDIO_FORMATS = ("flac", "wav")
# About 9 MB of FLAC at LSSED's mean of 5 s: what a reader holds at once, and what a stream fetches first.
_ROWS_PER_GROUP = 100
_NOT_THE_CLIPS_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class AudioOptions:
    """How clips are stored: 16-bit FLAC or WAV at 16 kHz, as they are or after the paper's steps of section 2.3."""

    audio_format: str = "flac"
    denoise: bool = False
    gain: float = 1.0

    def __post_init__(self):
        if self.audio_format not in AUDIO_FORMATS:
            raise ValueError(f"audio_format={self.audio_format!r}; known are {', '.join(AUDIO_FORMATS)}")
        if not 0 < self.gain < float("inf"):
            raise ValueError(f"gain must be a positive number, got {self.gain}")


@dataclass(frozen=True)
class Shard:
    """One file of the prepared folder: its name, and each utterance with the label that it is stored under."""

    name: str
    rows: Sequence[tuple[Utterance, str]]


@dataclass(frozen=True)
class ShardReport:
    """What became of a shard: rows and seconds written, clips that were clipped by the gain, and what was rejected."""

    name: str
    rows: int
    seconds: float
    clipped: int
    num_bytes: int
    sha256: str
    rejects: tuple[Reject, ...]

    def write(self, path: Path) -> None:
        with replacing(path) as partial:
            partial.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "ShardReport":
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "rejects": tuple(Reject(**reject) for reject in fields["rejects"])})


def write_shard(
    shard: Shard, folder: Path, builder: CorpusBuilder, options: AudioOptions, advance: Callable[[], None]
) -> ShardReport:
    """Write `folder / shard.name`, complete or not at all.

    Args:
        shard: what to write.
        folder: where.
        builder: of the corpus and configuration.
        options: of the audio.
        advance: called after each utterance.

    Raises:
        OSError: the shard cannot be written, e.g. for want of space.
        ImportError: a video has to be decoded and PyAV is not installed.
    """
    tally = _Tally()
    schema = builder.info.features.arrow_schema
    # Audio is compressed already.
    compression = {name: "none" if name.startswith("audio") else "zstd" for name in _leaves(schema)}
    with replacing(folder / shard.name) as partial:
        with pq.ParquetWriter(partial, schema, compression=compression) as writer:
            for table in _tables(shard, builder, options, tally, advance):
                writer.write_table(table)
        num_bytes, digest = partial.stat().st_size, sha256(partial)
    return ShardReport(shard.name, tally.rows, tally.seconds, tally.clipped, num_bytes, digest, tuple(tally.rejects))


def write_and_report(
    shard: Shard, work: Path, builder: CorpusBuilder, options: AudioOptions, advance: Callable[[], None]
) -> ShardReport:
    """`write_shard` to `work / "data"`, and then its report to `work / "reports"`."""
    report = write_shard(shard, work / "data", builder, options, advance)
    report.write(work / "reports" / f"{shard.name}.json")
    return report


class _Tally:
    def __init__(self):
        self.rows = self.clipped = 0
        self.seconds = 0.0
        self.rejects: list[Reject] = []


def _tables(
    shard: Shard, builder: CorpusBuilder, options: AudioOptions, tally: _Tally, advance: Callable[[], None]
) -> Iterator[pa.Table]:
    schema = builder.info.features.arrow_schema
    rows = []
    for utterance, label in shard.rows:
        try:
            rows.append(builder.encode(utterance, label, _payload(utterance, builder, options, tally)))
        except (ValueError, OSError) as error:  # of reading: nothing is written here
            if getattr(error, "errno", None) in _NOT_THE_CLIPS_FAULT:
                raise
            tally.rejects.append(Reject(utterance.id, utterance.path, str(error)))
        advance()
        if len(rows) == _ROWS_PER_GROUP:
            yield pa.Table.from_pylist(rows, schema=schema)
            tally.rows += len(rows)
            rows = []
    if rows:
        yield pa.Table.from_pylist(rows, schema=schema)
        tally.rows += len(rows)


def _payload(utterance: Utterance, builder: CorpusBuilder, options: AudioOptions, tally: _Tally) -> dict:
    if "audio" not in builder.info.features:
        return builder.payload(utterance)
    part = {"start": utterance.start, "end": utterance.end} if utterance.cut else {}
    samples = load_audio(utterance.path, SAMPLING_RATE, **part)
    if options.denoise:
        samples = _front_end().denoise(samples)
    samples = samples * options.gain
    tally.seconds += len(samples) / SAMPLING_RATE
    tally.clipped += bool(np.abs(samples).max() > 1)
    encoded = encode_audio(samples, SAMPLING_RATE, options.audio_format)
    return {"audio": {"bytes": encoded, "path": f"{utterance.id}.{options.audio_format}"}}


@cache
def _front_end():
    # Imported where it is asked for: it brings transformers.
    from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor

    return PyResNetFeatureExtractor()


def _leaves(schema: pa.Schema) -> list[str]:
    """Names of the columns as Parquet has them: `audio.bytes`, `secondary_emotions.list.element`, ..."""
    table = schema.empty_table()
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return [column.path for column in pq.ParquetFile(sink.getvalue()).schema]
