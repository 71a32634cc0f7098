"""Trainers of transformers with this package's cards, samplers and, for classifiers, the paper's recipe."""

from collections.abc import Callable

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import EvalPrediction, Trainer

from ..evaluation.multi_label import score_multi_label
from ..evaluation.ratings import score_ratings
from ..evaluation.ser_metrics.ser_metrics import score
from ..hub.cards.model_card import write_model_card
from ..inference.classifiers.outputs import sigmoid
from ..models.encoders import encoder_of
from .adversarial import AdversarialLoss, forward_real_and_fake
from .arguments import RecipeArguments
from .classification_loss import ClassificationLoss, balanced_class_weights
from .data import BalancedSampler, EpochCallback, LengthSampler, SpeechDataset
from .distillation import DistillationLoss, forward_student
from .problem import MULTI_LABEL, REGRESSION, Problem
from .rating_loss import MultiLabelLoss, MultitaskLoss, RatingLoss
from .shared_memory import RoomyCollator


class CardTrainer(Trainer):
    """Trainer that writes this package's model cards, and groups clips by length if it is asked to."""

    def __init__(self, *, data_collator: Callable, **kwargs):
        super().__init__(data_collator=RoomyCollator(data_collator), **kwargs)

    def create_model_card(self, *args, **kwargs) -> None:
        """Write the card of this package in place of the draft of transformers, which the arguments are for."""
        if self.is_world_process_zero():
            write_model_card(self.args.output_dir)

    def _get_train_sampler(self, train_dataset=None):
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        return LengthSampler((train_dataset or self.train_dataset).lengths, self.args.train_batch_size, self.args.seed)


class SpeechTrainer(CardTrainer):
    """Trainer for `SpeechDataset`s under `RecipeArguments`: SGD with momentum, step decay, weighted losses."""

    def __init__(self, *, args: RecipeArguments, train_dataset: SpeechDataset, problem: Problem, **kwargs):
        class_weights, num_labels = None, len(problem.labels)
        if args.class_weighting == "balanced":
            class_weights = balanced_class_weights(train_dataset.labels, num_labels)
        if args.optim == "sgd":  # the Trainer's own SGD has no momentum
            kwargs["optimizer_cls_and_kwargs"] = (
                torch.optim.SGD,
                {"lr": args.learning_rate, "momentum": args.momentum},
            )
        loss = ClassificationLoss(num_labels, class_weights, args.label_smoothing_factor)
        if args.adversarial != "none":
            if args.n_gpu > 1:  # torch's DataParallel splits a batch behind the Trainer's back
                raise ValueError("--adversarial takes one process per GPU: start the training with torchrun")
            loss = AdversarialLoss(loss, args.adversarial_weights)
        elif args.teacher:
            if args.n_gpu > 1 and args.distill == "features":
                raise ValueError("--distill features takes one process per GPU: start the training with torchrun")
            loss = DistillationLoss(loss, args.distill_weight, args.distill_temperature)
        else:
            loss = loss_of_problem(problem, loss, args)
        super().__init__(
            args=args,
            train_dataset=train_dataset,
            compute_loss_func=loss,
            compute_metrics=lambda prediction: compute_metrics(prediction, problem),
            **kwargs,
        )
        self._has_head_group = False
        self.label_smoother = None  # smoothing is part of ClassificationLoss
        self.add_callback(EpochCallback(train_dataset))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        teachers, ratings = inputs.pop("teachers", None), inputs.pop("ratings", None)
        if ratings is not None:

            def rated(**inputs):
                outputs = model(**inputs)
                return {**{name: outputs[name] for name in ("logits", "dimensions")}, "ratings": ratings}

            return super().compute_loss(rated, inputs, return_outputs, num_items_in_batch)
        if teachers is not None:

            def taught(**inputs):
                network = self.accelerator.unwrap_model(model)
                return forward_student(model, network, inputs, teachers, self.args.distill == "features")

            return super().compute_loss(taught, inputs, return_outputs, num_items_in_batch)

        def forward(**inputs):
            warm = self.state.global_step >= self.args.adversarial_warmup_steps
            return forward_real_and_fake(
                model,
                self.accelerator.unwrap_model(model),
                inputs,
                epsilon=self.args.adversarial_epsilon if warm else None,
                with_embeddings=self.args.adversarial == "similarity",
            )

        adversarial = self.args.adversarial != "none" and model.training
        return super().compute_loss(forward if adversarial else model, inputs, return_outputs, num_items_in_batch)

    def _get_train_sampler(self, train_dataset=None):
        if self.args.sampling != "random":
            clips = train_dataset or self.train_dataset
            corpora = clips.corpora if self.args.sampling == "corpora" else None
            return BalancedSampler(clips.labels, self.args.seed, corpora)
        return super()._get_train_sampler(train_dataset)

    def _get_eval_sampler(self, eval_dataset):
        # In the order given, whatever the training's: `by_length` has sorted the clips.
        return SequentialSampler(eval_dataset) if self.args.world_size <= 1 else None

    def get_decay_parameter_names(self, model) -> list[str]:
        if self.args.decay_norm_and_bias:
            return [name for name, _ in model.named_parameters()]
        # The Trainer goes by names such as `layer_norm`; a vector is a bias or a normalisation's scale in any network.
        return [name for name, parameter in model.named_parameters() if parameter.dim() > 1]

    def create_optimizer(self, *args, **kwargs):
        optimizer = super().create_optimizer(*args, **kwargs)
        if self.args.head_learning_rate is not None and not self._has_head_group:
            set_head_learning_rate(optimizer, self.model, self.args.head_learning_rate)
            self._has_head_group = True
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.args.lr_scheduler_type != "constant" or not self.args.lr_step_epochs:
            return super().create_scheduler(num_training_steps, optimizer)
        if self.lr_scheduler is None:
            every = max(1, round(self.args.lr_step_epochs * num_training_steps / self.args.num_train_epochs))
            gamma = self.args.lr_step_gamma
            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, lambda step: gamma ** (step // every))
        return self.lr_scheduler


def set_head_learning_rate(optimizer: torch.optim.Optimizer, model: torch.nn.Module, learning_rate: float) -> None:
    """Give the parameters outside of the encoder a rate of their own, before a schedule is laid over all rates.

    Raises:
        ValueError: The model has no encoder beside a head.
    """
    encoder = encoder_of(model)
    if encoder is None:
        raise ValueError(f"{type(model).__name__} has no encoder beside its head: leave --head_learning_rate out")
    encoding = {id(parameter) for parameter in encoder.parameters()}
    for group in list(optimizer.param_groups):
        head = [parameter for parameter in group["params"] if id(parameter) not in encoding]
        group["params"] = [parameter for parameter in group["params"] if id(parameter) in encoding]
        if head:
            settings = {name: value for name, value in group.items() if name != "params"}
            optimizer.add_param_group({**settings, "params": head, "lr": learning_rate})
    optimizer.param_groups[:] = [group for group in optimizer.param_groups if group["params"]]


def loss_of_problem(
    problem: Problem, classification: ClassificationLoss, args: RecipeArguments
) -> Callable[..., torch.Tensor]:
    """Return the loss of a kind of problem; that of classes is given."""
    rating = RatingLoss(problem.std, problem.shares, args.regression_loss)
    if problem.problem_type == REGRESSION:
        return rating
    if problem.problem_type == MULTI_LABEL:
        return MultiLabelLoss()
    return MultitaskLoss(classification, rating, args.multitask_weight) if problem.multitask else classification


def compute_metrics(prediction: EvalPrediction, problem: Problem) -> dict[str, float]:
    """Return the scores of validation clips, by name: of classes, of several classes, and of ratings."""
    predictions, labels = prediction.predictions, prediction.label_ids
    logits, *others = predictions if isinstance(predictions, tuple) else (predictions,)
    if problem.problem_type == REGRESSION:
        return rating_metrics(labels, logits, problem)
    if problem.problem_type == MULTI_LABEL:
        scores = score_multi_label(labels > 0.5, sigmoid(logits.astype(np.float64)), problem.labels)
        return {name: scores[name] for name in ("macro_f1", "micro_f1", "mean_average_precision")}
    scores = score(labels, logits.argmax(axis=1), len(problem.labels))
    metrics = {name: scores[name] for name in ("weighted_accuracy", "unweighted_accuracy", "macro_f1")}
    return {**metrics, **rating_metrics(others[1], others[0], problem)} if problem.multitask else metrics


def rating_metrics(ratings: np.ndarray, predictions: np.ndarray, problem: Problem) -> dict[str, float]:
    """Return the mean concordance of the dimensions, and the concordance and error of each one."""
    scores = score_ratings(ratings, predictions, problem.dimensions)
    by_dimension = {
        f"{score}_{name}": one[score] for name, one in scores["dimensions"].items() for score in ("ccc", "rmse")
    }
    # Not defined where neither the ratings nor the predictions vary.
    return {name: value or 0.0 for name, value in {"mean_ccc": scores["mean_ccc"], **by_dimension}.items()}
