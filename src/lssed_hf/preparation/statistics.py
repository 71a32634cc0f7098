"""Counts of a corpus in the form of Tables 1 to 3 of the LSSED paper, and the overlap of its splits."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, combinations
from statistics import median
from typing import Any

import datasets

from ..corpora import corpus_features
from ..corpora.base import DIMENSIONS
from ..labels import AGE_GROUPS, GENDERS
from .durations import corpus_durations
from .lssed_tables import compare_with_paper


UNKNOWN = "unknown"
NO_LABEL = "no label"

_METADATA = tuple(name for name in corpus_features(dimensions=DIMENSIONS) if name != "audio")
#: Split -> column -> values. The column of the labels is called `emotion`, whatever its name in the dataset.
_Columns = Mapping[str, Mapping[str, list]]


def corpus_statistics(
    dataset: datasets.DatasetDict,
    *,
    name: str = "corpus",
    label_column: str = "emotion",
    compare_lssed: bool = False,
    num_proc: int = 1,
) -> dict[str, Any]:
    """Count utterances, speakers and durations of a corpus.

    Audio is never decoded: durations come from the headers, a batch of clips at a time.

    Args:
        dataset: Splits with columns of `corpus_features`; only the labels are required.
        name: Name of the corpus, for the heading.
        label_column: Column to count in place of emotions, such as `depression`. "emotion" below means its values.
        compare_lssed: Whether to compare the counts with the paper's tables.
        num_proc: Number of threads that read headers. More than one pays where opening a file takes long, as over a
            network; from a local disk one thread reads 15,000 headers a second.

    Returns:
        Counts that `json.dumps` takes, None where they are unknown:

        - `name`, `label_column`;
        - `corpus`: `speakers`, `seconds` (all clips), `utterances`, `classes` (emotions that occur) and
          `mean_duration` (seconds);
        - `splits`: split -> `utterances`, `speakers`;
        - `speakers`: None without any, else `table` (gender -> age group -> speakers, with "total" rows and columns,
          and "unknown" ones where needed; the most frequent value where a speaker has several),
          `utterances_per_speaker` (`min`, `median`, `max`), `utterances_without` a speaker, and `inconsistent`, the
          speakers of several genders or age groups with the number of utterances of each;
        - `label_speakers`: None without any, else emotion -> split -> speakers who have it there;
        - `emotions`: emotion -> `splits` (split -> utterances), `total` and `percent`; "no label" where some lack one;
        - `secondary_emotions`: `utterances` that have any, `counts` by emotion;
        - `overlap`: for each pair of `splits` the number of shared `speakers` (None where they are unknown) and of
          their `utterances` in either split;
        - `durations`: `source` ("headers", "times" or None), `note`, `splits` and `all` (each `clips`, `unreadable`,
          and in seconds `total`, `mean`, `min`, `quartiles`, `max`), `histogram` (`edges` in seconds, `tail`, whether
          the last bin is a wider one for the longest 1 %, and `splits`: split -> clips per bin), and `unreadable`:
          `split`, `id` and `reason` of each clip without a duration;
        - `coverage`: column -> split -> rows in which it is known;
        - `lssed`: None, or the result of `compare_with_paper`.

    Raises:
        ValueError: A split has no such column, or labels other than emotions are to be compared with LSSED.
        ImportError: The corpus holds videos, and PyAV is not installed.
    """
    for split, rows in dataset.items():
        if label_column not in rows.column_names:
            raise ValueError(f"split {split!r} has no column {label_column!r}; it has {', '.join(rows.column_names)}")
    if compare_lssed and label_column != "emotion":
        raise ValueError(f"LSSED's tables are about emotions, and {name} is counted by {label_column}")
    columns = {split: _read_columns(rows, label_column) for split, rows in dataset.items()}
    people = _people(columns)
    emotions = _emotions(columns, _class_names(dataset, label_column))
    durations = corpus_durations(dataset, columns, num_proc)
    total = sum(map(len, dataset.values()))
    statistics = {
        "name": name,
        "label_column": label_column,
        "corpus": {
            "speakers": len(people) or None,
            "seconds": durations["all"]["total"],
            "utterances": total,
            "classes": sum(row["total"] > 0 for emotion, row in emotions.items() if emotion != NO_LABEL),
            "mean_duration": durations["all"]["mean"],
        },
        "splits": {
            split: {
                "utterances": len(rows),
                "speakers": sum(split in person["splits"] for person in people.values()) or None,
            }
            for split, rows in dataset.items()
        },
        "speakers": _speakers(people, total) if people else None,
        "label_speakers": _label_speakers(columns, emotions) if people else None,
        "emotions": emotions,
        "secondary_emotions": _secondary_emotions(columns),
        "overlap": _overlap(people, list(dataset)),
        "durations": durations,
        "coverage": _coverage(columns, label_column),
        "lssed": None,
    }
    if compare_lssed:
        statistics["lssed"] = compare_with_paper(statistics)
    return statistics


def _read_columns(rows: datasets.Dataset, label_column: str) -> dict[str, list]:
    """Read the columns of the schema except the audio, with names for ClassLabels and None for unknown values."""
    present = [column for column in _METADATA if column in rows.column_names and column != "emotion"]
    present.append(label_column)
    table = rows.select_columns(present).with_format("arrow")[:]
    columns = {}
    for column in present:
        values, feature = table[column].to_pylist(), rows.features[column]
        if isinstance(feature, datasets.ClassLabel):
            values = [feature.names[value] if value is not None and value >= 0 else None for value in values]
        elif isinstance(getattr(feature, "feature", None), datasets.ClassLabel):
            names = feature.feature.names
            values = [[names[value] for value in row or () if value >= 0] for row in values]
        key = "emotion" if column == label_column else column
        columns[key] = [None if value in ("", []) else value for value in values]
    return columns


def _class_names(dataset: datasets.DatasetDict, label_column: str) -> list[str]:
    """Return the labels in the order of their numbers; none for labels that are plain text."""
    features = [rows.features[label_column] for rows in dataset.values()]
    if all(isinstance(feature, datasets.ClassLabel) for feature in features):
        return list(dict.fromkeys(chain.from_iterable(feature.names for feature in features)))
    return []


def _emotions(columns: _Columns, names: Sequence[str]) -> dict[str, dict]:
    counts = {split: Counter(map(_label, rows["emotion"])) for split, rows in columns.items()}
    found = set().union(*counts.values())
    total = sum(split.total() for split in counts.values())
    emotions = {}
    for name in (*names, *sorted(found - {*names, NO_LABEL}), *found & {NO_LABEL}):
        splits = {split: counts[split][name] for split in columns}
        number = sum(splits.values())
        emotions[name] = {"splits": splits, "total": number, "percent": 100 * number / total if total else 0.0}
    return emotions


def _label_speakers(columns: _Columns, labels: Iterable[str]) -> dict[str, dict[str, int]]:
    pairs = {
        split: {(_label(label), speaker) for label, speaker in zip(rows["emotion"], rows["speaker_id"]) if speaker}
        for split, rows in columns.items()
        if "speaker_id" in rows
    }
    counts = {split: Counter(label for label, _ in found) for split, found in pairs.items()}
    return {name: {split: counts.get(split, Counter())[name] for split in columns} for name in labels}


def _label(value: Any) -> str:
    return NO_LABEL if value is None else str(value)


def _secondary_emotions(columns: _Columns) -> dict[str, Any]:
    lists = [row for rows in columns.values() for row in rows.get("secondary_emotions", ()) if row]
    return {"utterances": len(lists), "counts": dict(Counter(chain.from_iterable(lists)).most_common())}


def _people(columns: _Columns) -> dict[str, dict[str, Counter]]:
    """Count, for each speaker, the utterances by gender, by age group and by split."""
    people: dict[str, dict[str, Counter]] = {}
    for split, rows in columns.items():
        unknown = [None] * len(rows["emotion"])
        fields = (rows.get(field, unknown) for field in ("speaker_id", "gender", "age_group"))
        for speaker, gender, age_group in zip(*fields):
            if speaker is None:
                continue
            if speaker not in people:
                people[speaker] = {"gender": Counter(), "age_group": Counter(), "splits": Counter()}
            person = people[speaker]
            person["splits"][split] += 1
            if gender is not None:
                person["gender"][gender] += 1
            if age_group is not None:
                person["age_group"][age_group] += 1
    return people


def _speakers(people: Mapping[str, Mapping[str, Counter]], num_utterances: int) -> dict[str, Any]:
    pairs = Counter((_usual(person["gender"]), _usual(person["age_group"])) for person in people.values())
    genders = _values(GENDERS, (gender for gender, _ in pairs))
    ages = _values(AGE_GROUPS, (age for _, age in pairs))
    table = {gender: {age: pairs[gender, age] for age in ages} for gender in genders}
    table["total"] = {age: sum(table[gender][age] for gender in genders) for age in ages}
    for row in table.values():
        row["total"] = sum(row.values())
    numbers = [person["splits"].total() for person in people.values()]
    return {
        "table": table,
        "utterances_per_speaker": {"min": min(numbers), "median": median(numbers), "max": max(numbers)},
        "utterances_without": num_utterances - sum(numbers),
        "inconsistent": [
            {"speaker_id": speaker, "gender": dict(person["gender"]), "age_group": dict(person["age_group"])}
            for speaker, person in people.items()
            if len(person["gender"]) > 1 or len(person["age_group"]) > 1
        ],
    }


def _usual(counts: Counter) -> str:
    return counts.most_common(1)[0][0] if counts else UNKNOWN


def _values(known: Sequence[str], found: Iterable[str]) -> list[str]:
    """Return the usual values, then others that were found, then "unknown" if it was found."""
    found = set(found)
    return [*known, *sorted(found - {*known, UNKNOWN}), *found & {UNKNOWN}]


def _overlap(people: Mapping[str, Mapping[str, Counter]], splits: Sequence[str]) -> list[dict[str, Any]]:
    pairs = []
    for pair in combinations(splits, 2):
        shared = [person["splits"] for person in people.values() if all(split in person["splits"] for split in pair)]
        pairs.append(
            {
                "splits": list(pair),
                "speakers": len(shared) if people else None,
                "utterances": {split: sum(counts[split] for counts in shared) if people else None for split in pair},
            }
        )
    return pairs


def _coverage(columns: _Columns, label_column: str) -> dict[str, dict[str, int]]:
    """Count, for each column and split, the rows in which it is known."""
    return {
        label_column if name == "emotion" else name: {
            split: sum(value is not None for value in rows.get(name, ())) for split, rows in columns.items()
        }
        for name in _METADATA
    }
