"""The schema that every corpus shares, and the builder that turns a list of utterances into a `datasets` corpus."""

import hashlib
import inspect
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import datasets
import pyarrow as pa

from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS


SAMPLING_RATE = 16000
SPLITS = ("train", "validation", "test")
_ROWS_PER_TABLE = 1000

logger = datasets.logging.get_logger(__name__)


def corpus_features(emotions: Sequence[str] = EMOTIONS) -> datasets.Features:
    """Columns of every corpus. What a corpus lacks is null, or -1 in a ClassLabel."""
    emotion = datasets.ClassLabel(names=list(emotions))
    return datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": datasets.Audio(sampling_rate=SAMPLING_RATE),
            "emotion": emotion,
            "secondary_emotions": datasets.Sequence(datasets.ClassLabel(names=list(EMOTIONS))),
            "gender": datasets.ClassLabel(names=list(GENDERS)),
            "age_group": datasets.ClassLabel(names=list(AGE_GROUPS)),
            "age": datasets.Value("float32"),
            "speaker_id": datasets.Value("string"),
            "session_id": datasets.Value("string"),
            "start": datasets.Value("float64"),
            "end": datasets.Value("float64"),
            "transcript": datasets.Value("string"),
        }
    )


@dataclass(frozen=True)
class Utterance:
    """One row of a corpus. Emotions, gender and age group are names of `lssed_hf.labels`; `split` may stay open."""

    id: str
    path: str
    emotion: str
    secondary_emotions: tuple[str, ...] = ()
    gender: str | None = None
    age_group: str | None = None
    age: float | None = None
    speaker_id: str | None = None
    session_id: str | None = None
    start: float | None = None
    end: float | None = None
    transcript: str | None = None
    split: str | None = None


@dataclass
class CorpusConfig(datasets.BuilderConfig):
    """`emotions` are the classes that are kept, in the order of their numbers; `split_scheme` names how to split."""

    emotions: Sequence[str] = EMOTIONS
    split_scheme: str = "speaker"


class CorpusDataError(ValueError):
    """A folder is not the corpus that it was said to be, or its metadata cannot be read."""


class CorpusBuilder(datasets.ArrowBasedBuilder):
    """Base of the corpora. A corpus implements `read_utterances`, and `assign_splits` where it has a usual protocol.

    Audio stays where it is: rows hold paths, and nothing is decoded while building. (An `ArrowBasedBuilder`, because
    datasets 5 would encode the rows of a `GeneratorBasedBuilder` through torchcodec.)
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS = [
        CorpusConfig(name="default", description="all emotions of LSSED's vocabulary", emotions=EMOTIONS),
        CorpusConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    DEFAULT_CONFIG_NAME = "default"
    #: Whether the corpus needs no folder.
    makes_its_own_data = False
    #: Names accepted for `split_scheme`.
    SPLIT_SCHEMES: Sequence[str] = ("speaker",)
    HOMEPAGE = ""
    LICENSE = ""
    CITATION = ""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Where the corpus is when no `data_dir` was given."""
        raise ValueError(f"{cls.__name__.lower()} needs data_dir=, the folder that holds the corpus ({cls.HOMEPAGE})")

    @classmethod
    def fingerprint(cls, data_dir: str | os.PathLike) -> str:
        """Hash of this code and of the files below `data_dir` (name, size, time): what changed is read again."""
        digest = hashlib.sha256()
        for source in sorted(Path(__file__).parent.glob("*.py")):  # a corpus may build on any of them
            digest.update(source.read_bytes())
        for folder, folders, files in os.walk(data_dir):
            folders.sort()
            for name in sorted(files):
                status = os.stat(os.path.join(folder, name))
                digest.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def read_utterances(self, data_dir: Path) -> list[Utterance]:
        """Every utterance below `data_dir`. Raises `CorpusDataError` where this is not the corpus."""
        raise NotImplementedError

    def assign_splits(self, utterances: list[Utterance]) -> dict[str, list[Utterance]]:
        """Utterances by split, by their `split` field; a corpus overrides this where that is open."""
        if left_out := sum(row.split is None for row in utterances):
            logger.warning(f"{self.name}: {left_out} utterances without a split are left out")
        return {split: [row for row in utterances if row.split == split] for split in SPLITS}

    def _info(self) -> datasets.DatasetInfo:
        if self.config.split_scheme not in self.SPLIT_SCHEMES:
            raise ValueError(
                f"split_scheme={self.config.split_scheme!r}; {self.name} has {', '.join(self.SPLIT_SCHEMES)}"
            )
        return datasets.DatasetInfo(
            description=inspect.getdoc(type(self)) or "",
            features=corpus_features(self.config.emotions),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            citation=self.CITATION,
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        data_dir = self.config.data_dir
        utterances = self.read_utterances(
            self.default_data_dir() if data_dir is None else Path(data_dir).expanduser().resolve()
        )
        # Divided before any emotion is left out: a test utterance of one configuration is never trained on in another.
        splits = {
            split: [row for row in rows if row.emotion in self.config.emotions]
            for split, rows in self.assign_splits(utterances).items()
        }
        return [
            # A list in gen_kwargs is what datasets divides among processes and data loader workers.
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={"blocks": [rows[i : i + _ROWS_PER_TABLE] for i in range(0, len(rows), _ROWS_PER_TABLE)]},
            )
            for split, rows in splits.items()
            if rows
        ]

    def _generate_tables(self, blocks: list[list[Utterance]]) -> Iterator[tuple[tuple[int, int], pa.Table]]:
        features = self.info.features
        for index, block in enumerate(blocks):
            rows = [_encode(utterance, features) for utterance in block]
            yield (index, 0), pa.Table.from_pylist(rows, schema=features.arrow_schema)


def _encode(utterance: Utterance, features: datasets.Features) -> dict:
    row = asdict(utterance)
    del row["split"]
    row["audio"] = {"bytes": None, "path": row.pop("path")}
    row["emotion"] = features["emotion"].str2int(utterance.emotion)
    row["secondary_emotions"] = [EMOTIONS.index(emotion) for emotion in utterance.secondary_emotions]
    row["gender"] = -1 if utterance.gender is None else GENDERS.index(utterance.gender)
    row["age_group"] = -1 if utterance.age_group is None else AGE_GROUPS.index(utterance.age_group)
    return row
