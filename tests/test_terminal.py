"""docs/terminal.md: what the commands of README.md print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it needs a pseudo-terminal")
def test_the_recorded_session_is_what_the_commands_print():
    pytest.importorskip("espeakng_loader")
    command = [sys.executable, str(ROOT / "scripts" / "record_terminal.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_readme_shows_is_from_the_session():
    recorded = (ROOT / "docs" / "terminal.md").read_text(encoding="utf-8")
    shown = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 3
    for block in shown:
        assert block in recorded
