"""A Python that imports slow libraries once, and runs each piece of code in a fork of itself.

As a program it takes the modules to import, and reads requests from standard input: one JSON object a line.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback


class ForkingPython:
    """A process with some modules imported, whose forks begin in no time."""

    def __init__(self, *modules: str):
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # A command that ran before in this process has set it, and this folder would be no part of the path.
            env={name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"},
        )

    def run(self, code: str, cwd: str | os.PathLike = ".", **environment: str) -> str:
        """Run code in a new fork, and return what it printed.

        Raises:
            AssertionError: The code raised an error or left with a status; the message is what it printed.
        """
        request = {"code": code, "cwd": os.path.abspath(cwd), "environment": environment}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        status, output, errors = json.loads(self._process.stdout.readline())
        assert status == 0, output + errors
        return output

    def call(self, module: str, function: str, *arguments: str) -> str:
        """Call a function in a new fork, and return the last line that it printed.

        Args:
            module: Name of a module in this folder.
            function: Name of the function.
            *arguments: Arguments of the function.
        """
        return self.run(f"import {module}; {module}.{function}(*{arguments!r})").splitlines()[-1]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def _answer(request: dict) -> tuple[int, str, str]:
    text = {"mode": "w+", "encoding": "utf-8"}
    with tempfile.TemporaryFile(**text) as output, tempfile.TemporaryFile(**text) as errors:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            _run(**request)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        errors.seek(0)
        return status, output.read(), errors.read()


def _run(code: str, cwd: str, environment: dict[str, str]) -> None:
    status = 1
    try:
        os.chdir(cwd)
        os.environ.update(environment)
        exec(compile(code, "<code>", "exec"), {"__name__": "__main__"})
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    gc.disable()  # imports take a quarter less time
    for name in sys.argv[1:]:
        __import__(name)
    gc.freeze()
    gc.enable()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
    os._exit(0)  # tidying up what was imported would take seconds
