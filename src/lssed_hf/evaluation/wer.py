"""Word and character error rates of transcripts, with intervals clustered by speaker."""

import csv
import os
import re
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np

from ..escaping import context_list, csv_cell
from ..files import replacing, write_json, write_together
from .text_tables import markdown_table


#: Rate -> unit that it counts.
RATES = {"wer": "word", "cer": "character"}

_APOSTROPHES = re.compile("[’‘ʼ`´]")
_HYPHENS = re.compile(r"[-‐‑–—/]")


@dataclass(frozen=True)
class Normalization:
    """Normalization of transcripts before they are learnt or compared.

    The steps in order: Unicode NFKC; case; curly apostrophes become straight ones; hyphens, dashes and slashes become
    spaces; all characters except letters, marks, digits and apostrophes are removed, and so are apostrophes outside of
    words; runs of white space become one space. Numbers and abbreviations are not spelt out.

    Attributes:
        case: Case of the result: "lower", "upper" or "keep".
        punctuation: Whether to keep punctuation and hyphens. Apostrophes, case and white space are normalised all the
            same.
    """

    case: Literal["lower", "upper", "keep"] = "lower"
    punctuation: bool = False

    def __post_init__(self):
        if self.case not in ("lower", "upper", "keep"):
            raise ValueError(f"case must be 'lower', 'upper' or 'keep', got {self.case!r}")

    def __call__(self, text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        if self.case != "keep":
            text = getattr(text, self.case)()
        text = _APOSTROPHES.sub("'", text)
        if not self.punctuation:
            text = _HYPHENS.sub(" ", text)
            text = "".join(c for c in text if c.isspace() or c == "'" or unicodedata.category(c)[0] in "LMN")
            text = re.sub(r"(?<!\w)'+|'+(?!\w)", "", text)
        return " ".join(text.split())


def count_errors(
    references: Sequence[str], hypotheses: Sequence[str], unit: Literal["word", "character"] = "word"
) -> np.ndarray:
    """Count the errors of each hypothesis in its alignment of least edits (Levenshtein distance, by jiwer).

    Args:
        references: True transcripts, (N,).
        hypotheses: Recognised transcripts, (N,).
        unit: Unit that is counted. Spaces between words are characters.

    Returns:
        Counts, int64 (N, 4): substitutions, deletions, insertions, and the units of the reference.

    Raises:
        ImportError: The package jiwer is not installed.
        ValueError: The lists differ in length, or a reference has no word.
    """
    jiwer = import_jiwer()
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references but {len(hypotheses)} hypotheses")
    empty = [index for index, reference in enumerate(references) if not reference.strip()]
    if empty:
        raise ValueError(f"references[{empty[0]}] holds no word, so errors have no rate; leave it out")
    if not len(references):
        return np.zeros((0, 4), dtype=np.int64)
    process = jiwer.process_words if unit == "word" else jiwer.process_characters
    output = process(list(references), list(hypotheses))
    counts = np.zeros((len(references), 4), dtype=np.int64)
    for row, chunks, reference in zip(counts, output.alignments, output.references, strict=True):
        for chunk in chunks:
            if chunk.type == "insert":
                row[2] += chunk.hyp_end_idx - chunk.hyp_start_idx
            elif chunk.type != "equal":
                row[0 if chunk.type == "substitute" else 1] += chunk.ref_end_idx - chunk.ref_start_idx
        row[3] = len(reference)
    return counts


def import_jiwer() -> ModuleType:
    """Return the module jiwer.

    Raises:
        ImportError: The package is not installed.
    """
    try:
        import jiwer
    except ImportError as error:
        raise ImportError("error rates are counted by jiwer: pip install jiwer") from error
    return jiwer


def error_rate_interval(
    counts: np.ndarray,
    groups: Sequence[Hashable] | None = None,
    *,
    num_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, float | None]:
    """Return the error rate over all utterances, with a percentile bootstrap interval that resamples speakers.

    The rate is errors by reference units, both summed over utterances. A resample draws whole speakers with
    replacement, as many as there are (see `bootstrap_intervals` for sources and limits).

    Args:
        counts: Counts of `count_errors`, (N, 4).
        groups: Speaker of each utterance, (N,); None entries together form one cluster of unknown speakers. Without
            groups each utterance is a cluster of its own.
        num_resamples: Number of bootstrap resamples.
        confidence: Coverage aimed at, between 0 and 1.
        seed: Seed of the bootstrap.

    Returns:
        `value`, `low` and `high`; the last two are None with a single cluster.

    Raises:
        ValueError: There are no utterances, the groups have another length, or the confidence is outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if not len(counts):
        raise ValueError("there are no utterances, so there is no error rate")
    if groups is not None and len(groups) != len(counts):
        raise ValueError(f"{len(counts)} utterances but {len(groups)} groups")
    sums = np.stack([counts[:, :3].sum(axis=1), counts[:, 3]], axis=1)
    if groups is not None:
        numbers: dict[Hashable, int] = {}
        clusters = [numbers.setdefault(group, len(numbers)) for group in groups]
        sums = np.stack([np.bincount(clusters, column) for column in sums.T], axis=1)
    errors, units = sums.sum(axis=0)
    interval: dict[str, float | None] = {"value": float(errors / units), "low": None, "high": None}
    if len(sums) > 1:
        # Clusters with equal sums are interchangeable, so kinds of clusters are drawn.
        kinds, sizes = np.unique(sums, axis=0, return_counts=True)
        draws = np.random.default_rng(seed).multinomial(len(sums), sizes / len(sums), size=num_resamples) @ kinds
        bounds = np.quantile(draws[:, 0] / draws[:, 1], [(1 - confidence) / 2, (1 + confidence) / 2])
        interval["low"], interval["high"] = bounds.tolist()
    return interval


def evaluate_transcripts(
    references: Sequence[str],
    hypotheses: Sequence[str],
    speakers: Sequence[str | None] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return word and character error rate of one system on one test set.

    Args:
        references: True transcripts, normalised, (N,).
        hypotheses: Recognised transcripts, normalised alike, (N,).
        speakers: Speaker of each utterance, (N,), None where unknown; when all are unknown, utterances count as
            independent.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready: `num_utterances`; `num_speakers` (known ones, None without speakers); `interval_clusters`,
        "speaker" or "utterance"; `wer` and `cer`, each with `value`, `low`, `high`, `substitutions`, `deletions`,
        `insertions` and `units` (of the references); `sentence_error_rate`, the share of utterances with an error.

    Raises:
        ValueError, ImportError: See `count_errors` and `error_rate_interval`.
    """
    if speakers is not None and all(speaker is None for speaker in speakers):
        speakers = None
    results: dict[str, Any] = {
        "num_utterances": len(references),
        "num_speakers": None if speakers is None else len(set(speakers) - {None}),
        "interval_clusters": "utterance" if speakers is None else "speaker",
    }
    for rate, unit in RATES.items():
        counts = count_errors(references, hypotheses, unit)
        totals = counts.sum(axis=0).tolist()
        names = ("substitutions", "deletions", "insertions", "units")
        results[rate] = {**error_rate_interval(counts, speakers, seed=seed), **dict(zip(names, totals, strict=True))}
        if unit == "word":
            results["sentence_error_rate"] = float((counts[:, :3].sum(axis=1) > 0).mean())
    return results


def write_transcript_report(
    results: Mapping[str, Mapping[str, Any]],
    output_dir: str | os.PathLike,
    *,
    title: str = "Speech recognition",
    context: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Path:
    """Write `results.json` and `report.md`, both or neither.

    Args:
        results: Result of `evaluate_transcripts` by name of the test set.
        output_dir: Folder to write to, made if need be; files of an earlier report are replaced.
        title: Heading of the report.
        context: Facts on the run; they head the report and enter `results.json`.
        notes: Paragraphs at the end of the report.

    Returns:
        Path of `report.md`, which is written last.
    """
    folder, context = Path(output_dir), dict(context or {})
    content = {"title": title, "context": context, "test_sets": dict(results)}
    parts = [f"# {title}"]
    if context:
        parts.append(context_list(context))
    parts.append(rates_table(results))
    parts.append(
        "WER and CER count substitutions, deletions and insertions of words and of characters, by those of the "
        "references, in per cent. Brackets hold 95 % bootstrap intervals that resample speakers (utterances, where "
        "speakers are unknown); a single one gives none. SER is the share of utterances with an error."
    )
    text = "\n\n".join([*parts, *notes]) + "\n"
    writers = {
        "results.json": lambda path: write_json(path, content, allow_nan=False),
        "report.md": lambda path: path.write_text(text, encoding="utf-8"),
    }
    write_together(folder, writers)
    return folder / "report.md"


def rates_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return error rates of test sets with their intervals as a Markdown table, in per cent."""
    rows = []
    for name, scores in results.items():
        speakers = "–" if scores["num_speakers"] is None else f"{scores['num_speakers']:,}"
        kinds = "/".join(f"{scores['wer'][kind]:,}" for kind in ("substitutions", "deletions", "insertions"))
        rates = [_rate_cell(scores[rate]) for rate in RATES]
        size = [f"{scores['num_utterances']:,}", speakers, f"{scores['wer']['units']:,}"]
        rows.append([name, *size, *rates, kinds, f"{100 * scores['sentence_error_rate']:.1f}"])
    header = ["test set", "utterances", "speakers", "words", "WER", "CER", "words sub/del/ins", "SER"]
    return markdown_table(header, rows)


def _rate_cell(interval: Mapping[str, float | None]) -> str:
    cell = f"{100 * interval['value']:.1f}"
    if interval["low"] is None:
        return cell
    return f"{cell} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def write_transcripts(path: str | os.PathLike, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write one CSV row per utterance, with the columns of the first; an earlier file is replaced."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(
            {name: csv_cell(value) if isinstance(value, str) else value for name, value in row.items()} for row in rows
        )
    return Path(path)
