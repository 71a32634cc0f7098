"""LSSED: 147,025 English utterances of 820 speakers in eleven emotions (Fan et al., ICASSP 2021).

Access is by e-mail under an academic EULA that forbids redistribution; https://github.com/tobefans/LSSED says how to
apply. No public copy exists, so many layouts are read. The metadata are `metadata_english_all.csv`,
`metadata_4class.csv` or `metadata.csv`, `.tsv`, `.jsonl` or `.json` in `data_dir`, or another such file given as
`data_files`. The option `columns` gives other names of columns, and `label_map` renames labels. The columns are

- `name` (or `file`, `path`, `file_name`, `filename`, `id`): the clip `<name>.wav`, `.flac` or `.mp3` in `data_dir`, or
  below `wav_all/`, `wav/` or `audio/` there. Folders before the name tell clips of equal names apart;
- `emotion` (or `faces`, `label`): a name in any known spelling, or a number in LSSED's order. Several names, separated
  by `;`, `,`, `/` or `|`, are the main emotion and the secondary ones;
- optional `gender`, `age`, `age_group`, `speaker` (or `speaker_id`), `session` (or `session_id`), `start`, `end`,
  `transcript` and `split`. Without a speaker column, characters 1-4 of the name are the speaker's number;
- optional `is_Chinese`: rows with 1, true, yes or 是 are left out unless `keep_chinese=True`;
- optional `recording` (or `video`): a longer file in `data_dir`, or below `recordings/` or `videos/` there. An
  utterance without a clip of its own is cut out of it, from `start` to `end`.

Configurations `spectrogram`, `is13_compare` and `vq_wav2vec` read the agreement's feature sets in place of audio, as a
column `features`: see `feature_sets.py`. Their files are below folders of those names (`spec_librosa/` too), one per
utterance. IS13-ComParE may also be one table `is13_compare.csv` with a `name` column.

Splits come from a `split` column. Without one there are three schemes. `speaker` keeps speakers apart (20 % test, 10 %
validation). `paper` (stratified 80/20 of the utterances, section 2.2) puts the same speakers on both sides.
`speaker_883` is from the authors' later code (ISNet): speakers numbered below 883 for training, the others for test.
Report `speaker` beside `paper`, and say which is which.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import datasets

from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS
from ..scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from .base import CorpusBuilder, CorpusConfig, CorpusDataError, CorpusFacts, Reject, Utterance, corpus_features
from .feature_sets import FEATURE_SETS, FEATURE_SUFFIXES, read_features, table_offsets
from .fields import choice_in, escapes, number_in, split_in, times_in, yes_or_no_in
from .own.label_names import LabelReader, label_pairs
from .splits import assign_speakers, stratified_split
from .tables import SPREADSHEET_SUFFIXES, TABLE_SUFFIXES, Row, column_pairs, given_table, read_table, rename_columns


METADATA_NAMES = (
    *("metadata_english_all.csv", "metadata_4class.csv"),
    *(f"metadata{suffix}" for suffix in TABLE_SUFFIXES),
)
# Names of folders, in lower case and with _ for -, the preferred one first. "" is data_dir itself.
_FOLDERS = {
    "audio": ("wav_all", "wav", "audio", ""),
    "recordings": ("recordings", "videos", ""),
    "spectrogram": ("spec_librosa", "spectrogram", "spec", ""),
    "is13_compare": ("is13_compare", ""),
    "vq_wav2vec": ("vq_wav2vec", ""),
}
_COLUMNS = {
    "name": ("name", "file", "path", "file_name", "filename", "id"),
    "emotion": ("emotion", "faces", "label"),
    "speaker": ("speaker", "speaker_id"),
    "session": ("session", "session_id"),
    "recording": ("recording", "video"),
    **{name: (name,) for name in ("gender", "age", "age_group", "start", "end", "transcript", "split", "is_chinese")},
}
_NAME_SUFFIXES = (*AUDIO_SUFFIXES, *FEATURE_SUFFIXES)  # that a clip's name may be written with
_FIRST_TEST_SPEAKER = 883  # of the authors' later work


@dataclass
class LssedConfig(CorpusConfig):
    """Configuration of LSSED.

    Args:
        keep_chinese: Whether to keep rows with `is_Chinese` set.
        feature_set: Name of the feature set to read. Default: audio.
        columns: Field to column of the metadata, as a mapping or as texts FIELD=COLUMN.
        label_map: Label to emotion, as a mapping or as texts LABEL=NAME.
    """

    keep_chinese: bool = False
    feature_set: str | None = None
    columns: Mapping[str, str] | Sequence[str] | None = None
    label_map: Mapping[str, str] | Sequence[str] | None = None


class Lssed(CorpusBuilder):
    """LSSED (Fan et al., ICASSP 2021), under an academic EULA that forbids redistribution."""

    BUILDER_CONFIG_CLASS = LssedConfig
    BUILDER_CONFIGS = [
        LssedConfig(name="default", description="all eleven emotions", emotions=EMOTIONS),
        LssedConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
        *(
            LssedConfig(name=name, description=f"{name} features in place of audio", feature_set=name)
            for name in FEATURE_SETS
        ),
    ]
    SPLIT_SCHEMES = ("speaker", "paper", "speaker_883")
    FACTS = CorpusFacts(["English"], EMOTIONS, utterances=147025, speakers=820, hours=206.4)
    HOMEPAGE = "https://github.com/tobefans/LSSED"
    LICENSE = "LSSED EULA: academic, non-commercial, no redistribution"
    NO_REDISTRIBUTION = "The agreement forbids redistribution of the corpus in any form, which this folder is."
    CITATION = """@inproceedings{fan2021lssed,
  title={{LSSED}: a large-scale dataset and benchmark for speech emotion recognition},
  author={Fan, Weiquan and Xu, Xiangmin and Xing, Xiaofen and Chen, Weidong and Huang, Dongyan},
  booktitle={ICASSP},
  year={2021}
}"""

    def _features(self) -> datasets.Features:
        features = corpus_features(self.config.emotions)
        if self.config.feature_set is None:
            return features
        del features["audio"]
        return datasets.Features({**features, "features": FEATURE_SETS[self.config.feature_set]})

    def payload(self, utterance: Utterance) -> dict:
        if self.config.feature_set is None:
            return super().payload(utterance)
        return {"features": read_features(Path(utterance.path), self.config.feature_set, utterance.offset).tolist()}

    def _metadata_path(self, data_dir: Path) -> Path:
        if (given := given_table(self.config.data_files)) is not None:
            return given
        for name in METADATA_NAMES:
            if (data_dir / name).is_file():
                return data_dir / name
        if sheets := [path for path in sorted(data_dir.iterdir()) if path.suffix.lower() in SPREADSHEET_SUFFIXES]:
            raise CorpusDataError(f"{sheets[0]} is a spreadsheet, which is not read: save it as CSV, metadata.csv")
        found = sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in data_dir.iterdir())[:8]
        raise CorpusDataError(
            f"{data_dir} is not LSSED: looked for {', '.join(METADATA_NAMES)}, found "
            f"{', '.join(found) or 'nothing'}; give the folder that holds the metadata"
        )

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        metadata = self._metadata_path(data_dir)
        files = _Files(data_dir, self.config.feature_set)
        numbers: dict[bool, Row] = {}  # whether emotions are numbers -> a row of that kind
        columns = column_pairs(self.config.columns, _COLUMNS)
        labels = LabelReader("lssed", label_pairs(self.config.label_map))
        required = {field: _COLUMNS[field] for field in ("name", "emotion")}
        for row in read_table(metadata, required | {field: (column,) for field, column in columns.items()}):
            rename_columns(row, columns, _COLUMNS)
            source = f"{metadata}, line {row.line}"
            name = ""
            try:
                name = row.first(*_COLUMNS["name"]) or ""
                if row.problem:
                    raise ValueError(row.problem)
                given = _below(name, data_dir)
                name = _clip_name(given)
                chinese = yes_or_no_in(row, "is_chinese", "is_Chinese") and not self.config.keep_chinese
                utterance = (
                    None if chinese else self._utterance(row, labels, source, name, *files.find(name, given, row))
                )
            except ValueError as error:
                yield Reject(name, source, str(error))
                continue
            if utterance is None:
                yield Reject(name, source, "is_Chinese is set (keep_chinese=True keeps these)", by_rule=True)
                continue
            numbers.setdefault(_is_number(row.first(*_COLUMNS["emotion"])), row)
            yield utterance
        if unused := labels.unused():
            self.note(f"label_map: no utterance has the label {', '.join(unused)}")
        if len(numbers) > 1 and not self.config.label_map:
            raise CorpusDataError(
                f"{metadata} mixes numbers and names of emotions (lines {numbers[True].line} and "
                f"{numbers[False].line}); write them all one way"
            )

    def _utterance(
        self,
        row: Row,
        labels: LabelReader,
        source: str,
        name: str,
        identifier: str,
        path: str,
        cut: bool,
        offset: int | None,
    ) -> Utterance:
        emotions = _emotions(row.first(*_COLUMNS["emotion"]), labels)
        start, end = times_in(row)
        return Utterance(
            id=identifier,
            path=path,
            emotion=emotions[0],
            secondary_emotions=tuple(emotions[1:]),
            gender=self.optional(choice_in, row, "gender", GENDERS),
            age_group=self.optional(choice_in, row, "age_group", AGE_GROUPS),
            age=self.optional(number_in, row, "age"),
            speaker_id=row.first(*_COLUMNS["speaker"]) or (name[1:5] if re.fullmatch(r"\d{4}", name[1:5]) else None),
            session_id=row.first(*_COLUMNS["session"]),
            start=start,
            end=end,
            transcript=row.first("transcript"),
            split=split_in(row),
            cut=cut,
            offset=offset,
            source=source,
        )

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        if any(row.split for row in utterances):
            return ("official",)
        later = {_is_later(row.speaker_id) for row in utterances}
        return self.SPLIT_SCHEMES if later == {True, False} else self.SPLIT_SCHEMES[:2]

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if any(row.split for row in utterances):
            self.note_own_splits()
            return super().assign_splits(utterances, scheme)
        if scheme == "paper":
            return ["test" if held_out else "train" for held_out in stratified_split([u.emotion for u in utterances])]
        if unknown := [row.id for row in utterances if row.speaker_id is None]:
            raise CorpusDataError(
                f"the speaker of {len(unknown)} utterances is unknown ({', '.join(unknown[:3])}); add a column "
                "'speaker', or choose split_scheme='paper' (`lssed-hf prepare ... --split_schemes paper`)"
            )
        if scheme == "speaker_883":
            return ["test" if _is_later(row.speaker_id) else "train" for row in utterances]
        return assign_speakers([row.speaker_id for row in utterances])


class _Files:
    """Files of a release, with its clips or one of its feature sets."""

    def __init__(self, data_dir: Path, feature_set: str | None):
        self.data_dir = data_dir
        self.feature_set = feature_set
        self.suffixes = AUDIO_SUFFIXES if feature_set is None else FEATURE_SUFFIXES
        self.clips = _index(data_dir, _FOLDERS[feature_set or "audio"], self.suffixes)
        self.table: Path | None = None
        self.offsets: dict[str, int] = {}
        if feature_set == "is13_compare" and "is13_compare" in self.clips:
            self.table = Path(_only(self.clips["is13_compare"]))
            self._read_offsets()

    def _read_offsets(self) -> None:
        for name, offset in table_offsets(self.table):
            name = _stem(name, _NAME_SUFFIXES)
            if name in self.offsets:
                raise CorpusDataError(f"{self.table} has {name} more than once; keep one of its lines")
            self.offsets[name] = offset

    @cached_property
    def recordings(self) -> dict[str, list[str]]:
        return _index(self.data_dir, _FOLDERS["recordings"], (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES))

    def find(self, name: str, given: str, row: Row) -> tuple[str, str, bool, int | None]:
        """Find the file of an utterance.

        Args:
            name: Name of the clip.
            given: The same as the table writes it, maybe behind folders.
            row: Line of the table.

        Returns:
            Identifier, path, whether the utterance is to be cut out of it, and the byte at which its features begin.
            The identifier is the name, behind its folders where several clips have this name.

        Raises:
            ValueError: There is no such file, or there are several.
        """
        if name in self.offsets:
            return name, str(self.table), False, self.offsets[name]
        if paths := self.clips.get(name):
            path = _only(paths, given)
            folders = f"{os.path.relpath(os.path.dirname(path), self.data_dir)}/" if len(paths) > 1 else ""
            return f"{folders}{name}", path, False, None
        recording = row.first(*_COLUMNS["recording"]) if self.feature_set is None else None
        if recording and not escapes(recording):
            paths = self.recordings.get(_stem(recording, (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)))
            if paths:
                return name, _only(paths, recording), True, None
        kind = self.feature_set or "audio"
        folders = ", ".join(folder or "the folder itself" for folder in _FOLDERS[kind])
        raise ValueError(f"no {kind} file of that name; looked for {'/'.join(self.suffixes)} in {folders}")


def _is_later(speaker_id: str | None) -> bool:
    # As a float: int() refuses numbers of more than 4,300 digits.
    return speaker_id is not None and speaker_id.isdecimal() and float(speaker_id) >= _FIRST_TEST_SPEAKER


def _index(data_dir: Path, folders: Sequence[str], suffixes: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the files of each clip, by the clip's name.

    If a clip is in several of `folders`, or in several formats side by side, the first one counts. If it is in several
    folders below one of `folders`, all are returned, since nothing tells which one is right.
    """
    # Listing a folder once is far cheaper than asking for 147,025 files. Paths are text, because `datasets` replaces
    # this module's Path by something that takes twenty times as long.
    index: dict[str, list[str]] = {}
    with os.scandir(data_dir) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    present = {entry.name.lower().replace("-", "_"): entry.path for entry in inside if entry.is_dir()}
    for name in folders:
        if name == "":
            listed = [(str(data_dir), [entry.name for entry in inside if not entry.is_dir()])]
        elif name in present:
            # Below it as well: releases are also sorted into folders by speaker.
            listed = sorted((folder, sorted(files)) for folder, _, files in os.walk(present[name]))
        else:
            continue
        here: dict[str, list[str]] = {}
        for folder, files in listed:
            stems = set()
            for file in files:
                stem = _stem(file, suffixes)
                if stem != file and stem not in stems:
                    stems.add(stem)
                    here.setdefault(stem, []).append(f"{folder}/{file}")
        index = {**here, **index}
    return index


def _only(paths: Sequence[str], given: str = "") -> str:
    """Return the one of several files of a name that lies in the folders which are given with the name."""
    folders = f"/{os.path.dirname(os.path.normpath(given.replace(chr(92), '/')))}"
    found = [path for path in paths if os.path.dirname(path).endswith(folders)] if len(folders) > 1 else paths
    if len(paths) > 1 and len(found) != 1:
        raise CorpusDataError(
            f"there are several files of that name: {', '.join(paths[:3])}; keep one, or write the folder before the "
            "name in the table"
        )
    return (found or paths)[0]


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    """Return a clip's name without folders and suffix. Other dots belong to the name."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, _, suffix = name.rpartition(".")
    return stem if stem and f".{suffix.lower()}" in suffixes else name


def _below(given: str, data_dir: Path) -> str:
    """Return a path below the data folder relative to it, and any other text as it is."""
    for path in (os.path.normpath(given), os.path.realpath(given)) if os.path.isabs(given) else ():
        if path.startswith(f"{data_dir}{os.sep}"):
            return os.path.relpath(path, data_dir)
    return given


def _clip_name(given: str) -> str:
    if not given:
        raise ValueError("no name given")
    if escapes(given):
        raise ValueError(f"{given!r} leads out of the data folder")
    return _stem(given, _NAME_SUFFIXES)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.0)?", text) is not None


def _emotions(text: str | None, labels: LabelReader) -> list[str]:
    if text is None:
        raise ValueError("no emotion given")
    if not _is_number(text) or labels.renames(text):
        return labels.read(text)
    if float(text) >= len(EMOTIONS):
        raise ValueError(f"emotion number {text}; LSSED has 0 to {len(EMOTIONS) - 1}")
    return [EMOTIONS[int(float(text))]]
