"""`lssed-hf enroll`: measure a speaker, for `predict` and `timeline` to normalise by."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..wording import counted
from .parser import CommandParser, add_recording_arguments


if TYPE_CHECKING:
    import numpy as np

DESCRIPTION = """Put the statistics of a speaker into a file, from a few recordings of theirs, in all moods at best.
`predict` and `timeline` then normalise the speaker's recordings by them. Recordings without speech, and those that
cannot be read, are left out and named. If none is left, the file stays as it was."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser(
        "enroll",
        DESCRIPTION,
        "outputs/pyresnet50 --speaker anna --speakers people.json anna1.wav anna2.wav",
        usage="%(prog)s [MODEL] --speaker NAME --speakers FILE RECORDING ... [flags]",
    )
    add_recording_arguments(parser)
    parser.add_argument("--speaker", required=True, metavar="NAME", help="who speaks in them")
    parser.add_argument(
        "--speakers", required=True, type=Path, metavar="FILE", help="file to add the speaker to, or replace them in"
    )
    parser.add_argument("--trust_remote_code", action="store_true", help="allow code from the model's repository")
    args = parser.parse_inputs(argv)

    from tqdm.auto import tqdm

    from ..audio import load_audio
    from ..escaping import printable
    from ..files import check_writable
    from ..inference.classifiers.loading import load_speaker_classifier, split_model
    from ..inference.classifiers.pretrained import is_built_in
    from ..inference.classifiers.speaker_statistics import add_speaker, read_speakers
    from ..inference.predict import unscored_notes
    from ..inference.quality import signal_notes
    from ..scan import expand_paths

    if not args.speaker.strip():
        raise ValueError("--speaker needs a name")

    model, inputs = split_model(args.arguments)
    paths = expand_paths(inputs)
    classifier = load_speaker_classifier((model, 8, "cpu", args.trust_remote_code))
    check_writable(args.speakers)  # before the work
    if args.speakers.exists():
        read_speakers(args.speakers, classifier)
    unscored = set(unscored_notes(None, is_built_in(model)))
    left_out: list[str] = []
    unread = 0

    def waveforms() -> Iterator["np.ndarray"]:
        nonlocal unread
        for path in tqdm(paths, desc="Measuring", unit="file", disable=None):
            try:
                waveform = load_audio(path, classifier.sampling_rate)
            except (OSError, ValueError, ImportError) as error:
                left_out.append(str(error))
                unread += 1
                continue
            notes = signal_notes(waveform, classifier.sampling_rate)
            if unscored.isdisjoint(notes):
                yield waveform
            else:
                left_out.append(f"{path}: {notes[0]}")

    try:
        statistics = classifier.speaker_statistics(waveforms())
    finally:
        for line in left_out:
            print(f"left out: {printable(line)}", file=sys.stderr)
    replaced = add_speaker(args.speakers, args.speaker, statistics, classifier)
    if not classifier.suits_speakers:
        print(
            "The model was not trained on clips normalised speaker by speaker (lssed-hf train "
            "--speaker_normalization), and may lose much by a speaker's own statistics",
            file=sys.stderr,
        )
    done = "replaced in" if replaced else "added to"
    count = counted(statistics.num_clips, "recording")
    print(
        f"{args.speaker}: {count}, {statistics.seconds:.1f} s, {done} {args.speakers}",
        file=sys.stderr,
    )
    return int(unread > 0)
