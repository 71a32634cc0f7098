"""Command `lssed-hf timeline`: follow emotion through a recording, window by window or turn by turn."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..files import check_writable, replacing
from .parser import (
    CommandParser,
    add_engine_arguments,
    add_min_confidence,
    add_model_arguments,
    add_speaker_arguments,
    engine_of,
)


if TYPE_CHECKING:
    from ..inference.classifiers.outputs import Outputs
    from ..inference.timeline.envelope import Envelope
    from ..inference.timeline.scoring import TimelineSegment


DESCRIPTION = "Follow emotion through a recording of any length, window by window or turn by turn."
_FIGURES = (".png", ".pdf", ".svg")


def parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser(
        "timeline",
        DESCRIPTION,
        "interview.wav --vad --csv emotions.csv --figure emotions.png",
        usage="%(prog)s [MODEL] RECORDING [flags]",
    )
    parser.add_argument("model", nargs="?", help="folder or Hub name of a model (default: the built-in one)")
    parser.add_argument("recording", type=Path, help="an audio file of any format, rate and length")
    output = parser.add_argument_group("output")
    output.add_argument(
        "--csv", type=Path, metavar="FILE", help="a row per window (default: print them, as a table on a terminal)"
    )
    output.add_argument("--json", type=Path, metavar="FILE", help="the same as JSON")
    output.add_argument("--textgrid", type=Path, metavar="FILE", help="an interval tier (per speaker) for Praat")
    output.add_argument("--rttm", type=Path, metavar="FILE", help="stretches of one emotion in NIST's format")
    output.add_argument(
        "--figure", type=Path, metavar="FILE", help="probabilities below the waveform (.png, .pdf or .svg)"
    )
    windows = parser.add_argument_group("windows")
    windows.add_argument(
        "--window_seconds", type=float, default=3.0, metavar="S", help="length of a window (default: 3)"
    )
    windows.add_argument("--hop_seconds", type=float, default=1.0, metavar="S", help="window to window (default: 1)")
    windows.add_argument(
        "--vad",
        action=argparse.BooleanOptionalAction,
        help="leave windows without speech unscored (Silero VAD); the default with a built-in model",
    )
    windows.add_argument(
        "--min_speech",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="with --vad: share of a window to be speech (default: 0.25)",
    )
    add_min_confidence(windows)
    windows.add_argument(
        "--channel", choices=("mix", "left", "right"), default="mix", help="of a stereo recording (default: the mean)"
    )
    speaker = parser.add_argument_group("speakers")
    speaker.add_argument(
        "--turns",
        type=Path,
        metavar="FILE",
        help="who speaks when: .rttm, .srt, .vtt, JSON of WhisperX, a table of start, end and speaker, or a DAIC "
        "transcript",
    )
    add_speaker_arguments(speaker)
    speaker.add_argument(
        "--own_baseline",
        action=argparse.BooleanOptionalAction,
        help="normalise each speaker of the turns, or without turns the whole recording, by its own speech, without "
        "labels (default: with models that suit it, such as the built-in encoder-small)",
    )
    hardware = parser.add_argument_group("model and hardware")
    hardware.add_argument(
        "--batch_size", type=int, default=8, metavar="N", help="windows per forward pass (default: 8)"
    )
    add_model_arguments(hardware)
    add_engine_arguments(hardware, "local", "torch")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    args = parser().parse_intermixed_args(argv)
    if args.batch_size < 1:
        raise ValueError("--batch_size must be 1 or more")

    from ..inference.classifiers.pretrained import is_built_in
    from ..inference.classifiers.speaker_statistics import check_speaker_arguments
    from ..inference.quality import UNSURE
    from ..inference.timeline.envelope import Envelope
    from ..inference.timeline.scoring import NOT_FINITE

    check_speaker_arguments(args)
    if args.vad is None:
        args.vad = is_built_in(args.model)
    _check_outputs(args)
    envelope = Envelope() if args.figure else None
    outputs, segments = _score(args, envelope)
    _write(args, segments, outputs, envelope)
    scored = sum(segment.scored for segment in segments)
    unsure = sum(segment.skipped == UNSURE for segment in segments)
    note = f", {unsure} unsure" if unsure else ""
    failed = sum(segment.skipped == NOT_FINITE for segment in segments)
    note += f", {failed} without a finite score: the model does not suit the recording" if failed else ""
    print(f"{scored} of {len(segments)} segments scored{note}", file=sys.stderr)
    return 1 if failed else 0


def _score(args: argparse.Namespace, envelope: "Envelope | None") -> tuple["Outputs", list["TimelineSegment"]]:
    """Return the outputs of the model, and the scored segments."""
    from tqdm.auto import tqdm

    from ..audio import audio_duration
    from ..inference.classifiers.loading import load_speaker_classifier
    from ..inference.classifiers.speaker_statistics import choose_speaker, read_speakers
    from ..inference.timeline.formats import check_intervals
    from ..inference.timeline.scoring import score_timeline

    duration = audio_duration(args.recording)
    turns = None
    if args.turns:
        from ..inference.timeline.turns import read_turns

        turns = read_turns(args.turns, args.recording)
    model = (args.model, args.batch_size, args.device, args.trust_remote_code)
    classifier = load_speaker_classifier(model, engine=engine_of(args))
    for path in filter(None, (args.textgrid, args.rttm)):
        check_intervals(classifier.outputs, path)
    speakers = read_speakers(args.speakers, classifier) if args.speakers else None
    if speakers is not None and (args.speaker is not None or turns is None):
        classifier, speakers = classifier.for_speaker(choose_speaker(speakers, args.speaker, args.speakers)), None
    windows = score_timeline(
        classifier,
        args.recording,
        window_seconds=args.window_seconds,
        hop_seconds=args.hop_seconds,
        vad=args.vad,
        min_speech=args.min_speech,
        min_confidence=args.min_confidence,
        turns=turns,
        speakers=speakers,
        own_baseline=args.own_baseline,
        channel=args.channel,
        envelope=envelope,
    )
    segments = []
    with tqdm(total=round(duration), desc="Scoring", unit="s", disable=None) as bar:
        for segment in windows:
            segments.append(segment)
            bar.update(max(0, min(round(segment.end), bar.total) - bar.n))
    return classifier.outputs, segments


def _check_outputs(args: argparse.Namespace) -> None:
    """Check before the work that the outputs can be written."""
    given = [path for path in (args.csv, args.json, args.textgrid, args.rttm, args.figure) if path]
    inputs = [path for path in (args.recording, args.turns, args.speakers) if path]
    resolved = [path.resolve() for path in [*given, *inputs]]
    for path in given:
        check_writable(path)
        if resolved.count(path.resolve()) > 1:
            raise ValueError(f"{path} is given twice; outputs need files of their own")
    if args.figure and args.figure.suffix.lower() not in _FIGURES:
        raise ValueError(f"--figure {args.figure}: cannot draw that; the name must end in {', '.join(_FIGURES)}")


def _write(
    args: argparse.Namespace,
    segments: Sequence["TimelineSegment"],
    outputs: "Outputs",
    envelope: "Envelope | None",
) -> None:
    """Write all outputs, or none if one fails."""
    from ..inference.timeline.formats import write_csv, write_json, write_rttm, write_table, write_textgrid

    writers: list[tuple[Path | None, Callable[[IO[str]], None]]] = [
        (args.csv, lambda file: write_csv(file, segments, outputs)),
        (args.json, lambda file: write_json(file, segments, outputs, _settings(args))),
        (args.textgrid, lambda file: write_textgrid(file, segments, outputs, args.min_confidence)),
        (args.rttm, lambda file: write_rttm(file, segments, outputs, args.recording.stem, args.min_confidence)),
    ]
    with ExitStack() as stack:
        for path, write in writers:
            if path:
                partial = stack.enter_context(replacing(path))
                with open(partial, "w", newline="", encoding="utf-8") as file:
                    write(file)
        if args.figure:
            from ..inference.timeline.figure import draw_timeline

            figure = draw_timeline(segments, outputs, envelope, title=args.recording.name)
            partial = stack.enter_context(replacing(args.figure))
            figure.savefig(partial, format=args.figure.suffix.lower().removeprefix("."))
    if not args.figure and not any(path for path, _ in writers):
        (write_table if sys.stdout.isatty() else write_csv)(sys.stdout, segments, outputs)


def _settings(args: argparse.Namespace) -> dict:
    """Return the settings that the JSON file records."""
    return {
        "recording": str(args.recording),
        "model": args.model or "default",
        "window_seconds": args.window_seconds,
        "hop_seconds": args.hop_seconds,
        "vad": args.vad,
        "min_speech": args.min_speech if args.vad else None,
        "min_confidence": args.min_confidence,
        "turns": str(args.turns) if args.turns else None,
        "speakers": str(args.speakers) if args.speakers else None,
        "speaker": args.speaker,
    }
