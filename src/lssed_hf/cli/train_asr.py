"""`scripts/train_asr.py`: any transcribed corpus, ESPnet's hybrid of CTC and attention."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .grouped_parser import print_recorded_help


if TYPE_CHECKING:
    from .dataclass_parser import DataclassParser


DESCRIPTION = """Train a speech recogniser on transcribed speech, and score it once on clips outside its training. Any
flag of transformers' TrainingArguments works too. Where not said otherwise, defaults are those of ESPnet's
LibriSpeech conformer recipe."""
EXAMPLE = "--dataset_name ravdess --data_dir RAVDESS --output_dir outputs/asr"

#: Flags of `--help`; `--help_all` has the rest.
GROUPS = {
    "data": (
        *("dataset_name", "data_dir", "dataset_config_name", "split_scheme", "train_split_name"),
        *("validation_split_name", "test_split_name", "validation_fraction", "audio_column_name"),
        *("transcript_column_name", "speaker_column_name", "text_case", "keep_punctuation"),
    ),
    "model": (
        *("model_name_or_path", "config_overrides", "feature_extractor_overrides", "specaug"),
        *("generation_overrides", "token_type", "vocab_size"),
    ),
    "recipe": (
        *("num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps", "learning_rate"),
        *("lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "metric_for_best_model", "seed"),
    ),
    "output": ("output_dir", "restart"),
    "hardware": ("use_cpu", "bf16", "per_device_eval_batch_size", "preprocessing_num_workers"),
}


def parser() -> "DataclassParser":
    """Return the parser of the script."""
    from ..training.asr_arguments import AsrDataArguments, AsrModelArguments, AsrRecipeArguments
    from .dataclass_parser import DataclassParser

    types = (AsrDataArguments, AsrModelArguments, AsrRecipeArguments)
    return DataclassParser("scripts/train_asr.py", DESCRIPTION, EXAMPLE, types, GROUPS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    print_recorded_help("scripts/train_asr.py", argv, DESCRIPTION, EXAMPLE, GROUPS)
    from ..training.asr import train_asr

    train_asr(*parser().parse(argv))
    return 0
