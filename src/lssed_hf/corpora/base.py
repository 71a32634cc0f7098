"""The schema that every corpus shares, and the builder that turns a list of utterances into a `datasets` corpus."""

import filecmp
import hashlib
import inspect
import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import datasets
import pyarrow as pa

from ..audio import encode_audio, load_audio
from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS


SAMPLING_RATE = 16000
SPLITS = ("train", "validation", "test")
_NOTES = "notes.json"  # in the cache: what was said while it was built
_ROWS_PER_BLOCK = 1000
_ROWS_PER_TABLE = 200

logger = datasets.logging.get_logger(__name__)


def corpus_features(emotions: Sequence[str] = EMOTIONS, vocabulary: Sequence[str] = EMOTIONS) -> datasets.Features:
    """Return the columns of every corpus. What a corpus lacks is null, or -1 in a ClassLabel.

    Args:
        emotions: Classes of `emotion`.
        vocabulary: Classes of `secondary_emotions`.
    """
    emotion = datasets.ClassLabel(names=list(emotions))
    return datasets.Features(
        {
            "id": datasets.Value("string"),
            "audio": datasets.Audio(sampling_rate=SAMPLING_RATE),
            "emotion": emotion,
            "secondary_emotions": datasets.Sequence(datasets.ClassLabel(names=list(vocabulary))),
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


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a corpus. Emotions, gender and age group are names of `lssed_hf.labels`; `split` may stay open.

    `path` is a file of this utterance alone, or where `cut` is set a longer recording of which it is the part from
    `start` to `end` (seconds). `offset` is the byte at which its line begins, where `path` is a table of features.
    `source` says where the metadata has it (file and line), for messages; it is `path` where there is no metadata.
    """

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
    cut: bool = False
    offset: int | None = None
    source: str | None = None


_FIELDS_OF_ROWS = tuple(
    field.name for field in fields(Utterance) if field.name not in ("path", "split", "cut", "offset", "source")
)


@dataclass(frozen=True, slots=True)
class Reject:
    """An utterance that is left out: its name as far as it is known, where it stands (file, line), and why.

    `by_rule` tells what the corpus or its protocol leaves out (other languages, no agreement among raters, files known
    to be broken) from what should have been there and is faulty. Reasons by rule are worded alike, to be counted.
    """

    id: str
    source: str
    reason: str
    by_rule: bool = False


@dataclass
class CorpusConfig(datasets.BuilderConfig):
    """Configuration of a corpus.

    Args:
        emotions: Classes that are kept, in the order of their numbers.
        vocabulary: Classes of secondary emotions.
        split_scheme: Name of the way to split.
    """

    emotions: Sequence[str] = EMOTIONS
    vocabulary: Sequence[str] = EMOTIONS
    split_scheme: str = "speaker"

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """Names the cache folder: also by the files of the corpus, so that what changed is read again."""
        if config_kwargs.get("data_dir") is not None:
            config_kwargs = {**config_kwargs, "fingerprint": fingerprint(config_kwargs["data_dir"])}
        return super().create_config_id(config_kwargs, custom_features)


def fingerprint(data_dir: str | os.PathLike) -> str:
    """Hash of this code and of the files below a folder (name, size, time)."""
    digest = hashlib.sha256(source_hash().encode())
    for folder, folders, files in os.walk(Path(data_dir).expanduser()):
        folders.sort()
        for name in sorted(files):
            status = os.lstat(os.path.join(folder, name))
            digest.update(os.fsencode(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n"))
    return digest.hexdigest()


def source_hash() -> str:
    """Hash of the code that reads corpora; `datasets` hashes the code of a package by its name only."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    # A corpus may build on any of them.
    for source in sorted(path for below in ("", "decoding/", "corpora/**/") for path in package.glob(f"{below}*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


class CorpusDataError(datasets.exceptions.DatasetGenerationError, ValueError):
    """A folder is not the corpus that it was said to be, or its metadata cannot be read.

    (A `DatasetGenerationError`, because `datasets` would hide any other behind one that says nothing.)
    """


class CorpusBuilder(datasets.ArrowBasedBuilder):
    """Base of the corpora. A corpus implements `read_utterances`, and `assign_splits` where it has a usual protocol.

    Audio stays where it is: rows hold paths, and nothing is decoded while building, but for utterances that have to be
    cut out of recordings. (An `ArrowBasedBuilder`, because datasets 5 would encode the rows of a
    `GeneratorBasedBuilder` through torchcodec.)
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS = [
        CorpusConfig(name="default", description="all emotions of LSSED's vocabulary", emotions=EMOTIONS),
        CorpusConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    DEFAULT_CONFIG_NAME = "default"
    #: Configuration that is trained and scored on where the user names none.
    TRAINING_CONFIG_NAME = "benchmark"
    #: Option that names the column of the user's table, by column of the corpus; for people's own tables alone.
    COLUMN_OPTIONS: Mapping[str, str] = {}
    #: Names accepted for `split_scheme`; the first is the default.
    SPLIT_SCHEMES: Sequence[str] = ("speaker",)
    #: What the corpus's usual 4-class protocol counts as another emotion, e.g. IEMOCAP's excited as happy.
    BENCHMARK_MERGES: Mapping[str, str] = {}
    #: The column of `_features` that holds the label, a ClassLabel.
    LABEL_COLUMN = "emotion"
    HOMEPAGE = ""
    LICENSE = ""
    #: What the licence says of passing the corpus on, where it forbids it; a prepared folder's card repeats it.
    NO_REDISTRIBUTION = ""
    CITATION = ""
    #: Of the card of a prepared folder.
    TAGS: Sequence[str] = ("speech-emotion-recognition", "audio")

    def __init__(self, *args, split_scheme: str | None = None, **kwargs):
        self._notes: list[str] = []
        super().__init__(*args, split_scheme=split_scheme or self.SPLIT_SCHEMES[0], **kwargs)

    def note(self, line: str) -> None:
        """Warn of something about the corpus that the user has to know, whenever it is loaded."""
        line = f"{self.name}: {line}"
        if line not in self._notes:
            self._notes.append(line)
            logger.warning(line)

    def configurations(self) -> Sequence[str]:
        """Return the configurations that a prepared folder of this one has: `default` has `benchmark` with it."""
        beside = [name for name in ("benchmark",) if self.config.name == "default" and name in self.builder_configs]
        return [self.config.name, *beside]

    def resolve_classes(self, utterances: Sequence[Utterance]) -> None:
        """Fix the classes, where they depend on what the corpus holds."""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Where the corpus is when no `data_dir` was given."""
        name = datasets.naming.camelcase_to_snakecase(cls.__name__)
        raise ValueError(f"{name} needs data_dir=, the folder that holds the corpus ({cls.HOMEPAGE})")

    def read_utterances(self, data_dir: Path) -> Iterable[Utterance | Reject]:
        """Every utterance below `data_dir`, or why it cannot be used. Raises `CorpusDataError` for another corpus."""
        raise NotImplementedError

    def folders(self, data_dir: Path) -> Sequence[Path]:
        """The resolved folders that files of the corpus may be in: `data_dir`, and where archives were unpacked to."""
        return (data_dir,)

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """The schemes that these utterances can be divided by."""
        return self.SPLIT_SCHEMES

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        """The split of each utterance (None: in none), its `split` field unless a corpus overrides this."""
        return [row.split for row in utterances]

    def read(self, data_dir: Path) -> tuple[list[Utterance], list[Reject]]:
        """Read and check: identifiers are unique, times are sound, and no file lies outside of `folders`.

        Raises:
            CorpusDataError: this is not the corpus, or holds nothing at all.
        """
        utterances: list[Utterance] = []
        rejects: list[Reject] = []
        seen: dict[str, Utterance] = {}
        inside: dict[str, bool] = {}
        folders: Sequence[Path] | None = None
        for row in self.read_utterances(data_dir):
            if isinstance(row, Reject):
                rejects.append(row)
                continue
            source, first = row.source or row.path, seen.get(row.id)
            folders = self.folders(data_dir) if folders is None else folders
            if not _is_utf8(row.path):
                problem = "the file's name is not UTF-8; rename it"
            elif not _is_inside(row.path, folders, inside):
                problem = f"{row.path} is a link out of {data_dir}, or to nothing; put the file itself there"
            elif first is not None and _is_copy(row, first):
                rejects.append(Reject(row.id, source, "an identical copy of another file", by_rule=True))
                continue
            elif first is not None:
                problem = f"the same id as {first.source or first.path}; give each utterance its own"
            else:
                problem = _time_problem(row)
            if problem:
                rejects.append(Reject(row.id, source, problem))
            else:
                seen[row.id] = row
                utterances.append(row)
        if not utterances and all(reject.by_rule for reject in rejects):
            reasons = ", ".join({reject.reason for reject in rejects})
            raise CorpusDataError(f"{self.name}: no utterance in {data_dir}{reasons and f' ({reasons})'}")
        return utterances, rejects

    def label_of(self, utterance: Utterance) -> str | None:
        """The class that this configuration counts an utterance as, or None where it leaves it out."""
        emotion = utterance.emotion
        if tuple(self.config.emotions) == BENCHMARK_EMOTIONS:
            emotion = self.BENCHMARK_MERGES.get(emotion, emotion)
        return emotion if emotion in self.config.emotions else None

    def encode(self, utterance: Utterance, label: str, payload: dict | None = None) -> dict:
        """The row of an utterance in this configuration's features; `payload` takes the place of `self.payload`'s."""
        row = {field: getattr(utterance, field) for field in _FIELDS_OF_ROWS}  # asdict() would copy deeply
        row.update(self.payload(utterance) if payload is None else payload)
        row["emotion"] = self.config.emotions.index(label)
        row["secondary_emotions"] = [self.config.vocabulary.index(label) for label in utterance.secondary_emotions]
        row["gender"] = -1 if utterance.gender is None else GENDERS.index(utterance.gender)
        row["age_group"] = -1 if utterance.age_group is None else AGE_GROUPS.index(utterance.age_group)
        return row

    def payload(self, utterance: Utterance) -> dict:
        """The column that holds the speech: a path, or the encoded part of a recording.

        Raises:
            AudioError: the part cannot be cut out.
        """
        if not utterance.cut:
            return {"audio": {"bytes": None, "path": utterance.path}}
        samples = load_audio(utterance.path, SAMPLING_RATE, start=utterance.start, end=utterance.end)
        return {"audio": {"bytes": encode_audio(samples, SAMPLING_RATE), "path": f"{utterance.id}.flac"}}

    def _features(self) -> datasets.Features:
        return corpus_features(self.config.emotions)

    def _info(self) -> datasets.DatasetInfo:
        return datasets.DatasetInfo(
            description=inspect.getdoc(type(self)) or "",
            features=self._features(),
            homepage=self.HOMEPAGE,
            license=self.LICENSE,
            citation=self.CITATION,
        )

    def _split_generators(self, dl_manager: datasets.DownloadManager) -> list[datasets.SplitGenerator]:
        data_dir = self.config.data_dir
        data_dir = self.default_data_dir() if data_dir is None else Path(data_dir).expanduser().resolve()
        utterances, rejects = self.read(data_dir)
        self._refuse(rejects, len(utterances), data_dir)
        scheme = self.config.split_scheme
        known = [*dict.fromkeys([*self.split_schemes(utterances), *self.SPLIT_SCHEMES])]
        if scheme not in known:
            raise ValueError(f"split_scheme={scheme!r}; {self.name} has {', '.join(known)}")
        self.resolve_classes(utterances)
        # Divided before any label is left out: a test utterance of one configuration is never trained on in another.
        splits: dict[str | None, list[tuple[Utterance, str]]] = {split: [] for split in SPLITS}
        without_split, left_out = 0, Counter()
        for row, split in zip(utterances, self.assign_splits(utterances, scheme)):
            label = self.label_of(row)
            if split is None:
                without_split += 1
            elif label is None:
                left_out[row.emotion] += 1
            else:
                splits[split].append((row, label))
        if without_split:
            self.note(f"{without_split:,} utterances without a split are left out")
        if left_out:
            self.note(left_out_line(self.config.name, left_out, len(utterances)))
        return [
            # A list in gen_kwargs is what datasets divides among processes and data loader workers.
            datasets.SplitGenerator(
                name=split,
                gen_kwargs={"blocks": [rows[i : i + _ROWS_PER_BLOCK] for i in range(0, len(rows), _ROWS_PER_BLOCK)]},
            )
            for split, rows in splits.items()
            if rows
        ]

    def _refuse(self, rejects: list[Reject], num_good: int, data_dir: Path) -> None:
        """Say what a rule leaves out, and stop at what is faulty."""
        for reason, number in Counter(reject.reason for reject in rejects if reject.by_rule).items():
            self.note(f"{number:,} utterances are left out: {reason}")
        if faulty := [reject for reject in rejects if not reject.by_rule]:
            shown = "; ".join(f"{reject.source} ({reject.id}): {reject.reason}" for reject in faulty[:3])
            raise CorpusDataError(
                f"{self.name}: {len(faulty)} of {num_good + len(rejects)} utterances cannot be used: {shown}"
                f"{'; ...' if len(faulty) > 3 else ''}. Mend them, or leave them out with `lssed-hf prepare "
                f"{self.name} {data_dir} OUT`, which lists them all in rejects.csv"
            )

    def _download_and_prepare(self, *args, **kwargs) -> None:
        super()._download_and_prepare(*args, **kwargs)
        # In the folder that becomes the cache, for those who load it from there.
        Path(self._output_dir, _NOTES).write_text(json.dumps(self._notes), encoding="utf-8")

    def as_dataset(self, *args, **kwargs) -> datasets.DatasetDict | datasets.Dataset:
        path = Path(self._output_dir, _NOTES)
        if not self._notes and path.is_file():
            self._notes = json.loads(path.read_text(encoding="utf-8"))
            for line in self._notes:
                logger.warning(line)
        return super().as_dataset(*args, **kwargs)

    def _generate_tables(
        self, blocks: list[list[tuple[Utterance, str]]]
    ) -> Iterator[tuple[tuple[int, int], pa.Table]]:
        schema = self.info.features.arrow_schema
        for index, block in enumerate(blocks):
            for first in range(0, len(block), _ROWS_PER_TABLE):
                try:
                    rows = [
                        self.encode(utterance, label) for utterance, label in block[first : first + _ROWS_PER_TABLE]
                    ]
                except (ValueError, OSError, ImportError) as error:
                    raise CorpusDataError(f"{self.name}: {error}") from error
                yield (index, first), pa.Table.from_pylist(rows, schema=schema)


def left_out_line(config: str, counts: Counter[str], total: int) -> str:
    """Return the line that says how many utterances of which class a configuration leaves out."""
    named = ", ".join(f"{count:,} {emotion}" for emotion, count in counts.most_common())
    return f"configuration {config!r} leaves out {counts.total():,} of {total:,} utterances: {named}"


def _time_problem(row: Utterance) -> str | None:
    for field in ("age", "start", "end"):
        value = getattr(row, field)
        if value is not None and not (math.isfinite(value) and value >= 0):
            return f"{field} is {value}; correct it or leave it empty"
    if row.cut and (row.start is None or row.end is None):
        return "its start or end in the recording is missing"
    if row.start is not None and row.end is not None and row.end <= row.start:
        return f"ends at {row.end} s, before or when it starts ({row.start} s); correct the times"
    return None


def _is_copy(row: Utterance, first: Utterance) -> bool:
    """Whether an utterance is another file with the same bytes."""
    if row.cut or row.path == first.path or row.emotion != first.emotion:
        return False
    try:
        return filecmp.cmp(row.path, first.path, shallow=False)
    except OSError:
        return False


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:  # Arrow and Parquet hold UTF-8 alone
        return False
    return True


def _is_inside(path: str, folders: Sequence[Path], known: dict[str, bool]) -> bool:
    """Whether a file is below a (resolved) folder, links followed. `known` keeps what was found out of its folder."""
    parent = os.path.dirname(path)
    if parent not in known:
        known[parent] = any(Path(os.path.realpath(parent)).is_relative_to(folder) for folder in folders)
    if not os.path.islink(path):
        return known[parent]
    target = Path(os.path.realpath(path))  # not Path.resolve, which raises RuntimeError at a link to itself
    return any(target.is_relative_to(folder) for folder in folders) and target.is_file()
