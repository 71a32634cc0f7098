"""Dockerfile, as far as it can be checked without Docker."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from lssed_hf.cli.serve import parser


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Return the instructions and their arguments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(steps, name: str) -> list[str]:
    return [rest for instruction, rest in steps if instruction == name]


def test_all_that_is_copied_is_there_and_not_ignored(steps):
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for source in [source for line in arguments(steps, "COPY") for source in line.split()[:-1]]:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored


def test_it_installs_the_versions_that_the_package_asks_for(steps):
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (install,) = (step for step in arguments(steps, "RUN") if "pip install" in step)
    asked = {Requirement(word) for word in shlex.split(install) if word.startswith("torch")}
    assert asked == {Requirement(line) for line in project["dependencies"] if line.startswith("torch")}
    extras = re.search(r"\.\[([\w,]+)\]", install)[1].split(",")
    assert {*extras} <= {*project["optional-dependencies"]}


def test_it_serves_to_others_without_being_root(steps):
    (command,) = map(json.loads, arguments(steps, "ENTRYPOINT"))
    assert command[:2] == ["lssed-hf", "serve"]
    flags = parser().parse_args(command[2:])
    assert (flags.host, str(flags.port), flags.models) == ("0.0.0.0", *arguments(steps, "EXPOSE"), [])
    order = [instruction for instruction, _ in steps]
    assert order.index("USER") < order.index("ENTRYPOINT") and arguments(steps, "USER") != ["root"]


def test_its_health_check_tells_a_page_that_answers_from_one_that_does_not(steps, page):
    (check,) = arguments(steps, "HEALTHCHECK")
    python, *rest = json.loads(check.partition("CMD")[2])
    assert python == "python"
    for address, status in ((page[0], 0), ("http://127.0.0.1:9", 1)):
        command = [word.replace("http://127.0.0.1:7860", address) for word in rest]
        done = subprocess.run([sys.executable, *command], capture_output=True, check=False)
        assert done.returncode == status
