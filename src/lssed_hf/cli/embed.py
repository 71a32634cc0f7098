"""`lssed-hf embed`: write an embedding of each recording, or of each of its frames."""

import sys
from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser, add_model_arguments, add_recording_arguments


DESCRIPTION = """Write an embedding of each recording: the vector that enters the model's classifier. A file that
cannot be read is listed with the reason; the others are still written, and the exit status is 1."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser(
        "embed",
        DESCRIPTION,
        "outputs/pyresnet50 recordings/ --out embeddings.parquet",
        usage="%(prog)s [MODEL] RECORDING ... --out FILE [flags]",
    )
    add_recording_arguments(parser)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="file to write: .parquet, .npy or .csv"
    )
    output.add_argument("--frames", action="store_true", help="a row for each frame of the encoder, with its times")
    data = parser.add_argument_group("recordings")
    data.add_argument(
        "--channel", choices=("mix", "left", "right"), default="mix", help="of stereo recordings (default: their mean)"
    )
    hardware = parser.add_argument_group("model and hardware")
    add_model_arguments(hardware)
    args = parser.parse_inputs(argv)

    from tqdm.auto import tqdm

    from ..escaping import printable
    from ..files import check_writable
    from ..inference.classifiers.loading import split_model
    from ..inference.embed import check_format, embed, write_embeddings
    from ..scan import expand_paths

    check_format(args.out, args.frames)
    check_writable(args.out)
    model, inputs = split_model(args.arguments)
    paths = expand_paths(inputs)
    found = embed(
        paths,
        model,
        frames=args.frames,
        channel=args.channel,
        device=args.device,
        trust_remote_code=args.trust_remote_code,
    )
    failed = []

    def noted():
        for one in tqdm(found, total=len(paths), desc="Embedding", unit="file", disable=None):
            if one.error:
                failed.append(one)
            yield one

    write_embeddings(args.out, noted(), args.frames)
    for one in failed:
        print(printable(one.error), file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} recordings written to {args.out}", file=sys.stderr)
    return 1 if failed else 0
