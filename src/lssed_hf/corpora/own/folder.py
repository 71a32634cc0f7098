"""Your own recordings: a folder with a table, or with a folder for each label.

The labels may be any; classes are the labels that occur, spelled as they are. What is read, in this order:

1. an audformat database (`db.yaml`);
2. a table: `metadata.csv`, `.tsv` or `.jsonl` in the folder, else its only table, else one for each split
   (`train.csv`, or `train/metadata.csv` as `datasets`' AudioFolder has it). Each row is an utterance:

       path,emotion,speaker,start,end
       monday/interview.wav,angry,anna,12.5,15.0
       monday/interview.wav,neutral,anna,15.0,19.2
       tuesday/greeting.wav,happy,ben,,

   - `path` (or `file`, `file_name`, `filename`, `audio`, `name`, or the option `audio_column`): an audio or video file
     in the folder, by a path below it or below the table's folder, or by an absolute one;
   - `emotion` (or `label`, or `label_column`): a label. Secondary labels follow after `;`;
   - optional `speaker` (or `speaker_id`, or `speaker_column`), `session` (or `session_id`), `gender`, `age`,
     `age_group`, `transcript` and `split` (train, validation or test; dev, val and the like will do);
   - optional `start` and `end`, in seconds: the utterance is this part of the file, which is cut out of it;
3. a tree. The level of folders with names of emotions is the label's, else the first one with several folders that
   are not named after people. A level named after people, or whose names recur below several labels, is the speaker's.
   Folders named after splits may stand above. A line says which levels were taken.

`label_pattern` and `speaker_pattern` are regular expressions that find the label and the speaker in a file's path
below the folder, each with one group (or one named `label` or `speaker`): `r"/(spk\\d+)_"`.

Labels that differ in case or in white space alone are one class. `label_map` renames labels. `label_set="lssed"` maps
known spellings to LSSED's names (joy to happy, calm to neutral), with `;`, `,`, `/` and `|` between several, and
refuses others. Configuration `benchmark` implies it, and keeps angry, neutral, happy and sad.

Identifiers are the paths without suffix, and `#start-end` where a part is cut out. Refused are files that are missing,
that lie outside of the folder (so that a copy of it is the whole corpus) or are no audio by their suffix, and rows
with a start or an end alone. Hidden files and folders are left out.

Split schemes: a `split` column, table or folder wins over all. `speaker` keeps speakers apart (20 % test, 10 %
validation); clips of unknown speakers are for training. `random` draws 20 % of the clips of each class for test: the
same voices are on both sides, so its scores say little about new speakers. It takes the place of `speaker`, with a
warning, where fewer than three speakers are known.
"""

import copy
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import datasets

from ...labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS
from .. import emodb, ravdess
from ..base import CorpusBuilder, CorpusConfig, CorpusDataError, Reject, Utterance, corpus_features
from ..fields import choice_in, number_in, split_in, times_in
from ..splits import assign_speakers, draw_clips
from ..tables import TABLE_SUFFIXES, Row, given_table
from .audformat import HEADER, read_audformat
from .folder_trees import Levels, composed, find_levels, level_pattern, name_pattern, ordinal, walk
from .label_names import LabelReader, label_pairs, one_spelling, unknown_label_hint
from .label_tables import (
    SPREADSHEET_SUFFIXES,
    Clip,
    Columns,
    Table,
    clips_of_rows,
    clips_of_tables,
    find_spreadsheets,
    find_tables,
    guess_speaker,
    names_recordings,
    unnamed_line,
)


_NAMES_OF_CORPORA = {"emodb": emodb.NAME, "ravdess": ravdess.NAME}  # whose folders people give without the name
_MIN_SPEAKERS = 3  # one for each split
_SESSION = ("session", "session_id")
_SHOWN = 8  # names in a message


@dataclass
class FolderConfig(CorpusConfig):
    """Configuration of own recordings; see the module for the options.

    Args:
        emotions: Classes, in the order of their numbers. Default: those that are found.
        table: Name of the table with the labels in an audformat database.
    """

    emotions: Sequence[str] | None = None
    label_set: str | None = None
    label_map: Mapping[str, str] | Sequence[str] | None = None
    label_pattern: str | None = None
    speaker_pattern: str | None = None
    audio_column: str | None = None
    label_column: str | None = None
    speaker_column: str | None = None
    table: str | None = None


class FolderCorpus(CorpusBuilder):
    """Your own recordings: a folder with a table, or with a folder for each label."""

    BUILDER_CONFIG_CLASS = FolderConfig
    BUILDER_CONFIGS = [
        FolderConfig(name="default", description="all labels that are found"),
        FolderConfig(
            name="benchmark",
            description="angry, neutral, happy, sad",
            emotions=BENCHMARK_EMOTIONS,
            label_set="lssed",
        ),
    ]
    TRAINING_CONFIG_NAME = "default"
    SPLIT_SCHEMES = ("speaker", "random")
    COLUMN_OPTIONS = {"audio": "audio_column", "emotion": "label_column", "speaker_id": "speaker_column"}

    def __init__(self, *args, split_scheme: str | None = None, **kwargs):
        self._asked_scheme = split_scheme
        self._speaker_column: str | None = None
        if kwargs.get("label_map") is not None:
            kwargs["label_map"] = label_pairs(kwargs["label_map"])
        options = {name: value for name, value in kwargs.items() if value is not None}
        super().__init__(*args, split_scheme=split_scheme, **options)

    @classmethod
    def default_data_dir(cls) -> Path:
        raise ValueError("folder needs --data_dir, the folder that holds your recordings")

    def configurations(self) -> Sequence[str]:
        """Return the configurations of a prepared folder: with names of LSSED alone there is `benchmark`."""
        return super().configurations() if self.config.label_set else [self.config.name]

    def resolve_classes(self, utterances: Sequence[Utterance]) -> None:
        """Make the labels that are found the classes, unless the configuration has its own."""
        counts = Counter(row.emotion for row in utterances)
        if self.config.emotions is None:
            self.config = copy.copy(self.config)  # it may be the one of the class
            if self.config.label_set is None:
                self.config.emotions = sorted(counts)
                found = {name for row in utterances for name in (row.emotion, *row.secondary_emotions)}
                self.config.vocabulary = sorted(found)
            else:
                self.config.emotions = [emotion for emotion in EMOTIONS if emotion in counts]
            self.info.features = self._features()
        if small := [f"{name} ({count})" for name, count in sorted(counts.items()) if count < 3]:
            self.note(f"classes of one or two clips cannot be in every split: {', '.join(small)}")

    def _features(self) -> datasets.Features | None:
        if self.config.emotions is None:  # until the folder is read
            return None
        return corpus_features(self.config.emotions, self.config.vocabulary)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        labels = LabelReader(self.config.label_set, label_pairs(self.config.label_map))
        speaker_of = _finder("speaker", self.config.speaker_pattern)
        clips = list(self._clips(data_dir, _finder("label", self.config.label_pattern)))

        self._speaker_column = guess_speaker([clip.row for clip in clips if isinstance(clip, Clip)], self._columns())
        texts = Counter(clip.label for clip in clips if isinstance(clip, Clip))
        unknown = sorted({part for text in texts for part in labels.unknown(text)})
        names: dict[str, list[str]] = {}
        problems: dict[str, str] = {}
        for text in texts:
            try:
                names[text] = labels.read(text)
            except ValueError as error:
                problems[text] = f"unknown emotion {text!r}; {unknown_label_hint(unknown)}" if unknown else str(error)
        spelled, lines = one_spelling(_count(names, texts))
        for line in lines:
            self.note(line)
        if unused := labels.unused():
            self.note(f"label_map: no clip has the label {', '.join(unused)}; labels are {', '.join(sorted(texts))}")
        for clip in clips:
            if isinstance(clip, Reject):
                yield clip
                continue
            name = clip.path.relative_to(data_dir)
            try:
                if clip.label in problems:
                    raise ValueError(problems[clip.label])
                yield self._utterance(clip, name, [spelled[label] for label in names[clip.label]], speaker_of)
            except ValueError as error:
                yield Reject(name.as_posix(), clip.source, str(error))

    def _clips(self, data_dir: Path, label_of: Callable[[str], str] | None) -> Iterator[Clip | Reject]:
        columns = self._columns()
        given = given_table(self.config.data_files)
        if given is None and (data_dir / HEADER).is_file():
            parts = list(read_audformat(data_dir, columns, self.config.table))
            clips = [
                clip for table, rows, found in parts for clip in clips_of_rows(rows, table, data_dir, found, label_of)
            ]
            return self._with_unnamed(clips, [table for table, _, _ in parts], data_dir)
        tables = [Table(given)] if given is not None else self._tables(data_dir, columns)
        if tables:
            return self._with_unnamed(list(clips_of_tables(tables, data_dir, columns, label_of)), tables, data_dir)
        return self._clips_of_tree(data_dir, label_of)

    def _tables(self, data_dir: Path, columns: Columns) -> list[Table]:
        """Return the tables of the folder, without one that only happens to lie beside folders of labels."""
        tables = find_tables(data_dir)
        unusual = [table.path.name for table in tables if table.path.stem.lower() != "metadata" and not table.split]
        if unusual and columns == Columns() and not names_recordings(tables[0].path):
            chains = [composed(path.relative_to(data_dir)).split("/")[:-1] for path in walk(data_dir)[0]]
            if find_levels(chains).label is not None:
                self.note(f"{unusual[0]} is not read: it has no column with paths of recordings")
                return []
        if unusual:
            self.note(f"labels from {unusual[0]}")
        return tables

    def _columns(self) -> Columns:
        options = {"path": "audio_column", "label": "label_column", "speaker": "speaker_column"}
        chosen = {field: getattr(self.config, option) for field, option in options.items()}
        return Columns(**{field: (name.strip().lower(),) for field, name in chosen.items() if name is not None})

    def _with_unnamed(
        self, clips: Sequence[Clip | Reject], tables: Sequence[Table], data_dir: Path
    ) -> Iterator[Clip | Reject]:
        """Yield the clips of tables, and note the audio files that no row names."""
        named = {clip.path for clip in clips if isinstance(clip, Clip)}
        rejected = {Path(clip.id.replace("\\", "/")).stem for clip in clips if isinstance(clip, Reject)}
        files = [path for path in walk(data_dir)[0] if path not in named and path.stem not in rejected]
        if files:
            self.note(unnamed_line(files, data_dir, tables))
        yield from clips

    def _clips_of_tree(self, data_dir: Path, label_of: Callable[[str], str] | None) -> Iterator[Clip | Reject]:
        for name in self.COLUMN_OPTIONS.values():
            if (column := getattr(self.config, name)) is not None:
                raise CorpusDataError(
                    f"--{name}_name {column} names a column, and {data_dir} has no table ("
                    f"{', '.join(f'metadata{suffix}' for suffix in TABLE_SUFFIXES)}); leave the flag out"
                )
        files, links = walk(data_dir)
        chains = {path: composed(path.relative_to(data_dir)).split("/")[:-1] for path in files}
        levels = find_levels(chains.values())
        sheets = find_spreadsheets(data_dir)
        if sheets and label_of is None and not levels.certain:
            raise CorpusDataError(
                f"{sheets[0]} is a spreadsheet, which is not read: save it as CSV in the same folder"
            )
        if sheets:
            self.note(f"{sheets[0].name} is not read; save it as CSV to take labels and speakers from it")
        if label_of is None and levels.label is None and not links:
            _refuse_folder(data_dir, files)
        if label_of is None and levels.label is not None:
            self._note_levels(levels, chains)
        for path in files:
            chain = chains[path]
            row = Row()
            if levels.split is not None and len(chain) > levels.split:
                row["split"] = chain[levels.split]
            if self.config.speaker_pattern is None and levels.speaker is not None and len(chain) > levels.speaker:
                row["speaker"] = chain[levels.speaker]
            try:
                if label_of is None and (levels.label is None or len(chain) <= levels.label):
                    raise ValueError("in no folder of a label; move it to one")
                label = chain[levels.label] if label_of is None else label_of(composed(path.relative_to(data_dir)))
                yield Clip(str(path), path, label, row)
            except ValueError as error:
                yield Reject(path.stem, str(path), str(error))
        for path in links:
            yield Reject(
                path.name, str(path), f"a link to a folder outside of {data_dir}; put the folder itself there"
            )

    def _note_levels(self, levels: Levels, chains: Mapping[Path, Sequence[str]]) -> None:
        """Say which levels of the tree were taken for labels and speakers, and how to have it otherwise."""

        def count(level: int) -> int:
            return len({chain[level] for chain in chains.values() if len(chain) > level})

        line = f"{count(levels.label)} labels from the {ordinal(levels.label)} folder level"
        if self.config.speaker_pattern is not None:
            line += ", speakers by speaker_pattern"
        elif levels.speaker is not None:
            line += f", {count(levels.speaker)} speakers from the {ordinal(levels.speaker)}"
        else:
            line += ", no speakers (--speaker_pattern finds them in paths)"
        if levels.other is not None:
            flags = f"--label_pattern '{level_pattern(levels.other)}'"
            if levels.speaker is not None:
                flags += f" --speaker_pattern '{level_pattern(levels.label)}'"
            line += f"; the other way round: {flags}"
        self.note(line)

    def _utterance(
        self, clip: Clip, name: Path, labels: Sequence[str], speaker_of: Callable[[str], str] | None
    ) -> Utterance:
        row = clip.row
        start, end = times_in(row)
        if (start is None) != (end is None):
            alone = "a start" if end is None else "an end"
            raise ValueError(f"has {alone} alone; give both, or none for the whole file")
        part = "" if start is None else f"#{start}-{end}"
        speaker = row.first(*self._columns().speaker)
        if speaker is None and speaker_of is not None:
            speaker = speaker_of(composed(name))
        return Utterance(
            id=f"{name.with_suffix('').as_posix()}{part}",
            path=str(clip.path),
            emotion=labels[0],
            secondary_emotions=tuple(labels[1:]),
            gender=choice_in(row, "gender", GENDERS),
            age_group=choice_in(row, "age_group", AGE_GROUPS),
            age=number_in(row, "age"),
            speaker_id=speaker,
            session_id=row.first(*_SESSION),
            start=start,
            end=end,
            transcript=row.first("transcript"),
            split=split_in(row),
            cut=bool(part),
            source=clip.source,
        )

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        if any(row.split for row in utterances):
            return ("official",)
        speakers = {row.speaker_id for row in utterances} - {None}
        return self.SPLIT_SCHEMES if len(speakers) >= _MIN_SPEAKERS else ("random",)

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if any(row.split for row in utterances):
            if self._asked_scheme:
                self.note(f"--split_scheme {self._asked_scheme} has no effect: the clips have splits of their own")
            return super().assign_splits(utterances, scheme)
        speakers = [row.speaker_id for row in utterances if row.speaker_id is not None]
        number = len(set(speakers))
        if scheme == "speaker" and number >= _MIN_SPEAKERS:
            if unknown := len(utterances) - len(speakers):
                self.note(f"{unknown:,} clips of unknown speakers are for training; test speakers may be among them")
            split_of = dict(zip(speakers, assign_speakers(speakers)))
            return [split_of.get(row.speaker_id, "train") for row in utterances]
        advice = "a column 'speaker' or --speaker_pattern names them"
        if self._speaker_column is not None:
            advice = f"--speaker_column_name {self._speaker_column} or --speaker_pattern names them"
        if self._asked_scheme == "speaker":
            raise CorpusDataError(
                f"--split_scheme speaker needs {_MIN_SPEAKERS} speakers, one for each split, and {number} are known; "
                f"{advice}, and --split_scheme random does without"
            )
        reason = f", as {number or 'no'} speakers are known ({advice})" if number < _MIN_SPEAKERS else ""
        self.note(
            f"divided at random{reason}: the same voices may be on both sides, so scores say little about new speakers"
        )
        return ["test" if drawn else "train" for drawn in draw_clips([row.emotion for row in utterances], 0.2)]


def _count(names: Mapping[str, Sequence[str]], texts: Mapping[str, int]) -> Counter[str]:
    """Return the number of clips by label."""
    counts: Counter[str] = Counter()
    for text, found in names.items():
        counts.update(dict.fromkeys(found, texts[text]))
    return counts


def _finder(field: str, pattern: Any) -> Callable[[str], str] | None:
    """Return a function that finds a field in a path below the folder, and raises ValueError where it is not there."""
    if pattern is None:
        return None
    flag = f"--{field}_pattern {pattern!r}"
    try:
        regex = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"{flag} is no regular expression: {error}") from error
    if field not in regex.groupindex and regex.groups != 1:
        raise ValueError(
            f"{flag} has {regex.groups} groups; put the {field}'s part, and no other, between ( ), or name it "
            f"(?P<{field}>...)"
        )
    group = field if field in regex.groupindex else 1

    def find(path: str) -> str:
        match = regex.search(path)
        if match is None or not match[group]:
            raise ValueError(f"{flag} finds no {field} in {path!r}")
        return match[group]

    return find


def _refuse_folder(data_dir: Path, files: Sequence[Path]) -> NoReturn:
    found = sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in data_dir.iterdir())
    tables = ", ".join(f"metadata{suffix}" for suffix in TABLE_SUFFIXES)
    names = [path.name for path in files]
    known = [corpus for corpus, name in _NAMES_OF_CORPORA.items() if all(name.fullmatch(path.stem) for path in files)]
    if known and files:
        advice = f"The files are named as those of a corpus: give --dataset_name {known[0]}"
    elif pattern := name_pattern(names):
        advice = f"Labels in the names of files are found by --label_pattern '{pattern}'"
    elif names:
        advice = (
            f"Labels in names of files such as {names[0]} are found by --label_pattern, a regular expression with one "
            "group, e.g. '_([a-z]+)_'"
        )
    else:
        advice = f"No file below it is audio by its suffix ({', '.join(SPREADSHEET_SUFFIXES)} are not read)"
    raise CorpusDataError(
        f"{data_dir}: looked for a table ({tables}) or a folder for each label, found "
        f"{', '.join(found[:_SHOWN]) or 'nothing'}. {advice}"
    )
