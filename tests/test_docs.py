"""The documentation: every code block of README.md and docs/ is run, every link leads somewhere.

Blocks of Python run in order, those of a page in one namespace, in a folder of `reader_home.py`. Blocks of shell are
read by bash, with a recorder in place of every program; what it recorded is then run in this process. Commands that
take minutes are run as far as their flags are checked and their work begins.
"""

import argparse
import doctest
import re
import runpy
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
import reader_home
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lssed_hf import cli
from lssed_hf.cli import train_asr
from lssed_hf.corpora import corpus_builder
from lssed_hf.experiments import runs
from lssed_hf.testing.releases import lssed as lssed_release
from lssed_hf.training import asr, pretrained, train


ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Pages whose blocks test_contributing.py runs.
WORKED_EXAMPLES = [page for page in PAGES if page.parent.name == "contributing"]

LINKS = """libraries=$(python -c "import av, pathlib; print(pathlib.Path(av.__file__).parents[1] / 'av.libs')")"""
#: Blocks that are not run, by page and first line, and why.
NOT_RUN = {
    ("docs/corpora.md", "# In datasets before 4, by the loading script:"): "this is datasets 5; see test_routes.py",
    ("docs/serve.md", "curl --data-binary @clip.wav http://127.0.0.1:7860/api/classify"): "see tests/web/test_api.py",
    ("docs/serve.md", "docker build -t lssed-hf . && docker run -p 7860:7860 lssed-hf"): "see test_dockerfile.py",
    ("docs/serve.md", "cp -r space my_space"): "it needs the Hub; tests/web/test_serve.py runs the Space's app",
    ("docs/scaling.md", "cluster_name: lssed-hf"): "YAML, for `ray up` and machines that are not there",
    ("docs/transformers.md", LINKS): "see test_links_make_the_libraries_of_ffmpeg_visible",
}
#: Commands of lssed-hf that are stopped when their own flags are parsed. (What is trained is stopped by `quick`.)
PARSED = {
    "convert": "the released weights are not there",
    "demo": "test_package.py runs it",
    "demo-daic": "minutes of training",
    "push": "it needs the Hub",
    "serve": "it does not end",
}
#: Corpora that are downloaded where no folder is given.
DOWNLOADED = {"ravdess": "RAVDESS", "emodb": "EMODB"}


class Block(NamedTuple):
    page: str
    line: int  # of its first line of code
    language: str
    code: str


class Stopped(BaseException):  # not an Exception, which commands may catch
    """The flags were right, and the work would begin."""


def read_blocks(page: Path) -> list[Block]:
    name = page.relative_to(ROOT).as_posix()
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    assert not [token for token in tokens if token.type == "code_block"], f"{name}: fence the code, with its language"
    return [
        Block(name, token.map[0] + 2, token.info.strip(), token.content) for token in tokens if token.type == "fence"
    ]


def key(block: Block) -> tuple[str, str]:
    return block.page, block.code.splitlines()[0]


@pytest.fixture(scope="module")
def first_home(tmp_path_factory) -> Path:
    folder = reader_home.write_home(tmp_path_factory.mktemp("reader"))
    for name in ("benchmarks", "scripts"):  # copies: an example may write beside them
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def home(first_home, tmp_path, monkeypatch) -> Path:
    """The reader's folder, a new one for each page, and the current one."""
    folder = tmp_path / "home"
    shutil.copytree(first_home, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def quick(monkeypatch, home, one_thread) -> None:
    """Nothing is downloaded, nobody speaks for long, and trainings stop where they would begin."""
    reader_home.quick_speech(monkeypatch)
    for corpus, folder in DOWNLOADED.items():
        monkeypatch.setattr(corpus_builder(corpus), "default_data_dir", classmethod(lambda cls, f=folder: home / f))
    monkeypatch.setattr(pretrained, "find_model", lambda name: name)
    for module, name in ((train, "train_model"), (runs, "do_runs"), (asr, "train_asr")):
        monkeypatch.setattr(module, name, mock.create_autospec(getattr(module, name), side_effect=Stopped))


@pytest.mark.parametrize(
    "page",
    [
        page if page.name == "README.md" else pytest.param(page, marks=pytest.mark.slow)
        for page in PAGES
        if page not in WORKED_EXAMPLES
    ],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_blocks_run(page, home, quick, monkeypatch):
    names = {"__name__": "__main__", **reader_home.names_at_hand()}
    if page.name == "serve.md":
        uvicorn = pytest.importorskip("uvicorn")
        monkeypatch.setattr(uvicorn, "run", lambda app, **settings: None)  # it would wait for Ctrl-C
    for block in read_blocks(page):
        if key(block) in NOT_RUN or block.language in ("text", "mermaid"):
            continue
        if block.language == "python" and block.code.startswith(">>>"):
            run_session(block, names)
        elif block.language == "python":
            code = "\n" * (block.line - 1) + block.code  # so that errors name the page's own lines
            with suppress(Stopped):
                exec(compile(code, str(page), "exec"), names)
        elif block.language == "sh":
            run_shell(block, home, monkeypatch)
        else:
            pytest.fail(f"{block.page}:{block.line}: a block of {block.language or 'no language'}; see NOT_RUN")


def run_session(block: Block, names: dict) -> None:
    """A session of Python, whose answers have to be those that it shows."""
    session = doctest.DocTestParser().get_doctest(block.code, names, block.page, block.page, block.line - 1)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert not runner.run(session, clear_globs=False).failed, f"{block.page}:{block.line}: see above"


@pytest.mark.skipif(sys.platform != "linux", reason="the block is for Linux")
def test_links_make_the_libraries_of_ffmpeg_visible(tmp_path):
    (block,) = [block for block in read_blocks(ROOT / "docs" / "transformers.md") if key(block)[1] == LINKS]
    load = "import ctypes, glob; print(len([ctypes.CDLL(name[17:]) for name in glob.glob('ffmpeg_libraries/*')]))"
    script = f'{block.code}\npython -c "{load}"'
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        [shutil.which("bash"), "-euc", script], cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True
    )
    assert done.stdout == "7\n", done.stderr


def test_what_is_not_run_is_listed_exactly():
    blocks = Counter(key(block) for page in PAGES for block in read_blocks(page))
    for listed in NOT_RUN:
        assert blocks[listed] == 1, f"{listed} is in NOT_RUN, and stands {blocks[listed]} times in the documentation"


def test_every_command_is_in_an_example():
    shown = {
        word for page in PAGES for block in read_blocks(page) for word in re.findall(r"lssed-hf ([\w-]+)", block.code)
    }
    assert set(cli.COMMANDS) - {"demo", "demo-daic"} <= shown  # those two are `make demo` and `make demo-daic`


def test_the_index_has_every_page():
    index = ROOT / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    assert {page for page in PAGES if page.parent == index.parent} - {index} <= listed


def test_the_reference_is_current():
    command = [sys.executable, str(ROOT / "scripts" / "api_reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in links(page):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        assert path.exists() and ROOT in (path, *path.parents), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(path), f"{page.name} links to {target}; {path.name} has no such heading"


def test_flags_and_commands_in_the_text_exist():
    known = known_flags()
    assert {"--learning_rate", "--few_shot", "--specaug", "--csv"} <= known
    for page in PAGES:
        for span in [token.content for token in inline_tokens(page) if token.type == "code_inline"]:
            first, *words = span.split() or [""]
            if first == "lssed-hf" and words and words[0].islower():
                assert words[0] in cli.COMMANDS, f"{page.name}: there is no command `{span}`"
            if first.startswith("--") or first in ("lssed-hf", *cli.COMMANDS):
                unknown = set(re.findall(r"(?<!\S)--\w[\w-]*", span)) - known
                assert not unknown, f"{page.name}: no command has {', '.join(unknown)} of `{span}`"


def known_flags() -> set[str]:
    """Flags of all commands."""
    found: set[str] = {"--help", "--version"}

    parse = argparse.ArgumentParser.parse_known_args

    def parse_known_args(parser, *args, **kwargs):
        found.update(parser._option_string_actions)
        if not parser.add_help:  # it takes its flags out for another one
            return parse(parser, *args, **kwargs)
        raise Stopped

    with mock.patch("argparse.ArgumentParser.parse_known_args", parse_known_args):
        for main in (*(lambda name=name: cli.main([name]) for name in cli.COMMANDS), lambda: train_asr.main([])):
            with pytest.raises(Stopped):
                main()
    return found


def inline_tokens(page: Path) -> list[Token]:
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text(encoding="utf-8"))
    return [child for token in tokens for child in token.children or ()]


def links(page: Path) -> list[str]:
    found = [token.attrs for token in inline_tokens(page) if token.type in ("link_open", "image")]
    return [str(attributes.get("href") or attributes["src"]) for attributes in found]


def anchors(page: Path) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---- shell


def run_shell(block: Block, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = recorded(block.code, home)
    assert commands, f"{block.page}:{block.line} runs nothing"
    for program, *argv in commands:
        shown = f"{block.page}:{block.line}: {program} {' '.join(argv)}"
        with monkeypatch.context() as patch:
            try:
                status = PROGRAMS[program](argv, patch)
            except Stopped:
                continue
            except SystemExit as end:
                status = end.code
        assert not status, f"{shown} ended with {status}"


def recorded(code: str, home: Path) -> list[list[str]]:
    """The programs that bash would run, each with its arguments as it would get them. Unknown ones are an error."""
    shims, log = home.with_name("shims"), home.with_name("log")
    if not shims.is_dir():
        shims.mkdir()
        for program in PROGRAMS:
            (shims / program).write_text(
                f'#!{shutil.which("bash")}\nprintf "%s\\0" {program} "$@" >> {log}\nprintf "\\n\\0" >> {log}\n'
            )
            (shims / program).chmod(0o755)
    log.write_text("")
    command = [shutil.which("bash"), "-euo", "pipefail", "-c", code]
    done = subprocess.run(command, env={"PATH": str(shims)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"bash: {done.stderr}\n{code}"
    return [run.split("\0")[:-1] for run in log.read_text().split("\n\0")[:-1]]


def lssed_hf(argv: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    # Clusters and OpenVINO take long to start, and have tests of their own.
    if argv[0] in PARSED or {"ray", "openvino"} & set(argv):
        with parsing():
            return cli.main(argv)
    return cli.main(argv)


@contextmanager
def parsing() -> Iterator[None]:
    """Stop where flags are parsed."""
    from argparse import ArgumentParser

    def stopping(parse):
        def parse_and_stop(*args, **kwargs):
            parse(*args, **kwargs)
            raise Stopped

        return parse_and_stop

    ways = {name: stopping(getattr(ArgumentParser, name)) for name in ("parse_args", "parse_intermixed_args")}
    with mock.patch.multiple(ArgumentParser, **ways):
        yield
    pytest.fail("no flags were parsed")


def python(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    if argv[0] == "-c":
        write = mock.create_autospec(lssed_release.write_synthetic_lssed)
        patch.setattr(lssed_release, "write_synthetic_lssed", write)
        exec(compile(argv[1], "python -c", "exec"), {})
        return
    patch.setattr(sys, "argv", list(argv))
    patch.syspath_prepend(str(Path(argv[0]).resolve().parent))
    if Path(argv[0]).parts[0] == "benchmarks":
        with parsing():
            runpy.run_path(argv[0], run_name="__main__")
    runpy.run_path(argv[0], run_name="__main__")


def accelerate(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    from accelerate.commands.launch import launch_command_parser

    assert argv[0] == "launch"
    args = launch_command_parser().parse_args(argv[1:])
    python([args.training_script, *args.training_script_args], patch)


def torchrun(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    from torch.distributed.run import parse_args

    args = parse_args(argv)
    python([args.training_script, *args.training_script_args], patch)


def pip(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Installing takes the network: only the extras are looked up."""
    assert argv[0] == "install"
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")  # tomllib is in Python 3.11 and later
    table = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    known = re.findall(r"(?m)^(\w+) = \[", table)
    for extras in re.findall(r"\[(.+?)\]", " ".join(argv)):
        assert set(extras.split(",")) <= set(known)


def make(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Targets install into a new environment: only their names are looked up."""
    targets = re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert set(argv) <= set(targets)


def ray(argv: Sequence[str], patch: pytest.MonkeyPatch) -> None:
    """Clusters have tests of their own: only the flags are checked."""
    click = pytest.importorskip("click")
    from ray.scripts.scripts import cli as ray_cli

    name, command, rest = ray_cli.resolve_command(click.Context(ray_cli), list(argv))
    command.make_context(name, rest)


PROGRAMS: dict[str, Callable[[Sequence[str], pytest.MonkeyPatch], int | None]] = {
    "lssed-hf": lssed_hf,
    "python": python,
    "accelerate": accelerate,
    "torchrun": torchrun,
    "pip": pip,
    "make": make,
    "ray": ray,
}


def test_the_readme_on_an_index_has_no_link_to_a_file_beside_it():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for one in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == [] and "docs/images" not in text
    assert "[under an EULA](https://" in text and "Extras" in text
