"""Labels, speakers and splits in the names of folders and files."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from ...labels import emotion_of_word
from ...scan import RECORDING_SUFFIXES
from ..fields import SPLIT_NAMES


#: Names of folders that stand for people: speaker01, Actor_03, s1, 0012.
_PERSON = re.compile(
    r"((speaker|spk|spkr|sprecher|sprecherin|actor|actress|subject|subj|sub|participant|person|people|user|voice|talker"
    r"|locuteur|hablante|parlante|s|p|sp|id|m|f|w)[ _-]?)?\d{1,8}[a-z]?"
)
_ORDINALS = ("1st", "2nd", "3rd")


class Levels(NamedTuple):
    """Meaning of the levels of a tree, from 0 for the uppermost folders.

    Attributes:
        label: Level of the labels, None if there is none.
        speaker: Level of the speakers, None if there is none.
        split: Level of the splits, None if there is none.
        other: Another level that could be the label's.
        certain: Whether most names of the label's level are emotion words.
    """

    label: int | None
    speaker: int | None = None
    split: int | None = None
    other: int | None = None
    certain: bool = False


def find_levels(folders: Iterable[Sequence[str]]) -> Levels:
    """Find out which levels of a tree are named after labels, speakers and splits.

    The level of the labels is the one with mostly emotion words. If there is none, it is the first one with several
    names that do not look like people or numbers. The level of the speakers is the one with names of people. If there
    is none, it is the only other one whose names recur below several labels.

    Args:
        folders: Names of the folders around each file, the uppermost first.
    """
    chains = {tuple(chain) for chain in folders if chain}
    depth = max(map(len, chains), default=0)
    names = [{chain[level] for chain in chains if len(chain) > level} for level in range(depth)]
    are_splits = [{name.lower() for name in level} <= SPLIT_NAMES.keys() for level in names]
    first, split = 0, None
    while first < depth - 1:
        if split is None and are_splits[first]:
            split = first
        elif len(names[first]) > 1 or emotion_of_word(next(iter(names[first]))):
            break
        first += 1
    levels = [level for level in range(first, depth) if not are_splits[level]]
    if not levels:
        return Levels(None, split=split)

    def share(level: int, test: Callable[[str], object]) -> float:
        return sum(test(name) is not None for name in names[level]) / len(names[level])

    people = [level for level in levels if share(level, lambda name: _PERSON.fullmatch(name.lower())) > 0.5]
    label = max(levels, key=lambda level: share(level, emotion_of_word))
    certain = share(label, emotion_of_word) > 0.5
    if not certain:
        label = next((level for level in levels if level not in people and len(names[level]) > 1), None)
        if label is None and len(levels) == 1 and all(name.isdecimal() for name in names[levels[0]]):
            label, people = levels[0], []  # classes that are numbers
    rest = [level for level in levels if level != label]
    likely = [level for level in rest if level in people]
    if label is not None and len(likely) != 1:
        likely = [level for level in rest if _recurs(chains, level, label)]
    speaker = likely[0] if len(likely) == 1 else None
    return Levels(label, speaker, split, next(iter([*likely, *rest]), None), certain)


def _recurs(chains: Iterable[Sequence[str]], level: int, label: int) -> bool:
    """Return whether most names of a level, and at least two, occur below several labels."""
    labels = defaultdict(set)
    for chain in chains:
        if len(chain) > max(level, label):
            labels[chain[level]].add(chain[label])
    recurring = sum(len(found) > 1 for found in labels.values())
    return recurring > 1 and recurring > len(labels) / 2


def level_pattern(level: int) -> str:
    """Return the regular expression that finds the name of a level in a path."""
    return "^" + "[^/]+/" * level + "([^/]+)/"


def ordinal(level: int) -> str:
    """Return the name of a level, "1st" for 0."""
    return _ORDINALS[level] if level < len(_ORDINALS) else f"{level + 1}th"


def name_pattern(names: Iterable[str]) -> str | None:
    """Return a regular expression that finds the labels in names of files.

    Args:
        names: Names of files, such as "anna_happy_01.wav".

    Returns:
        Regular expression, or None if no part of the names is an emotion word in most of them.
    """
    for separator in "_-":
        words = [os.path.splitext(name)[0].split(separator) for name in names]
        for place in range(max(map(len, words), default=0)):
            found = [word[place] for word in words if len(word) > place]
            if sum(emotion_of_word(word) is not None for word in found) > len(words) / 2:
                return f"(?:^|/){f'[^/{separator}]+{separator}' * place}([^/.{separator}]+)[^/]*$"
    return None


def walk(data_dir: Path) -> tuple[list[Path], list[Path]]:
    """Return audio and video files, and links to folders outside, which are not followed.

    Hidden files and folders are left out.
    """

    def stop(error: OSError) -> NoReturn:
        raise error  # os.walk would pass over a folder that it cannot read

    files, links = [], []
    for folder, folders, names in os.walk(data_dir, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(folder, name) for name in folders):
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(data_dir):
                links.append(path)
        files += [Path(folder, name) for name in names if is_recording(name) and name[0] != "."]
    return sorted(files), sorted(links)


def is_recording(name: str) -> bool:
    """Return whether a name ends like a name of an audio or video file."""
    return name.lower().endswith(RECORDING_SUFFIXES)


def folder_names(path: Path) -> list[str]:
    """Return the names of the folders around a file, the uppermost first, with composed characters."""
    return composed(path).split("/")[:-1]


def composed(path: str | Path) -> str:
    """Return a path with composed characters (NFC), since file systems differ in the form."""
    return unicodedata.normalize("NFC", Path(path).as_posix())
