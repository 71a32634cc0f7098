"""Statistics of a corpus as Markdown, JSON and a picture."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..escaping import table_cell
from ..files import replacing, write_json
from ..wording import counted
from .statistics import UNKNOWN


_MAX_LISTED = 20


def format_statistics(statistics: Mapping[str, Any]) -> str:
    """Format counts of `corpus_statistics` as Markdown whose tables are aligned for a terminal too."""
    parts = [
        f"# {statistics['name']}",
        _format_corpus(statistics["corpus"]),
        "## Speakers",
        *_format_speakers(statistics["speakers"]),
        "## Emotions" if statistics["label_column"] == "emotion" else f"## Labels (`{statistics['label_column']}`)",
        *_format_emotions(statistics),
        "## Splits",
        *_format_splits(statistics),
        "## Durations",
        *_format_durations(statistics["durations"]),
        "## Known values",
        _format_coverage(statistics),
    ]
    if statistics["lssed"] is not None:
        parts += ["## Beside the paper's LSSED", *_format_comparison(statistics["lssed"])]
    return "\n\n".join(parts) + "\n"


def write_statistics(statistics: Mapping[str, Any], output_dir: Path) -> None:
    """Write `stats.json`, `stats.png` and `stats.md`, each file whole or not at all."""
    from .charts import plot_statistics  # matplotlib takes half a second to import

    write_json(output_dir / "stats.json", statistics, allow_nan=False)
    with replacing(output_dir / "stats.png") as path:
        plot_statistics(statistics, path)
    with replacing(output_dir / "stats.md") as path:
        text = format_statistics(statistics)
        path.write_text(f"{text}\n![{statistics['name']}](stats.png)\n", encoding="utf-8")


def _format_corpus(corpus: Mapping[str, Any]) -> str:
    mean = UNKNOWN if corpus["mean_duration"] is None else f"{corpus['mean_duration']:.2f} s"
    row = [_number(corpus["speakers"]), _hours(corpus["seconds"])]
    row += [_number(corpus["utterances"]), _number(corpus["classes"]), mean]
    return _table(["speakers", "h:mm", "utterances", "classes", "mean duration"], [row])


def _format_speakers(speakers: Mapping[str, Any] | None) -> list[str]:
    if speakers is None:
        return ["Speakers are unknown: no utterance names one."]
    table, each = speakers["table"], speakers["utterances_per_speaker"]
    parts = [
        _table(["", *table["total"]], [[gender, *map(_number, row.values())] for gender, row in table.items()]),
        f"Utterances per speaker: {each['min']:,} to {each['max']:,}, median {each['median']:,g}.",
    ]
    if speakers["utterances_without"]:
        parts.append(f"{counted(speakers['utterances_without'], 'utterance')} of unknown speakers.")
    if inconsistent := speakers["inconsistent"]:
        lines = []
        for person in inconsistent:
            seen = [f"{value} {n:,}" for field in ("gender", "age_group") for value, n in person[field].items()]
            lines.append(f"{person['speaker_id']}: {', '.join(seen)}")
        title = f"{counted(len(inconsistent), 'speaker')} with several genders or age groups (utterances of each):"
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
        parts.append(f"{counted(secondary['utterances'], 'utterance')} with secondary emotions: {counts}.")
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
    rows = []
    for split, row in statistics["splits"].items():
        seconds = by_split[split]["total"] if split in by_split else None
        rows.append([split, _number(row["utterances"]), _number(row["speakers"]), _hours(seconds)])
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
        f"Warning: {counted(pair['speakers'], 'speaker')} {verb} in both {one} and {other} ({utterances[one]:,} and "
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
        rows = [[label, *map(_number, row), _number(sum(row))] for label, row in zip(_bin_labels(histogram), counts)]
        parts.append(_table(["seconds", *histogram["splits"], "total"], rows))
    if unreadable := durations["unreadable"]:
        lines = [f"{clip['id']} ({clip['split']}): {clip['reason']}" for clip in unreadable]
        parts.append(f"{counted(len(unreadable), 'clip')} without a duration, in no sum above:\n\n{_list(lines)}")
    return parts


def _bin_labels(histogram: Mapping[str, Any]) -> list[str]:
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
        row = [_difference(number, as_text.get(key, _number)) for key, number in table1.items()]
        parts.append(_table(["Table 1", "speakers", "h:mm", "utterances", "classes"], [["LSSED", *row]]))
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


def _hours(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else _hours_minutes(round(seconds / 60))


def _hours_minutes(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"


def _list(lines: Sequence[str]) -> str:
    shown = [f"- {table_cell(line)}" for line in lines[:_MAX_LISTED]]
    if len(lines) > _MAX_LISTED:
        shown.append(f"- and {len(lines) - _MAX_LISTED:,} more, all of them in stats.json")
    return "\n".join(shown)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [list(map(table_cell, line)) for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines)]
    lines.insert(1, [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {first:<{widths[0]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in zip(rest, widths[1:])) + " |"
        for first, *rest in lines
    )
