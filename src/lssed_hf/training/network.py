"""Training of networks by gradient descent."""

import dataclasses
import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from ..inference.classifiers.network import no_loading_bar
from ..inference.speaker_normalization import scored_rows, speakers_of, statistics_rows
from ..models.registry import create_feature_extractor, create_model, list_models
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .data import Augmentation, ClipCollator, SpeechDataset, by_length
from .feature_sets import front_end_overrides
from .features import compute_features, fit_normalization, is_cacheable
from .freezing import freeze, trained_part
from .prepared_clips import without_applied_steps
from .pretrained import label_maps, load_pretrained
from .problem import Problem, prepare_heads, problem_fields, saved_config
from .record import Outcome, record_training
from .selection import CORPUS_COLUMN
from .speaker_front_ends import front_ends_of, set_speaker_normalization, speaker_front_ends
from .statistics import Embeddings, fit_head, set_head
from .teachers import Teacher, predict_with_teachers, unlabelled_clips
from .trainer import SpeechTrainer


logger = logging.getLogger(__name__)

_HEAD_C = 1e-3  # inverse strength of regularisation of `--refit_head`
_NEW_SPEAKERS = 0.5  # distance between class means of new speakers, as a share of that of training clips


def train_network(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    teachers: Sequence[Teacher],
    checkpoint: str | None,
    problem: Problem,
) -> Outcome:
    """Train by gradient descent, and save the model, its feature extractor and the metrics.

    Args:
        data_args: Names of splits and columns.
        model_args: Model to train.
        args: Recipe.
        dataset: Splits with encoded labels, one for validation among them.
        teachers: Teachers of a distillation.
        checkpoint: Folder of the checkpoint to go on from, or None.
        problem: Kind of problem, and its targets.

    Raises:
        ValueError: Flags that do not go together, or that the model cannot follow.
    """
    train_split = data_args.train_split_name
    overrides = front_end_overrides(data_args, model_args, dataset)
    model, feature_extractor = build_model(model_args, problem, args.refit_head, overrides)
    feature_extractor = without_applied_steps(feature_extractor, data_args, model_args)
    if not args.refit_head:
        set_speaker_normalization(feature_extractor, model_args)
    if not is_cacheable(feature_extractor) and args.augmentation() != Augmentation():
        raise ValueError(
            "masks, shifts, stretching, gain and mixup work on the features of this package, but "
            f"{model_args.model_name_or_path} has a {type(feature_extractor).__name__}: leave those flags out, and "
            "with --recipe small add --mixup 0"
        )
    train_clips, validation_clips = speech_datasets(
        data_args, model_args, args, dataset, teachers, feature_extractor, problem
    )
    num_validation = 0 if validation_clips is None else len(validation_clips)
    trainer = SpeechTrainer(
        model=model,
        args=args,
        train_dataset=train_clips,
        eval_dataset=validation_clips,
        problem=problem,
        data_collator=ClipCollator(feature_extractor),
        processing_class=feature_extractor,
    )
    logger.info(
        f"{model.num_parameters():,} parameters, {len(train_clips)} training and {num_validation} validation "
        f"clips, {args.world_size} process(es)"
    )
    if trainer.is_world_process_zero():
        num_unlabelled = len(train_clips) - len(dataset[train_split])
        # Before the training, so that the card of every checkpoint has it.
        record_training(
            data_args,
            model_args,
            args,
            dataset,
            model.num_parameters(),
            teachers,
            num_unlabelled,
            trained=trained_part(model),
            problem=problem,
        )
    with no_loading_bar():  # one for each checkpoint that is written
        trained = trainer.train(resume_from_checkpoint=checkpoint)
        if args.refit_head:
            refit_head(model, train_clips, dataset[train_split], data_args, model_args.speaker_normalization != "none")
        trainer.save_model()
    metrics = {} if validation_clips is None else trainer.evaluate()
    outcome = Outcome(model.num_parameters(), {**trained.metrics, **peak_memory()}, metrics)
    trainer.save_metrics("train", outcome.train_metrics)
    trainer.save_metrics("eval", outcome.validation_metrics)
    trainer.save_state()
    return outcome


def build_model(
    model_args: ModelArguments,
    problem: Problem,
    standardize_embedding: bool = False,
    front_end: Mapping[str, Any] | None = None,
) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """Return a network of the zoo with random weights, or a pretrained classifier, and its front end.

    The head of a pretrained classifier is replaced where its labels or its problem type differ.

    Args:
        model_args: Model to train.
        problem: Kind of problem, with the names of the outputs.
        standardize_embedding: Whether the model has to standardise its embedding before the head.
        front_end: Parameters of the front end of a network of the zoo. Default: those of the flag.

    Raises:
        ValueError: The model cannot standardise its embedding or has no second head, and has to.
    """
    name = model_args.model_name_or_path
    saved = saved_config(name)
    maps = {**label_maps(problem.labels), **problem_fields(problem, saved)}
    if standardize_embedding:
        maps["standardize_embedding"] = True
    if name in list_models():
        if front_end is None:
            front_end = json.loads(model_args.feature_extractor_overrides or "{}")
        feature_extractor = create_feature_extractor(name, **front_end)
        bins = {"num_mel_bins": feature_extractor.num_mel_bins}
        model = create_model(name, **{**maps, **bins, **json.loads(model_args.config_overrides or "{}")})
    else:
        model, feature_extractor = load_pretrained(model_args, maps)
        if getattr(model.config, "num_mel_bins", 0) is None:  # a network that was saved before it was said
            model.config.num_mel_bins = getattr(feature_extractor, "num_mel_bins", None)
    if standardize_embedding and not hasattr(model, "embedding_mean"):
        raise ValueError(f"--refit_head is for PyResNets, and {name} is a {type(model).__name__}")
    if problem.multitask and not hasattr(model, "dimension_head"):
        raise ValueError(f"--multitask is for PyResNets, and {name} is a {type(model).__name__}")
    prepare_heads(model, problem, saved)
    if model_args.freeze_feature_encoder:
        if not hasattr(model, "freeze_feature_encoder"):
            raise ValueError(
                f"--freeze_feature_encoder: {type(model).__name__} has no convolutions to freeze; "
                "--num_trainable_stages 0 trains the classifier alone"
            )
        model.freeze_feature_encoder()
    if model_args.num_trainable_stages is not None:
        freeze(model, model_args.num_trainable_stages)
    elif any(buffer.dtype == torch.int8 for buffer in model.buffers()):
        logger.warning(f"the 8-bit weights of {name} stay as they are: start from the encoder that it was made of")
    return model, feature_extractor


def speech_datasets(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    teachers: Sequence[Teacher],
    feature_extractor: SequenceFeatureExtractor,
    problem: Problem,
) -> tuple[SpeechDataset, SpeechDataset | None]:
    """Return the training and the validation clips, and fit the normalisation of the front end if it has none.

    Without a validation split there are no validation clips.

    The arguments are those of `train_network`, and the front end.
    """
    train_split, validation_split = data_args.train_split_name, data_args.validation_split_name
    label_column, speaker_column = data_args.label_column_name, data_args.speaker_column_name
    labels = dataset[train_split].features[label_column].names
    # Of the test split too, so that missing enrolment clips are found before the training.
    speaker_rows = {
        split: statistics_rows(dataset[split], model_args, speaker_column, label_column)
        for split in (train_split, validation_split, data_args.test_split_name)
        if split in dataset
    }

    def features_of(rows: datasets.Dataset, copy: int = 0) -> datasets.Dataset:
        perturbation, workers = args.perturbation() if copy else None, data_args.preprocessing_num_workers
        computed = compute_features(rows, feature_extractor, data_args.audio_column_name, workers, perturbation, copy)
        kept = {label_column, "values", "width", *problem.columns}
        kept |= {speaker_column} if speaker_rows[train_split] else set()
        return computed.select_columns([name for name in computed.column_names if name in kept])

    def row_front_ends(rows: datasets.Dataset, clean: datasets.Dataset, split: str) -> list | None:
        front_ends = speaker_front_ends(clean, speaker_rows[split], feature_extractor)
        return front_ends_of(rows, front_ends, speaker_column, feature_extractor)

    with args.main_process_first(desc="computing features"):
        clips = [dataset[train_split]]
        if args.unlabelled_dir:
            clips.append(unlabelled_clips(args.unlabelled_dir, labels, data_args.audio_column_name, label_column))
        predictions = predict_with_teachers(
            teachers,
            clips,
            args.distill,
            labels,
            args.distill_temperature,
            data_args.audio_column_name,
            speaker_rows[train_split],
        )
        versions = [[features_of(rows, copy) for rows in clips] for copy in range(args.perturbed_copies + 1)]
        validation_rows = features_of(dataset[validation_split]) if validation_split in dataset else None
    labelled = versions[0][0]
    if is_cacheable(feature_extractor) and feature_extractor.mean is None:
        fit_normalization(feature_extractor, labelled)

    clean, *copies = map(datasets.concatenate_datasets, versions)
    train_clips = SpeechDataset(
        clean,
        feature_extractor,
        label_column,
        crop_seconds=args.crop_seconds or None,
        augmentation=args.augmentation(),
        num_labels=len(labels),
        seed=args.seed,
        copies=copies,
        teachers=predictions,
        front_ends=row_front_ends(clean, labelled, train_split),
        corpora=dataset[train_split][CORPUS_COLUMN] if CORPUS_COLUMN in dataset[train_split].column_names else None,
        speaker_share=args.speaker_share,
        recording_share=args.recording_share,
        targets=problem.targets(clean),
        ratings=problem.ratings(clean),
    )
    if validation_rows is None:
        return train_clips, None
    scored = scored_rows(len(validation_rows), speaker_rows[validation_split], model_args)
    sorted_rows = by_length(validation_rows.select(scored))
    front_ends = None if args.refit_head else row_front_ends(sorted_rows, validation_rows, validation_split)
    return train_clips, SpeechDataset(
        sorted_rows,
        feature_extractor,
        label_column,
        front_ends=front_ends,
        targets=problem.targets(sorted_rows),
        ratings=problem.ratings(sorted_rows),
    )


def refit_head(
    model: PreTrainedModel,
    train_clips: SpeechDataset,
    rows: datasets.Dataset,
    data_args: DataArguments,
    by_speaker: bool,
) -> None:
    """Fit the head of a PyResNet anew, on embeddings of whole training clips.

    Args:
        model: Trained network, which standardises its embedding.
        train_clips: Training clips, those of `rows` first.
        rows: Labelled training clips.
        data_args: Names of columns.
        by_speaker: Whether to learn from embeddings standardised by their speaker as well.
    """
    clips = train_clips.unchanged()
    model.eval()
    with torch.inference_mode():
        inputs = (torch.from_numpy(clips[number]["values"])[None].to(model.device) for number in range(len(rows)))
        embeddings = torch.cat([model.base_model(values).pooler_output for values in inputs])
    known = Embeddings(
        embeddings.float().cpu().numpy()[:, None],
        np.asarray(rows[data_args.label_column_name]),
        speakers_of(rows, data_args.speaker_column_name) if by_speaker else [None] * len(rows),
        [""] * len(rows) if train_clips.corpora is None else train_clips.corpora,
    )
    head = fit_head(known, model.config.num_labels, 0, _HEAD_C, by_speaker)
    set_head(model, dataclasses.replace(head, class_means=_NEW_SPEAKERS * head.class_means))


def find_checkpoint(args: TrainingArguments) -> str | None:
    """Return the folder of the checkpoint to go on from, None without one.

    Checkpoints that were not written to the end are deleted, and with `args.restart` all of them.
    """
    if args.resume_from_checkpoint or not os.path.isdir(args.output_dir):
        return args.resume_from_checkpoint
    for folder in Path(args.output_dir).glob("checkpoint-*"):
        # The Trainer writes the state last: a checkpoint without it was being written when the run was stopped.
        if args.restart or not (folder / "trainer_state.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)  # another process may be at it
    checkpoint = get_last_checkpoint(args.output_dir)
    if checkpoint is not None:
        logger.info(f"going on from {checkpoint}; --restart begins anew")
    return checkpoint


def peak_memory() -> dict[str, int]:
    """Return the most memory in MB that this process, and its share of the GPU, has taken so far, where known."""
    peaks = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        peaks["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
    if torch.cuda.is_available():
        peaks["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return peaks
