"""`lssed-hf stats`: count speakers, emotions and durations of a corpus, and compare its splits."""

from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Count speakers, emotions and durations of a corpus, in the form of Tables 1 to 3 of LSSED's paper,
and compare its splits."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("stats", DESCRIPTION, "ravdess --data_dir RAVDESS --output_dir stats")
    parser.add_argument(
        "dataset", metavar="DATASET", help="prepared folder, Hub dataset, or name of a corpus (docs/corpora.md)"
    )
    parser.add_argument("--config_name", help="configuration (default: all emotions, or the dataset's own default)")
    parser.add_argument("--data_dir", type=Path, help="folder that holds the corpus, for a corpus by name")
    parser.add_argument(
        "--label_column_name", help="what to count (default: emotion, or depression where there are no emotions)"
    )
    parser.add_argument("--split_scheme", help="how to divide a corpus by name (default: its first scheme)")
    parser.add_argument("--output_dir", type=Path, help="write stats.json, stats.md and stats.png here")
    parser.add_argument(
        "--num_proc", type=int, default=1, help="headers to read at once, for slow or remote disks (default: 1)"
    )
    parser.add_argument(
        "--compare_lssed", action="store_true", help="compare with the paper's tables, as is done for LSSED anyway"
    )
    args = parser.parse_args(argv)
    if args.num_proc < 1:
        parser.error(f"--num_proc is {args.num_proc}; give 1 or more")

    from ..corpora.sources import find_source, load_splits
    from ..escaping import printable_lines
    from ..files import check_writable
    from ..preparation.statistics import corpus_statistics
    from ..preparation.statistics_report import format_statistics, write_statistics

    if args.output_dir:
        check_writable(args.output_dir / "stats.json")  # before the work
    source = find_source(args.dataset, args.data_dir)
    config_name = args.config_name or ("default" if source.corpus else None)
    dataset = load_splits(args.dataset, config_name, args.data_dir, args.split_scheme)
    columns = next(iter(dataset.values())).column_names
    known = [column for column in ("emotion", "depression") if column in columns]
    statistics = corpus_statistics(
        dataset,
        label_column=args.label_column_name or (known or ["emotion"])[0],
        name=" ".join(filter(None, [_title(args.dataset), args.config_name, args.split_scheme])),
        compare_lssed=args.compare_lssed or source.corpus == "lssed",
        num_proc=args.num_proc,
    )
    print(printable_lines(format_statistics(statistics)))
    if args.output_dir:
        write_statistics(statistics, args.output_dir)
        print(f"Written to {args.output_dir}")
    return 0


def _title(dataset: str) -> str:
    return Path(dataset).resolve().name if Path(dataset).is_dir() else dataset
