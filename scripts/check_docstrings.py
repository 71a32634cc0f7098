"""Check how docstrings and their entries begin, which ruff's pydocstyle rules do not see.

Run it as `python scripts/check_docstrings.py src`; `make lint` does.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


#: Words that no docstring begins with.
OPENINGS = ("as", "how", "of", "that", "those", "what", "whatever", "where", "whether", "which", "whose")
#: Words that no entry of a section begins with.
ENTRY_OPENINGS = ("as", "its", "of", "that", "those", "what", "whose")
_SECTION = re.compile(r"^(\s*)(Args|Attributes|Raises|Returns|Yields):\s*$")


def problems(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and complaint for each docstring of a file that begins badly."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        line = node.body[0].lineno
        if (word := _first_word(text)) in OPENINGS:
            yield line, f"a docstring begins with {word!r}"
        if _is_function(node) and (word := _first_word(text)) in ("a", "an", "the"):
            yield line, f"the docstring of a function begins with {word!r}, not with a verb"
        for entry in _entries(text):
            if _first_word(entry) in ENTRY_OPENINGS or re.match(r"(?!float|int)[a-z]", entry):
                yield line, f"an entry begins with {entry.split()[0]!r}: {entry[:60]}"


def _first_word(text: str) -> str:
    match = re.match(r"[A-Za-z]+(?![\w`(.])", text)
    return match[0].lower() if match else ""


def _is_function(node: ast.AST) -> bool:
    """Return whether a node is a function or method, and no property."""
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    names = [getattr(decorator, "id", getattr(decorator, "attr", "")) for decorator in node.decorator_list]
    return not any(name.endswith("property") for name in names)


def _entries(text: str) -> Iterator[str]:
    """Yield what stands behind the name of each argument, attribute or error."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if not (section := _SECTION.match(line)) or section[2] in ("Returns", "Yields"):
            continue
        indent = len(section[1]) + 4
        for entry in lines[number + 1 :]:
            if entry.strip() and len(entry) - len(entry.lstrip()) < indent:
                break
            if match := re.match(rf"^ {{{indent}}}[\w*][^:]*: +(.+)$", entry):
                yield match[1]


def main(argv: Sequence[str]) -> int:
    """Print the complaints about all Python files below some paths; the exit status is 1 if there are any."""
    paths = [Path(name) for name in argv or ["src", "scripts", "benchmarks"]]
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))
    found = [f"{file}:{line}: {complaint}" for file in files for line, complaint in problems(file)]
    print("\n".join(found) or f"{len(files)} files: every docstring begins well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
