"""The `lssed-hf` command: one subcommand per line of `COMMANDS`, each with its own --help."""

import importlib
import logging
import os
import select
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from .. import __version__
from ..environment import environment_variable
from ..escaping import printable, printable_lines
from ..files import naming
from ..suggest import did_you_mean


#: Heading -> command -> module (whose main(argv) runs it) and its summary.
GROUPS = {
    "your recordings": {
        "predict": ("cli.predict", "classify audio files"),
        "timeline": ("cli.timeline", "follow emotion through a long recording, by windows or speaker turns"),
        "embed": ("cli.embed", "write an embedding of each recording, or of its frames"),
        "enroll": ("cli.enroll", "measure a speaker, for predict and timeline to normalise by"),
        "serve": ("cli.serve", "open a page to try models on, by upload or microphone"),
    },
    "models": {
        "train": ("cli.train", "train any audio classifier on your recordings or on any corpus"),
        "adapt": ("cli.adapt", "fit a model to a few labelled recordings of yours, in a minute"),
        "evaluate": ("cli.evaluate", "score a model on your recordings or on a split of a corpus"),
        "export": ("cli.export", "write a model for ONNX Runtime or OpenVINO, in 8 bits too"),
        "convert": ("cli.convert", "turn a released PyResNet or an ESPnet2 recogniser into a folder for transformers"),
        "card": ("cli.card", "write the model card of a saved model, or those of recorded systems"),
        "push": ("cli.push", "upload a saved model to the Hub: a dry run unless --yes is given"),
    },
    "corpora": {
        "corpora": ("cli.corpora", "list the corpora with language, speakers, hours, classes and licence"),
        "prepare": ("cli.prepare", "turn a corpus as distributed into a folder of Parquet for datasets"),
        "stats": ("cli.stats", "count speakers, emotions and durations of a corpus, compare its splits"),
        "synthesize": ("cli.synthesize", "write a synthetic release in the layout of a corpus"),
    },
    "the paper": {
        "benchmark": ("cli.benchmark", "train and compare systems under one recipe, as in Table 5"),
        "cross-corpus": ("cli.cross_corpus", "train on each corpus and test on the others, as in Table 4"),
        "finetune-daic": ("cli.finetune_daic", "fine-tune models for depression detection, as in Table 6"),
        "demo": ("cli.demo", "train and serve a small PyResNet on synthetic speech"),
        "demo-daic": ("cli.demo_daic", "fine-tune for depression detection on synthetic interviews"),
    },
}
COMMANDS = {name: command for commands in GROUPS.values() for name, command in commands.items()}


def usage() -> str:
    """Return the list of commands, for people."""
    width = max(map(len, COMMANDS))
    lines = ["usage: lssed-hf COMMAND [flags]"]
    for heading, commands in GROUPS.items():
        lines += ["", f"{heading}:", *(f"  {name:<{width}}  {summary}" for name, (_, summary) in commands.items())]
    return "\n".join(
        [*lines, "", "`lssed-hf COMMAND --help` explains a command.", "example: lssed-hf predict clip.wav"]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for an error, 2 for a command or flag that is not there."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        status = _run("lssed-hf", lambda: print(usage()))
        return status if argv else 2
    if argv[0] == "--version":
        return _run("lssed-hf", lambda: print(__version__))
    if argv[0] not in COMMANDS:
        suggestion = did_you_mean(argv[0], COMMANDS)
        print(
            f"lssed-hf: unknown command {argv[0]!r}{suggestion} (`lssed-hf --help` lists the commands)",
            file=sys.stderr,
        )
        return 2
    return _run(f"lssed-hf {argv[0]}", lambda: _main_of(COMMANDS[argv[0]][0])(argv[1:]))


def script(command: str) -> NoReturn:
    """Run a command for a script that `accelerate launch` and `torchrun` can start, and end the process."""
    if command in COMMANDS:
        sys.exit(main([command, *sys.argv[1:]]))
    sys.exit(_run(f"scripts/{command}.py", lambda: _main_of(f"cli.{command}")(sys.argv[1:])))


def _main_of(module: str) -> Callable[[Sequence[str]], int]:
    return importlib.import_module(f"lssed_hf.{module}").main


def _run(prog: str, function: Callable[[], int | None]) -> int:
    """Call a function and return its exit status, None being 0; its errors become one line each."""
    if sys.stdout is None:  # it was closed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for the rest of the process)
    try:
        try:
            with as_command():
                status = function()
            _leave_process_group()
        finally:  # also behind --help, which ends in SystemExit
            with naming("standard output"):
                sys.stdout.flush()
        return status or 0
    except BrokenPipeError as error:
        if _reader_is_gone():
            # As `| head` does. Python would complain once more when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            _print_error(prog, error)
        return 1
    except KeyboardInterrupt:
        print(f"{prog}: interrupted; what can be continued goes on when it is run again", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError) as error:
        # The package's own errors name the file or field and the remedy. A traceback would bury that.
        _print_error(prog, error)
        return 1
    except Exception as error:
        # A configuration with a field that does not fit; transformers' own class of error for it is no ValueError.
        if type(error).__name__ not in ("StrictDataclassClassValidationError", "StrictDataclassFieldValidationError"):
            raise
        _print_error(prog, error.__cause__ or error)
        return 1


def _print_error(prog: str, error: BaseException) -> None:
    print(f"{prog}: error: {printable(' '.join(str(error).splitlines()))}", file=sys.stderr)


def _reader_is_gone() -> bool:
    """Return whether nobody reads the standard output any more; other pipes break as well, as that to a worker."""
    try:
        sys.stdout.flush()
        output = sys.stdout.fileno()
    except BrokenPipeError:
        return True
    except (OSError, ValueError):
        return False
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(output, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


@contextmanager
def as_command() -> Iterator[None]:
    """Let this process behave as a command's.

    Warnings come without the line of the code, and foreign names in messages have no power over the terminal. Worker
    processes import nothing from the working directory, which may be a corpus of strangers (Python 3.11 and later).
    """
    formatwarning, factory = warnings.formatwarning, logging.getLogRecordFactory()
    warnings.formatwarning = lambda message, *place: f"{printable_lines(str(message))}\n"
    logging.setLogRecordFactory(_printable_record)
    try:
        with environment_variable("PYTHONSAFEPATH", os.environ.get("PYTHONSAFEPATH", "1")):
            yield
    finally:
        warnings.formatwarning = formatwarning
        logging.setLogRecordFactory(factory)


def _printable_record(*args, **kwargs) -> logging.LogRecord:
    """Make a record of a log; names in a message of this package get no power over the terminal."""
    record = logging.LogRecord(*args, **kwargs)
    if record.name.startswith("lssed_hf"):
        record.msg, record.args = printable_lines(record.getMessage()), ()
    return record


def _leave_process_group() -> None:
    """End the threads of torch's communication, which abort the process now and then if they are left to its end."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
