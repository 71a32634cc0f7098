"""Training of any audio classifier on any corpus."""

import json
import logging
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import torch
from transformers import PreTrainedModel, SequenceFeatureExtractor, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from ..corpora.sources import encode_labels
from ..hub.cards.facts import read_record
from ..hub.cards.model_card import write_model_card
from ..hub.training_record import corpus_facts, split_facts, start_facts, write_record
from ..inference.classifiers.network import no_loading_bar
from ..inference.classifiers.svm import CLASSICAL
from ..inference.evaluate import evaluate_model
from ..inference.speaker_normalization import baseline_clips, scored_rows
from ..models.registry import create_feature_extractor, create_model, list_models
from .arguments import DataArguments, ModelArguments, RecipeArguments
from .damaged import with_advice_on_damaged_clips
from .data import Augmentation, ClipCollator, SpeechDataset, by_length
from .features import compute_features, fit_normalization, is_cacheable
from .freezing import freeze
from .pretrained import load_pretrained
from .probe import train_probe
from .selection import few_speakers, with_extra_corpora, with_validation
from .speaker_front_ends import front_ends_of, set_speaker_normalization, speaker_front_ends
from .svm import SVMSettings, train_classical
from .teachers import Teacher, ask_teachers, unlabelled_clips
from .trainer import SpeechTrainer


logger = logging.getLogger(__name__)


@with_advice_on_damaged_clips
def train_model(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict | None = None,
) -> dict:
    """Train, keep the best model on the validation split, and score it once on the test split.

    `args.output_dir` then holds the model and its feature extractor, `results.json`, `report.md` and
    `confusion_matrix.png` of the test split, the Trainer's logs and checkpoints, `training.json` (what the card knows
    of the training), and the model card. A run that was stopped goes on from its last checkpoint when it is started
    again, and ends in the same weights.

    Args:
        data_args: Data set to train and test on.
        model_args: Model to train.
        args: Recipe.
        dataset: Data set in memory, in place of the one that `data_args` names.

    Returns:
        The contents of `results.json`, or an empty dictionary without a test split.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    for name in args.teacher or ():
        if os.path.realpath(name) == os.path.realpath(args.output_dir):
            raise ValueError(f"--output_dir {args.output_dir} is the teacher's folder: choose another one")
    if args.teacher and model_args.probe:
        raise ValueError("--teacher is for networks: --probe fits a regression, which learns from labels alone")
    if model_args.probe and model_args.speaker_normalization != "none":
        raise ValueError(
            "--speaker_normalization is for networks: --probe takes an encoder and its front end as they are"
        )
    teachers = [Teacher(name, model_args.trust_remote_code) for name in args.teacher or ()]
    checkpoint = find_checkpoint(args)
    if checkpoint is not None:
        _check_teachers(teachers, args.output_dir)
    set_seed(args.seed)

    label_column = data_args.label_column_name
    dataset = data_args.load() if dataset is None else encode_labels(dataset, label_column)
    dataset = with_validation(dataset, data_args, args.seed, label_column)
    if data_args.max_train_speakers is not None:
        dataset[data_args.train_split_name] = few_speakers(dataset[data_args.train_split_name], data_args, args.seed)
    dataset = with_extra_corpora(dataset, data_args)
    train_split = data_args.train_split_name
    labels = dataset[train_split].features[label_column].names
    if model_args.model_name_or_path in CLASSICAL:
        if args.process_index == 0:
            num_parameters, recipe = train_classical(data_args, model_args, args, dataset)
            _record(data_args, model_args, args, dataset, num_parameters, recipe=recipe)
    elif model_args.probe:
        if args.process_index == 0:
            num_parameters = train_probe(
                model_args,
                [dataset[split] for split in (train_split, data_args.validation_split_name)],
                _label_maps(labels),
                data_args.audio_column_name,
                data_args.label_column_name,
                args.output_dir,
            )
            _record(data_args, model_args, args, dataset, num_parameters)
    else:
        _train_network(data_args, model_args, args, dataset, teachers, checkpoint)
    if args.process_index != 0:
        return {}
    if data_args.test_split_name not in dataset:
        logger.warning(f"{data_args.dataset_name} has no split {data_args.test_split_name!r}: nothing to score on")
        write_model_card(args.output_dir)
        return {}
    train_labels = np.asarray(dataset[train_split][data_args.label_column_name])
    results = evaluate_model(
        args.output_dir,
        dataset[data_args.test_split_name],
        args.output_dir,
        audio_column=data_args.audio_column_name,
        label_column=data_args.label_column_name,
        speaker_column=data_args.speaker_column_name,
        speaker_normalization=model_args,
        majority_label=labels[np.bincount(train_labels).argmax()],
        adversarial_epsilon=args.adversarial_epsilon if args.adversarial != "none" or args.adversarial_test else None,
        context={"dataset": data_args.dataset_name or "in memory", "split": data_args.test_split_name},
    )
    write_model_card(args.output_dir)
    return results


def _train_network(
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
        split: baseline_clips(dataset[split], model_args, speaker_column, label_column)
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
        _record(data_args, model_args, args, dataset, model.num_parameters(), teachers, sum(map(len, clips[1:])))
    with no_loading_bar():  # one for each checkpoint that is written
        outcome = trainer.train(resume_from_checkpoint=checkpoint)
        trainer.save_model()
    trainer.save_metrics("train", {**outcome.metrics, **peak_memory()})
    trainer.save_metrics("eval", trainer.evaluate())
    trainer.save_state()


def _record(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict,
    num_parameters: int,
    teachers: Sequence[Teacher] = (),
    num_unlabelled: int = 0,
    recipe: SVMSettings | None = None,
) -> None:
    """Write `training.json`, of networks before the training so that every card has it; `recipe` replaces theirs."""
    uses = {
        "train": data_args.train_split_name,
        "validation": data_args.validation_split_name,
        "test": data_args.test_split_name,
    }
    speakers, labels = {}, {}
    for use, split in uses.items():
        if split in dataset:
            rows = dataset[split]
            known = data_args.speaker_column_name in rows.column_names
            speakers[use] = list(rows[data_args.speaker_column_name]) if known else [None] * len(rows)
            names = rows.features[data_args.label_column_name].names
            labels[use] = [names[label] for label in rows[data_args.label_column_name]]
    name = model_args.model_name_or_path
    # A probe's layer, a network's epoch; of a support vector machine nothing.
    chosen = model_args.probe or (recipe is None and args.load_best_model_at_end)
    others = [_extra_facts(text) for text in data_args.extra_corpora or ()]
    corpus = (data_args.dataset_name, data_args.data_dir, data_args.dataset_config_name, data_args.split_scheme)
    facts = {
        "model": Path(name).name if os.path.isdir(name) else name,
        "start": start_facts(name),
        "corpora": [corpus_facts(*corpus, dataset[uses["train"]].info), *others],
        "teachers": [teacher.facts() for teacher in teachers],
        "num_unlabelled": num_unlabelled,
        "num_parameters": num_parameters,
        "selected_on_test": chosen and uses["validation"] == uses["test"],
        **split_facts(speakers, labels),
    }
    write_record(args.output_dir, facts, (data_args, model_args, recipe or args))


def build_model(model_args: ModelArguments, labels: Sequence[str]) -> tuple[PreTrainedModel, SequenceFeatureExtractor]:
    """A zoo network with random weights, or a pretrained classifier whose head is replaced where its labels differ."""
    label_maps = _label_maps(labels)
    name = model_args.model_name_or_path
    if name in list_models():
        model = create_model(name, **label_maps, **json.loads(model_args.config_overrides or "{}"))
        feature_extractor = create_feature_extractor(
            name, **json.loads(model_args.feature_extractor_overrides or "{}")
        )
    else:
        model, feature_extractor = load_pretrained(model_args, label_maps)
    if model_args.freeze_feature_encoder:
        if hasattr(model, "freeze_feature_encoder"):
            model.freeze_feature_encoder()
        else:
            freeze(model, 0)
    if model_args.num_trainable_stages is not None:
        freeze(model, model_args.num_trainable_stages)
    return model, feature_extractor


def _label_maps(labels: Sequence[str]) -> dict[str, dict]:
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


def _check_teachers(teachers: Sequence[Teacher], output_dir: str) -> None:
    """Make sure that a run goes on with the teachers that it was begun with."""
    begun = read_record(Path(output_dir)).get("teachers")
    if begun is not None and [facts.get("digest") for facts in begun] != [teacher.digest for teacher in teachers]:
        raise ValueError(
            f"{output_dir} was begun with other teachers, or they have changed since: give --teacher the same again, "
            "begin anew with --restart, or choose another --output_dir"
        )


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


def _extra_facts(text: str) -> dict:
    name, _, folder = text.partition("=")
    return corpus_facts(name, folder or None, None, None)
