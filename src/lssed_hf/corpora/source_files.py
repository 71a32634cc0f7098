"""Source files that read a corpus. Their digest is part of the corpus's place in the cache."""

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path


_PACKAGE = __name__.partition(".")[0]
_FOLDER = Path(__file__).parents[2]
_IMPORT = re.compile(r"^[ \t]*((?:from[ \t]+[.\w]+[ \t]+)?import[ \t]+(?:\([^)]*\)|[^(\n]+))", re.MULTILINE)


@cache
def source_hash(*modules: str, folder: Path = _FOLDER) -> str:
    """Return a digest of the files that `source_files` finds. Names of files do not count."""
    digest = hashlib.sha256()
    for path in source_files(*modules, folder=folder):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def source_files(*modules: str, folder: Path = _FOLDER) -> list[Path]:
    """Return the files of modules of this package and of all modules of it that they import, sorted.

    Imports are read from the text, those within functions too. Nothing is imported. The `__init__.py` of a package
    counts where a name is imported from it, but not where a module below it is.

    Args:
        modules: Full names of modules. Those of other packages are left out.
        folder: Folder that holds the package.
    """
    files: set[Path] = set()
    waiting = list(modules)
    while waiting:
        path = _file_of(waiting.pop(), folder)
        if path is not None and path not in files:
            files.add(path)
            waiting += _imports(path, folder)
    return sorted(files)


def _file_of(name: str, folder: Path) -> Path | None:
    """Return the file of a module, or of the module that defines a name. None for other packages."""
    parts = name.split(".")
    if parts[0] != _PACKAGE:
        return None
    places = (folder.joinpath(*parts), folder.joinpath(*parts[:-1]))
    files = (file for place in places for file in (place.with_suffix(".py"), place / "__init__.py"))
    return next((file for file in files if file.is_file()), None)


def _imports(path: Path, folder: Path) -> Iterator[str]:
    """Yield the full names of what a file imports: modules, and names in modules."""
    package = path.parent.relative_to(folder).parts
    text = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse("\n".join(_IMPORT.findall(text)))  # 30 ms are saved for each corpus
    except SyntaxError:  # prose that looks like an import, or an import over several lines
        tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = (node.module,) if node.module else ()
            yield from (".".join((*above, *module, alias.name)) for alias in node.names)
