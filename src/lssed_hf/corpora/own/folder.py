r"""Your own recordings: a folder with a table, or with a folder for each label.

Any labels may occur. They are the classes, in their own spelling. The first of these that the folder holds is read:

1. An audformat database (`db.yaml`).
2. A table: `metadata.csv`, `.tsv`, `.jsonl` or `.json` in the folder, else its only table, else one for each split
   (`train.csv`, or `train/metadata.csv` as in `datasets`' AudioFolder). Each row is an utterance:

       path,emotion,speaker,start,end
       monday/interview.wav,angry,anna,12.5,15.0
       monday/interview.wav,neutral,anna,15.0,19.2
       tuesday/greeting.wav,happy,ben,,

   - `path` (or `file`, `file_name`, `filename`, `audio`, `name`, or the option `audio_column`): An audio or video file
     in the folder. The path is absolute, or begins in the folder or in the table's folder.
   - `emotion` (or `label`, or `label_column`): A label. Secondary labels follow after `;`.
   - Optional: `speaker` (or `speaker_id`, or `speaker_column`), `session` (or `session_id`), `gender`, `age`,
     `age_group`, `transcript` and `split` (train, validation or test; synonyms such as dev and val are known).
   - Optional: `valence`, `arousal` and `dominance`, ratings as numbers on any scale. A table with one of them needs no
     labels: then all clips have the label "unlabelled".
   - `columns` names any of these otherwise: `emotion=mood` reads the emotions from the column `mood`.
   - Optional: `start` and `end` in seconds. The utterance is this part of the file, which is cut out.
3. A tree. The level of the labels is the one with names of emotions, else the first one with several folders that are
   not named after people. The level of the speakers is named after people, or its names recur below several labels.
   Folders named after splits may stand above. A note says which levels were taken.

`label_pattern` and `speaker_pattern` are regular expressions that find the label and the speaker in a file's path
below the folder. Each has one group, or one named `label` or `speaker`: `r"/(spk\d+)_"`.

Labels that differ only in case or white space are one class. `label_map` renames labels. `label_set="lssed"` maps
known spellings to LSSED's names (joy to happy, calm to neutral), takes `;`, `,`, `/` and `|` between several labels,
and refuses other labels. The configuration `benchmark` implies it, and keeps angry, neutral, happy and sad.

Identifiers are the paths without suffix, followed by `#start-end` for a part. A file is refused if it is missing, has
no suffix of audio, or lies outside of the folder, because a copy of the folder must be the whole corpus. A row with
only a start or only an end is refused. Hidden files and folders are left out.

Split schemes: A `split` column, table or folder takes precedence. `speaker` keeps speakers apart (20 % test, 10 %
validation), and clips of unknown speakers are for training. `random` draws 20 % of the clips of each class for test.
Then the same voices are on both sides, so the scores say little about new speakers. `random` replaces `speaker`, with
a warning, if fewer than three speakers are known. `none` takes all clips together, in the split train.
"""

import copy
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import datasets

from ...labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS
from ...wording import counted
from .. import emodb, ravdess
from ..base import (
    DIMENSIONS,
    UNDIVIDED,
    CorpusBuilder,
    CorpusConfig,
    CorpusDataError,
    Reject,
    Utterance,
    corpus_features,
)
from ..fields import choice_in, number_in, rating_in, split_in, times_in
from ..splits import assign_speakers, draw_clips
from ..tables import SPREADSHEET_SUFFIXES, TABLE_SUFFIXES, Row, column_pairs, given_table
from .audformat import HEADER, read_audformat
from .folder_trees import Levels, composed, find_levels, folder_names, level_pattern, name_pattern, ordinal, walk
from .label_names import LabelReader, label_pairs, one_spelling, unknown_label_hint
from .label_tables import (
    FIELDS,
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


_NAMES_OF_CORPORA = {"emodb": emodb.NAME, "ravdess": ravdess.NAME}  # people forget --dataset_name for these
_MIN_SPEAKERS = 3  # one for each split
_SHOWN = 8  # names in a message
_PATIENCE = 1  # seconds for a pattern and a path


@dataclass
class FolderConfig(CorpusConfig):
    """Configuration of own recordings, in addition to `CorpusConfig`.

    Args:
        emotions: Classes, in the order of their numbers. Default: the labels that occur.
        label_set: "lssed" for labels that are names of LSSED. Default: any labels.
        label_map: Label to name, as a mapping or as texts LABEL=NAME.
        columns: Field to column of the table, as a mapping or as texts FIELD=COLUMN.
        label_pattern: Regular expression that finds the label in a path.
        speaker_pattern: Regular expression that finds the speaker in a path.
        audio_column: Column with the paths in a table.
        label_column: Column with the labels.
        speaker_column: Column with the speakers.
        table: Name of the table with the labels in an audformat database.
        dimensions: Columns with ratings. Default: those of `DIMENSIONS` that occur.
    """

    emotions: Sequence[str] | None = None
    label_set: str | None = None
    label_map: Mapping[str, str] | Sequence[str] | None = None
    columns: Mapping[str, str] | Sequence[str] | None = None
    label_pattern: str | None = None
    speaker_pattern: str | None = None
    audio_column: str | None = None
    label_column: str | None = None
    speaker_column: str | None = None
    table: str | None = None
    dimensions: Sequence[str] = ()


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
    SPLIT_SCHEMES = ("speaker", "random", UNDIVIDED)
    READER_EMOTIONS = None
    RESOLVED = ("emotions", "vocabulary", "dimensions")
    COLUMN_OPTIONS = {"audio": "audio_column", "emotion": "label_column", "speaker_id": "speaker_column"}

    def __init__(self, *args, split_scheme: str | None = None, **kwargs):
        self._speaker_column: str | None = None
        if kwargs.get("label_map") is not None:
            kwargs["label_map"] = label_pairs(kwargs["label_map"])
        if kwargs.get("columns") is not None:
            kwargs["columns"] = column_pairs(kwargs["columns"], FIELDS)
        options = {name: value for name, value in kwargs.items() if value is not None}
        super().__init__(*args, split_scheme=split_scheme, **options)

    @classmethod
    def default_data_dir(cls) -> Path:
        raise ValueError("folder needs --data_dir, the folder that holds your recordings")

    def configurations(self) -> Sequence[str]:
        """Return the configurations of a prepared folder; `benchmark` needs labels that are names of LSSED."""
        return super().configurations() if self.config.label_set else [self.config.name]

    def resolve_classes(self, utterances: Sequence[Utterance]) -> None:
        """Take the labels and the dimensions that occur, the labels unless the configuration has its own."""
        counts = Counter(row.emotion for row in utterances)
        self.config = copy.copy(self.config)  # it may belong to the class
        if self.config.emotions is None:
            if self.config.label_set is None:
                self.config.emotions = sorted(counts)
                found = {name for row in utterances for name in (row.emotion, *row.secondary_emotions)}
                self.config.vocabulary = sorted(found)
            else:
                self.config.emotions = [emotion for emotion in EMOTIONS if emotion in counts]
        rated = [name for name in DIMENSIONS if any(getattr(row, name) is not None for row in utterances)]
        self.config.dimensions = rated
        self.info.features = self._features()
        small = [f"{name} ({count})" for name, count in sorted(counts.items()) if count < 3]
        if small and self._asked_scheme != UNDIVIDED:
            self.note(f"classes of one or two clips cannot be in every split: {', '.join(small)}")

    def _features(self) -> datasets.Features | None:
        if self.config.emotions is None:  # the folder has not been read yet
            return None
        return corpus_features(self.config.emotions, self.config.vocabulary, self.config.dimensions)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        reader = LabelReader(self.config.label_set, label_pairs(self.config.label_map))
        speaker_of = _finder("speaker", self.config.speaker_pattern)
        clips = list(self._clips(data_dir, _finder("label", self.config.label_pattern)))

        self._speaker_column = guess_speaker([clip.row for clip in clips if isinstance(clip, Clip)], self._columns())
        labels, problems = self._read_labels(Counter(clip.label for clip in clips if isinstance(clip, Clip)), reader)
        for clip in clips:
            if isinstance(clip, Reject):
                yield clip
                continue
            name = clip.path.relative_to(data_dir)
            try:
                if clip.label in problems:
                    raise ValueError(problems[clip.label])
                yield self._utterance(clip, name, labels[clip.label], speaker_of)
            except ValueError as error:
                yield Reject(name.as_posix(), clip.source, str(error))

    def _read_labels(
        self, texts: Mapping[str, int], reader: LabelReader
    ) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Read the labels of the clips, and note labels of several spellings and unused entries of the label map.

        Args:
            texts: Text that names the labels of a clip -> number of clips.
            reader: Reader of such texts.

        Returns:
            Text -> its labels, and text -> the reason why it has none.
        """
        unknown = sorted({label for text in texts for label in reader.unknown(text)})
        labels: dict[str, list[str]] = {}
        problems: dict[str, str] = {}
        for text in texts:
            try:
                labels[text] = reader.read(text)
            except ValueError as error:
                problems[text] = f"unknown emotion {text!r}; {unknown_label_hint(unknown)}" if unknown else str(error)
        counts: Counter[str] = Counter()
        for text, names in labels.items():
            counts.update(dict.fromkeys(names, texts[text]))
        spelling, lines = one_spelling(counts)
        for line in lines:
            self.note(line)
        if unused := reader.unused():
            self.note(f"label_map: no clip has the label {', '.join(unused)}; labels are {', '.join(sorted(texts))}")
        return {text: [spelling[name] for name in names] for text, names in labels.items()}, problems

    def _clips(self, data_dir: Path, label_of: Callable[[str], str] | None) -> Iterator[Clip | Reject]:
        columns = self._columns()
        given = given_table(self.config.data_files)
        if given is None and (data_dir / HEADER).is_file():
            tables, clips = [], []
            for table, rows, found in read_audformat(data_dir, columns, self.config.table, self.config.columns or {}):
                tables.append(table)
                clips += clips_of_rows(rows, table, data_dir, found, label_of)
            return self._with_unnamed(clips, tables, data_dir)
        tables = [Table(given)] if given is not None else self._tables(data_dir, columns)
        if tables:
            clips = list(clips_of_tables(tables, data_dir, columns, label_of, self.config.columns or {}))
            return self._with_unnamed(clips, tables, data_dir)
        return self._clips_of_tree(data_dir, label_of)

    def _tables(self, data_dir: Path, columns: Columns) -> list[Table]:
        """Return the tables of the folder; a table without paths is ignored beside folders of labels."""
        tables = find_tables(data_dir)
        unusual = [table.path.name for table in tables if table.path.stem.lower() != "metadata" and not table.split]
        if unusual and columns == Columns() and not self.config.columns and not names_recordings(tables[0].path):
            folders = [folder_names(path.relative_to(data_dir)) for path in walk(data_dir)[0]]
            if find_levels(folders).label is not None:
                self.note(f"{unusual[0]} is not read: it has no column with paths of recordings")
                return []
        if unusual:
            self.note(f"the table is {unusual[0]}")
        return tables

    def _columns(self) -> Columns:
        options = {"path": "audio_column", "label": "label_column", "speaker": "speaker_column"}
        chosen = {field: getattr(self.config, option) for field, option in options.items()}
        return Columns(**{field: (name.strip().lower(),) for field, name in chosen.items() if name is not None})

    def _with_unnamed(
        self, clips: Sequence[Clip | Reject], tables: Sequence[Table], data_dir: Path
    ) -> Iterator[Clip | Reject]:
        """Yield the clips of tables, and note the audio files without a row."""
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
        folders = {path: folder_names(path.relative_to(data_dir)) for path in files}
        levels = find_levels(folders.values())
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
            self._note_levels(levels, folders.values())
        if self.config.speaker_pattern is not None:
            levels = levels._replace(speaker=None)
        for path in files:
            names = dict(enumerate(folders[path]))
            fields = {"split": levels.split, "speaker": levels.speaker}
            row = Row({field: names[level] for field, level in fields.items() if level in names})
            try:
                label = names.get(levels.label) if label_of is None else label_of(composed(path.relative_to(data_dir)))
                if label is None:
                    raise ValueError(_no_label(folders[path], levels, folders.values()))
                yield Clip(str(path), path, label, row)
            except ValueError as error:
                yield Reject(path.stem, str(path), str(error))
        for path in links:
            yield Reject(
                path.name, str(path), f"a link to a folder outside of {data_dir}; put the folder itself there"
            )

    def _note_levels(self, levels: Levels, folders: Collection[Sequence[str]]) -> None:
        """Note the levels of labels and speakers, and the flags that exchange them."""

        def count(level: int) -> int:
            return len({names[level] for names in folders if len(names) > level})

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
            gender=self.optional(choice_in, row, "gender", GENDERS),
            age_group=self.optional(choice_in, row, "age_group", AGE_GROUPS),
            age=self.optional(number_in, row, "age"),
            speaker_id=speaker,
            session_id=row.first(*FIELDS["session"]),
            start=start,
            end=end,
            transcript=row.first("transcript"),
            **{name: self.optional(rating_in, row, name) for name in DIMENSIONS},
            split=split_in(row),
            cut=bool(part),
            source=clip.source,
        )

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        if any(row.split for row in utterances):
            return ("official",)
        speakers = {row.speaker_id for row in utterances} - {None}
        return ("speaker", "random") if len(speakers) >= _MIN_SPEAKERS else ("random",)

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if scheme == UNDIVIDED:
            return ["train"] * len(utterances)
        if any(row.split for row in utterances):
            self.note_own_splits()
            return super().assign_splits(utterances, scheme)
        speakers = [row.speaker_id for row in utterances if row.speaker_id is not None]
        number = len(set(speakers))
        if scheme == "speaker" and number >= _MIN_SPEAKERS:
            if unknown := len(utterances) - len(speakers):
                verb = "is" if unknown == 1 else "are"
                clips = f"{counted(unknown, 'clip')} of unknown speakers"
                self.note(f"{clips} {verb} for training; test speakers may be among them")
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
        reason = f", as {number or 'no'} speakers are known ({advice})"
        if number >= _MIN_SPEAKERS:
            reason = f" by the split scheme {scheme}"
        self.note(
            f"divided at random{reason}: the same voices may be on both sides, so scores say little about new speakers"
        )
        return ["test" if drawn else "train" for drawn in draw_clips([row.emotion for row in utterances], 0.2)]


def _finder(field: str, pattern: Any) -> Callable[[str], str] | None:
    """Return a function that finds a field in a path below the folder, or raises ValueError.

    The function raises TimeoutError if the pattern needs exponential time.
    """
    if pattern is None:
        return None
    import regex  # here, because readers of other corpora do without it

    flag = f"--{field}_pattern {pattern!r}"
    try:
        compiled = regex.compile(pattern)
    except (regex.error, TypeError) as error:
        raise ValueError(f"{flag} is no regular expression: {error}") from error
    if field not in compiled.groupindex and compiled.groups != 1:
        raise ValueError(
            f"{flag} has {compiled.groups} groups; put the {field}'s part, and no other, between ( ), or name it "
            f"(?P<{field}>...)"
        )
    group = field if field in compiled.groupindex else 1

    def find(path: str) -> str:
        try:
            match = compiled.search(path, timeout=_PATIENCE)
        except TimeoutError as error:
            raise TimeoutError(
                f"{flag} takes over {_PATIENCE} s on {path!r}; write it so that each part fits in one way"
            ) from error
        if match is None or not match[group]:
            raise ValueError(f"{flag} finds no {field} in {path!r}")
        return match[group]

    return find


def _no_label(names: Sequence[str], levels: Levels, folders: Collection[Sequence[str]]) -> str:
    """Return the reason why a clip in these folders has no label, and what to do."""
    labels = {chain[levels.label] for chain in folders if len(chain) > levels.label}
    if names and names[-1] in labels:  # the tree is uneven: here are fewer folders than elsewhere
        return (
            f"labels are the {ordinal(levels.label)} folder level, which it lacks: put it as deep as the others, or "
            "take the last folder of each path with --label_pattern '([^/]+)/[^/]+$'"
        )
    return "in no folder of a label; move it to one"


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
