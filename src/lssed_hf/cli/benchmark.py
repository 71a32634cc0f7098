"""`lssed-hf benchmark`: systems under one recipe on one corpus, side by side as in the paper's Table 5."""

from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Train and score systems under one recipe, side by side as in the paper's Table 5. Every system is
trained once per seed, in a folder of its own (OUTPUT_DIR/cells/SYSTEM/seed_N). Stopped anywhere and started again, the
command keeps what is finished and goes on with the rest. It takes all flags of `lssed-hf train` as well, for every
system."""
EXAMPLE = r"""--corpus ravdess --data_dir RAVDESS --seeds 0 1 --output_dir outputs/benchmark \
             --models pyresnet50 resnet18 "adv=vgg16 --adversarial similarity" --num_train_epochs 30"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    from ..experiments.benchmark import make_cell, parse_systems, write_benchmark
    from ..experiments.runs import parse_asked, refuse_flags, run_and_report

    args, flags, argv = parse_asked(parser, argv)
    if not args.models:
        parser.error("the following arguments are required: --models")
    if args.jobs < 1:
        parser.error(f"--jobs must be 1 or more, got {args.jobs}")
    refuse_flags(parser, flags, {"--seed": "--seeds", "--model_name_or_path": "--models"})

    specs = parse_systems(args.models)
    names = [spec.name for spec in specs]
    for name in filter(None, (args.reference, *(args.figure2 or ()))):
        if name not in names:
            parser.error(f"no system {name!r}; there are {', '.join(names)}")
    cells = {
        spec: {seed: make_cell(spec, seed, flags, args.output_dir, args.keep_models) for seed in args.seeds}
        for spec in specs
    }
    return run_and_report(
        "lssed-hf benchmark",
        [cell for of_system in cells.values() for cell in of_system.values()],
        args,
        argv,
        lambda: write_benchmark(cells, args.output_dir, args.reference, args.figure2),
        args.jobs,
    )


def _parser() -> CommandParser:
    parser = CommandParser("benchmark", DESCRIPTION, EXAMPLE)
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="SYSTEM",
        help="names of lssed_hf.list_models(), or folders or Hub names of audio classifiers; or NAME=MODEL FLAGS, in "
        "quotes, for a system of that name with flags of its own, e.g. 'adv=vgg16 --adversarial similarity'",
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="where the cells and the report go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="default: 0")
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="cells at work at once, each on its share of the cores (default: 1)",
    )
    parser.add_argument("--reference", metavar="NAME", help="system to test the others against (default: best UA)")
    parser.add_argument(
        "--figure2",
        nargs=2,
        metavar="NAME",
        help="systems whose confusion matrices stand side by side (default: the reference and the best other one)",
    )
    parser.add_argument("--keep_models", action="store_true", help="keep the weights of finished cells")
    parser.add_argument(
        "--report_only", action="store_true", help="write the report of an --output_dir again, from what is finished"
    )
    return parser
