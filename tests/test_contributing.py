"""The worked examples of docs/contributing: their files are written into a copy of the package, run and tested."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forking_python import ForkingPython
from markdown_it import MarkdownIt


ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "contributing").glob("add_*.md"))


def blocks(page: Path) -> Iterator[tuple[str, str, str]]:
    """Yield language, file and text of each block of a page; the file is empty where none is named."""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type == "fence":
            language, _, file = token.info.strip().partition(" ")
            yield language, file, token.content


def apply(diff: str, text: str) -> str:
    """Add the lines of a diff to a text, below its one line of context, which the text has to hold once.

    More context would include lines that another contribution may move away from each other.
    """
    (mark, context), *added = ((line[0], line[1:]) for line in diff.splitlines())
    assert mark == " " and added and {mark for mark, _ in added} == {"+"}, f"one line of context, on top:\n{diff}"
    lines = text.split("\n")
    assert lines.count(context) == 1, f"it is there {lines.count(context)} times: {context}"
    position = lines.index(context) + 1
    return "\n".join([*lines[:position], *(line for _, line in added), *lines[position:]])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory, write_clip) -> Path:
    """A copy of the package and of what its tests share, with all examples in it; and corpora to try them on."""
    folder = tmp_path_factory.mktemp("checkout")
    skipped = shutil.ignore_patterns("__pycache__", "test_*.py", "fixtures")
    for name in ("src", "tests", "model_cards"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for page in PAGES:
        for language, file, text in blocks(page):
            if language == "diff":
                (folder / file).write_text(apply(text, (folder / file).read_text(encoding="utf-8")), encoding="utf-8")
            elif file:
                path = folder / file
                assert not path.exists(), f"{page.name}: {file} is there already"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for speaker in ("DC", "JE", "JK", "KL"):
        for number, code in enumerate(("a", "d", "f", "h", "n", "sa", "su")):
            clip = folder / "SAVEE" / "AudioData" / speaker / f"{code}01.wav"
            write_clip(clip, seconds=0.5, frequency=300 + 200 * number)
    for number in range(5):
        write_clip(folder / "URDU" / "Angry" / f"SM{number}_F1_A01.wav", seconds=0.5)
    write_clip(folder / "my_recordings" / "clip.wav", seconds=0.5)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_other_contributions_do_not_stand_in_the_way(page):
    """Put foreign lines around the context of each change."""
    for language, file, diff in blocks(page):
        if language == "diff":
            context, *added = (line[1:] for line in diff.splitlines())
            text = (ROOT / file).read_text(encoding="utf-8")
            crowded = text.replace(f"{context}\n", f"before\n{context}\nbehind\n")
            assert "\n".join([context, *added, "behind"]) in apply(diff, crowded)


# In a fork: a module as `python -m` runs it, with the copy of the package.
RUN_MODULE = """
import runpy, sys, tempfile
tempfile.tempdir = {folder!r}
sys.path[:0] = [{folder!r}, {folder!r} + "/src"]
sys.argv = {command!r}
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
"""


@pytest.fixture(scope="module")
def run_module(checkout) -> Iterator[Callable[..., str]]:
    """Run a module with the copy of the package, and return what it printed."""
    python = ForkingPython("datasets", "evaluate", "sklearn.metrics", "transformers.trainer", "transformers.models")

    def run_module(*command: str) -> str:
        code = RUN_MODULE.format(folder=str(checkout), command=list(command))
        return python.run(code, cwd=checkout, PYTHONPATH=str(checkout / "src"))

    yield run_module
    python.close()


@pytest.mark.slow
def test_the_tests_of_the_examples_pass(run_module):
    files = [file for page in PAGES for _, file, _ in blocks(page) if Path(file).name.startswith("test_")]
    assert len(files) == len(PAGES), "each page has one file of tests"
    summary = run_module("pytest", "-q", "-p", "no:cacheprovider", *files)
    assert re.search(r"\d\d* passed", summary) or "[100%]" in summary


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_examples_run(page, run_module):
    commands = [line for language, _, text in blocks(page) if language == "sh" for line in text.splitlines()]
    assert commands
    for line in commands:
        program, *arguments = shlex.split(line)
        assert program == "lssed-hf"
        run_module("lssed_hf", *arguments)


def check(checkout: Path, *command: str) -> None:
    """Run Python on files of the copy, and fail where it finds fault."""
    done = subprocess.run([sys.executable, *command], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_pass_the_linter(page, checkout):
    files = [file for language, file, _ in blocks(page) if language == "python" and file]
    check(checkout, "-m", "ruff", "check", "--no-cache", *files)
    check(checkout, "-m", "ruff", "format", "--check", "--no-cache", *files)
    check(checkout, str(ROOT / "scripts" / "check_docstrings.py"), *files)
