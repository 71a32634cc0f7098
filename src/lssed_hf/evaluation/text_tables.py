"""Tables of text cells as Markdown and as LaTeX."""

import re
from collections.abc import Sequence

from ..escaping import one_line, table_cell


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "±": "$\\pm$",
    "−": "$-$",
    "–": "--",
    "†": "$\\dagger$",
    "≥": "$\\geq$",
    "→": "$\\rightarrow$",
    "<": "$<$",
    ">": "$>$",
}


def score_cell(
    value: float, low: float | None = None, high: float | None = None, std: float | None = None, form: str = ".3f"
) -> str:
    """Return `value ± std [low, high]`, without the parts that are None."""
    cell = f"{value:{form}}"
    if std is not None:
        cell += f" ± {std:{form}}"
    return cell if low is None else f"{cell} [{low:{form}}, {high:{form}}]"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], num_names: int = 1) -> str:
    """Return a Markdown table. The first `num_names` columns are aligned left, the others right."""
    lines = [header, [":--"] * num_names + ["--:"] * (len(header) - num_names), *rows]
    return "\n".join("| " + " | ".join(map(table_cell, line)) + " |" for line in lines)


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, num_names: int = 1) -> str:
    """Return a LaTeX `table`, which needs the package booktabs. Characters with a meaning in LaTeX are escaped."""

    def line(cells: Sequence[str]) -> str:
        # The group keeps "[" after "\\" from being read as its argument.
        return " & ".join(f"{{}}{text}" if text.startswith("[") else text for text in map(latex_text, cells)) + r" \\"

    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            rf"\begin{{tabular}}{{{'l' * num_names}{'r' * (len(header) - num_names)}}}",
            r"\toprule",
            line(header),
            r"\midrule",
            *map(line, rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Escape characters with a meaning in LaTeX, and turn the hyphen of a negative number into a minus sign."""
    escaped = "".join(_LATEX.get(character, character) for character in one_line(text))
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
