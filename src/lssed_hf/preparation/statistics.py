"""`lssed-hf stats`: what a corpus holds, in the form of Tables 1 to 3 of LSSED's paper, and what its splits share."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, combinations, pairwise
from pathlib import Path
from statistics import median
from typing import Any

import datasets
import numpy as np
from tqdm.auto import tqdm

from ..audio import audio_duration
from ..corpora import corpus_features
from ..files import replacing
from ..labels import AGE_GROUPS, EMOTIONS, GENDERS


UNKNOWN = "unknown"
NO_LABEL = "no label"

#: Tables 1 to 3 of the paper. Table 3 is (training, test): the paper heads these two columns the wrong way round.
PUBLISHED_CORPUS = {"speakers": 820, "minutes": 206 * 60 + 25, "utterances": 147025, "classes": 11}
PUBLISHED_SPEAKERS = {
    "female": {"young": 253, "middle_aged": 167, "old": 65, "total": 485},
    "male": {"young": 155, "middle_aged": 141, "old": 39, "total": 335},
    "total": {"young": 408, "middle_aged": 308, "old": 104, "total": 820},
}
PUBLISHED_EMOTIONS = {
    "angry": (5192, 1298),
    "neutral": (48369, 12092),
    "happy": (21627, 5406),
    "sad": (9641, 2410),
    "disappointed": (7124, 1781),
    "bored": (2333, 583),
    "disgusted": (2543, 636),
    "excited": (4182, 1046),
    "surprised": (1325, 331),
    "fearful": (502, 126),
    "other": (14782, 3696),
}

_METADATA = tuple(name for name in corpus_features() if name != "audio")
_BATCH = 100  # clips whose bytes are in memory at once
_LONGEST = 1e7  # seconds; the headers of streamed files promise far more
_BIN_WIDTHS = (0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)  # seconds
_MAX_BINS = 20
_MAX_LISTED = 20


def corpus_statistics(
    dataset: datasets.DatasetDict,
    *,
    name: str = "corpus",
    label_column: str = "emotion",
    compare_lssed: bool = False,
    num_proc: int = 1,
) -> dict[str, Any]:
    """Count what a corpus holds. Audio is never decoded: durations come from the headers, a batch of clips at a time.

    Args:
        dataset: splits with the columns of `corpus_features`, of which only that of the labels has to be there.
        name: for the heading.
        label_column: what to count in place of emotions, such as `depression`. "emotion" below means its values.
        compare_lssed: whether to set it beside the paper's tables.
        num_proc: clips to look at at once, in threads. It pays where opening a file takes long, as over a network;
            from a local disk one thread reads 15,000 headers a second.

    Returns:
        What `json.dumps` takes, None for what is unknown:

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
        - `lssed`: None, or what `compare_lssed` gives.

    Raises:
        ValueError: a split has no such column, or what is compared with LSSED has no emotions.
        ImportError: the corpus holds videos, and PyAV is not installed.
    """
    for split, rows in dataset.items():
        if label_column not in rows.column_names:
            raise ValueError(f"split {split!r} has no column {label_column!r}; it has {', '.join(rows.column_names)}")
    if compare_lssed and label_column != "emotion":
        raise ValueError(f"LSSED's tables are about emotions, and {name} is counted by {label_column}")
    columns = {split: _metadata(rows, label_column) for split, rows in dataset.items()}
    people = _people(columns)
    emotions = _emotions(columns, _labels(dataset, label_column))
    durations = _durations(dataset, columns, num_proc)
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


def compare_with_paper(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Ours minus the paper's numbers for LSSED.

    Args:
        statistics: from `corpus_statistics`.

    Returns:
        Differences, None where ours is unknown: `table1` (`speakers`, `minutes`, `utterances`, `classes`), `table2`
        (gender -> age group, with totals), `table3` (emotion or "all" -> `train`, `test`, `total`); `equal`, whether
        all that is known is 0; and `notes`. Tables 1 and 2 are None for a configuration without all eleven emotions.
    """
    emotions, speakers, corpus = statistics["emotions"], statistics["speakers"], statistics["corpus"]
    notes = [
        "The paper heads the first two columns of Table 3 the wrong way round: the column called training sums to "
        "29,405, the 20 % that are the test set. Here they stand under the right names."
    ]
    compared = [emotion for emotion in PUBLISHED_EMOTIONS if emotion in emotions]
    if "test" in statistics["splits"] and len(statistics["splits"]) > 2:
        others = [split for split in statistics["splits"] if split != "test"]
        notes.append(f"The paper has two splits: {' and '.join(others)} together are held against its training set.")
    table3 = {emotion: _table3_row(emotions, [emotion]) for emotion in compared}
    table3["all"] = _table3_row(emotions, compared)
    table1 = table2 = None
    if len(compared) < len(EMOTIONS):
        notes.append(f"Tables 1 and 2 count all eleven emotions, this configuration has {', '.join(compared)}.")
    else:
        seconds = corpus["seconds"]
        ours = {**corpus, "minutes": None if seconds is None else round(seconds / 60)}
        table1 = {
            key: None if ours[key] is None else ours[key] - published for key, published in PUBLISHED_CORPUS.items()
        }
        table2 = {
            gender: {age: speakers and speakers["table"][gender][age] - number for age, number in row.items()}
            for gender, row in PUBLISHED_SPEAKERS.items()
        }
    tables = [table1 or {}, *(table2 or {}).values(), *table3.values()]
    equal = bool(compared) and not any(difference for row in tables for difference in row.values())
    return {"table1": table1, "table2": table2, "table3": table3, "equal": equal, "notes": notes}


def _table3_row(emotions: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, int]:
    train, test = (sum(PUBLISHED_EMOTIONS[emotion][column] for emotion in chosen) for column in (0, 1))
    ours_test = sum(emotions[emotion]["splits"].get("test", 0) for emotion in chosen)
    ours = sum(emotions[emotion]["total"] for emotion in chosen)
    return {"train": ours - ours_test - train, "test": ours_test - test, "total": ours - train - test}


def _metadata(rows: datasets.Dataset, label_column: str) -> dict[str, list]:
    """The columns of the schema but for the audio, which is not touched; names for ClassLabels, None for unknown.

    The labels are called `emotion` whatever their column is.
    """
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


def _labels(dataset: datasets.DatasetDict, label_column: str) -> list[str]:
    """Emotions in the order of their numbers."""
    features = [rows.features[label_column] for rows in dataset.values()]
    if all(isinstance(feature, datasets.ClassLabel) for feature in features):
        return list(dict.fromkeys(chain.from_iterable(feature.names for feature in features)))
    return []  # text: as they come


def _emotions(columns: Mapping[str, Mapping[str, list]], labels: Sequence[str]) -> dict[str, dict]:
    counts = {split: Counter(map(_label, rows["emotion"])) for split, rows in columns.items()}
    found = set().union(*counts.values())
    names = [*labels, *sorted(found - {*labels, NO_LABEL}), *found & {NO_LABEL}]
    total = sum(number for split in counts.values() for number in split.values())
    emotions = {}
    for name in names:
        splits = {split: counts[split][name] for split in columns}
        number = sum(splits.values())
        emotions[name] = {"splits": splits, "total": number, "percent": 100 * number / total if total else 0.0}
    return emotions


def _label_speakers(columns: Mapping[str, Mapping[str, list]], labels: Iterable[str]) -> dict[str, dict[str, int]]:
    pairs = {
        split: {(_label(label), speaker) for label, speaker in zip(rows["emotion"], rows["speaker_id"]) if speaker}
        for split, rows in columns.items()
        if "speaker_id" in rows
    }
    counts = {split: Counter(label for label, _ in found) for split, found in pairs.items()}
    return {name: {split: counts.get(split, Counter())[name] for split in columns} for name in labels}


def _label(value: Any) -> str:
    return NO_LABEL if value is None else str(value)


def _secondary_emotions(columns: Mapping[str, Mapping[str, list]]) -> dict[str, Any]:
    lists = [row for rows in columns.values() for row in rows.get("secondary_emotions", ()) if row]
    return {"utterances": len(lists), "counts": dict(Counter(chain.from_iterable(lists)).most_common())}


def _people(columns: Mapping[str, Mapping[str, list]]) -> dict[str, dict[str, Counter]]:
    """Speaker -> how many of their utterances have which gender, which age group, and are in which split."""
    people: dict[str, dict[str, Counter]] = {}
    for split, rows in columns.items():
        nothing = [None] * len(rows["emotion"])
        fields = (rows.get(field, nothing) for field in ("speaker_id", "gender", "age_group"))
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
    """The usual values, then what else was found, then "unknown" if it was."""
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


def _coverage(columns: Mapping[str, Mapping[str, list]], label_column: str) -> dict[str, dict[str, int]]:
    """Column -> split -> rows in which it is known."""
    return {
        label_column if name == "emotion" else name: {
            split: sum(value is not None for value in rows.get(name, ())) for split, rows in columns.items()
        }
        for name in _METADATA
    }


def _durations(
    dataset: datasets.DatasetDict, columns: Mapping[str, Mapping[str, list]], num_proc: int
) -> dict[str, Any]:
    source, note = _duration_source(dataset, columns)
    seconds: dict[str, np.ndarray] = {}
    unreadable: list[dict[str, Any]] = []
    if source is not None:
        with tqdm(total=sum(map(len, dataset.values())), desc="Reading durations", unit="clip") as progress:
            for split, rows in dataset.items():
                found = _from_headers(rows, num_proc) if source == "headers" else _from_times(columns[split])
                lengths = []
                for index, length in enumerate(found):
                    progress.update()
                    if isinstance(length, float):
                        lengths.append(length)
                    else:
                        name = columns[split]["id"][index] if "id" in columns[split] else f"row {index}"
                        unreadable.append({"split": split, "id": name, "reason": length})
                seconds[split] = np.array(lengths)
    missing = Counter(clip["split"] for clip in unreadable)
    everything = np.concatenate([*seconds.values(), []])
    return {
        "source": source,
        "note": note,
        "splits": {split: _summary(lengths, missing[split]) for split, lengths in seconds.items()},
        "all": _summary(everything, len(unreadable)),
        "histogram": _histogram(seconds, everything) if len(everything) else None,
        "unreadable": unreadable,
    }


def _duration_source(
    dataset: datasets.DatasetDict, columns: Mapping[str, Mapping[str, list]]
) -> tuple[str | None, str]:
    if all("audio" in rows.column_names for rows in dataset.values()):
        return "headers", "Durations are those that the headers of the files give."
    timed = [time for rows in columns.values() for field in ("start", "end") for time in rows.get(field, ())]
    if any(time is not None for time in timed):
        return "times", "There is no column of audio; durations are end minus start."
    return None, "There is no column of audio, nor start and end: durations are unknown."


def _from_headers(rows: datasets.Dataset, num_proc: int) -> Iterator[float | str]:
    """Seconds of each clip, or why they are unknown."""
    audio = rows.select_columns(["audio"]).cast_column("audio", datasets.Audio(decode=False)).with_format("arrow")
    with ThreadPoolExecutor(num_proc) as pool:
        each = pool.map if num_proc > 1 else map  # a single thread beside this one would only slow it down
        for batch in audio.iter(_BATCH):
            yield from each(_header, batch["audio"].to_pylist())


def _header(clip: Mapping[str, Any] | None) -> float | str:
    if clip is None or (clip["bytes"] is None and clip["path"] is None):
        return "no audio"
    try:
        seconds = audio_duration(clip)
    except (OSError, ValueError) as error:
        return str(error)
    return _checked(seconds, clip["path"] or "the clip")


def _from_times(columns: Mapping[str, list]) -> Iterator[float | str]:
    nothing = [None] * len(columns["emotion"])
    for start, end in zip(columns.get("start", nothing), columns.get("end", nothing)):
        yield "no start or end" if start is None or end is None else _checked(end - start, "the clip")


def _checked(seconds: float, name: str) -> float | str:
    return float(seconds) if 0 < seconds < _LONGEST else f"{name}: {seconds:g} s is no duration"


def _summary(seconds: np.ndarray, unreadable: int) -> dict[str, Any]:
    known = len(seconds) > 0
    return {
        "clips": len(seconds),
        "unreadable": unreadable,
        "total": math.fsum(seconds) if known else None,
        "mean": math.fsum(seconds) / len(seconds) if known else None,
        "min": float(seconds.min()) if known else None,
        "quartiles": np.percentile(seconds, [25, 50, 75]).tolist() if known else None,
        "max": float(seconds.max()) if known else None,
    }


def _histogram(seconds: Mapping[str, np.ndarray], everything: np.ndarray) -> dict[str, Any]:
    """Bins of one round width up to the 99th percentile, so that one long clip does not flatten all others."""
    low, high, longest = everything.min(), np.percentile(everything, 99), everything.max()
    width = next((width for width in _BIN_WIDTHS if (high - low) / width <= _MAX_BINS), (high - low) / _MAX_BINS)
    first, last = math.floor(low / width), math.floor(high / width) + 1
    edges = [round(index * width, 6) for index in range(first, last + 1)]
    tail = bool(longest > edges[-1])
    if tail:
        edges.append(float(longest))
    return {
        "edges": edges,
        "tail": tail,
        # Clipped, because rounding may have put an edge past the shortest clip.
        "splits": {
            split: np.histogram(np.clip(lengths, edges[0], edges[-1]), edges)[0].tolist()
            for split, lengths in seconds.items()
        },
    }


def format_statistics(statistics: Mapping[str, Any]) -> str:
    """What `corpus_statistics` counted, as Markdown whose tables are aligned for a terminal too."""
    corpus, durations = statistics["corpus"], statistics["durations"]
    parts = [
        f"# {statistics['name']}",
        _table(
            ["speakers", "h:mm", "utterances", "classes", "mean duration"],
            [
                [
                    _number(corpus["speakers"]),
                    _hours(corpus["seconds"]),
                    _number(corpus["utterances"]),
                    _number(corpus["classes"]),
                    UNKNOWN if corpus["mean_duration"] is None else f"{corpus['mean_duration']:.2f} s",
                ]
            ],
        ),
        "## Speakers",
        *_format_speakers(statistics["speakers"]),
        "## Emotions" if statistics["label_column"] == "emotion" else f"## Labels (`{statistics['label_column']}`)",
        *_format_emotions(statistics),
        "## Splits",
        *_format_splits(statistics),
        "## Durations",
        *_format_durations(durations),
        "## Known values",
        _format_coverage(statistics),
    ]
    if statistics["lssed"] is not None:
        parts += ["## Beside the paper's LSSED", *_format_comparison(statistics["lssed"])]
    return "\n\n".join(parts) + "\n"


def _format_speakers(speakers: Mapping[str, Any] | None) -> list[str]:
    if speakers is None:
        return ["Speakers are unknown: no utterance names one."]
    table, each = speakers["table"], speakers["utterances_per_speaker"]
    parts = [
        _table(["", *table["total"]], [[gender, *map(_number, row.values())] for gender, row in table.items()]),
        f"Utterances per speaker: {each['min']:,} to {each['max']:,}, median {each['median']:,g}.",
    ]
    if speakers["utterances_without"]:
        parts.append(f"{_count(speakers['utterances_without'], 'utterance')} of unknown speakers.")
    if inconsistent := speakers["inconsistent"]:
        lines = []
        for person in inconsistent:
            seen = [f"{value} {n:,}" for field in ("gender", "age_group") for value, n in person[field].items()]
            lines.append(f"{person['speaker_id']}: {', '.join(seen)}")
        title = f"{_count(len(inconsistent), 'speaker')} with several genders or age groups (utterances of each):"
        parts.append(f"{title}\n\n{_list(lines)}")
    return parts


def _format_emotions(statistics: Mapping[str, Any]) -> list[str]:
    splits, emotions, secondary = statistics["splits"], statistics["emotions"], statistics["secondary_emotions"]
    rows = [
        [emotion, *map(_number, row["splits"].values()), _number(row["total"]), f"{row['percent']:.1f}"]
        for emotion, row in emotions.items()
        if row["total"]
    ]
    totals = [_number(split["utterances"]) for split in splits.values()]
    rows.append(["all", *totals, _number(statistics["corpus"]["utterances"]), "100.0"])
    parts = [_table(["", *splits, "total", "%"], rows)]
    if absent := [emotion for emotion, row in emotions.items() if not row["total"]]:
        parts.append(f"No utterance: {', '.join(absent)}.")
    if secondary["utterances"]:
        counts = ", ".join(f"{emotion} {number:,}" for emotion, number in secondary["counts"].items())
        parts.append(f"{_count(secondary['utterances'], 'utterance')} with secondary emotions: {counts}.")
    elif statistics["label_column"] == "emotion":
        parts.append("No secondary emotions.")
    if statistics["label_column"] != "emotion" and statistics["label_speakers"]:
        rows = [
            [label, *map(_number, row.values()), _number(sum(row.values()))]
            for label, row in statistics["label_speakers"].items()
        ]
        parts.append("Speakers who have each label:\n\n" + _table(["", *splits, "total"], rows))
    return parts


def _format_splits(statistics: Mapping[str, Any]) -> list[str]:
    by_split = statistics["durations"]["splits"]
    rows = [
        [
            split,
            _number(row["utterances"]),
            _number(row["speakers"]),
            _hours(by_split[split]["total"] if split in by_split else None),
        ]
        for split, row in statistics["splits"].items()
    ]
    parts = [_table(["", "utterances", "speakers", "h:mm"], rows)]
    if statistics["speakers"] is None:
        return [*parts, "Whether splits share speakers is unknown."]
    without = statistics["speakers"]["utterances_without"]
    leaks = [_leak(pair) for pair in statistics["overlap"] if pair["speakers"]]
    if not leaks and len(statistics["splits"]) > 1:
        parts.append("No two splits share a speaker" + (", as far as speakers are known." if without else "."))
    return parts + leaks


def _leak(pair: Mapping[str, Any]) -> str:
    (one, other), utterances = pair["splits"], pair["utterances"]
    verb = "is" if pair["speakers"] == 1 else "are"
    return (
        f"Warning: {_count(pair['speakers'], 'speaker')} {verb} in both {one} and {other} ({utterances[one]:,} and "
        f"{utterances[other]:,} utterances). A model may know their voices, so scores say little about new speakers."
    )


def _format_durations(durations: Mapping[str, Any]) -> list[str]:
    parts = [durations["note"]]
    if durations["source"] is None:
        return parts
    rows = []
    for name, row in {**durations["splits"], "all": durations["all"]}.items():
        quartiles = row["quartiles"] or [None] * 3
        numbers = (row["mean"], row["min"], *quartiles, row["max"])
        rows.append([name, _number(row["clips"]), *("–" if n is None else f"{n:.2f}" for n in numbers)])
    parts.append(_table(["seconds", "clips", "mean", "min", "25 %", "median", "75 %", "max"], rows))
    if histogram := durations["histogram"]:
        counts = list(zip(*histogram["splits"].values(), strict=True))
        rows = [[label, *map(_number, row), _number(sum(row))] for label, row in zip(bin_labels(histogram), counts)]
        parts.append(_table(["seconds", *histogram["splits"], "total"], rows))
    if unreadable := durations["unreadable"]:
        lines = [f"{clip['id']} ({clip['split']}): {clip['reason']}" for clip in unreadable]
        parts.append(f"{_count(len(unreadable), 'clip')} without a duration, in no sum above:\n\n{_list(lines)}")
    return parts


def bin_labels(histogram: Mapping[str, Any]) -> list[str]:
    """What to call the bins of a histogram of `corpus_statistics`, in seconds."""
    edges = histogram["edges"]
    labels = [f"{low:g}–{high:g}" for low, high in pairwise(edges)]
    if histogram["tail"]:
        labels[-1] = f"over {edges[-2]:g}"
    return labels


def _format_coverage(statistics: Mapping[str, Any]) -> str:
    total = statistics["corpus"]["utterances"]
    rows = [
        [f"`{column}`", *map(_number, known.values()), f"{100 * sum(known.values()) / total if total else 0:.1f}"]
        for column, known in statistics["coverage"].items()
    ]
    return _table(["", *statistics["splits"], "% of all"], rows)


def _format_comparison(comparison: Mapping[str, Any]) -> list[str]:
    parts = ["Ours minus published."]
    if comparison["equal"]:
        parts = ["All that is known is equal to the paper's tables. Ours minus published:"]
    if table1 := comparison["table1"]:
        as_text = {"minutes": _hours_minutes}
        cells = [_difference(number, as_text.get(key, _number)) for key, number in table1.items()]
        parts.append(_table(["Table 1", "speakers", "h:mm", "utterances", "classes"], [["LSSED", *cells]]))
    if table2 := comparison["table2"]:
        rows = [[gender, *map(_difference, row.values())] for gender, row in table2.items()]
        parts.append(_table(["Table 2", *table2["total"]], rows))
    rows = [[emotion, *map(_difference, row.values())] for emotion, row in comparison["table3"].items()]
    parts.append(_table(["Table 3", "training", "test", "total"], rows))
    return [*parts, *comparison["notes"]]


def _number(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def _difference(number: int | None, as_text: Callable[[int], str] = _number) -> str:
    if number is None:
        return UNKNOWN
    return f"{'+' if number > 0 else '−'}{as_text(abs(number))}" if number else "equal"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _hours(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else _hours_minutes(round(seconds / 60))


def _hours_minutes(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def _list(lines: Sequence[str]) -> str:
    shown = [f"- {line}" for line in lines[:_MAX_LISTED]]
    if len(lines) > _MAX_LISTED:
        shown.append(f"- and {len(lines) - _MAX_LISTED:,} more, all of them in stats.json")
    return "\n".join(shown)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # A bar inside a cell would end it.
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines)]
    lines.insert(1, [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {first:<{widths[0]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:])) + " |"
        for first, *rest in lines
    )


def write_statistics(statistics: Mapping[str, Any], output_dir: Path) -> None:
    """Write `stats.json`, `stats.png` and `stats.md`, each file whole or not at all."""
    from .charts import plot_statistics

    with replacing(output_dir / "stats.json") as path:
        text = json.dumps(statistics, indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
    with replacing(output_dir / "stats.png") as path:
        plot_statistics(statistics, path)
    with replacing(output_dir / "stats.md") as path:
        text = format_statistics(statistics)
        path.write_text(f"{text}\n![{statistics['name']}](stats.png)\n", encoding="utf-8")
