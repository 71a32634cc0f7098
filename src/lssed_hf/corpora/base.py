"""Schema of all corpora, and the builder that makes a `datasets` corpus of a list of utterances."""

import dataclasses
import filecmp
import hashlib
import inspect
import json
import math
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from ..audio import encode_audio, load_audio, num_channels
from ..decoding.source import placeholder_problem
from ..files import content_folders
from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS, emotion_of_word
from ..suggest import did_you_mean
from ..wording import count_left_out
from .omissions import Omission, leave_out
from .source_files import source_hash


SAMPLING_RATE = 16000
SPLITS = ("train", "validation", "test")
#: Columns of floats in corpora whose raters judged them, see `CorpusBuilder.RATED`.
DIMENSIONS = ("valence", "arousal", "dominance")
#: Split scheme of own recordings that are taken together: all are in the first split.
UNDIVIDED = "none"
_NOTES = "notes.json"  # in the cache: the warnings of the build, and the rows that each tells of as left out
_ROWS_PER_BLOCK = 1000
_ROWS_PER_TABLE = 200
_SHOWN = 3  # reasons and places in a message
_SHOWN_TEXT = 40  # characters of a cell in a message
_POINTER_SIZE = 512  # bytes; a placeholder is smaller, and a recording hardly ever

logger = datasets.logging.get_logger(__name__)


def corpus_features(
    emotions: Sequence[str] = EMOTIONS, vocabulary: Sequence[str] = EMOTIONS, dimensions: Sequence[str] = ()
) -> datasets.Features:
    """Return the columns of every corpus. Missing values are null, or -1 in a ClassLabel.

    Args:
        emotions: Classes of `emotion`.
        vocabulary: Classes of `secondary_emotions`.
        dimensions: Further columns of floats, some of `DIMENSIONS`.
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
            **dict.fromkeys(dimensions, datasets.Value("float32")),
        }
    )


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """Facts of a corpus that `lssed-hf corpora` lists. A fact that no source tells is None.

    Attributes:
        languages: English names of the languages.
        emotions: Emotions that the labels are mapped to. The corpora of depression name their classes.
        utterances: Number of utterances, videos or interviews.
        speakers: Number of speakers.
        hours: Length of all recordings in hours.
    """

    languages: Sequence[str]
    emotions: Collection[str]
    utterances: int | None = None
    speakers: int | None = None
    hours: float | None = None


@dataclass(frozen=True, slots=True)
class Utterance:
    """Row of a corpus. A field that the corpus does not know is None.

    Attributes:
        id: Name of the utterance, which no other one in the corpus has.
        path: File of this utterance alone. Where `cut` is set, a longer recording: the utterance is the segment from
            `start` to `end` (seconds). Where `offset` is set, a table of features.
        emotion: Emotion, one of `lssed_hf.EMOTIONS`: angry, neutral, happy, sad, disappointed, bored, disgusted,
            excited, surprised, fearful or other. None only in a configuration that keeps utterances without a class.
        secondary_emotions: Further emotions, of the same names.
        gender: Gender, female or male.
        age_group: Age group, young, middle_aged or old.
        age: Age in years.
        speaker_id: Name of the speaker. Splits keep speakers apart by it.
        session_id: Name of the recording session.
        start: Start of the utterance in its recording, in seconds.
        end: End of the utterance in its recording, in seconds.
        transcript: Words that are said.
        valence: Mean rating from negative to positive, on the corpus's scale.
        arousal: Mean rating from calm to active, on the corpus's scale.
        dominance: Mean rating from weak to strong, on the corpus's scale.
        split: Split of the release, train, validation or test. None: the builder assigns one.
        cut: Whether the utterance is a segment of `path`.
        offset: Byte at which the utterance's line in `path` begins.
        source: File and line of the metadata, for messages. Default: `path`.
    """

    id: str
    path: str
    emotion: str | None
    secondary_emotions: tuple[str, ...] = ()
    gender: str | None = None
    age_group: str | None = None
    age: float | None = None
    speaker_id: str | None = None
    session_id: str | None = None
    start: float | None = None
    end: float | None = None
    transcript: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    split: str | None = None
    cut: bool = False
    offset: int | None = None
    source: str | None = None


_FIELDS_OF_ROWS = tuple(
    field.name
    for field in dataclasses.fields(Utterance)
    if field.name not in ("path", "split", "cut", "offset", "source")
)


@dataclass(frozen=True, slots=True)
class Reject:
    """Utterance that is left out.

    Attributes:
        id: Name of the utterance, as far as it is known.
        source: File and line that the utterance comes from.
        reason: Reason for a message. Reasons by rule are worded alike, to be counted.
        by_rule: Whether the corpus or its protocol leaves it out: another language, no agreement among raters, a file
            known to be broken. Otherwise the data are faulty.
        damaged: Whether its file alone is damaged. The rest of the corpus loads, with a warning.
    """

    id: str
    source: str
    reason: str
    by_rule: bool = False
    damaged: bool = False


@dataclass
class CorpusConfig(datasets.BuilderConfig):
    """Configuration of a corpus.

    Args:
        emotions: Classes to keep, in the order of their numbers.
        vocabulary: Classes of secondary emotions.
        split_scheme: Name of the split scheme.
        without_class: Whether to keep utterances on whose class the raters did not agree, with -1 in its place.
    """

    emotions: Sequence[str] = EMOTIONS
    vocabulary: Sequence[str] = EMOTIONS
    split_scheme: str = "speaker"
    without_class: bool = False

    def create_config_id(self, config_kwargs: dict, custom_features: datasets.Features | None = None) -> str:
        """Return a name for the cache folder that changes with the files of the corpus."""
        if config_kwargs.get("data_dir") is not None:
            config_kwargs = {**config_kwargs, "fingerprint": fingerprint(config_kwargs["data_dir"])}
        return super().create_config_id(config_kwargs, custom_features)


def fingerprint(data_dir: str | os.PathLike) -> str:
    """Return a digest of the names, sizes and times of the files below a folder."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(Path(data_dir).expanduser()):
        folders.sort()
        for name in sorted(files):
            status = os.lstat(os.path.join(folder, name))
            digest.update(os.fsencode(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n"))
    return digest.hexdigest()


# `datasets` would hide any other error behind a DatasetGenerationError that says nothing.
class CorpusDataError(datasets.exceptions.DatasetGenerationError, ValueError):
    """Error of a folder that is not the named corpus, or whose metadata cannot be read."""


# datasets 5 would encode the rows of a GeneratorBasedBuilder through torchcodec.
class CorpusBuilder(datasets.ArrowBasedBuilder):
    """Base of the corpora. A corpus implements `read_utterances`, and `assign_splits` where it has a usual protocol.

    Rows hold the paths of audio files. The build decodes only recordings that it cuts utterances from.
    """

    VERSION = datasets.Version("1.0.0")
    BUILDER_CONFIG_CLASS = CorpusConfig
    BUILDER_CONFIGS = [
        CorpusConfig(name="default", description="all emotions of LSSED's vocabulary", emotions=EMOTIONS),
        CorpusConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    DEFAULT_CONFIG_NAME = "default"
    #: Configuration of rated corpora in which utterances without a class stay.
    RATINGS = CorpusConfig(name="ratings", description="all that is rated, with no class as one", without_class=True)
    #: Configuration to train and score on where the user names none.
    TRAINING_CONFIG_NAME = "benchmark"
    #: Column of the corpus to the option that names the column of the user's own table.
    COLUMN_OPTIONS: Mapping[str, str] = {}
    #: Names accepted for `split_scheme`; the first is the default.
    SPLIT_SCHEMES: Sequence[str] = ("speaker",)
    #: Emotions that the corpus's usual 4-class protocol counts as another one, e.g. IEMOCAP's excited as happy.
    BENCHMARK_MERGES: Mapping[str, str] = {}
    #: Emotions that `read_utterances` may give. Default: LSSED's. None: any labels, or none at all.
    READER_EMOTIONS: Sequence[str] | None = EMOTIONS
    #: Columns of `DIMENSIONS` that the corpus has.
    RATED: Sequence[str] = ()
    #: Fields of the configuration that `resolve_classes` may set.
    RESOLVED: Sequence[str] = ("emotions", "vocabulary")
    #: Column of `_features` with the label, a ClassLabel.
    LABEL_COLUMN = "emotion"
    #: Channel that is read of files with several: "mix" (their mean), "left" or "right".
    CHANNEL = "mix"
    #: Facts that `lssed-hf corpora` lists. Default: none, for data that everyone has of their own.
    FACTS: CorpusFacts | None = None
    HOMEPAGE = ""
    LICENSE = ""
    #: Sentence for the card of a prepared folder, where the licence forbids to pass the corpus on.
    NO_REDISTRIBUTION = ""
    CITATION = ""
    #: Tags on the card of a prepared folder.
    TAGS: Sequence[str] = ("speech-emotion-recognition", "audio")

    def __init__(self, *args, split_scheme: str | None = None, **kwargs):
        self._asked_scheme = split_scheme
        self._notes: dict[str, list[Omission]] = {}
        self._unread: dict[str, Counter[str]] = defaultdict(Counter)
        # `datasets` would take a hash of the module's name.
        kwargs["hash"] = source_hash(*(base.__module__ for base in type(self).__mro__))
        super().__init__(*args, split_scheme=split_scheme or self.SPLIT_SCHEMES[0], **kwargs)

    def note_own_splits(self) -> None:
        """Note that a split scheme has no effect, as the utterances have splits of their own."""
        if self._asked_scheme not in (None, "official"):
            self.note(f"--split_scheme {self._asked_scheme} has no effect: the clips have splits of their own")

    def note(self, line: str, left_out: Mapping[str, Sequence[str]] | None = None) -> None:
        """Log a warning now and whenever the corpus is loaded.

        Args:
            line: Text of the warning.
            left_out: Names of the utterances that it tells of as left out, by reason.
        """
        line = f"{self.name}: {line}"
        if line not in self._notes:
            self._notes[line] = [
                Omission(self.name, reason, len(ids), tuple(ids)) for reason, ids in (left_out or {}).items()
            ]
            self._tell(line)

    def _tell(self, line: str) -> None:
        logger.warning(line)
        for omission in self._notes[line]:
            leave_out(omission)

    def optional(self, read: Callable, row: Mapping, field: str, *args) -> Any:
        """Return the value of an optional cell, None where `read(row, field, *args)` fails. Such cells are counted."""
        try:
            return read(row, field, *args)
        except ValueError:
            self._unread[field][str(row[field])[:_SHOWN_TEXT]] += 1
            return None

    def configurations(self) -> Sequence[str]:
        """Return the configurations of a prepared folder: this one, and `benchmark` beside `default`."""
        beside = [name for name in ("benchmark",) if self.config.name == "default" and name in self.builder_configs]
        return [self.config.name, *beside]

    def resolve_classes(self, utterances: Sequence[Utterance]) -> None:
        """Set the classes, where they depend on the utterances."""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the folder of the corpus where no `data_dir` is given.

        Raises:
            ValueError: The corpus has no such folder.
        """
        name = datasets.naming.camelcase_to_snakecase(cls.__name__)
        raise ValueError(f"{name} needs data_dir=, the folder that holds the corpus ({cls.HOMEPAGE})")

    def read_utterances(self, data_dir: Path) -> Iterable[Utterance | Reject]:
        """Yield every utterance below `data_dir`, or the reason to leave it out.

        Raises:
            CorpusDataError: The folder is not this corpus.
        """
        raise NotImplementedError

    def participant_flow(self, data_dir: Path) -> list[dict[str, str | int | None]] | None:
        """Return how many participants of a clinical corpus have which outcome, None for other corpora.

        Rows have `split`, `label`, `outcome` ("kept", or the reason to leave them out), `participants` and
        `relabelled`, the number of those whose label was another one in the files.

        Raises:
            CorpusDataError: The folder is not this corpus.
        """
        return None

    def folders(self, data_dir: Path) -> Sequence[Path]:
        """Return the resolved folders that may hold files: `data_dir`, and those that its links may lead to.

        These are folders that archives are unpacked to, and the blobs of a snapshot in the cache of the Hub.
        """
        return content_folders(data_dir)

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """Return the schemes that can divide these utterances."""
        return self.SPLIT_SCHEMES

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        """Return the split of each utterance, None where it is in no split. Default: the field `split`."""
        return [row.split for row in utterances]

    def read(self, data_dir: Path) -> tuple[list[Utterance], list[Reject]]:
        """Read a corpus and check it: ids are unique, times are sound, and no file lies outside of `folders`.

        Returns:
            Utterances to use, and utterances to leave out.

        Raises:
            CorpusDataError: The folder is not this corpus, or holds nothing at all, or its reader gives a value that
                no corpus has.
        """
        utterances: dict[str, Utterance] = {}
        rejects: list[Reject] = []
        inside: dict[str, bool] = {}
        pointers: dict[str, str | None] = {}
        folders: Sequence[Path] | None = None
        self._unread.clear()
        for row in self.read_utterances(data_dir):
            if isinstance(row, Reject):
                rejects.append(row)
                continue
            self._check_values(row)
            folders = self.folders(data_dir) if folders is None else folders
            first, by_rule = utterances.get(row.id), False
            if not _is_utf8(row.path):
                problem = "the file's name is not UTF-8; rename it"
            elif not _is_inside(row.path, folders, inside):
                problem = f"{row.path} is a link out of {data_dir}, or to nothing; put the file itself there"
            elif first is not None and _is_copy(row, first):
                problem, by_rule = "an identical copy of another file", True
            elif first is None and (pointer := _pointer_problem(row.path, pointers)):
                problem = pointer
            elif first is not None:
                problem = f"the same id as {first.source or first.path}; give each utterance its own"
            else:
                problem = _time_problem(row)
            if problem:
                rejects.append(Reject(row.id, row.source or row.path, problem, by_rule))
            else:
                utterances[row.id] = row
        for field, cells in self._unread.items():
            shown = ", ".join(f"{cell!r} ({count:,})" for cell, count in cells.most_common(2 * _SHOWN))
            self.note(f"{cells.total():,} values of {field} cannot be read and are left empty: {shown}")
        if not utterances and all(reject.by_rule or reject.damaged for reject in rejects):
            reasons = ", ".join(dict.fromkeys(reject.reason for reject in rejects))
            raise CorpusDataError(f"{self.name}: no utterance in {data_dir}{reasons and f' ({reasons})'}")
        return list(utterances.values()), rejects

    def divide(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        """Return the splits of `assign_splits`, checked.

        Raises:
            CorpusDataError: They are no splits, or not one for each utterance.
        """
        splits = self.assign_splits(utterances, scheme)
        if len(splits) != len(utterances):
            raise CorpusDataError(
                f"{self.name}: assign_splits gives {len(splits)} splits for {len(utterances)} utterances"
            )
        for row, split in zip(utterances, splits):
            self._check_value(row, "split", split, SPLITS)
        return splits

    def _check_values(self, row: Utterance) -> None:
        """Check the names that the reader gives: an unknown one is the reader's mistake, and not of the data."""
        if self.READER_EMOTIONS is not None:
            if row.emotion is None and not self.config.without_class:
                raise CorpusDataError(f"{self.name}: the reader gives {row.id} no emotion; yield a Reject instead")
            for field, values in (("emotion", (row.emotion,)), ("secondary_emotions", row.secondary_emotions)):
                for value in values:
                    self._check_value(row, field, value, self.READER_EMOTIONS)
        self._check_value(row, "gender", row.gender, GENDERS)
        self._check_value(row, "age_group", row.age_group, AGE_GROUPS)
        self._check_value(row, "split", row.split, SPLITS)

    def _check_value(self, row: Utterance, field: str, value: str | None, known: Sequence[str]) -> None:
        if value is None or value in known:
            return
        meant = emotion_of_word(str(value)) if "emotion" in field else None
        suggestion = f"; did you mean {meant}?" if meant in known else did_you_mean(str(value), known)
        raise CorpusDataError(
            f"{self.name}: the reader gives {row.id} {field}={value!r}; known are {', '.join(known)}{suggestion}"
        )

    def label_of(self, utterance: Utterance) -> str | None:
        """Return the class of an utterance in this configuration, None where it is left out, "" where it has none."""
        emotion = utterance.emotion
        if emotion is None and self.config.without_class:
            return ""
        if tuple(self.config.emotions) == BENCHMARK_EMOTIONS:
            emotion = self.BENCHMARK_MERGES.get(emotion, emotion)
        return emotion if emotion in self.config.emotions else None

    def encode(self, utterance: Utterance, label: str, payload: dict | None = None) -> dict:
        """Return the row of an utterance in this configuration's features.

        Args:
            utterance: Utterance to encode.
            label: Class of the utterance, see `label_of`.
            payload: Column with the speech. Default: `self.payload(utterance)`.
        """
        row = {field: getattr(utterance, field) for field in _FIELDS_OF_ROWS}  # asdict() would copy deeply
        row.update(self.payload(utterance) if payload is None else payload)
        row["emotion"] = self.config.emotions.index(label) if label else -1
        row["secondary_emotions"] = [self.config.vocabulary.index(label) for label in utterance.secondary_emotions]
        row["gender"] = -1 if utterance.gender is None else GENDERS.index(utterance.gender)
        row["age_group"] = -1 if utterance.age_group is None else AGE_GROUPS.index(utterance.age_group)
        return row

    def payload(self, utterance: Utterance) -> dict:
        """Return the column with the speech: a path, or the encoded segment or channel of a recording.

        Raises:
            AudioError: The segment or channel cannot be read.
        """
        if not utterance.cut and (self.CHANNEL == "mix" or num_channels(utterance.path) == 1):
            return {"audio": {"bytes": None, "path": utterance.path}}
        encoded = encode_audio(self.load_speech(utterance), SAMPLING_RATE)
        return {"audio": {"bytes": encoded, "path": f"{utterance.id}.flac"}}

    def load_speech(self, utterance: Utterance, sampling_rate: int = SAMPLING_RATE) -> np.ndarray:
        """Decode an utterance: its file or segment, and of several channels the corpus's `CHANNEL`.

        Args:
            utterance: Utterance to decode.
            sampling_rate: Sampling rate of the result in Hz.

        Returns:
            float32 of shape (samples,).

        Raises:
            AudioError: It cannot be decoded.
        """
        times = {"start": utterance.start, "end": utterance.end} if utterance.cut else {}
        return load_audio(utterance.path, sampling_rate, **times, channel=self.CHANNEL)

    def _features(self) -> datasets.Features:
        return corpus_features(self.config.emotions, dimensions=self.RATED)

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
        # Splits come before labels: so a test utterance of one configuration is never trained on in another.
        splits: dict[str | None, list[tuple[Utterance, str]]] = {split: [] for split in SPLITS}
        without_split: list[str] = []
        left_out: dict[str, list[str]] = defaultdict(list)
        for row, split in zip(utterances, self.divide(utterances, scheme)):
            label = self.label_of(row)
            if split is None:
                without_split.append(row.id)
            elif label is None:
                left_out[row.emotion].append(row.id)
            else:
                splits[split].append((row, label))
        if without_split:
            line = count_left_out(len(without_split), "utterance", "without a split")
            self.note(line, {"without a split": without_split})
        if left_out:
            counts = Counter({emotion: len(ids) for emotion, ids in left_out.items()})
            by_reason = {not_in(self.config.name, emotion): ids for emotion, ids in left_out.items()}
            self.note(left_out_line(self.config.name, counts, len(utterances)), by_reason)
        return [_generator(split, rows) for split, rows in splits.items() if rows]

    def _refuse(self, rejects: list[Reject], num_good: int, data_dir: Path) -> None:
        """Note the utterances that a rule leaves out and damaged ones, and raise an error for other faulty ones."""
        left_out: dict[str, list[str]] = defaultdict(list)
        for reject in rejects:
            if reject.by_rule or reject.damaged:
                left_out[reject.reason].append(reject.id)
        for reason, ids in left_out.items():
            self.note(f"{count_left_out(len(ids), 'utterance')}: {reason}", {reason: ids})
        if faulty := [reject for reject in rejects if not (reject.by_rule or reject.damaged)]:
            advice = "give another folder or configuration"
            if num_good:
                advice = (
                    f"leave them out with `lssed-hf prepare {self.name} {data_dir} OUT`, which lists them all in "
                    "rejects.csv"
                )
            raise CorpusDataError(
                f"{self.name}: {len(faulty)} of {num_good + len(rejects)} utterances cannot be used: "
                f"{reasons_line(faulty)}. Mend them, or {advice}"
            )

    def _download_and_prepare(self, *args, **kwargs) -> None:
        super()._download_and_prepare(*args, **kwargs)
        # In the folder that becomes the cache, for later loads.
        notes = {line: list(map(dataclasses.asdict, omissions)) for line, omissions in self._notes.items()}
        Path(self._output_dir, _NOTES).write_text(json.dumps(notes), encoding="utf-8")

    def as_dataset(self, *args, **kwargs) -> datasets.DatasetDict | datasets.Dataset:
        path = Path(self._output_dir, _NOTES)
        if not self._notes and path.is_file():
            for line, omissions in json.loads(path.read_text(encoding="utf-8")).items():
                self._notes[line] = [Omission(**{**fields, "ids": tuple(fields["ids"])}) for fields in omissions]
                self._tell(line)
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


def _generator(split: str, rows: Sequence[tuple[Utterance, str]]) -> datasets.SplitGenerator:
    # A list in gen_kwargs is what datasets divides among processes and data loader workers.
    blocks = [rows[i : i + _ROWS_PER_BLOCK] for i in range(0, len(rows), _ROWS_PER_BLOCK)]
    generator = datasets.SplitGenerator(name=split, gen_kwargs={"blocks": blocks})
    generator.split_info.num_examples = len(rows)  # the total of the progress bar
    return generator


def left_out_line(config: str, counts: Counter[str], total: int) -> str:
    """Return a line with the number of utterances of each class that a configuration leaves out."""
    named = ", ".join(f"{count:,} {emotion}" for emotion, count in counts.most_common())
    return f"configuration {config!r} leaves out {counts.total():,} of {total:,} utterances: {named}"


def not_in(config: str, emotion: str) -> str:
    """Return the reason to leave out an utterance of a class that a configuration lacks."""
    return f"{emotion} is not in configuration {config!r}"


def reasons_line(rejects: Sequence[Reject]) -> str:
    """Return a line with the first reasons of rejects, each once with its first places."""
    places: dict[str, list[str]] = defaultdict(list)
    for reject in rejects:
        places[reject.reason].append(f"{reject.source} ({reject.id})")
    shown = []
    for reason, sources in places.items():
        more = f" and {len(sources) - _SHOWN:,} more" if len(sources) > _SHOWN else ""
        also = f" (also {', '.join(sources[1:_SHOWN])}{more})" if len(sources) > 1 else ""
        shown.append(f"{sources[0]}: {reason}{also}")
    return "; ".join([*shown[:_SHOWN], *(["..."] if len(shown) > _SHOWN else [])])


def _pointer_problem(path: str, known: dict[str, str | None]) -> str | None:
    """Return a message if a file is a placeholder such as a Git LFS pointer. `known` caches the results by file."""
    if path not in known:
        try:
            status = os.stat(path)
            small = stat.S_ISREG(status.st_mode) and status.st_size < _POINTER_SIZE  # reading a pipe might never end
            known[path] = placeholder_problem(Path(path).read_bytes()) if small else None
        except OSError:
            known[path] = None
    return known[path]


def _time_problem(row: Utterance) -> str | None:
    for field in ("age", "start", "end"):
        value = getattr(row, field)
        if value is not None and not (math.isfinite(value) and value >= 0):
            return f"{field} is {value}; correct it or leave it empty"
    if row.cut and (row.start is None or row.end is None):
        return "its start or end in the recording is missing"
    return order_problem(row.start, row.end)


def order_problem(start: float | None, end: float | None) -> str | None:
    """Return a message if an utterance ends before it starts, or when it starts."""
    if start is not None and end is not None and end <= start:
        return f"ends at {end} s, before or when it starts ({start} s); correct the times"
    return None


def _is_copy(row: Utterance, first: Utterance) -> bool:
    """Return whether two utterances with one id are two files with the same bytes."""
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
    """Return whether a file is below a resolved folder, links followed. `known` caches the results by folder."""
    parent = os.path.dirname(path)
    if parent not in known:
        known[parent] = any(Path(os.path.realpath(parent)).is_relative_to(folder) for folder in folders)
    if not os.path.islink(path):
        return known[parent]
    target = Path(os.path.realpath(path))  # not Path.resolve, which raises RuntimeError at a link to itself
    return any(target.is_relative_to(folder) for folder in folders) and target.is_file()
