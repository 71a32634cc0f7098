"""`lssed-hf evaluate`: score a model on your recordings or on a split of a corpus."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .grouped_parser import print_recorded_help


if TYPE_CHECKING:
    from .dataclass_parser import DataclassParser


DESCRIPTION = """Score a model on recordings whose labels are known: accuracy (WA), mean recall of the classes (UA),
intervals, and the confusion matrix."""
EXAMPLE = "--data_dir my_recordings --split all --output_dir outputs/scores"

GROUPS = {
    "data": (
        *("data_dir", "dataset_name", "dataset_config_name", "split", "split_scheme"),
        *("label_set", "label_map", "columns"),
        *("label_pattern", "speaker_pattern", "audio_column_name", "label_column_name", "speaker_column_name"),
        "dataset_options",
    ),
    "model": ("model_name_or_path", "adversarial_epsilon", "trust_remote_code"),
    "speakers": (*("speakers", "speaker_normalization", "enrolment_clips", "enrolment_label", "enrolment_seed"),),
    "output": ("output_dir",),
    "hardware": ("batch_size", "device"),
}


def parser() -> "DataclassParser":
    """Return the parser of the command."""
    from transformers.hf_argparser import HfArg

    from ..corpora.corpus_arguments import CorpusArguments
    from ..inference.speaker_normalization import SpeakerArguments
    from .dataclass_parser import DataclassParser

    @dataclass
    class EvaluateArguments(CorpusArguments):
        """Model to score, and clips to score it on."""

        model_name_or_path: str | None = HfArg(
            default=None,
            help="Folder or Hub name of a classifier, or an exported folder. Default: the built-in model.",
        )
        output_dir: str | None = HfArg(
            default=None, help="Folder for results.json, report.md, confusion_matrix.png and predictions.csv."
        )
        split: str = HfArg(default="test", help="Split to score, several as in train+test, or all.")
        speakers: str | None = HfArg(
            default=None, help="File of lssed-hf enroll: normalise clips by their speaker's own statistics."
        )
        batch_size: int = HfArg(default=8, help="Clips per forward pass.")
        device: str | None = HfArg(default=None, help="Such as cpu or cuda:0. Default: the GPU if there is one.")
        adversarial_epsilon: float | None = HfArg(
            default=None,
            help="Score FGSM versions of the clips too, with this step in standard deviations of normalised features "
            "(0.02 to 0.1 in Ren et al. 2020).",
        )
        trust_remote_code: bool = HfArg(default=False, help="Allow code from the model's repository to run.")

    return DataclassParser("evaluate", DESCRIPTION, EXAMPLE, (EvaluateArguments, SpeakerArguments), GROUPS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    print_recorded_help("evaluate", argv, DESCRIPTION, EXAMPLE, GROUPS)
    import datasets

    from ..corpora.omissions import gathering
    from ..inference.classifiers.loading import load_scorer
    from ..inference.evaluate import describe_test, evaluate_model, select_split
    from ..inference.trained_on import training_baselines

    args, speaker_args = parser().parse(argv)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    name = args.model_name_or_path
    classifier = load_scorer(name, args.batch_size, args.device, args.trust_remote_code)
    with gathering() as left_out:
        splits = args.load(undivided=args.split == "all", problem_type=classifier.outputs.problem_type)
    rows = select_split(splits, args.split, args.dataset_name)
    evaluate_model(
        classifier,
        rows,
        args.output_dir,
        audio_column=args.audio_column_name,
        label_column=args.label_column_name,
        speaker_column=args.speaker_column_name,
        speaker_normalization=speaker_args,
        speakers_file=args.speakers,
        adversarial_epsilon=args.adversarial_epsilon,
        left_out=left_out,
        context={"model": name or "built-in", **describe_test(name, args, args.split, rows)},
        **training_baselines(name),
    )
    return 0
