"""Record what the commands of README.md print, as docs/terminal.md (`make terminal`).

Every command runs in a pseudo-terminal, in a folder that starts empty: in a fork of this process, which has imported
the slow libraries once, but not lssed_hf. The voices are eSpeak NG's, so that anybody gets the same recordings.
`--check` runs the commands again, trains for one epoch alone, and compares all but numbers and labels.
"""

import argparse
import gc
import importlib
import io
import os
import pty
import re
import shlex
import sys
import tempfile
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from typing import NoReturn


ROOT = Path(__file__).parents[1]
OUTPUT = ROOT / "docs" / "terminal.md"
HEAD = """\
# In a terminal

A session with synthetic voices (eSpeak NG), which the built-in model was not trained on. It shows what the commands
print, and says nothing about the quality of a model. `python scripts/record_terminal.py` recorded it, and a test runs
it again.
"""
#: Heading -> command lines, which run one after the other in one folder.
SESSION = {
    "Recordings to try things on": ["lssed-hf synthesize folder my_recordings"],
    "Which emotion is it?": ["lssed-hf predict my_recordings/clips/speaker01"],
    "Over time": ["lssed-hf timeline my_recordings/recordings/speaker01.wav --window_seconds 2"],
    "A model of your own": [
        "lssed-hf train --data_dir my_recordings --output_dir outputs/mine",
        "lssed-hf predict outputs/mine my_recordings/clips/speaker01",
    ],
    "A slip": ["lssed-hf pedict my_recordings", "lssed-hf predict my_recordings --chanel left"],
    "In Python": [
        """python -c 'import lssed_hf; print(*lssed_hf.predict("my_recordings/clips/speaker01"), sep="\\n")'""",
    ],
}
#: Slow libraries that the commands import.
LIBRARIES = (
    *("datasets", "evaluate", "librosa", "matplotlib.pyplot", "onnxruntime", "sklearn.metrics", "silero_vad"),
    *("torch.utils.tensorboard", "transformers.trainer", "transformers.pipelines"),
)
#: Lines of progress bars and logs, with times and folders of this machine.
NOISE = re.compile(
    r"^\s*$|^\d{4}-\d\d-\d\d |it/s\]|examples/s\]|s/it\]|^\{'(loss|eval|train)|UserWarning|^  .intervals.|mtime "
)


def main() -> int:
    """Record the page, or compare it with --check, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if the page is not current")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _import_libraries(Path(folder) / ".cache")
        text = session(Path(folder), "--num_train_epochs 1" if args.check else "")
    if args.check:
        current = _masked(OUTPUT.read_text(encoding="utf-8"))
        if current != _masked(text):
            print(f"{OUTPUT.relative_to(ROOT)} is not current: run python scripts/record_terminal.py\n{text}")
            return 1
        return 0
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


def session(folder: Path, training_flags: str = "") -> str:
    """Run all commands in a folder and return the page, Markdown."""
    parts = [HEAD.rstrip()]
    for heading, commands in SESSION.items():
        lines = []
        for command in commands:
            run = f"{command} {training_flags}" if "lssed-hf train" in command else command
            lines += [f"$ {command}", *_screen(run, folder), ""]
        parts += [f"## {heading}", "```text\n" + "\n".join(lines[:-1]) + "\n```"]
    return "\n\n".join(parts) + "\n"


def _import_libraries(cache: Path) -> None:
    """Import what most commands import, in the environment of the session."""
    os.environ |= {
        "COLUMNS": "110",
        "HF_HOME": str(cache),
        "HF_HUB_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()  # collections in forks would copy and walk all of it


def _screen(command: str, folder: Path) -> list[str]:
    """Return the lines that a command leaves on a terminal of 110 columns."""
    sys.stdout.flush()
    child, terminal = pty.fork()
    if child == 0:
        _run(shlex.split(command), folder)
    output = b""
    try:
        while chunk := os.read(terminal, 1 << 16):
            output += chunk
    except OSError:  # Linux says so at the end of a terminal
        pass
    os.close(terminal)
    os.waitpid(child, 0)
    text = output.decode("utf-8").replace("\r\n", "\n").replace(str(ROOT / "src"), "...").replace(f"{folder}/", "")
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    return [line for line in lines if not NOISE.search(line)]


def _run(command: list[str], folder: Path) -> NoReturn:
    """Run `python -c` or an installed script in this process, and end it."""
    try:
        os.chdir(folder)
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.FileIO(file, "w"), encoding="utf-8", line_buffering=True) for file in (1, 2)
        )
        program = command[0]
        sys.argv = command
        if program == "python":
            exec(command[2], {"__name__": "__main__"})
        else:
            (script,) = entry_points(group="console_scripts", name=program)
            sys.exit(script.load()())
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _masked(text: str) -> str:
    """Return text in which numbers and labels, and the white space and rules beside them, stand as one sign."""
    text = re.sub(r"\b(angry|neutral|happy|sad|surprised)\b", "LABEL", text)
    return re.sub(r"[\d.,%]+", "#", re.sub(r"[ :|-]+", " ", text))


if __name__ == "__main__":
    sys.exit(main())
