"""What users see, against golden.json; `record.py` writes it anew when it is meant to change."""

import json

import pytest


pytest.importorskip("espeakng_loader")

from golden_sections import GOLDEN, SECTIONS, compute, differences


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


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "corpora" else name for name in SECTIONS]
)
def test_section(name, golden, folder, one_thread, monkeypatch):
    """Compute a section and compare it."""
    monkeypatch.setenv("COLUMNS", "100")
    assert differences(golden[name], compute(name, folder)) == []
