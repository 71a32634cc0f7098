"""Flags of `lssed-hf train`: all hyper-parameters of a training. Defaults are the paper's recipe (section 3.2)."""

import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NoReturn

import torch
from transformers import HfArgumentParser, TrainingArguments
from transformers.hf_argparser import HfArg

from ..corpora.corpus_arguments import CorpusArguments
from ..inference.speaker_normalization import SpeakerArguments
from ..suggest import did_you_mean, explain
from .adversarial import DEFAULT_WEIGHTS
from .data import Augmentation
from .perturbation import Perturbation


def check_json_objects(arguments: Any, *names: str) -> None:
    """Check that flags hold JSON objects, where they are given.

    Raises:
        ValueError: One does not. The message names the flag.
    """
    for name in names:
        text, reason = getattr(arguments, name), ""
        if text is None:
            continue
        try:
            fits = isinstance(json.loads(text), dict)
        except json.JSONDecodeError as error:
            fits, reason = False, f" ({error})"
        if not fits:
            raise ValueError(f'--{name} {text!r} is no JSON object, such as {{"name": 1}}{reason}')


@dataclass
class DataArguments(CorpusArguments):
    """Data set to train and test on."""

    train_split_name: str = HfArg(
        default="train", help="Split to train on, or several: train+validation; all for the clips of all splits."
    )
    validation_split_name: str = HfArg(
        default="validation",
        help="Split for model selection. Where it is missing, --validation_fraction of the training speakers is used.",
    )
    test_split_name: str = HfArg(default="test", help="Split that the final model is scored on, once.")
    test_speaker: str | None = HfArg(
        default=None, help="Test on all clips of this speaker, and train on those of all others, whatever the splits."
    )
    extra_corpora: list[str] | None = field(
        default=None,
        metadata={
            "help": "Further corpora whose training splits are trained on as well, as NAME=FOLDER, e.g. emodb=EMODB."
        },
    )
    max_train_speakers: int | None = HfArg(
        default=None, help="Train on the clips of so many training speakers only, drawn by --seed; more include fewer."
    )
    validation_fraction: float = HfArg(
        default=0.1,
        help="Share of the training clips to hold out where there is no validation split; 0 for none.",
    )
    dimensions: list[str] | None = field(
        default=None,
        metadata={
            "help": "Columns of ratings to learn, with --problem_type regression or --multitask. Default: valence, "
            "arousal and dominance, as far as the corpus has them."
        },
    )
    preprocessing_num_workers: int | None = HfArg(default=None, help="Processes for computing features.")
    streaming: bool = HfArg(
        default=False,
        help="Read the data set as a stream, and take as many training clips from it as --max_steps needs.",
    )


@dataclass
class ModelArguments(SpeakerArguments):
    """Model to train, and its front end."""

    model_name_or_path: str = HfArg(
        default="pyresnet50",
        help="A name of lssed_hf.list_models() (from scratch), a folder or Hub name of an audio classifier; SVMs: "
        "egemaps-svm, compare-svm (openSMILE: private use, research, education), features-svm (LSSED's sets).",
    )
    problem_type: Literal["single_label_classification", "multi_label_classification", "regression"] | None = HfArg(
        default=None,
        help="One class, several, or ratings (--dimensions).",
    )
    multitask: bool = HfArg(
        default=False, help="Of PyResNets: learn classes and, with a second head, ratings of --dimensions."
    )
    config_overrides: str | None = HfArg(
        default=None, help="Fields of the model's configuration as JSON, e.g. '{\"depths\": [1, 1, 1, 1]}'."
    )
    feature_extractor_overrides: str | None = HfArg(
        default=None,
        help="Parameters of the front end as JSON, e.g. '{\"do_denoise\": false}'. Those of a saved model give way to "
        "them, and it is normalised anew.",
    )
    freeze_feature_encoder: bool = HfArg(
        default=False,
        help="Leave the first convolutions as they are, as in transformers. To train the classifier alone: "
        "--num_trainable_stages 0.",
    )
    num_trainable_stages: int | None = HfArg(
        default=None, help="Train the classifier and so many of the encoder's last stages alone; 0 for none."
    )
    chunk_length: int | None = HfArg(
        default=None,
        help="For models that pad every clip to a fixed length, as Whisper does to 30 s: pad to so many seconds "
        "instead.",
    )
    probe: bool = HfArg(
        default=False,
        help="Leave a pretrained encoder as it is, and fit a linear model on the mean of one of its layers, which the "
        "validation split chooses.",
    )
    probe_pooling: Literal["mean", "statistics"] = HfArg(
        default="mean",
        help="With --probe: what is taken of a layer, its mean over 30 s; or mean and deviation over the clip alone, "
        "of a Whisper encoder, which is then cut behind the layer.",
    )
    probe_layer: int | None = HfArg(
        default=None, help="With --probe: the layer, 0 for what goes into the first one, instead of a choice."
    )
    probe_C: float | None = HfArg(
        default=None, help="With --probe: the inverse strength of regularisation, instead of a choice."
    )
    probe_statistics: list[str] = field(
        default_factory=lambda: ["mean", "std"],
        metadata={"help": "With --probe_pooling statistics: those over time that are pooled, 'mean', 'std' or both."},
    )
    probe_range: float | None = HfArg(
        default=None,
        help="With --probe_pooling statistics: pool only frames at most so many dB below the loudest one, which "
        "leaves pauses out.",
    )
    trust_remote_code: bool = HfArg(default=False, help="Allow code from the model's repository to run.")

    def __post_init__(self):
        check_json_objects(self, "config_overrides", "feature_extractor_overrides")
        if not self.probe and (self.probe_layer, self.probe_C, self.probe_pooling) != (None, None, "mean"):
            raise ValueError("--probe_layer, --probe_C and --probe_pooling go with --probe true")
        if self.probe_pooling != "statistics" and (self.probe_range, self.probe_statistics) != (None, ["mean", "std"]):
            raise ValueError("--probe_range and --probe_statistics go with --probe_pooling statistics")
        if self.probe_C is not None and self.probe_C <= 0:
            raise ValueError(f"--probe_C must be above 0, got {self.probe_C}")


@dataclass
class TokenlessArguments(TrainingArguments):
    """Arguments of transformers' Trainer whose pickle, as that in each checkpoint, leaves out the token of the Hub."""

    def __getstate__(self) -> dict:
        """Return what a pickle holds (`training_args.bin`)."""
        return {**self.__dict__, "hub_token": None}


@dataclass
class RecipeArguments(TokenlessArguments):
    """Fields of transformers' TrainingArguments with the paper's defaults, and those that the Trainer lacks."""

    output_dir: str | None = HfArg(default=None, help="Where checkpoints, the model and its results go.")
    recipe: Literal["paper", "small"] = HfArg(
        default="paper",
        help="Values of the flags that are not given: the paper's, or what was found best for some hundreds of clips. "
        "Default: 'small' for recordings of your own, else 'paper'.",
    )
    num_train_epochs: float = field(default=60.0, metadata={"help": "Passes over the training set (paper: 60)."})
    per_device_train_batch_size: int = field(default=32, metadata={"help": "Clips per step and device."})
    gradient_accumulation_steps: int = field(
        default=8, metadata={"help": "Steps per update; 8 x 32 is the paper's batch of 256."}
    )
    optim: str = field(default="sgd", metadata={"help": "Optimizer, any of transformers' or 'sgd' with momentum."})
    learning_rate: float = field(default=0.01, metadata={"help": "Initial learning rate (paper: 0.01)."})
    weight_decay: float = field(default=0.001, metadata={"help": "Weight decay (paper: 0.001)."})
    max_grad_norm: float = field(default=0.0, metadata={"help": "Gradient clipping, 0 for none (paper: not stated)."})
    lr_scheduler_type: str = field(
        default="constant", metadata={"help": "Schedule; 'constant' is what --lr_step_epochs works on."}
    )
    eval_strategy: str = field(default="epoch", metadata={"help": "When to evaluate on the validation split."})
    save_strategy: str = field(default="epoch", metadata={"help": "When to write a checkpoint."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep, the best one included."})
    load_best_model_at_end: bool = field(default=True, metadata={"help": "End with the best checkpoint."})
    metric_for_best_model: str | None = field(
        default="unweighted_accuracy",
        metadata={"help": "Metric of the validation split that the best checkpoint is chosen by."},
    )
    greater_is_better: bool | None = field(
        default=True, metadata={"help": "Whether a high value of that metric is good."}
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
    remove_unused_columns: bool = field(default=False, metadata={"help": "Clips carry no unused columns."})

    head_learning_rate: float | None = field(
        default=None,
        metadata={
            "help": "Initial rate of all but the encoder (head, projector, layer weights). Default: --learning_rate."
        },
    )
    momentum: float = field(
        default=0.9, metadata={"help": "Momentum of --optim sgd (paper: not stated; 0.9 in later code)."}
    )
    lr_step_epochs: float = field(
        default=20.0,
        metadata={"help": "With a constant schedule: epochs between drops of the rate (paper: 20), 0 for none."},
    )
    lr_step_gamma: float = field(default=0.1, metadata={"help": "Factor of each drop (paper: 0.1)."})
    decay_norm_and_bias: bool = field(
        default=True, metadata={"help": "Weight decay on every parameter, as plain SGD does it; else weights only."}
    )
    class_weighting: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "'balanced': weigh the loss of a class by its inverse frequency."}
    )
    sampling: Literal["random", "balanced", "corpora"] = field(
        default="random",
        metadata={
            "help": "'balanced': draw every class equally often, with replacement; 'corpora': the same within each "
            "corpus, and corpora by the root of their number of clips."
        },
    )
    crop_seconds: float = field(default=5.0, metadata={"help": "Random crops of training clips; 0 for whole clips."})
    freq_mask: int = field(default=0, metadata={"help": "SpecAugment: widest mask in mel bins, 0 for none."})
    num_freq_masks: int = field(default=2, metadata={"help": "SpecAugment: number of frequency masks."})
    time_mask: int = field(default=0, metadata={"help": "SpecAugment: longest mask in frames, 0 for none."})
    num_time_masks: int = field(default=2, metadata={"help": "SpecAugment: number of time masks."})
    freq_shift: int = field(default=0, metadata={"help": "Random shift along the mel axis, in bins."})
    time_stretch: float = field(default=0.0, metadata={"help": "Random change of speed, 0.1 for +-10 %%."})
    gain_db: float = field(default=0.0, metadata={"help": "Random change of level, in decibels."})
    eq_db: float = field(default=0.0, metadata={"help": "Random smooth filter, in decibels."})
    mixup: float = field(default=0.0, metadata={"help": "Parameter of mixup's Beta distribution, 0 for none."})
    perturbed_copies: int | None = field(
        default=None,
        metadata={
            "help": "Perturbed versions of every training clip, computed once; each time a clip is used, one of them "
            "or the original is drawn. --speed, --pitch_shift, --reverberation and --noise_snr say how they differ; 0 "
            "switches them off."
        },
    )
    speed: float = field(default=0.0, metadata={"help": "Change of a copy's tempo and pitch, 0.1 for +-10 %%."})
    pitch_shift: float = field(default=0.0, metadata={"help": "Change of a copy's pitch alone, in semitones."})
    reverberation: float = field(default=0.0, metadata={"help": "Longest reverberation time of a copy, in seconds."})
    noise_snr: float | None = field(
        default=None, metadata={"help": "Lowest signal-to-noise ratio of a copy in dB; up to 20 dB more are drawn."}
    )
    regression_loss: Literal["mse", "ccc"] = field(
        default="mse",
        metadata={
            "help": "Loss on ratings: mean squared error in units of the deviation, or 1 minus the concordance "
            "correlation coefficient of the clips of a step, which should be many."
        },
    )
    multitask_weight: float = field(
        default=1.0, metadata={"help": "With --multitask: weight of the loss on ratings beside that on classes."}
    )
    speaker_share: float = field(
        default=1.0,
        metadata={
            "help": "With --speaker_normalization: share of the draws of training clips that are normalised by their "
            "speaker, the others by the corpus."
        },
    )
    recording_share: float = field(
        default=0.0,
        metadata={
            "help": "Share of the draws of training clips from which a random part of the clip's own mean of each mel "
            "bin is subtracted, in place of other normalisation."
        },
    )
    refit_head: bool = field(
        default=False,
        metadata={
            "help": "Of PyResNets: fit the head anew at the end, a logistic regression on embeddings that are "
            "standardised by all training clips and, with --speaker_normalization all, by their speaker's. A "
            "speaker's own statistics are then those of embeddings."
        },
    )
    adversarial: Literal["none", "vanilla", "similarity"] = field(
        default="none",
        metadata={
            "help": "Train on FGSM versions of the clips as well (Ren et al. 2020); 'similarity' also keeps the "
            "embeddings of both close."
        },
    )
    adversarial_epsilon: float = field(
        default=0.02, metadata={"help": "Step of FGSM, in standard deviations of normalised features."}
    )
    adversarial_weights: list[float] | None = field(
        default=None,
        metadata={
            "help": "Weights of the loss on clips, the loss on their FGSM versions and, with 'similarity', the "
            "distance of their embeddings. Default: 0.5 0.5 or 0.4 0.4 0.2."
        },
    )
    adversarial_warmup_steps: int = field(
        default=1000, metadata={"help": "Updates on clips alone before the FGSM versions join in."}
    )
    adversarial_test: bool = field(
        default=False,
        metadata={"help": "Score FGSM versions of the test clips as well, as is always done with --adversarial."},
    )
    teacher: list[str] | None = field(
        default=None,
        metadata={"help": "Learn from the predictions of these models too: folders or Hub names of classifiers."},
    )
    distill: Literal["logits", "features"] = field(
        default="logits",
        metadata={
            "help": "Predictions of a --teacher to learn from: its probabilities (Hinton et al. 2015), or which "
            "clips its embeddings hold to be alike (Tung and Mori 2019)."
        },
    )
    distill_temperature: float = field(default=2.0, metadata={"help": "Temperature of the probabilities of 'logits'."})
    distill_weight: float = field(
        default=0.5, metadata={"help": "Weight of the teachers in the loss, between 0 and 1; labels have the rest."}
    )
    unlabelled_dir: list[str] | None = field(
        default=None,
        metadata={"help": "Folders of more training clips without labels, learnt from a --teacher alone."},
    )
    restart: bool = field(
        default=False, metadata={"help": "Begin anew although output_dir holds checkpoints, and delete those."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.adversarial_epsilon < 0:
            raise ValueError(f"--adversarial_epsilon must not be negative, got {self.adversarial_epsilon}")
        perturbs = self.perturbation() != Perturbation()
        if self.perturbed_copies is None and perturbs:
            raise ValueError("--speed, --pitch_shift, --reverberation and --noise_snr need --perturbed_copies")
        self.perturbed_copies = self.perturbed_copies or 0
        if self.perturbed_copies < 0:
            raise ValueError(f"--perturbed_copies must not be negative, got {self.perturbed_copies}")
        if self.perturbed_copies and not perturbs:
            raise ValueError(
                "--perturbed_copies needs at least one of --speed, --pitch_shift, --reverberation and --noise_snr"
            )
        self._check_distillation()
        if not 0 < self.multitask_weight < float("inf"):
            raise ValueError(f"--multitask_weight must be above 0, got {self.multitask_weight}")
        if min(self.speaker_share, self.recording_share) < 0 or self.speaker_share > 1 or self.recording_share > 1:
            raise ValueError("--speaker_share and --recording_share must be between 0 and 1")
        if self.adversarial == "none":
            return
        defaults = DEFAULT_WEIGHTS[self.adversarial]
        self.adversarial_weights = list(self.adversarial_weights or defaults)
        if len(self.adversarial_weights) != len(defaults):
            raise ValueError(
                f"--adversarial {self.adversarial} takes {len(defaults)} --adversarial_weights, "
                f"got {len(self.adversarial_weights)}"
            )

    def _check_distillation(self) -> None:
        if not self.distill_temperature > 0:
            raise ValueError(f"--distill_temperature must be above 0, got {self.distill_temperature}")
        if not 0 <= self.distill_weight <= 1:
            raise ValueError(f"--distill_weight must be between 0 and 1, got {self.distill_weight}")
        if self.teacher and self.adversarial != "none":
            raise ValueError("--teacher and --adversarial are two losses of which a training can have one")
        if self.unlabelled_dir and not self.teacher:
            raise ValueError("--unlabelled_dir needs a --teacher: without one, nothing is learnt from those clips")
        if self.unlabelled_dir and self.sampling != "random":
            raise ValueError(f"--sampling {self.sampling} goes by labels, which --unlabelled_dir does not have")

    def augmentation(self) -> Augmentation:
        """Return the random changes to features of training clips."""
        return changes_of_flags(Augmentation, self)

    def perturbation(self) -> Perturbation:
        """Return the random changes to waveforms of copies of training clips."""
        return changes_of_flags(Perturbation, self)


def changes_of_flags(kind: type, flags: RecipeArguments) -> Any:
    """Return random changes of a dataclass, whose fields are flags of the same names.

    Raises:
        ValueError: A field has no flag.
    """
    names, known = ([field.name for field in fields(owner)] for owner in (kind, flags))
    for name in names:
        if name not in known:
            raise ValueError(
                f"{kind.__name__}.{name} has no flag: give RecipeArguments a field of that name, with its help"
                f"{did_you_mean(name, known)}"
            )
    return kind(**{name: getattr(flags, name) for name in names})


class FlagParser(HfArgumentParser):
    """Parser of the flags of a training that raises ValueError, while the parser of a command ends the process."""

    def __init__(self):
        super().__init__((DataArguments, ModelArguments, RecipeArguments), allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise ValueError(
            f"{explain(message, self._option_string_actions)} (`lssed-hf train --help_all` lists the flags)"
        )
