"""`lssed-hf push`: upload a saved model or a prepared corpus to the Hub."""

from collections.abc import Sequence
from pathlib import Path

from ..escaping import printable
from .parser import CommandParser


DESCRIPTION = """Upload a saved model to the Hub, and nothing else of its folder: weights, configuration, code and the
card. A folder of `lssed-hf prepare` goes to a dataset repository, where the corpus's licence is open. Without --yes it
only lists what would go up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("push", DESCRIPTION, "outputs/pyresnet50 me/pyresnet50-ravdess --yes")
    parser.add_argument(
        "model", type=Path, metavar="FOLDER", help="folder of a saved model, with its card, or of a prepared corpus"
    )
    parser.add_argument("repo_id", metavar="REPO_ID", help="OWNER/NAME on the Hub")
    parser.add_argument("--yes", "--no_dry_run", action="store_true", help="upload; without it nothing leaves")
    parser.add_argument("--public", action="store_true", help="a repository for everybody (default: private)")
    parser.add_argument(
        "--data_license_allows_sharing",
        action="store_true",
        help="you made sure that the licence of the training data lets you share the model, although the card says "
        "that it forbids redistribution of the data; or that you may share a corpus without an open licence",
    )
    parser.add_argument(
        "--allow_patterns", nargs="+", default=[], metavar="PATTERN", help="more files to upload, e.g. 'report.md'"
    )
    parser.add_argument("--commit_message", help="default: Upload model, or dataset")
    args = parser.parse_args(argv)

    from ..hub.push import push

    upload = push(
        args.model,
        args.repo_id,
        dry_run=not args.yes,
        public=args.public,
        data_license_allows_sharing=args.data_license_allows_sharing,
        allow_patterns=args.allow_patterns,
        commit_message=args.commit_message,
    )
    width = max(map(len, upload.files))
    for name, size in upload.files.items():
        print(f"  {printable(name):<{width}}  {size:>13,} bytes")
    others = len(upload.left_out)
    stay = f"{others} other{'s stay' if others != 1 else ' stays'} here"
    print(f"{len(upload.files)} files, {sum(upload.files.values()):,} bytes; {stay}")
    for warning in upload.warnings:
        print(f"note: {printable(warning)}")
    kind = "public" if args.public else "private"
    if args.yes:
        print(f"Uploaded to {args.repo_id} ({kind})")
    else:
        print(f"Nothing was uploaded. With --yes these files go to {args.repo_id}, made {kind} if it is not there.")
    return 0
