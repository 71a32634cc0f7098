"""Escaping of foreign names and prose in a model card, for Markdown, its tables, HTML and YAML.

A character that could be markup becomes a character reference. Markdown shows references as text and never reads them
as structure, in the cells of tables too.
"""

import re
import unicodedata


_PLAIN = re.compile(r"[\w ,.:;/()=+@%'\"{}\[\]-]+")


def one_line(text: object) -> str:
    """Join white space, and drop control characters and characters that turn the direction of writing."""
    return "".join(c for c in " ".join(str(text).split()) if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def code(text: object) -> str:
    """Return any text set as code."""
    line = one_line(text)
    if _PLAIN.fullmatch(line) and line == line.strip():
        return f"`{line}`"
    return f"<code>{_references(line)}</code>"


def plain(text: object) -> str:
    """Return any text as a piece of a paragraph, a heading or a cell."""
    line = one_line(text)
    # An underscore between letters marks nothing.
    line = re.sub(r"[^\w\s.,:;()%/'\"=+?×–±-]|(?<![^\W_])_|_(?![^\W_])", lambda match: _references(match[0]), line)
    return re.sub(r"^(\d*)([-+=]|[.)](?=\s|$))", lambda match: match[1] + _references(match[2]), line)


def _references(text: str) -> str:
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text)
