"""Parquet shards: each utterance is decoded, cut, optionally denoised and encoded, and written or rejected."""

import errno
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..audio import encode_audio, native_rate
from ..corpora import CorpusBuilder, Reject, Utterance, corpus_builder
from ..corpora.base import SAMPLING_RATE
from ..files import replacing, sha256


AUDIO_FORMATS = ("flac", "wav")
# About 9 MB of FLAC at LSSED's mean of 5 s. A reader holds a group at once, and a stream fetches one first.
_ROWS_PER_GROUP = 100
_NOT_THE_CLIPS_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class AudioOptions:
    """Storage of clips, 16 bit at 16 kHz, as they are or after the steps of the LSSED paper's section 2.3.

    Attributes:
        audio_format: "flac" or "wav".
        denoise: Whether spectral subtraction is applied.
        gain: Factor on the amplitude.
    """

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
    """One file of the prepared folder.

    Attributes:
        name: Name of the file.
        rows: Utterances, each with the label that it is stored under.
    """

    name: str
    rows: Sequence[tuple[Utterance, str]]


@dataclass(frozen=True)
class ShardReport:
    """Account of a shard that was written.

    Attributes:
        name: Name of the file.
        rows: Number of rows.
        seconds: Length of all clips in seconds.
        clipped: Number of clips over full scale, by the first step that took them there: "recording" (float samples,
            or a lossy codec), "resampling", "denoise" or "gain".
        num_bytes: Size of the file.
        sha256: Hexadecimal digest of the file.
        rejects: Utterances that could not be read.
    """

    name: str
    rows: int
    seconds: float
    clipped: Mapping[str, int]
    num_bytes: int
    sha256: str
    rejects: tuple[Reject, ...]

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        with replacing(path) as partial:
            partial.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "ShardReport":
        """Read a report that `write` wrote."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**fields, "rejects": tuple(Reject(**reject) for reject in fields["rejects"])})


@dataclass(frozen=True)
class ShardWriter:
    """Writer of the shards of one preparation.

    Attributes:
        work: Folder of the unfinished preparation, which has the folders `data` and `reports`.
        corpus: Name of the corpus.
        arguments: Keyword arguments of its builder.
        options: Storage of the audio.
    """

    work: Path
    corpus: str
    arguments: Mapping[str, Any]
    options: AudioOptions

    @property
    def data(self) -> Path:
        """Folder of the shards."""
        return self.work / "data"

    @property
    def reports(self) -> Path:
        """Folder of the reports."""
        return self.work / "reports"

    @cached_property
    def builder(self) -> CorpusBuilder:
        """Builder of the corpus, which each process makes for itself."""
        return corpus_builder(self.corpus)(**self.arguments)

    def write(self, shard: Shard, advance: Callable[[], None] = lambda: None) -> ShardReport:
        """Write a shard to `data` and its report to `reports`, each complete or not at all.

        Args:
            shard: Shard to write.
            advance: Function that is called after each utterance.

        Raises:
            OSError: The shard cannot be written, e.g. for want of space.
            ImportError: A video has to be decoded and PyAV is not installed.
        """
        tally = _Tally()
        schema = self.builder.info.features.arrow_schema
        # Audio is compressed already.
        compression = {name: "none" if name.startswith("audio") else "zstd" for name in _leaves(schema)}
        with replacing(self.data / shard.name) as partial:
            with pq.ParquetWriter(partial, schema, compression=compression) as writer:
                for table in self._tables(shard, tally, advance):
                    writer.write_table(table)
            num_bytes, digest = partial.stat().st_size, sha256(partial)
        report = ShardReport(
            shard.name, tally.rows, tally.seconds, dict(tally.clipped), num_bytes, digest, tuple(tally.rejects)
        )
        report.write(self.reports / f"{shard.name}.json")
        return report

    def _tables(self, shard: Shard, tally: "_Tally", advance: Callable[[], None]) -> Iterator[pa.Table]:
        schema = self.builder.info.features.arrow_schema
        rows = []
        for utterance, label in shard.rows:
            try:
                rows.append(self.builder.encode(utterance, label, self._payload(utterance, tally)))
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

    def _payload(self, utterance: Utterance, tally: "_Tally") -> dict:
        if "audio" not in self.builder.info.features:
            return self.builder.payload(utterance)
        samples = self.builder.load_speech(utterance)
        cause = self._cause(utterance) if _is_over(samples) else None
        if self.options.denoise:
            samples = _front_end().denoise(samples)
            cause = (cause or "denoise") if _is_over(samples) else None
        samples = samples * self.options.gain
        tally.seconds += len(samples) / SAMPLING_RATE
        if _is_over(samples):
            tally.clipped[cause or "gain"] += 1
        encoded = encode_audio(samples, SAMPLING_RATE, self.options.audio_format)
        return {"audio": {"bytes": encoded, "path": f"{utterance.id}.{self.options.audio_format}"}}

    def _cause(self, utterance: Utterance) -> str:
        """Return whether an utterance is over full scale before it is resampled, or only behind."""
        rate = native_rate(utterance.path)
        over = rate == SAMPLING_RATE or _is_over(self.builder.load_speech(utterance, rate))
        return "recording" if over else "resampling"


def _is_over(samples: np.ndarray) -> bool:
    return bool(np.abs(samples).max() > 1)


class _Tally:
    def __init__(self):
        self.rows = 0
        self.clipped: Counter[str] = Counter()
        self.seconds = 0.0
        self.rejects: list[Reject] = []


@cache
def _front_end():
    # Imported here because it brings transformers.
    from ..models.pyresnet.feature_extraction_pyresnet import PyResNetFeatureExtractor

    return PyResNetFeatureExtractor()


def _leaves(schema: pa.Schema) -> list[str]:
    """Return the columns as Parquet names them: `audio.bytes`, `secondary_emotions.list.element`, ..."""
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    return [column.path for column in pq.ParquetFile(sink.getvalue()).schema]
