"""`lssed-hf adapt`: refit the head of a model on a few labelled recordings."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..wording import counted
from .experiment_parser import aligned
from .grouped_parser import print_recorded_help


if TYPE_CHECKING:
    from .dataclass_parser import DataclassParser


DESCRIPTION = """Fit a model to a few labelled recordings of your own, in a minute: its head is refitted, and stays
near the old one where the labels are the same. The scores before and after come from cross-validation on your
recordings. Labels and speakers are found as by `lssed-hf train`."""
EXAMPLE = "outputs/mine my_recordings --output_dir outputs/adapted"

GROUPS = {
    "data": (
        *("arguments", "speaker_from", "dataset_name", "data_dir", "dataset_config_name"),
        *("label_set", "label_map", "columns"),
        *("label_pattern", "speaker_pattern", "audio_column_name", "label_column_name", "speaker_column_name"),
    ),
    "output": ("output_dir",),
    "hardware": ("device", "trust_remote_code"),
}


def parser() -> "DataclassParser":
    """Return the parser of the command."""
    from transformers.hf_argparser import HfArg

    from ..corpora.corpus_arguments import CorpusArguments
    from .dataclass_parser import DataclassParser

    @dataclass
    class AdaptArguments(CorpusArguments):
        """Recordings to adapt to, and where the adapted model goes."""

        output_dir: str | None = HfArg(default=None, help="Folder for the adapted model.")
        speaker_from: str | None = HfArg(
            default=None,
            help="Where the speaker of each recording is told, if not by the data: path for folders of one speaker "
            "each, recording for one speaker each, or a table with the columns file and speaker.",
        )
        device: str | None = HfArg(default=None, help="Such as cpu or cuda:0. Default: the GPU if there is one.")
        trust_remote_code: bool = HfArg(default=False, help="Allow code from the model's repository to run.")

    usage = "%(prog)s [MODEL] FOLDER --output_dir DIR [flags]"
    parser = DataclassParser("adapt", DESCRIPTION, EXAMPLE, (AdaptArguments,), GROUPS, usage=usage)
    parser.add_argument(
        "arguments",
        nargs="*",
        metavar="[MODEL] FOLDER",
        help="folder of the recordings; in front of it the folder or Hub name of a model (default: the built-in one)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    print_recorded_help("adapt", argv, DESCRIPTION, EXAMPLE, GROUPS)
    import datasets

    from ..escaping import printable, printable_lines
    from ..inference.classifiers.pretrained import list_pretrained
    from ..training.adapt import adapt

    datasets.disable_progress_bars()
    command = parser()
    args, rest = command.parse(argv)
    named = args.dataset_name is not None or args.data_dir is not None
    if args.output_dir is None:
        command.error("the following arguments are required: --output_dir")
    if not 1 - named <= len(rest.arguments) <= 2 - named:
        command.error("name the folder of your recordings, and no more than a model in front of it")
    if not named:
        args = dataclasses.replace(args, data_dir=rest.arguments.pop())
    model = rest.arguments[0] if rest.arguments else list_pretrained()[0]
    results = adapt(
        data=args.dataset_name,
        model=model,
        **{
            field.name: getattr(args, field.name) for field in dataclasses.fields(args) if field.name != "dataset_name"
        },
    )
    print(printable_lines(_summary(model, results)))
    for note in results["notes"]:
        print(f"Note: {printable(note)}", file=sys.stderr)
    print(f"The adapted model is in {args.output_dir}: lssed-hf predict {args.output_dir} RECORDING ...")
    return 0


def _summary(model: str, results: Mapping[str, Any]) -> str:
    """Return what the clips are, and the table of scores."""
    counts = ", ".join(f"{count} {label}" for label, count in results["clips_by_label"].items())
    speakers = f" of {counted(results['num_speakers'], 'speaker')}" if results["num_speakers"] else ""
    renamed = {name: label for name, label in (results["matched_labels"] or {}).items() if name != label}
    classes = len(results["clips_by_label"])
    lines = [f"{model} is adapted to {counted(results['num_clips'], 'clip')}{speakers} in {classes} classes: {counts}"]
    if renamed:
        lines.append(f"Labels: {', '.join(f'{name} is {label}' for name, label in renamed.items())}")
    rows = [
        [view, *(_cell(scores[name], sign) for name, sign in (("before", ""), ("after", ""), ("change", "+")))]
        for view, scores in results["unweighted_accuracy"].items()
    ]
    lines += [
        "",
        "UA (mean recall of the classes) by cross-validation: each clip is classified by a model that was adapted to",
        f"other {results['folds']} ({results['num_folds']} folds). Brackets hold 95 % intervals.",
        "",
        aligned(["clips", "before", "after", "change"], rows),
        "",
    ]
    return "\n".join(lines)


def _cell(score: Mapping[str, Any] | None, sign: str) -> str:
    from ..evaluation.text_tables import score_cell

    return "n/a" if score is None else score_cell(score["value"], score["low"], score["high"], form=f"{sign}.3f")
