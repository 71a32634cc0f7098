"""What users see, against golden.json; `record.py` writes it anew when it is meant to change."""

import importlib.metadata
import json

import pytest


pytest.importorskip("espeakng_loader")

from golden_sections import GOLDEN, SECTIONS, SPEAKERS, compute, differences, updated

from lssed_hf.cli.grouped_parser import RECORD
from lssed_hf.files import read_json
from lssed_hf.testing.synthesize import list_layouts


ADVICE = "users see these changes; if you meant them, run `python tests/golden/record.py` and look at its diff:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return the folder that the sections share."""
    return tmp_path_factory.mktemp("golden")


@pytest.fixture(scope="module")
def golden() -> dict:
    """Return the recorded sections."""
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_every_section_is_recorded(golden):
    """Compare the names of the sections."""
    assert sorted(golden) == sorted(SECTIONS)


def test_every_synthetic_release_is_recorded():
    """Compare the names of the releases."""
    assert sorted(SPEAKERS) == list_layouts(), (
        "give each layout a number of speakers in SPEAKERS of golden_sections.py"
    )


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "corpora" else name for name in SECTIONS]
)
def test_section(name, golden, folder, one_thread, monkeypatch):
    """Compute a section and compare it."""
    if name == "command_line" and read_json(RECORD)["transformers"] != importlib.metadata.version("transformers"):
        pytest.skip("transformers of another version has other flags")
    monkeypatch.setenv("COLUMNS", "100")
    found = differences(golden[name], compute(name, folder))
    assert not found, "\n".join([ADVICE, *found])


def test_a_new_record_keeps_what_differs_by_rounding_alone():
    """Change one value, round another, and add a third."""
    assert updated({"a": 1.0, "b": {"c": [0.5]}}, {"a": 2.0, "b": {"c": [0.5000001]}, "d": "new"}) == {
        "a": 2.0,
        "b": {"c": [0.5]},
        "d": "new",
    }
