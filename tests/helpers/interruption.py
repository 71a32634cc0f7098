"""Trainings that stop in the middle, between two checkpoints: by an exception, or by SIGKILL in another process."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from forking_python import ForkingPython
from transformers import Trainer, TrainerCallback


class StopAtStep(TrainerCallback):
    def __init__(self, step: int, folder: str, stop: Callable[[], None]):
        self.step, self.folder, self.stop = step, folder, stop

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step and args.output_dir.endswith(self.folder):
            self.stop()


def interrupt() -> None:
    raise KeyboardInterrupt


@contextmanager
def stopped_at(step: int, folder: str = "", stop: Callable[[], None] = interrupt) -> Iterator[None]:
    """Stop each training at a step, or only those whose output folder ends with `folder`."""
    original = Trainer.__init__

    def patched(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.add_callback(StopAtStep(step, folder, stop))

    with mock.patch.object(Trainer, "__init__", patched):
        yield


def run_killed(python: ForkingPython, step: int, command: Sequence[str], folder: str = "") -> None:
    """Run a command of lssed-hf in a process that dies at a step of a training, as a machine that loses power does.

    Runs of an experiment are done in that very process.
    """
    status = python.call("interruption", "print_status", str(step), folder, *command)
    assert int(status) == -signal.SIGKILL, status


def print_status(step: str, folder: str, *command: str) -> None:
    """Run a command in a fork as `run_killed` does, and print its exit status."""
    child = os.fork()
    if child == 0:
        from lssed_hf import cli
        from lssed_hf.experiments import runs

        runs.run_in_process = lambda folder, num_threads: runs.main([str(folder)])
        with stopped_at(int(step), folder, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            os._exit(cli.main(command))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
