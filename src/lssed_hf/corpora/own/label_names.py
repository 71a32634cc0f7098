"""Labels of people's own recordings, in their own spelling or as names of LSSED."""

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ...labels import EMOTIONS, emotion_of_word, normalize_emotion


LABEL_SETS = ("lssed",)


def label_key(label: str) -> str:
    """Return a key that all spellings of a label share: white space, case and Unicode form do not count."""
    return unicodedata.normalize("NFC", " ".join(label.split())).casefold()


def label_pairs(given: Mapping[str, str] | Sequence[str] | None) -> dict[str, str]:
    """Return a label map as a dictionary.

    Args:
        given: Mapping of label to name, or texts LABEL=NAME.

    Raises:
        ValueError: A pair lacks its label or its name, or a label has two names.
    """
    pairs: dict[str, str] = {}
    try:
        items = given.items() if isinstance(given, Mapping) else [text.rpartition("=")[::2] for text in given or ()]
        for label, name in items:
            label, name = label.strip(), name.strip()
            if not (label and name) or pairs.get(label, name) != name:
                raise ValueError(f"{label!r} has no name, or two")
            pairs[label] = name
    except (AttributeError, ValueError) as error:
        raise ValueError(
            f"label_map {given!r}: {error}; give pairs of a label and its name, as --label_map wut=angry freude=happy"
        ) from error
    return pairs


class LabelReader:
    """Reader of the labels in a cell or a folder's name.

    Args:
        label_set: "lssed" for names of LSSED in any known spelling; None for any labels.
        label_map: Label to name, applied first.

    Raises:
        ValueError: The label set is unknown, or a name of the map is not in it.
    """

    def __init__(self, label_set: str | None, label_map: Mapping[str, str]):
        if label_set not in (None, *LABEL_SETS):
            raise ValueError(f"label_set={label_set!r}; known is {', '.join(LABEL_SETS)}")
        self.is_free = label_set is None
        try:
            self._map = {
                label_key(label): name if self.is_free else normalize_emotion(name)
                for label, name in label_map.items()
            }
        except ValueError as error:
            raise ValueError(f"label_map: {error}") from error
        self._used: set[str] = set()
        self._label_map = label_map

    def read(self, text: str) -> list[str]:
        """Return the labels of a text, the main label first.

        Raises:
            ValueError: The text is empty, or the label set lacks one of its labels.
        """
        return [self._name(part) for part in self._parts(text)]

    def renames(self, label: str) -> bool:
        """Return whether the map has a label."""
        return label_key(label) in self._map

    def unknown(self, text: str) -> list[str]:
        """Return the labels of a text that the label set lacks. A text without labels has none."""
        if self.is_free:
            return []
        return [part for part in self._split(text) if label_key(part) not in self._map and not is_emotion(part)]

    def unused(self) -> list[str]:
        """Return the labels of the map that no text has had so far."""
        return [label for label in self._label_map if label_key(label) not in self._used]

    def _parts(self, text: str) -> list[str]:
        if not (parts := self._split(text)):
            raise ValueError("no label given")
        return parts

    def _split(self, text: str) -> list[str]:
        if label_key(text) in self._map:
            return [text]
        parts = [part.strip() for part in re.split(";" if self.is_free else "[;,/|]", text)]
        return [part for part in parts if part] if parts[0] else []

    def _name(self, part: str) -> str:
        key = label_key(part)
        if key in self._map:
            self._used.add(key)
            return self._map[key]
        return " ".join(unicodedata.normalize("NFC", part).split()) if self.is_free else normalize_emotion(part)


def one_spelling(names: Counter[str]) -> tuple[dict[str, str], list[str]]:
    """Find the most frequent spelling of each label.

    Args:
        names: Number of clips by label.

    Returns:
        Label to its most frequent spelling, and a line for each class that has several.
    """
    spellings: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (-names[name], name)):
        spellings.setdefault(label_key(name), []).append(name)
    lines = [
        f"{', '.join(f'{name!r} ({names[name]:,})' for name in same)} are one class, {same[0]!r}"
        for same in spellings.values()
        if len(same) > 1
    ]
    return {name: same[0] for same in spellings.values() for name in same}, lines


def label_map_flag(labels: Iterable[str]) -> str:
    """Return the flag that maps labels to names of LSSED, ready to paste; unknown labels become `other`."""
    return " ".join(
        ["--label_map", *(shlex.quote(f"{label}={emotion_of_word(label) or 'other'}") for label in labels)]
    )


def are_mostly_emotions(words: Collection[str]) -> bool:
    """Return whether more than half of some words are emotion words."""
    return sum(emotion_of_word(word) is not None for word in words) * 2 > len(words)


def unknown_label_hint(labels: Sequence[str]) -> str:
    """Return the remedy for labels that LSSED's label set lacks, for a message."""
    return f"names are {', '.join(EMOTIONS)}: rename yours by {label_map_flag(labels)}"


def is_emotion(part: str) -> bool:
    """Return whether a label is a known spelling of one of LSSED's emotions."""
    try:
        normalize_emotion(part)
    except ValueError:
        return False
    return True
