"""The `lssed-hf` command: one subcommand per line of `COMMANDS`, each with its own --help."""

import importlib
import os
import sys
from collections.abc import Sequence

from . import __version__


# Command -> module (whose main(argv) runs it) and what it does.
COMMANDS = {
    "demo": ("demo", "train and serve a small PyResNet on synthetic speech"),
    "demo-daic": ("demo_daic", "fine-tune for depression detection on synthetic interviews"),
    "prepare": ("preparation.prepare", "turn a corpus as distributed into a folder of Parquet for datasets"),
    "stats": ("preparation.statistics", "count speakers, emotions and durations of a corpus, and compare its splits"),
    "train": ("training.train", "train any audio classifier on any corpus, by the paper's recipe"),
    "evaluate": ("evaluation.evaluate", "score a model on a split of a corpus"),
    "benchmark": ("training.benchmark", "train and compare systems under one recipe, as the paper's Table 5"),
    "cross-corpus": ("training.cross_corpus", "train on each corpus and test on the others, as the paper's Table 4"),
    "finetune-daic": ("training.depression", "fine-tune models for depression detection, as the paper's Table 6"),
    "predict": ("predict", "classify audio files"),
    "enroll": ("enroll", "keep a speaker's own baseline, for predict and timeline to normalise by"),
    "card": ("hub.card", "write the model card of a saved model, or those of recorded systems"),
    "push": ("hub.push", "upload a saved model to the Hub: a dry run unless --yes is given"),
    "timeline": ("timeline", "follow emotion through a long recording, by windows or speaker turns"),
    "serve": ("web.serve", "open a page to try models on, by upload or microphone"),
    "export": ("hub.export", "write a model for ONNX Runtime or OpenVINO, in 8 bits too"),
    "convert": ("hub.convert", "turn a released PyResNet or an ESPnet2 recogniser into a folder for transformers"),
    "synthesize": ("preparation.synthesize", "write a synthetic release in the layout of a corpus"),
}


def usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        ["usage: lssed-hf COMMAND [flags]", "", *lines, "", "`lssed-hf COMMAND --help` explains a command."]
    )


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        print(f"lssed-hf: unknown command {argv[0]!r}\n\n{usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"{__package__}.{COMMANDS[argv[0]][0]}")
    try:
        status = module.main(argv[1:])
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read our output has gone, as `| head` does. Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ImportError) as error:
        # What the package raises names the file or field and says what to do; a traceback would bury that.
        print(f"lssed-hf {argv[0]}: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
