"""Label files of DAIC-WOZ and E-DAIC: the split and the PHQ-8 score of each participant. Items are not read.

Column names may be in upper or lower case, with the 8 of `PHQ8_` or without. Blank rows, and blank columns at the end,
are skipped.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import datasets

from ..base import CorpusDataError, Reject
from ..tables import Row, read_table


#: Split -> its files. A second file of a split adds labels to the first.
DAIC_WOZ_FILES = {
    "train": ("train_split_Depression_AVEC2017.csv",),
    "validation": ("dev_split_Depression_AVEC2017.csv",),
    "test": ("full_test_split.csv", "test_split_Depression_AVEC2017.csv"),
}
E_DAIC_FILES = {"train": ("train_split.csv",), "validation": ("dev_split.csv",), "test": ("test_split.csv",)}
#: Lowest PHQ-8 score that counts as depressed (Kroenke et al., Journal of Affective Disorders 114, 2009).
CUT_OFF = 10
HIGHEST_SCORE = 24
LABELS = ("not_depressed", "depressed")
_ID, _GENDER = "participant_id", "gender"
_BINARY, _SCORE = ("phq8_binary", "phq_binary"), ("phq8_score", "phq_score")
_NUMBER = re.compile(r"(\d{1,9})(?:\.0*)?")  # pandas writes the integers of a column with gaps as 1.0

logger = datasets.logging.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Participant:
    """Line of a label file.

    Attributes:
        id: Number of the participant, 300 to 492, in E-DAIC also 600 to 718.
        split: Name of the split, one of `SPLITS`.
        depression: Label, one of `LABELS`, None if the file has none.
        score: PHQ-8 score, 0 to 24, None if it is unknown.
        gender_code: Gender in the spelling of the file.
        source: File and line, for messages.
        file: Path of the file.
        relabelled: Whether the label follows the score, and was another one in the file.
    """

    id: int
    split: str
    depression: str | None
    score: int | None
    gender_code: str | None
    source: str
    file: Path
    relabelled: bool = False


def find_label_files(data_dir: Path, names: Mapping[str, tuple[str, ...]]) -> dict[str, list[Path]]:
    """Find the label files in `data_dir` or one level below.

    Args:
        data_dir: Folder of the corpus.
        names: Split -> names of its files.

    Returns:
        Split -> paths of its files, without the splits that have none.

    Raises:
        CorpusDataError: Copies of a file differ, or a link leads out of `data_dir`.
    """
    below = sorted(path for path in data_dir.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))
    places: dict[str, list[Path]] = defaultdict(list)
    for folder in (data_dir, *below):
        if folder is not data_dir and re.fullmatch(r"\d+_P", folder.name):
            continue  # a session
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix.lower() == ".csv":
                places[path.name.lower()].append(path)
    found = {}
    for split, wanted in names.items():
        paths = [_only(places[name.lower()], data_dir) for name in wanted if places.get(name.lower())]
        if paths:
            found[split] = paths
    return found


def _only(paths: list[Path], data_dir: Path) -> Path:
    for path in paths:
        if not Path(os.path.realpath(path)).is_relative_to(data_dir):
            raise CorpusDataError(f"{path} is a link out of {data_dir}; put the file itself there")
    if len(paths) > 1 and len({path.read_bytes() for path in paths}) > 1:
        raise CorpusDataError(f"{paths[0]} and {paths[1]} differ; keep the one that is right")
    return paths[0]


def read_labels(
    files: Mapping[str, list[Path]], recompute_binary: bool = True
) -> tuple[list[Participant], list[Reject]]:
    """Read the participants in the label files.

    Args:
        files: Split -> paths of its files.
        recompute_binary: Whether depressed means a score of `CUT_OFF` or more for everyone with a score. A warning
            names the participants whose label changes. Otherwise the binary column stands.

    Returns:
        Participants in the order of the files, each once, and rejects for lines that cannot be used. `depression` is
        None without a label in any file. If lines contradict each other, the whole participant is rejected.

    Raises:
        CorpusDataError: A participant is in two splits, or a file is no label file.
    """
    participants: list[Participant] = []
    rejects: list[Reject] = []
    disagreeing: list[int] = []
    for participant in _read_splits(files):
        if isinstance(participant, Reject):
            rejects.append(participant)
            continue
        if participant.score is not None:
            by_score = LABELS[participant.score >= CUT_OFF]
            disagrees = participant.depression not in (None, by_score)
            if disagrees:
                disagreeing.append(participant.id)
            if recompute_binary or participant.depression is None:
                participant = replace(participant, depression=by_score, relabelled=disagrees)
        participants.append(participant)
    if disagreeing:
        names = ", ".join(map(str, disagreeing))
        done = "now follows the score" if recompute_binary else "is kept, because recompute_binary is off"
        logger.warning(
            f"binary label and PHQ-8 score (depressed from {CUT_OFF} on) disagree for participant {names}: the label "
            f"{done}"
        )
    return participants, rejects


def _read_splits(files: Mapping[str, list[Path]]) -> Iterator[Participant | Reject]:
    """Yield each participant once, with the fields of all lines, and rejects."""
    first_lines: dict[int, Participant] = {}
    for split, paths in files.items():
        lines: dict[int, list[Participant]] = defaultdict(list)
        for path in paths:
            for line in _read_file(path, split):
                if isinstance(line, Reject):
                    yield line
                    continue
                _check_split(line, first_lines)
                if any(replace(line, source=other.source) == other for other in lines[line.id]):
                    yield Reject(str(line.id), line.source, "the same line again", by_rule=True)
                else:
                    lines[line.id].append(line)
        yield from map(_merge, lines.values())


def _read_file(path: Path, split: str) -> Iterator[Participant | Reject]:
    for row in read_table(path, {"participant": (_ID,)}):
        source = f"{path}, line {row.line}"
        name = row.get(_ID, "")
        if row.problem:
            yield Reject(name, source, row.problem)
            continue
        try:
            participant = _number(row, "participant", _ID)
            score = _number(row, "PHQ-8 score", *_SCORE)
            if score is not None and score > HIGHEST_SCORE:
                raise ValueError(f"PHQ-8 score {score} is not between 0 and {HIGHEST_SCORE}")
            binary = _number(row, "PHQ-8 binary label", *_BINARY)
            if binary is not None and binary > 1:
                raise ValueError(f"PHQ-8 binary label {binary} is neither 0 nor 1")
        except ValueError as error:
            yield Reject(name, source, str(error))
            continue
        if participant is None:
            yield Reject("", source, "has no Participant_ID", by_rule=True)
            continue
        label = None if binary is None else LABELS[binary]
        yield Participant(participant, split, label, score, row.get(_GENDER), source, path)


def _number(row: Row, field: str, *columns: str) -> int | None:
    text = row.first(*columns)
    if text is None:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{field} {text[:40]!r} is no number from 0 on")
    return int(match[1])


def _merge(lines: list[Participant]) -> Participant | Reject:
    """Merge the lines of a participant in one split, any of which may lack fields."""
    merged = lines[0]
    for line in lines[1:]:
        for field in ("depression", "score", "gender_code"):
            ours, theirs = getattr(merged, field), getattr(line, field)
            if ours is not None and theirs is not None and ours != theirs:
                reason = f"{field} differs from {merged.source}; correct one of them"
                return Reject(str(merged.id), line.source, reason)
            if ours is None:
                merged = replace(merged, **{field: theirs})
    return merged


def _check_split(line: Participant, first_lines: dict[int, Participant]) -> None:
    other = first_lines.setdefault(line.id, line)
    if other.split != line.split:
        raise CorpusDataError(
            f"participant {line.id} is in {other.split} ({other.source}) and in {line.split} ({line.source}); nobody "
            "may be in two splits, so take one of the lines out"
        )
