"""Anybody's own recordings: a folder with a metadata file, or with a sub-folder for every emotion.

With metadata (`metadata.csv`, `.tsv` or `.jsonl` in the folder, else the only file there with one of these suffixes,
or any that is given as `data_files`), each row is an utterance:

    path,emotion,speaker,start,end
    monday/interview.wav,angry,anna,12.5,15.0
    monday/interview.wav,neutral,anna,15.0,19.2
    tuesday/greeting.wav,happy,ben,,

- `path` (or `file`, `file_name`, `filename`, `audio`, `name`): an audio or video file, with its suffix, below the
  folder that is read or below the one that the metadata is in;
- `emotion` (or `label`): a name in any known spelling, or any that the option `label_map` explains, such as
  `{"wut": "angry"}`; several, separated by `;`, `,`, `/` or `|`, are the main emotion and the secondary ones;
- optional `start` and `end`, in seconds: here they always mean that the utterance is this part of the file, which is
  cut out of it. A row without them is a whole file;
- optional `speaker` (or `speaker_id`), `session` (or `session_id`), `gender`, `age`, `age_group`, `transcript`, and
  `split` (train, validation or test; dev, val and the like will do).

Without metadata, the tree `<emotion>/**/<clip>.wav` is read, or `<split>/<emotion>/**/<clip>.wav` where all of the
uppermost folders are named after splits. Hidden files and folders are left out.

Speakers that no column tells come out of the files' paths by the option `speaker_pattern`, a regular expression with
one group (or one named `speaker`) that is searched in the path below the folder: `r"/(spk\\d+)_"`.

Identifiers are the paths without suffix, and `#start-end` where a part is cut out. Refused are labels that nothing
explains, files that are missing, that lie outside of the folder (so that a copy of it is the whole corpus) or are no
audio by their suffix, rows with a start or an end alone, and clips without a speaker where others have one.

Split schemes: a `split` column or folder wins over all. `speaker` keeps speakers apart (20 % test, 10 % validation).
`random` (utterances, stratified 80/20) puts the same voices on both sides, so its scores say little about new
speakers; it takes the place of `speaker`, with a warning, where no speaker is known at all.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import datasets

from ..audio import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS, normalize_emotion
from .base import CorpusBuilder, CorpusConfig, CorpusDataError, Reject, Utterance
from .fields import SPLIT_NAMES, choice_in, emotions_in, escapes, number_in, split_in, times_in
from .splits import assign_speakers, stratified_split
from .tables import TABLE_SUFFIXES, Row, given_table, read_table


_SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)
_COLUMNS = {
    "path": ("path", "file", "file_name", "filename", "audio", "name"),
    "emotion": ("emotion", "label"),
    "speaker": ("speaker", "speaker_id"),
    "session": ("session", "session_id"),
}
_SHOWN = 8  # names in a message

logger = datasets.logging.get_logger(__name__)


@dataclass
class FolderConfig(CorpusConfig):
    """`label_map`: label -> one of `EMOTIONS`, upper or lower case. `speaker_pattern`: see above."""

    label_map: Mapping[str, str] | None = None
    speaker_pattern: str | None = None
    label_set: str | None = None
    label_pattern: str | None = None
    audio_column: str | None = None
    label_column: str | None = None
    speaker_column: str | None = None


class _Clip(NamedTuple):
    """An utterance before its fields are read: where it stands, its file, its label and what else is known."""

    source: str
    path: Path
    label: str
    row: Row


class FolderCorpus(CorpusBuilder):
    """Your own recordings: a folder with a metadata file, or with a sub-folder for every emotion."""

    BUILDER_CONFIG_CLASS = FolderConfig
    BUILDER_CONFIGS = [
        FolderConfig(name="default", description="all emotions of LSSED's vocabulary", emotions=EMOTIONS),
        FolderConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    TRAINING_CONFIG_NAME = "default"
    SPLIT_SCHEMES = ("speaker", "random")
    #: Option that names the column of the user's table, by column of the corpus.
    COLUMN_OPTIONS = {"audio": "audio_column", "emotion": "label_column", "speaker_id": "speaker_column"}

    @classmethod
    def default_data_dir(cls) -> Path:
        raise ValueError("folder needs data_dir=, the folder that holds your recordings")

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        label_map = _label_map(self.config.label_map)
        speaker_of = _speaker_finder(self.config.speaker_pattern)
        metadata = self._metadata_path(data_dir)
        clips = list(_clips_of_table(metadata, data_dir) if metadata else _clips_of_tree(data_dir, label_map))
        labels = {clip.label for clip in clips if isinstance(clip, _Clip)}
        known = {label for label in labels if _is_known(label, label_map)}
        hint = _label_map_hint(sorted(labels - known))
        for clip in clips:
            if isinstance(clip, Reject):
                yield clip
                continue
            name = clip.path.relative_to(data_dir)
            try:
                if clip.label not in known:
                    raise ValueError(f"unknown emotion {clip.label!r}; {hint}")
                utterance = _utterance(clip, name, label_map, speaker_of)
            except ValueError as error:
                yield Reject(name.as_posix(), clip.source, str(error))
                continue
            yield utterance

    def _metadata_path(self, data_dir: Path) -> Path | None:
        if (given := given_table(self.config.data_files)) is not None:
            return given
        tables = sorted(
            path for path in data_dir.iterdir() if path.suffix.lower() in TABLE_SUFFIXES and path.is_file()
        )
        tables = [path for path in tables if path.stem == "metadata"] or tables
        if len(tables) > 1:
            names = ", ".join(path.name for path in tables[:_SHOWN])
            raise CorpusDataError(f"{data_dir} holds several metadata files: {names}; give one of them as data_files")
        return tables[0] if tables else None

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        if any(row.split for row in utterances):
            return ("official",)
        return self.SPLIT_SCHEMES if all(row.speaker_id for row in utterances) else ("random",)

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if any(row.split for row in utterances):
            return super().assign_splits(utterances, scheme)
        speakers = [row.speaker_id for row in utterances]
        if scheme == "random" or not any(speakers):
            logger.warning(
                f"{self.name}: divided at random, so the same voices may be on both sides and scores say little about "
                "new speakers; a column 'speaker' or speaker_pattern= would keep them apart"
            )
            return ["test" if held_out else "train" for held_out in stratified_split([u.emotion for u in utterances])]
        if unknown := [row.id for row in utterances if row.speaker_id is None]:
            raise CorpusDataError(
                f"the speaker of {len(unknown)} utterances is unknown ({', '.join(unknown[:3])}); complete the column "
                "'speaker', or choose split_scheme='random'"
            )
        try:
            return assign_speakers(speakers)
        except ValueError as error:
            raise CorpusDataError(f"{error}; give each clip a split, or choose split_scheme='random'") from error


def _label_map(given: Mapping[str, str] | None) -> dict[str, str]:
    try:
        return {label.strip().lower(): normalize_emotion(emotion) for label, emotion in (given or {}).items()}
    except (AttributeError, ValueError) as error:
        raise ValueError(f"label_map={given!r}: {error}; give pairs of a label and an emotion") from error


def _speaker_finder(pattern: str | None) -> Callable[[str], str | None]:
    """What finds the speaker in a path below the folder; it raises ValueError for a path that does not match."""
    if pattern is None:
        return lambda path: None
    try:
        regex = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ValueError(f"speaker_pattern={pattern!r} is no regular expression: {error}") from error
    if "speaker" not in regex.groupindex and regex.groups != 1:
        raise ValueError(
            f"speaker_pattern={pattern!r} has {regex.groups} groups; put the speaker's part, and no other, between ( )"
            ", or name it (?P<speaker>...)"
        )
    group = "speaker" if "speaker" in regex.groupindex else 1

    def speaker_of(path: str) -> str:
        match = regex.search(path)
        if match is None or not match[group]:
            raise ValueError(f"speaker_pattern={pattern!r} finds no speaker in {path!r}")
        return match[group]

    return speaker_of


def _clips_of_table(metadata: Path, data_dir: Path) -> Iterator[_Clip | Reject]:
    own = metadata.parent.resolve()
    folders = [data_dir, own] if own.is_relative_to(data_dir) else [data_dir]
    required = {field: _COLUMNS[field] for field in ("path", "emotion")}
    for row in read_table(metadata, required):
        source = f"{metadata}, line {row.line}"
        name = ""
        try:
            name = row.first(*_COLUMNS["path"]) or ""
            if row.problem:
                raise ValueError(row.problem)
            label = row.first(*_COLUMNS["emotion"])
            if label is None:
                raise ValueError("no emotion given")
            clip = _Clip(source, _find(name, folders), label, row)
        except ValueError as error:
            clip = Reject(name, source, str(error))
        yield clip


def _find(name: str, folders: Sequence[Path]) -> Path:
    if not name:
        raise ValueError(f"no file given; looked for {', '.join(_COLUMNS['path'])}")
    if escapes(name):
        raise ValueError(f"{name!r} leads out of the data folder; give paths below {folders[0]}")
    name = name.replace("\\", "/")
    if not name.lower().endswith(_SUFFIXES):
        raise ValueError(f"{name!r} is no audio or video file by its suffix; known are {', '.join(_SUFFIXES)}")
    for folder in folders:
        if os.path.isfile(folder / name):  # unlike Path.is_file, it takes a name that is too long
            return folder / name
    raise ValueError(f"no file {name!r} in {' or '.join(map(str, dict.fromkeys(folders)))}")


def _clips_of_tree(data_dir: Path, label_map: Mapping[str, str]) -> Iterator[_Clip | Reject]:
    files, links = _walk(data_dir)
    folders = {path: path.relative_to(data_dir).parts[:-1] for path in files}
    tops = {parts[0].lower() for parts in folders.values() if parts}
    depth = 1 if tops and tops <= set(SPLIT_NAMES) else 0  # of the folders named after emotions
    labels = {path: parts[depth] for path, parts in folders.items() if len(parts) > depth}
    if not links and not any(_is_known(label, label_map) for label in labels.values()):
        _refuse_folder(data_dir, sorted(set(labels.values())))
    for path in files:
        if path in labels:
            yield _Clip(str(path), path, labels[path], Row(split=folders[path][0]) if depth else Row())
        else:
            yield Reject(path.stem, str(path), "in no folder of an emotion; move it to one")
    for path in links:
        yield Reject(path.name, str(path), f"a link to a folder outside of {data_dir}; put the folder itself there")


def _walk(data_dir: Path) -> tuple[list[Path], list[Path]]:
    """Audio and video files, and links to folders outside, which are not followed; sorted, hidden ones left out."""

    def stop(error: OSError) -> NoReturn:
        raise error  # os.walk would pass over a folder that it cannot read

    files, links = [], []
    for folder, folders, names in os.walk(data_dir, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(folder, name) for name in folders):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(data_dir):
                links.append(path)
        files += [Path(folder, name) for name in names if name.lower().endswith(_SUFFIXES) and name[0] != "."]
    return sorted(files), sorted(links)


def _refuse_folder(data_dir: Path, labels: Sequence[str]) -> NoReturn:
    found = sorted(f"{path.name}{'/' if path.is_dir() else ''}" for path in data_dir.iterdir())
    named = f", and audio in folders named {', '.join(labels[:_SHOWN])}" if labels else ", and no audio in its folders"
    raise CorpusDataError(
        f"{data_dir}: looked for metadata ({', '.join(f'metadata{suffix}' for suffix in TABLE_SUFFIXES)}) or folders "
        f"named after emotions ({', '.join(EMOTIONS)}), found {', '.join(found[:_SHOWN]) or 'nothing'}{named}. Other "
        "names are explained by label_map={'name': 'emotion'}"
    )


def _is_known(label: str, label_map: Mapping[str, str]) -> bool:
    try:
        emotions_in(label, label_map)
    except ValueError:
        return False
    return True


def _label_map_hint(unknown: Sequence[str]) -> str:
    wanted = [*(f"{label!r}: ..." for label in unknown[:_SHOWN]), *(["..."] if len(unknown) > _SHOWN else [])]
    return f"known are {', '.join(EMOTIONS)}; say what others mean by label_map={{{', '.join(wanted)}}}"


def _utterance(
    clip: _Clip, name: Path, label_map: Mapping[str, str], speaker_of: Callable[[str], str | None]
) -> Utterance:
    row = clip.row
    emotion, *secondary = emotions_in(clip.label, label_map)
    start, end = times_in(row)
    if (start is None) != (end is None):
        raise ValueError(f"has {'a start' if end is None else 'an end'} alone; give both, or none for the whole file")
    part = "" if start is None else f"#{start}-{end}"
    return Utterance(
        id=f"{name.with_suffix('').as_posix()}{part}",
        path=str(clip.path),
        emotion=emotion,
        secondary_emotions=tuple(secondary),
        gender=choice_in(row, "gender", GENDERS),
        age_group=choice_in(row, "age_group", AGE_GROUPS),
        age=number_in(row, "age"),
        speaker_id=row.first(*_COLUMNS["speaker"]) or speaker_of(name.as_posix()),
        session_id=row.first(*_COLUMNS["session"]),
        start=start,
        end=end,
        transcript=row.first("transcript"),
        split=split_in(row),
        cut=bool(part),
        source=clip.source,
    )
