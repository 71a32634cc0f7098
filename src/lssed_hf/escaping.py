"""Escaping of foreign names and prose: for terminals, cells of CSV, Markdown with its tables, HTML and YAML.

A character that could be markup becomes a character reference. Markdown shows references as text and never reads them
as structure, in the cells of tables too.
"""

import re
import unicodedata
from collections.abc import Mapping


_PLAIN = re.compile(r"[\w ,.:;/()=+@%'\"{}\[\]-]+")
# Control characters, which a terminal would act on, and surrogates, which stand for bytes that are not UTF-8.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Beginnings that make a spreadsheet run a cell as a formula; a number, and a sign alone, are none.
_FORMULA = re.compile(r"(?!-$|[+-]?\d+([.,]\d+)?$)'*[=+\-@\t\r]")
# Beginnings of tags and comments of HTML, but for those of `code`, and of the targets of links and pictures.
_MARKUP = re.compile(r"<(?=[A-Za-z/!?])(?!/?code>)|(?<=\])\(")


def printable(text: str) -> str:
    r"""Return text in which control characters and undecodable bytes stand as `\x1b` or `\udcff`."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def printable_lines(text: str) -> str:
    """Return text in which every line is `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def csv_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: with an apostrophe in front if it looks like one."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """Return the text that `csv_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def table_cell(text: str) -> str:
    """Return text as a cell of a Markdown table: on one line, without HTML or links; code and emphasis stay."""
    line = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    return _MARKUP.sub(lambda match: _references(match[0]), line).replace("|", "\\|")


def one_line(text: object) -> str:
    """Join white space, and drop control characters and characters that turn the direction of writing."""
    return "".join(c for c in " ".join(str(text).split()) if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def code(text: object) -> str:
    """Return any text set as code."""
    line = one_line(text)
    if _PLAIN.fullmatch(line) and line == line.strip():
        return f"`{line}`"
    return f"<code>{_references(line)}</code>"


def context_list(context: Mapping[str, object]) -> str:
    """Return the facts that head a report as a Markdown list."""
    lines = {name: one_line(value) for name, value in context.items()}
    shown = {name: code(line) if "`" in line else f"`{line}`" for name, line in lines.items()}
    return "\n".join(f"- {name}: {line}" for name, line in shown.items())


def plain(text: object) -> str:
    """Return any text as a piece of a paragraph, a heading or a cell."""
    line = one_line(text)
    # An underscore between letters marks nothing.
    line = re.sub(r"[^\w\s.,:;()%/'\"=+?×–±-]|(?<![^\W_])_|_(?![^\W_])", lambda match: _references(match[0]), line)
    return re.sub(r"^(\d*)([-+=]|[.)](?=\s|$))", lambda match: match[1] + _references(match[2]), line)


def _references(text: str) -> str:
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)


__all__ = [
    "code",
    "context_list",
    "csv_cell",
    "csv_text",
    "one_line",
    "plain",
    "printable",
    "printable_lines",
    "table_cell",
]
