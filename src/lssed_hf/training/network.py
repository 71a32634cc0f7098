"""Training of networks by gradient descent, and the choice of where to begin: weights, head and checkpoint."""

import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from ..inference.classifiers.network import no_loading_bar
from ..inference.speaker_normalization import scored_rows, statistics_rows
from ..models.registry import create_feature_extractor, create_model, list_models
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .data import Augmentation, ClipCollator, SpeechDataset, by_length
from .features import compute_features, fit_normalization, is_cacheable
from .freezing import freeze
from .pretrained import load_pretrained
from .record import record_training
from .speaker_front_ends import front_ends_of, set_speaker_normalization, speaker_front_ends
from .teachers import Teacher, ask_teachers, unlabelled_clips
from .trainer import SpeechTrainer


logger = logging.getLogger(__name__)


def train_network(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    teachers: Sequence[Teacher],
    checkpoint: str | None,
) -> None:
    """Train by gradient descent, and save the model, its feature extractor and the metrics."""
    train_split, validation_split = data_args.train_split_name, data_args.validation_split_name
    labels = dataset[train_split].features[data_args.label_column_name].names
    model, feature_extractor = build_model(model_args, labels)
    set_speaker_normalization(feature_extractor, model_args)
    augmentation = args.augmentation()
    if not is_cacheable(feature_extractor) and augmentation != Augmentation():
        raise ValueError(
            "masks, shifts, stretching, gain and mixup work on the features of this package, but "
            f"{model_args.model_name_or_path} has a {type(feature_extractor).__name__}: leave those flags out, and "
            "with --recipe small add --mixup 0"
        )

    audio_column, label_column = data_args.audio_column_name, data_args.label_column_name
    speaker_column = data_args.speaker_column_name
    baselines = {
        split: statistics_rows(dataset[split], model_args, speaker_column, label_column)
        for split in (train_split, validation_split, data_args.test_split_name)
        if split in dataset
    }

    def features_of(rows: datasets.Dataset, copy: int = 0) -> datasets.Dataset:
        how, workers = args.perturbation() if copy else None, data_args.preprocessing_num_workers
        computed = compute_features(rows, feature_extractor, audio_column, workers, how, copy)
        kept = {label_column, "values", "width", *([speaker_column] if baselines[train_split] else [])}
        return computed.select_columns([name for name in computed.column_names if name in kept])

    with args.main_process_first(desc="computing features"):
        clips = [dataset[train_split]]
        if args.unlabelled_dir:
            clips.append(unlabelled_clips(args.unlabelled_dir, labels, audio_column, label_column))
        answers = ask_teachers(teachers, clips, args.distill, labels, args.distill_temperature, audio_column)
        versions = [[features_of(rows, copy) for rows in clips] for copy in range(args.perturbed_copies + 1)]
        validation_features = features_of(dataset[validation_split])
    if is_cacheable(feature_extractor) and feature_extractor.mean is None:
        fit_normalization(feature_extractor, versions[0][0])

    clean, *copies = map(datasets.concatenate_datasets, versions)
    front_ends = speaker_front_ends(versions[0][0], baselines[train_split], feature_extractor)
    train_dataset = SpeechDataset(
        clean,
        feature_extractor,
        data_args.label_column_name,
        crop_seconds=args.crop_seconds or None,
        augmentation=augmentation,
        num_labels=len(labels),
        seed=args.seed,
        copies=copies,
        teachers=answers,
        front_ends=front_ends_of(clean, front_ends, speaker_column, feature_extractor),
    )
    front_ends = speaker_front_ends(validation_features, baselines[validation_split], feature_extractor)
    scored = scored_rows(len(validation_features), baselines[validation_split], model_args)
    validation_features = by_length(validation_features.select(scored))
    validation_dataset = SpeechDataset(
        validation_features,
        feature_extractor,
        data_args.label_column_name,
        front_ends=front_ends_of(validation_features, front_ends, speaker_column, feature_extractor),
    )
    trainer = SpeechTrainer(
        model=model,
        args=args,
        train_dataset=train_dataset,
        eval_dataset=validation_dataset,
        num_labels=len(labels),
        data_collator=ClipCollator(feature_extractor),
        processing_class=feature_extractor,
    )
    logger.info(
        f"{model.num_parameters():,} parameters, {len(train_dataset)} training and {len(validation_dataset)} "
        f"validation clips, {args.world_size} process(es)"
    )
    if trainer.is_world_process_zero():
        record_training(
            data_args, model_args, args, dataset, model.num_parameters(), teachers, sum(map(len, clips[1:]))
        )
    with no_loading_bar():  # one for each checkpoint that is written
        outcome = trainer.train(resume_from_checkpoint=checkpoint)
        trainer.save_model()
    trainer.save_metrics("train", {**outcome.metrics, **peak_memory()})
    trainer.save_metrics("eval", trainer.evaluate())
    trainer.save_state()


def build_model(model_args: ModelArguments, labels: Sequence[str]) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """A zoo network with random weights, or a pretrained classifier whose head is replaced where its labels differ."""
    maps = label_maps(labels)
    name = model_args.model_name_or_path
    if name in list_models():
        model = create_model(name, **maps, **json.loads(model_args.config_overrides or "{}"))
        feature_extractor = create_feature_extractor(
            name, **json.loads(model_args.feature_extractor_overrides or "{}")
        )
    else:
        model, feature_extractor = load_pretrained(model_args, maps)
    if model_args.freeze_feature_encoder:
        if hasattr(model, "freeze_feature_encoder"):
            model.freeze_feature_encoder()
        else:
            freeze(model, 0)
    if model_args.num_trainable_stages is not None:
        freeze(model, model_args.num_trainable_stages)
    return model, feature_extractor


def label_maps(labels: Sequence[str]) -> dict[str, dict]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def find_checkpoint(args: TrainingArguments) -> str | None:
    """The checkpoint to go on from, if any. Unfinished ones are deleted, and all of them with `args.restart`."""
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
    """Most memory that this process, and its share of the GPU, has taken so far, in MB, as far as that is known."""
    peaks = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # bytes
        peaks["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
    if torch.cuda.is_available():
        peaks["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated() // 2**20
    return peaks
