"""`lssed-hf benchmark`: systems under one recipe on one corpus, side by side as in the paper's Table 5."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .experiment_parser import ExperimentParser


if TYPE_CHECKING:
    from ..experiments.benchmark import SystemRuns
    from ..experiments.experiment_report import Report


DESCRIPTION = """Train and score systems under one recipe, side by side as in the paper's Table 5. Every system is
trained once per seed, in a folder of its own (OUTPUT_DIR/runs/SYSTEM/seed_N), or once per seed and test speaker
(--protocol leave-one-speaker-out). Stopped anywhere and started again, the command keeps what is finished and goes on
with the rest. It takes all flags of `lssed-hf train` as well, for every system."""
EXAMPLE = r"""--corpus ravdess --data_dir RAVDESS --seeds 0 1 --output_dir outputs/benchmark \
             --models pyresnet50 resnet18 "adv=vgg16 --adversarial similarity" --num_train_epochs 30"""
#: Flags of `train` that this command sets, and what takes their place.
INSTEAD = {"--model_name_or_path": "--models", "--test_speaker": "--protocol leave-one-speaker-out"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    args, flags = parser.parse(argv)
    from ..experiments.benchmark import make_runs, parse_systems, write_benchmark
    from ..experiments.split_schemes import write_split_schemes

    parser.require(args, "models")
    if args.jobs < 1:
        parser.error(f"--jobs must be 1 or more, got {args.jobs}")
    specs = parse_systems(args.models)
    parser.check_systems([*filter(None, [args.reference]), *(args.figure2 or ())], [spec.name for spec in specs])
    leave_one_out = args.protocol == "leave-one-speaker-out"
    if args.split_schemes and leave_one_out:
        parser.error("--protocol leave-one-speaker-out divides the corpus itself: leave out --split_schemes")
    if args.split_schemes and any(flag.partition("=")[0] == "--split_scheme" for flag in flags):
        parser.error("--split_schemes takes the place of --split_scheme")

    def runs_of(output_dir: Path, *more: str) -> "SystemRuns":
        return make_runs(specs, args.seeds, [*flags, *more], output_dir, args.keep_models, leave_one_out)

    schemes = {
        scheme: runs_of(args.output_dir / scheme, "--split_scheme", scheme) for scheme in args.split_schemes or ()
    }
    experiments = list(schemes.values()) or [runs_of(args.output_dir)]

    def write_report() -> "Report | None":
        if schemes:
            return write_split_schemes(schemes, args.output_dir, args.reference, args.figure2)
        return write_benchmark(experiments[0], args.output_dir, args.reference, args.figure2)

    runs = [
        run
        for system_runs in experiments
        for by_seed in system_runs.values()
        for folds in by_seed.values()
        for run in folds
    ]
    return parser.run(args, runs, write_report, args.jobs)


def _parser() -> ExperimentParser:
    parser = ExperimentParser("benchmark", DESCRIPTION, EXAMPLE, INSTEAD)
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="SYSTEM",
        help="names of lssed_hf.list_models(), or folders or Hub names of audio classifiers; or NAME=MODEL FLAGS, in "
        "quotes, for a system of that name with flags of its own, e.g. 'adv=vgg16 --adversarial similarity'",
    )
    parser.add_argument(
        "--protocol",
        choices=("split", "leave-one-speaker-out"),
        default="split",
        help="test on the test split, or on each speaker in turn with a model of all the others (default: split)",
    )
    parser.add_argument(
        "--split_schemes",
        nargs="+",
        metavar="SCHEME",
        help="train and test under each of these split schemes of the corpus, side by side, e.g. paper speaker",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs at the same time, each on its share of the cores (default: 1)",
    )
    parser.add_argument("--reference", metavar="NAME", help="system to test the others against (default: best UA)")
    parser.add_argument(
        "--figure2",
        nargs=2,
        metavar="NAME",
        help="systems whose confusion matrices stand side by side (default: the reference and the best other one)",
    )
    parser.add_argument("--keep_models", action="store_true", help="keep the weights of finished runs")
    return parser
