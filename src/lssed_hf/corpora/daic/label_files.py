"""The label files of DAIC-WOZ and E-DAIC: who is in which split, with which PHQ-8 score. Items are not read.

Column names are matched in upper or lower case, with the 8 of `PHQ8_` or without. Blank rows and columns at the end
are passed over.
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


#: Split -> the file that lists it. A second file of a split adds labels to the first.
DAIC_WOZ_FILES = {
    "train": ("train_split_Depression_AVEC2017.csv",),
    "validation": ("dev_split_Depression_AVEC2017.csv",),
    "test": ("full_test_split.csv", "test_split_Depression_AVEC2017.csv"),
}
E_DAIC_FILES = {"train": ("train_split.csv",), "validation": ("dev_split.csv",), "test": ("test_split.csv",)}
#: PHQ-8 scores from here on count as depressed (Kroenke et al., Journal of Affective Disorders 114, 2009).
CUT_OFF = 10
HIGHEST_SCORE = 24
LABELS = ("not_depressed", "depressed")
_ID, _GENDER = "participant_id", "gender"
_BINARY, _SCORE = ("phq8_binary", "phq_binary"), ("phq8_score", "phq_score")
_NUMBER = re.compile(r"(\d{1,9})(?:\.0*)?")  # also as pandas writes integers of a column with gaps

logger = datasets.logging.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Participant:
    """One line of a label file.

    Attributes:
        id: 300 to 492, in E-DAIC also 600 to 718.
        split: one of `SPLITS`.
        depression: one of `LABELS`, None where the file has no label.
        score: PHQ-8, 0 to 24; None where it is unknown.
        gender_code: as it stands there.
        source: file and line.
        file: that file.
    """

    id: int
    split: str
    depression: str | None
    score: int | None
    gender_code: str | None
    source: str
    file: Path


def find_label_files(data_dir: Path, names: Mapping[str, tuple[str, ...]]) -> dict[str, list[Path]]:
    """Split -> its files, in `data_dir` or one level below. Splits without one are left out.

    Raises:
        CorpusDataError: a file is there several times with different contents, or is a link out of `data_dir`.
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
    """Everyone whom the label files list, and the lines that cannot be used.

    Args:
        files: from `find_label_files`.
        recompute_binary: whether depressed means a score of `CUT_OFF` or more for all who have a score; a warning
            names those whom that changes. Otherwise the binary column stands.

    Returns:
        Participants in the files' order, each once; `depression` is None for those whom no file gives a label. Lines
        that contradict each other are rejected, all of a participant.

    Raises:
        CorpusDataError: a participant is in two splits, or a file is no label file.
    """
    participants: list[Participant] = []
    rejects: list[Reject] = []
    disagreeing: list[int] = []
    places: dict[int, Participant] = {}
    for split, paths in files.items():
        lines: dict[int, list[Participant]] = defaultdict(list)
        for path in paths:
            for line in _read_file(path, split):
                if isinstance(line, Reject):
                    rejects.append(line)
                    continue
                _check_split(line, places)
                if any(replace(line, source=other.source) == other for other in lines[line.id]):
                    rejects.append(Reject(str(line.id), line.source, "the same line again", by_rule=True))
                else:
                    lines[line.id].append(line)
        for same in lines.values():
            merged = _merge(same)
            if isinstance(merged, Reject):
                rejects.append(merged)
                continue
            if merged.score is not None:
                by_score = LABELS[merged.score >= CUT_OFF]
                if merged.depression not in (None, by_score):
                    disagreeing.append(merged.id)
                if recompute_binary or merged.depression is None:
                    merged = replace(merged, depression=by_score)
            participants.append(merged)
    if disagreeing:
        names = ", ".join(map(str, disagreeing))
        done = "now follows the score" if recompute_binary else "is kept, because recompute_binary is off"
        logger.warning(
            f"binary label and PHQ-8 score (depressed from {CUT_OFF} on) disagree for participant {names}: the label "
            f"{done}"
        )
    return participants, rejects


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
    """One participant out of lines of the same split, of which any may lack something."""
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


def _check_split(line: Participant, places: dict[int, Participant]) -> None:
    other = places.setdefault(line.id, line)
    if other.split != line.split:
        raise CorpusDataError(
            f"participant {line.id} is in {other.split} ({other.source}) and in {line.split} ({line.source}); nobody "
            "may be in two splits, so take one of the lines out"
        )
