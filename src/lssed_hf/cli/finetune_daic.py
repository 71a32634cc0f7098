"""`lssed-hf finetune-daic`: fine-tune models for depression detection on DAIC-WOZ, as in the paper's Table 6."""

import warnings
from collections.abc import Sequence

from .experiment_parser import ExperimentParser


DESCRIPTION = """Fine-tune models for depression detection on DAIC-WOZ, as in the paper's Table 6. Every model is
trained once for each choice of trained layers (--train), front end (--front_ends) and seed, in a folder of its own
(OUTPUT_DIR/runs/SYSTEM/seed_N); then all are scored by utterance and by participant. Epochs are chosen on a part of
the training participants, and nothing else looks at labels outside of training. Stopped anywhere and started again,
the command keeps what is finished and goes on with the rest. It takes all flags of `lssed-hf train` as well. A folder
is a start of its own kind (SER, ASR); a name of lssed_hf.list_models() starts from random weights. For several
processes, scripts/finetune_daic.py under torchrun is the same."""
EXAMPLE = r"""--data_dir DAIC --models outputs/pyresnet50 outputs/asr pyresnet50 --train full head \
             --seeds 0 1 2 --output_dir outputs/daic"""
INSTEAD = {
    "--recipe": "the recipe of this command",
    "--model_name_or_path": "--models",
    "--label_column_name": "the column depression",
    "--validation_split_name": "--select_on",
    "--test_split_name": "--evaluate_on",
    "--num_trainable_stages": "--train",
    "--freeze_feature_encoder": "--train head",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    args, flags = parser.parse(argv)
    from ..experiments.depression import Study, check_participants, make_plans, write_depression
    from ..experiments.runs import is_main_process

    parser.require(args, "models")
    if args.threshold == "training" and "training" not in args.select_on:
        parser.error(
            "--threshold training needs training participants that epochs are chosen on: --select_on training"
        )
    if "development" in args.select_on and is_main_process():
        warnings.warn(
            "--select_on development chooses epochs on the participants that are scored: WA and UA are then too high. "
            "Leave it out to choose on training participants",
            stacklevel=2,
        )

    study = Study(args.output_dir, args.dataset_name, args.seeds, args.evaluate_on, args.select_on, args.threshold)
    plans = make_plans(study, args.models, args.train, args.front_ends, flags)
    parser.check_systems([*filter(None, [args.reference])], [plan.name for plan in plans])
    if not args.report_only:
        check_participants(plans, study)
    # Trainings first: the tests for thresholds need them.
    runs = [run for plan in plans for run in plan.runs.values()]
    return parser.run(
        args,
        [*runs, *(run for plan in plans for run in plan.selections.values())],
        lambda: write_depression(plans, study, args.decision, args.reference, args.note),
    )


def _parser() -> ExperimentParser:
    parser = ExperimentParser("finetune-daic", DESCRIPTION, EXAMPLE, INSTEAD)
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="SYSTEM",
        help="folders or Hub names of audio classifiers and speech recognisers to start from, names of "
        "lssed_hf.list_models() for random weights, or NAME=MODEL FLAGS, in quotes, with flags of its own",
    )
    parser.add_argument("--dataset_name", "--corpus", default="daic_woz", help="default: daic_woz")
    parser.add_argument(
        "--train",
        nargs="+",
        default=["full"],
        metavar="PART",
        help="what to train of a model: full, head (the encoder is frozen), or a number of last stages with the head; "
        "random weights are always trained in full (default: full)",
    )
    parser.add_argument(
        "--front_ends",
        nargs="+",
        choices=("own", "65ms", "25ms"),
        default=["own"],
        help="windows of the front end: each model's own, or the paper's for emotions or words, under every model",
    )
    parser.add_argument(
        "--evaluate_on",
        choices=("development", "test"),
        default="development",
        help="set that is scored (default: development)",
    )
    parser.add_argument(
        "--select_on",
        nargs="+",
        choices=("training", "development"),
        default=["training"],
        help="participants that epochs are chosen on: a part of the training participants (default), or the "
        "development set, which flatters where that is scored; both, to have them side by side",
    )
    parser.add_argument(
        "--decision",
        choices=("mean", "vote"),
        default="mean",
        help="how a participant is decided on: by the mean probability, or by a majority vote, of the utterances",
    )
    parser.add_argument(
        "--threshold",
        choices=("half", "training"),
        default="half",
        help="score above which a participant is called depressed: a half (default); training adds rows with the "
        "threshold that is best for the training participants that epochs are chosen on, and estimates PHQ-8 scores",
    )
    parser.add_argument("--note", metavar="TEXT", help="a line for the head of the report")
    parser.add_argument("--reference", metavar="NAME", help="system to test the others against (default: best UA)")
    return parser
