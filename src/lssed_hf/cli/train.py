"""`lssed-hf train`: any corpus, any audio classifier, the paper's recipe."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .grouped_parser import print_recorded_help


if TYPE_CHECKING:
    from .dataclass_parser import DataclassParser


DESCRIPTION = """Train an audio classifier on your own recordings or on a corpus, and score it once on clips that it
has not seen. Any flag of transformers' TrainingArguments works too."""
EXAMPLE = "--data_dir my_recordings --output_dir outputs/mine"

#: Flags of `--help`; `--help_all` has the rest.
GROUPS = {
    "data": (
        *("data_dir", "dataset_name", "dataset_config_name", "split_scheme", "label_set", "label_map"),
        *("label_pattern", "speaker_pattern", "audio_column_name", "label_column_name", "speaker_column_name"),
        *("extra_corpora", "validation_fraction"),
    ),
    "model": (
        *("model_name_or_path", "problem_type", "probe", "freeze_feature_encoder", "chunk_length"),
        *("speaker_normalization", "teacher"),
    ),
    "recipe": (
        *("recipe", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "optim"),
        *("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "crop_seconds", "mixup"),
        *("freq_mask", "time_mask", "perturbed_copies", "class_weighting", "sampling", "seed"),
    ),
    "output": ("output_dir", "restart"),
    "hardware": ("use_cpu", "bf16", "preprocessing_num_workers", "trust_remote_code"),
}


def parser() -> "DataclassParser":
    """Return the parser of the command."""
    from ..training.arguments import DataArguments, ModelArguments, RecipeArguments
    from .dataclass_parser import DataclassParser

    return DataclassParser("train", DESCRIPTION, EXAMPLE, (DataArguments, ModelArguments, RecipeArguments), GROUPS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    print_recorded_help("train", argv, DESCRIPTION, EXAMPLE, GROUPS)
    from ..corpora.feature_sets import FEATURES_COLUMN
    from ..training.recipes import with_recipe
    from ..training.train import train_model

    data_args, model_args, args = parser().parse(with_recipe(sys.argv[1:] if argv is None else argv))
    train_model(data_args, model_args, args)
    if args.process_index == 0 and data_args.audio_column_name != FEATURES_COLUMN:
        print(f"Classify recordings: lssed-hf predict {args.output_dir} RECORDING ...")
    return 0
