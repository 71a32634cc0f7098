"""Tables of text cells as Markdown and as LaTeX."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ..escaping import one_line, plain, table_cell
from ..wording import counted


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "−": "$-$",
    "–": "--",
    "|": "\\textbar{}",
    "†": "$\\dagger$",
    "≥": "$\\geq$",
    "→": "$\\rightarrow$",
    "<": "$<$",
    ">": "$>$",
}


#: Number of speakers below which intervals that resample them are too narrow.
FEW_SPEAKERS = 10
#: Sentence of a caption on `best_cells`.
BOLD_NOTE = "Bold: best of the trained systems, where it beats {answer}."
#: Sentence on scores of several seeds.
SEEDS_NOTE = "Scores are means over seeds, ± one sample standard deviation."
_LATIN = 0x17F  # last letter of Latin Extended-A
_TYPOGRAPHY = "‘’“”„—…€"
_REASONS = 4  # in a sentence on rows that are left out
_EQUAL = 1e-12  # scores that are equal up to rounding

# Points. Widths of ICASSP's columns and pages, the narrowest of common templates, and of a bold character of 8 pt.
_COLUMN, _PAGE, _NARROWEST = 244, 505, 60
_CHARACTER, _GAP = 4.6, 3


def score_cell(
    value: float, low: float | None = None, high: float | None = None, std: float | None = None, form: str = ".3f"
) -> str:
    """Return `value ± std [low, high]`, without the parts that are None."""
    cell = fixed(value, form)
    if std is not None:
        cell += f" ± {fixed(std, form)}"
    return cell if low is None else f"{cell} [{fixed(low, form)}, {fixed(high, form)}]"


def fixed(value: float, form: str = ".3f") -> str:
    """Return a number with a fixed number of digits. A zero has no minus sign, whatever it was rounded from."""
    text = f"{value:{form}}"
    return text if float(text) else f"{0:{form}}"


def bracket_note(results: Mapping[str, Any]) -> str:
    """Return the sentences on the intervals of one system.

    A bootstrap over a few clusters gives intervals that are too narrow (Cameron, Gelbach and Miller 2008,
    "Bootstrap-based improvements for inference with clustered errors").

    Args:
        results: Scores with `num_speakers` and `interval_clusters`.
    """
    note = f"Brackets hold 95 % bootstrap intervals that resample {results['interval_clusters']}s"
    speakers = results["num_speakers"]
    if speakers is None:
        return f"{note}. Utterances of one speaker resemble each other, so they are too narrow."
    if speakers == 1:
        return f"{note}; a single one gives none."
    return f"{note}. With {speakers} speakers they are too narrow." if speakers < FEW_SPEAKERS else f"{note}."


def uneven_seeds(seeds_of: Mapping[str, Sequence[int]]) -> str:
    """Return a sentence on the seeds behind the rows of a table, empty where all have the same.

    Args:
        seeds_of: Seeds by name of the row.
    """
    if len({frozenset(seeds) for seeds in seeds_of.values()}) < 2:
        return ""
    listed = "; ".join(f"{name}: {', '.join(map(str, seeds))}" for name, seeds in seeds_of.items())
    return f"Rows differ in their seeds ({listed})."


def size_words(results: Mapping[str, Any]) -> str:
    """Return the numbers of utterances and of known speakers in words."""
    size = counted(results["num_utterances"], "utterance")
    return size if results["num_speakers"] is None else f"{size}, {counted(results['num_speakers'], 'speaker')}"


def majority_note(results: Mapping[str, Any]) -> str:
    """Return the sentence on the second row of a table of scores, the majority's.

    Args:
        results: Scores with `majority_from`.
    """
    source = "training" if results["majority_from"] == "training" else "test"
    return f"The second row always answers with the largest class of the {source} set."


def left_out_note(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence on the rows that loading the data left out, Markdown; empty without any.

    Args:
        rows: Entry `left_out` of `results.json`.
    """
    if not rows:
        return ""
    most = sorted(rows, key=lambda row: -row["count"])
    reasons = [f"{row['count']:,} of {plain(row['source'])} ({plain(row['reason'])})" for row in most[:_REASONS]]
    more = sum(row["count"] for row in most[_REASONS:])
    listed = ", ".join([*reasons, *([f"{more:,} for other reasons"] if more else [])])
    return f"Loading the data left out {counted(sum(row['count'] for row in rows), 'row')}: {listed}."


def group_table(
    results: Mapping[str, Any], titles: Sequence[str], cells: Callable[[Mapping[str, Any]], Sequence[str]]
) -> str | None:
    """Return the scores of groups as a Markdown table, or None without groups.

    Args:
        results: Scores with `groups`.
        titles: Titles of the columns of scores.
        cells: Function from the scores of a group to these columns.
    """
    rows = [
        [
            f"{attribute}: {part['value']}",
            f"{part['num_utterances']:,}",
            "–" if part["num_speakers"] is None else f"{part['num_speakers']:,}",
            *cells(part),
        ]
        for attribute, group in results["groups"].items()
        for part in group
    ]
    return markdown_table(["group", "utterances", "speakers", *titles], rows) if rows else None


def without_empty_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Return a table without the columns whose cells are all empty or a dash."""
    kept = [index for index, cells in enumerate(zip(*rows, strict=True)) if set(cells) - {"", "–"}]
    return [header[index] for index in kept], [[row[index] for index in kept] for row in rows]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], num_names: int = 1) -> str:
    """Return a Markdown table. The first `num_names` columns are aligned left, the others right."""
    lines = [header, [":--"] * num_names + ["--:"] * (len(header) - num_names), *rows]
    return "\n".join("| " + " | ".join(map(table_cell, line)) + " |" for line in lines)


def best_cells(
    rows: Sequence[Sequence[float | None]], trivial: Sequence[float | None], first_column: int
) -> list[tuple[int, int]]:
    """Return row and column of the best scores of a table, without those that a trivial answer reaches.

    Args:
        rows: Scores of each system, None where not estimable.
        trivial: The same scores of the trivial answer.
        first_column: Column of the table with the first of these scores.
    """
    cells = []
    for column, base in enumerate(trivial):
        scores = [row[column] for row in rows]
        best = max((score for score in scores if score is not None), default=None)
        if best is not None and (base is None or best > base + _EQUAL):
            cells += [
                (number, first_column + column)
                for number, score in enumerate(scores)
                if score is not None and score > best - _EQUAL
            ]
    return cells


def latex_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    num_names: int = 1,
    *,
    bold: Collection[tuple[int, int]] = (),
) -> str:
    """Return a LaTeX table, which needs the package booktabs. Characters with a meaning in LaTeX are escaped.

    It takes one column of a page with two columns if it is narrow enough, else both. The first column of a table that
    is wider still is broken into lines.

    Args:
        header: Header of the table.
        rows: Rows of the table.
        caption: Text above the table.
        num_names: Number of first columns that are aligned left; the others are aligned right.
        bold: Row and column of each cell in bold.
    """
    widths = [_CHARACTER * max(map(len, cells)) + 2 * _GAP for cells in zip(header, *rows, strict=True)]
    table = "table" if sum(widths) <= _COLUMN else "table*"
    kinds = ["l"] * num_names + ["r"] * (len(header) - num_names)
    if sum(widths) > _PAGE:
        kinds[0] = f"p{{{max(_PAGE - sum(widths[1:]) - 2 * _GAP, _NARROWEST):.0f}pt}}"

    def line(cells: Sequence[str], number: int | None = None) -> str:
        texts = [
            rf"\textbf{{{latex_text(cell)}}}" if (number, column) in bold else latex_text(cell)
            for column, cell in enumerate(cells)
        ]
        if kinds[0] != "l":
            texts[0] = texts[0].replace(r"\_", r"\_\allowbreak ")  # TeX breaks lines at hyphens and spaces alone
        # The group keeps "[" after "\\" from being read as its argument.
        return " & ".join(f"{{}}{text}" if text.startswith("[") else text for text in texts) + r" \\"

    lines = [line(header), *(line(row, number) for number, row in enumerate(rows))]
    text = "".join([latex_text(caption), *lines])
    foreign = sorted({character for character in text if ord(character) > _LATIN and character not in _TYPOGRAPHY})
    return "\n".join(
        [
            *([f"% pdfLaTeX lacks {' '.join(foreign)}: use XeLaTeX or LuaLaTeX."] if foreign else []),
            rf"\begin{{{table}}}",
            r"\centering",
            r"\footnotesize",
            rf"\setlength{{\tabcolsep}}{{{_GAP}pt}}",
            r"\setlength{\abovetopsep}{3pt}",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\begin{{tabular}}{{{''.join(kinds)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            rf"\end{{{table}}}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Escape characters with a meaning in LaTeX, and set quotation marks and the minus sign of a number as such."""
    quoted = re.sub(r'"([^"]*)"', r"``\1''", one_line(text))
    escaped = "".join(_LATEX.get(character, character) for character in quoted)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
