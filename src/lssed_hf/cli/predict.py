"""Command `lssed-hf predict`: classify audio files."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from .parser import (
    CommandParser,
    add_engine_arguments,
    add_min_confidence,
    add_model_arguments,
    add_recording_arguments,
    add_speaker_arguments,
    engine_of,
)


if TYPE_CHECKING:
    from ..inference.classifiers.outputs import Outputs

DESCRIPTION = """Classify recordings of any format, rate and length. A file that cannot be read is listed with the
reason; the others are still classified, and the exit status is 1."""


def parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser(
        "predict", DESCRIPTION, "recordings/ --csv emotions.csv", usage="%(prog)s [MODEL] RECORDING ... [flags]"
    )
    add_recording_arguments(parser, ", or - for standard input")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format", choices=("table", "csv", "json", "jsonl"), help="default: a table on a terminal, else csv"
    )
    output.add_argument("--csv", type=Path, metavar="FILE", help="write CSV to a file")
    data = parser.add_argument_group("recordings")
    data.add_argument(
        "--channel",
        choices=("mix", "left", "right", "each"),
        default="mix",
        help="of stereo recordings: their mean (default), one, or a row for each",
    )
    data.add_argument(
        "--vad",
        action=argparse.BooleanOptionalAction,
        help="give no label to recordings that are mostly no speech; --no-vad: label all (default: the built-in model "
        "gives none where there is no speech)",
    )
    data.add_argument(
        "--min_speech", type=float, default=0.25, metavar="SHARE", help="of a recording to be speech (default: 0.25)"
    )
    add_min_confidence(data)
    speaker = parser.add_argument_group("speaker")
    add_speaker_arguments(speaker)
    speaker.add_argument(
        "--speaker_from",
        metavar="path|recording|FILE",
        help="normalise by all recordings of a speaker, without labels: path for folders of one speaker each, "
        "recording for one speaker each, or a table with the columns file and speaker",
    )
    hardware = parser.add_argument_group("model and hardware")
    hardware.add_argument("--batch_size", type=int, default=8, metavar="N", help="clips per forward pass (default: 8)")
    add_model_arguments(hardware)
    add_engine_arguments(hardware, "local", "torch", "ray")
    hardware.add_argument("--num_proc", type=int, metavar="N", help="with ray: models at work at once")
    hardware.add_argument("--cpus_per_proc", type=int, default=1, metavar="N", help="with ray: of each (default: 1)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parser().parse_inputs(argv)
    if min(args.batch_size, args.cpus_per_proc, 1 if args.num_proc is None else args.num_proc) < 1:
        raise ValueError("--batch_size, --num_proc and --cpus_per_proc must be 1 or more")
    for name in ("min_speech", "min_confidence"):
        if not 0 <= getattr(args, name) <= 1:
            raise ValueError(f"--{name} {getattr(args, name)} must be between 0 and 1")

    from ..escaping import printable
    from ..inference.classifiers.loading import split_model
    from ..inference.classifiers.speaker_statistics import check_speaker_arguments

    check_speaker_arguments(args)
    if args.speaker_from is not None and (args.speakers is not None or args.engine == "ray" or "-" in args.arguments):
        raise ValueError("--speaker_from goes neither with --speakers, nor with --engine ray, nor with standard input")
    model, inputs = split_model(args.arguments)
    outputs, predictions = _classify(args, model, _sources(args, inputs))
    form = args.format or (None if args.csv else "table" if sys.stdout.isatty() else "csv")
    _write(args.csv, form, predictions, outputs)
    failed = [one for one in predictions if one.error]
    if form != "table":
        for one in failed:
            print(printable(one.error), file=sys.stderr)
    print(_summary(predictions), file=sys.stderr)
    return 1 if failed else 0


def _sources(args: argparse.Namespace, inputs: Sequence[str]) -> list:
    """Return the recordings, and check before the work that the CSV file can be written."""
    from ..files import check_writable
    from ..scan import expand_paths

    named = [name for name in inputs if name != "-"]
    sources: list = expand_paths(named) if named else []
    if args.csv is not None:
        check_writable(args.csv)
        if any(os.path.realpath(path) == os.path.realpath(args.csv) for path in sources):
            raise ValueError(f"--csv {args.csv} is one of the recordings; give another name")
    if len(named) < len(inputs):
        if args.engine == "ray":
            raise ValueError(
                "- is standard input of this machine, which workers of Ray do not see; leave out --engine ray"
            )
        sources.append(_standard_input())
    return sources


def _classify(args: argparse.Namespace, model_name: str | None, sources: list) -> tuple["Outputs", list]:
    """Return the outputs of the model, and a prediction for each recording."""
    from tqdm.auto import tqdm

    from ..inference.classifiers.loading import load_speaker_classifier
    from ..inference.classifiers.pretrained import is_built_in
    from ..inference.predict import predict_recordings, unscored_notes

    model = (model_name, args.batch_size, args.device, args.trust_remote_code)
    speaker = (args.speakers, args.speaker)
    settings = {name: getattr(args, name) for name in ("channel", "min_speech", "min_confidence")}
    settings["unscored"] = unscored_notes(args.vad, is_built_in(model_name))
    with ExitStack() as stack:
        if args.engine == "ray":
            from ..inference.predict_ray import predict_on_ray

            cluster = {"address": args.ray_address, "num_proc": args.num_proc, "cpus_per_proc": args.cpus_per_proc}
            outputs, results = stack.enter_context(predict_on_ray(sources, model, speaker, settings, **cluster))
        else:
            classifier = load_speaker_classifier(model, speaker, engine_of(args))
            outputs = classifier.outputs
            results = predict_recordings(classifier, sources, args.speaker_from, **settings)
        return outputs, list(tqdm(results, total=len(sources), desc="Classifying", unit="file", disable=None))


def _write(csv: Path | None, form: str | None, predictions: Sequence, outputs: "Outputs") -> None:
    """Write predictions to a CSV file, and in a format to standard output."""
    from ..files import replacing
    from ..inference.prediction_formats import FORMATS

    # Names of files are bytes, not always UTF-8; a terminal may know less than UTF-8.
    for_programs = {"encoding": "utf-8", "errors": "surrogateescape"}
    if csv:
        with replacing(csv) as partial, open(partial, "w", newline="", **for_programs) as file:
            FORMATS["csv"](file, predictions, outputs)
    if form:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(**({"errors": "backslashreplace"} if form == "table" else for_programs))
        FORMATS[form](sys.stdout, predictions, outputs)


def _standard_input() -> dict:
    if sys.stdin is None:
        raise ValueError("standard input is closed; name a file in place of -")
    return {"path": "-", "bytes": sys.stdin.buffer.read()}


def _summary(predictions: Sequence) -> str:
    from ..inference.quality import UNSURE

    failed = sum(one.error is not None for one in predictions)
    unsure = sum(UNSURE in one.notes for one in predictions)
    silent = sum(not (one.error or one.probabilities or one.dimensions) for one in predictions)
    parts = [f"{len(predictions) - failed - unsure - silent} of {len(predictions)} recordings classified"]
    parts += [f"{failed} could not be read"] if failed else []
    parts += [f"{unsure} unsure"] if unsure else []
    return ", ".join([*parts, *([f"{silent} without speech or too short"] if silent else [])])
