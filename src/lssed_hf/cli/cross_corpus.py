"""`lssed-hf cross-corpus`: train on a corpus and test on others, as in the paper's Table 4."""

import argparse
import shlex
from collections.abc import Sequence

from .experiment_parser import ExperimentParser


DESCRIPTION = """Train on a corpus, test on others, and see what is lost, as in the paper's Table 4. Every source and
seed is trained on in a folder of its own (OUTPUT_DIR/runs/CORPUS/seed_N), and the model tested there and on the
targets. With --leave_one_out, systems are trained on all corpora but one, and tested on that one, for each in turn.
Stopped anywhere and started again, the command keeps what is finished and goes on with the rest. It takes all flags of
`lssed-hf train` as well, for every corpus."""
EXAMPLE = r"""--source ravdess --target emodb --data_dirs ravdess=RAVDESS emodb=EMODB --model pyresnet50 \
             --seeds 0 1 --output_dir outputs/cross_corpus --num_train_epochs 30"""
#: Flags of `train` that this command sets, and what takes their place.
INSTEAD = {
    "--model_name_or_path": "--model",
    "--dataset_name": "--corpora",
    "--corpus": "--corpora",
    "--data_dir": "--data_dirs CORPUS=FOLDER",
    "--split_scheme": "--split_schemes CORPUS=SCHEME",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    args, flags = parser.parse(argv)
    from ..experiments.cross_corpus import make_few_shot_runs, make_runs, write_cross_corpus

    if args.leave_one_out:
        return _leave_one_out(parser, args, flags)
    if args.models:
        parser.error("--models goes with --leave_one_out; elsewhere --model names the one that is trained")
    if bool(args.source) != bool(args.target) or bool(args.source) == bool(args.corpora):
        parser.error("give --source and --target, or --corpora for all of them both ways")
    sources, targets = args.source or args.corpora, args.target or args.corpora
    corpora = list(dict.fromkeys([*sources, *targets]))
    if len(corpora) < 2:
        parser.error(f"there is nothing to cross with {corpora[0]} alone: name two different corpora at least")
    flags = [*flags, "--model_name_or_path", args.model]
    flags_of = {corpus: [*flags, *own] for corpus, own in _data_flags(parser, args, corpora).items()}
    pairs = make_runs(flags_of, sources, targets, args.seeds, args.output_dir, args.labels, args.target_split)
    few_shot = make_few_shot_runs(
        flags_of, sources, targets, args.seeds, args.output_dir, args.few_shot, shlex.split(args.few_shot_flags)
    )
    return parser.run(
        args,
        [*pairs.values(), *few_shot.values()],
        lambda: write_cross_corpus(pairs, few_shot, corpora, args.output_dir, args.target_split),
    )


def _leave_one_out(parser: ExperimentParser, args: argparse.Namespace, flags: list[str]) -> int:
    from ..experiments.benchmark import parse_systems
    from ..experiments.leave_one_out import make_runs, write_leave_one_out

    if args.source or args.target or args.few_shot or not args.corpora or len(set(args.corpora)) < 2:
        parser.error("--leave_one_out takes --corpora, two at least, and neither --source, --target nor --few_shot")
    if args.target_split != "test":
        parser.error("--leave_one_out tests on all clips, whatever --target_split is: leave it out")
    if any(flag.partition("=")[0] == "--extra_corpora" for flag in flags):
        parser.error("--corpora takes the place of --extra_corpora")
    runs = make_runs(
        parse_systems(args.models or [args.model]),
        _data_flags(parser, args, args.corpora),
        flags,
        args.seeds,
        args.output_dir,
        args.labels,
    )
    return parser.run(args, list(runs.values()), lambda: write_leave_one_out(runs, args.corpora, args.output_dir))


def _data_flags(parser: ExperimentParser, args: argparse.Namespace, corpora: Sequence[str]) -> dict[str, list[str]]:
    """Return the flags of `train` that name the data, by corpus."""
    flags_of = {corpus: ["--dataset_name", corpus] for corpus in corpora}
    for option in ("data_dir", "split_scheme"):
        for text in getattr(args, f"{option}s"):
            corpus, _, value = text.partition("=")
            if corpus not in flags_of or not value:
                parser.error(f"--{option}s takes CORPUS=VALUE with one of {', '.join(corpora)}, got {text!r}")
            flags_of[corpus] += [f"--{option}", value]
    return flags_of


def _parser() -> ExperimentParser:
    parser = ExperimentParser("cross-corpus", DESCRIPTION, EXAMPLE, INSTEAD)
    parser.add_argument(
        "--corpora",
        nargs="+",
        metavar="CORPUS",
        help="train on each and test on all; of lssed_hf.list_corpora()",
    )
    parser.add_argument("--source", nargs="+", metavar="CORPUS", help="instead of --corpora: what to train on")
    parser.add_argument("--target", nargs="+", metavar="CORPUS", help="and what to test on, besides each source")
    parser.add_argument("--data_dirs", nargs="+", default=[], metavar="CORPUS=DIR", help="where each one is")
    parser.add_argument(
        "--split_schemes", nargs="+", default=[], metavar="CORPUS=SCHEME", help="how each is split (default: its own)"
    )
    parser.add_argument("--model", default="pyresnet50", help="what to train (default: pyresnet50)")
    parser.add_argument(
        "--leave_one_out",
        action="store_true",
        help="train on all of --corpora but one and test on all clips of that one, for each in turn",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="SYSTEM",
        help="with --leave_one_out: several systems, each a model or NAME=MODEL FLAGS in quotes, as for benchmark",
    )
    parser.add_argument("--labels", nargs="+", help="classes to test on (default: those that all corpora have)")
    parser.add_argument(
        "--target_split",
        choices=("test", "all"),
        default="test",
        help="test on the test split of other corpora, or on all of their clips (default: test)",
    )
    parser.add_argument(
        "--few_shot",
        type=int,
        nargs="+",
        default=[],
        metavar="K",
        help="also fine-tune the models on K training speakers of the other corpora, e.g. 1 2 4 8, beside networks "
        "that start from scratch on the same speakers",
    )
    parser.add_argument(
        "--few_shot_flags",
        default="",
        metavar="FLAGS",
        help="flags of train for these alone, in quotes, e.g. '--num_train_epochs 20 --learning_rate 1e-4'",
    )
    return parser
