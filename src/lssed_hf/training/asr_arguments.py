"""Flags of `scripts/train_asr.py`. Unless noted, defaults are those of ESPnet's LibriSpeech conformer recipe."""

from dataclasses import dataclass, field
from typing import Literal

import torch
from transformers.hf_argparser import HfArg

from .arguments import TokenlessArguments, check_json_objects


@dataclass
class AsrDataArguments:
    """Data sets to train and test on."""

    dataset_name: list[str] = field(
        metadata={
            "aliases": ["--corpus"],
            "help": "Corpora of lssed_hf.list_corpora(), or anything that datasets.load_dataset takes; several are "
            "joined.",
        }
    )
    data_dir: list[str] | None = field(
        default=None,
        metadata={"help": "The folders that hold the corpora, as many; '-' for a corpus that needs none."},
    )
    dataset_config_name: str | None = HfArg(
        default=None, help="Configuration of all; corpora of lssed_hf default to 'default', all emotions."
    )
    split_scheme: str | None = HfArg(default=None, help="How corpora of lssed_hf are split, by speakers by default.")
    train_split_name: str = HfArg(default="train", help="Split to train on.")
    validation_split_name: str = HfArg(
        default="validation",
        help="Split for model selection. Where it is missing, --validation_fraction of the training speakers is used.",
    )
    test_split_name: str = HfArg(default="test", help="Split that the final model is scored on, once.")
    validation_fraction: float = HfArg(
        default=0.1, help="Share of the training clips to hold out where there is no validation split."
    )
    audio_column_name: str = HfArg(default="audio", help="Column with the audio.")
    transcript_column_name: str = HfArg(default="transcript", help="Column with the transcript.")
    speaker_column_name: str = HfArg(default="speaker_id", help="Column with the speaker, if there is one.")
    text_case: Literal["lower", "upper", "keep"] = HfArg(default="lower", help="Case of transcripts.")
    keep_punctuation: bool = HfArg(default=False, help="Learn and score punctuation as well.")
    preprocessing_num_workers: int | None = HfArg(default=None, help="Processes for computing features.")


@dataclass
class AsrModelArguments:
    """Recogniser to train."""

    model_name_or_path: str | None = HfArg(
        default=None, help="Folder or Hub name of an EspnetAsrForSpeechSeq2Seq to go on from; by default from scratch."
    )
    config_overrides: str | None = HfArg(
        default=None,
        help='Fields of EspnetAsrConfig as JSON, e.g. \'{"encoder_type": "transformer", "hidden_size": 144}\'. Its '
        "ctc_weight is that of the loss.",
    )
    feature_extractor_overrides: str | None = HfArg(
        default=None, help="Parameters of EspnetAsrFeatureExtractor as JSON, e.g. '{\"num_mel_bins\": 40}'."
    )
    specaug: str | None = HfArg(
        default=None,
        help="Options of SpecAugment as JSON (ESPnet's specaug_conf); by default those of its LibriSpeech recipe. "
        "Turn it off with --config_overrides '{\"specaug\": null}'.",
    )
    generation_overrides: str | None = HfArg(
        default=None,
        help="How to decode, as JSON: num_beams, ctc_weight, penalty, ctc_greedy, ..., e.g. '{\"num_beams\": 5}'. "
        "It is saved with the model.",
    )
    token_type: Literal["char", "bpe"] = HfArg(
        default="char", help="Tokens: characters of the training transcripts, or sentencepiece pieces."
    )
    vocab_size: int | None = HfArg(default=None, help="With 'bpe': pieces to aim at (ESPnet: nbpe; default 500).")

    def __post_init__(self):
        overrides = ("config_overrides", "feature_extractor_overrides", "generation_overrides")
        check_json_objects(self, *overrides, "specaug")


@dataclass
class AsrRecipeArguments(TokenlessArguments):
    """Fields of transformers' TrainingArguments with ESPnet's schedule."""

    output_dir: str | None = HfArg(default=None, help="Where checkpoints, the model and its results go.")
    num_train_epochs: float = field(default=50.0, metadata={"help": "Passes over the training set."})
    per_device_train_batch_size: int = field(default=16, metadata={"help": "Utterances per step and device."})
    per_device_eval_batch_size: int = field(default=8, metadata={"help": "Utterances decoded at once."})
    learning_rate: float = field(default=0.0025, metadata={"help": "Highest rate, at the end of the warm-up."})
    warmup_steps: float = field(
        default=1000,
        metadata={"help": "Updates of the warm-up, or their share of all if below 1 (ESPnet's LibriSpeech: 40,000)."},
    )
    lr_scheduler_type: str = field(
        default="inverse_sqrt", metadata={"help": "Schedule; 'inverse_sqrt' is ESPnet's WarmupLR, which is Noam's."}
    )
    weight_decay: float = field(default=0.0, metadata={"help": "Weight decay."})
    max_grad_norm: float = field(default=5.0, metadata={"help": "Gradient clipping, as ESPnet's."})
    train_sampling_strategy: str = field(
        default="group_by_length", metadata={"help": "Sampler; 'group_by_length' batches clips of about one length."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the validation split."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep, the best one included."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(
        default="cer",
        metadata={
            "help": "Metric of the validation split that the best checkpoint is chosen by: cer, wer (of CTC's "
            "best path), loss."
        },
    )
    greater_is_better: bool | None = field(
        default=False, metadata={"help": "Whether a high value of that metric is good."}
    )
    logging_steps: float = field(default=10, metadata={"help": "Log every so many updates."})
    report_to: str | None = field(default="tensorboard", metadata={"help": "Where logs go besides the console."})
    use_cpu: bool = field(
        default=not torch.accelerator.is_available(),
        metadata={"help": "Train on the CPU, the default where there is nothing else."},
    )
    dataloader_pin_memory: bool = field(
        default=torch.accelerator.is_available(),
        metadata={"help": "Pin loader memory; of use with a GPU only."},
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Utterances carry no unused columns."})
    restart: bool = field(
        default=False, metadata={"help": "Begin anew although output_dir holds checkpoints, and delete those."}
    )


__all__ = ["AsrDataArguments", "AsrModelArguments", "AsrRecipeArguments"]
