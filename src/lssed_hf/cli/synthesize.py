"""`lssed-hf synthesize`: write a synthetic release in the layout of a corpus."""

from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Write a synthetic release in the layout of a corpus, or of your own recordings, to try tools on. All
speech is eSpeak NG's, and a release holds nothing of the corpus but its layout."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("synthesize", DESCRIPTION, "folder my_recordings --num_speakers 4")
    parser.add_argument("layout", metavar="LAYOUT", help="name of a corpus, or folder")
    parser.add_argument("output_dir", type=Path, metavar="OUTPUT_DIR", help="new or empty folder")
    parser.add_argument("--num_speakers", type=int, metavar="N", help="people who speak (default: as in the corpus)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default: 0)")
    args = parser.parse_args(argv)

    from ..testing.synthesize import synthesize

    print(synthesize(args.layout, args.output_dir, num_speakers=args.num_speakers, seed=args.seed))
    return 0
