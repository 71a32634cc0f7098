"""Training of any audio classifier on any corpus: data, model, scores and card."""

import dataclasses
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import datasets
from transformers import set_seed

from ..audio import AudioError
from ..corpora.corpus_arguments import CorpusArguments
from ..corpora.omissions import Omission, gathering, write_left_out
from ..corpora.sources import find_source
from ..evaluation.leakage import leakage_sentence, speaker_leakage
from ..files import naming
from ..hub.cards.model_card import write_model_card
from ..inference.classifiers.svm import CLASSICAL
from ..inference.evaluate import evaluate_model
from ..inference.trained_on import read_record
from ..models.registry import list_models
from ..suggest import did_you_mean
from .arguments import DataArguments, FlagParser, ModelArguments, RecipeArguments
from .clip_check import check_test_clips
from .feature_sets import check_feature_set
from .network import find_checkpoint, train_network
from .output_folder import begin, check_settings, claimed, finish, holds_weights, settings_of
from .probe import train_probe
from .problem import Problem, choose_problem, rated_splits, settle_problem_type
from .recipes import with_recipe
from .record import Outcome, read_outcome
from .selection import training_splits
from .statistics import train_statistics
from .svm import train_classical
from .teachers import Teacher


logger = logging.getLogger(__name__)

_ARGUMENTS = (DataArguments, ModelArguments, RecipeArguments)


def train(
    data: str | os.PathLike | datasets.DatasetDict,
    output_dir: str | os.PathLike,
    *,
    model: str | os.PathLike | None = None,
    recipe: Literal["paper", "small"] | None = None,
    num_train_epochs: float | None = None,
    label_map: Mapping[str, str] | None = None,
    label_set: Literal["lssed"] | None = None,
    data_dir: str | os.PathLike | None = None,
    seed: int = 42,
    **flags: Any,
) -> dict[str, Any]:
    """Train an audio classifier and score it on the test split, as `lssed-hf train` does.

    ```python
    import lssed_hf

    scores = lssed_hf.train("my_recordings", "outputs/mine")
    scores["metrics"]["unweighted_accuracy"]
    ```

    Args:
        data: Folder of recordings, prepared folder, name of a corpus or of a data set on the Hub; or a `DatasetDict`.
        output_dir: Folder for the model, its card and its scores.
        model: Name of `list_models()`, folder or Hub name; by default that of the recipe.
        recipe: "paper", or "small" for some hundreds of clips, the default for own recordings.
        num_train_epochs: Passes over the training set, by default those of the recipe.
        label_map: Labels of own recordings to rename, such as `{"wut": "angry"}`.
        label_set: "lssed" to map labels of own recordings to LSSED's names.
        data_dir: Folder of a corpus that `data` names.
        seed: Seed of weights, order and augmentation.
        **flags: Any flag of `lssed-hf train --help_all`, such as `learning_rate=1e-3`.

    Returns:
        Contents of `results.json`, or an empty dictionary without a test split.

    Raises:
        TypeError: There is no flag of that name.
        ValueError: A value out of its range, or flags that do not go together.
        FileNotFoundError: There is no such folder, model or clip.
    """
    in_memory = isinstance(data, datasets.DatasetDict)
    given = {
        "dataset_name": None if in_memory else os.fspath(data),
        "output_dir": output_dir,
        "model_name_or_path": model,
        "recipe": recipe,
        "num_train_epochs": num_train_epochs,
        "label_map": label_map,
        "label_set": label_set,
        "data_dir": data_dir,
        "seed": seed,
        **flags,
    }
    arguments = parse_flags({name: value for name, value in given.items() if value is not None})
    return train_model(*arguments, dataset=data if in_memory else None).results


def parse_flags(given: Mapping[str, Any]) -> tuple[DataArguments, ModelArguments, RecipeArguments]:
    """Return the arguments of a training for flags and their values, as the command line would read them.

    Raises:
        TypeError: There is no flag of that name.
        ValueError: A value that a flag does not take.
    """
    known = [field.name for kind in _ARGUMENTS for field in dataclasses.fields(kind)]
    argv: list[str] = []
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"train() has no flag {name!r}{did_you_mean(name, known)}")
        argv += [f"--{name}", *_words(name, value)]
    return FlagParser().parse_args_into_dataclasses(with_recipe(argv), look_for_args_file=False)


def _words(name: str, value: Any) -> list[str]:
    """Return the words behind a flag on the command line."""
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, text in value.items()] if name == "label_map" else [json.dumps(dict(value))]
    return [str(part) for part in value] if isinstance(value, (list, tuple)) else [str(value)]


def train_model(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    dataset: datasets.DatasetDict | None = None,
) -> Outcome:
    """Train, keep the best model on the validation split, and score it once on the test split.

    `args.output_dir` then holds the model and its feature extractor, `results.json`, `report.md` and
    `confusion_matrix.png` of the test split, `left_out.csv` with the rows that loading left out, the Trainer's logs
    and checkpoints, `training.json` (facts on the training, for the card) and the model card. A training that was
    stopped goes on from its last checkpoint when it is started again, and ends in the same weights; a finished one is
    left alone.

    Args:
        data_args: Data set to train and test on.
        model_args: Model to train.
        args: Recipe.
        dataset: Data set in memory, in place of the one that `data_args` names.

    Raises:
        ValueError: Flags that do not go together, or the folder is another training's, see `output_folder`.
        AudioError: A clip cannot be decoded, which of test clips too is found before the training. The message says
            how to train without it.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s", level=logging.INFO)
    _check_flags(model_args, args)
    settle_problem_type(data_args, model_args, args)
    teachers = [Teacher(name, model_args.trust_remote_code) for name in args.teacher or ()]
    with claimed(Path(args.output_dir)), naming(args.output_dir):
        return _train_in_folder(data_args, model_args, args, teachers, dataset)


def _train_in_folder(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    teachers: Sequence[Teacher],
    dataset: datasets.DatasetDict | None,
) -> Outcome:
    """See `train_model`; the folder is this training's alone."""
    folder, settings = Path(args.output_dir), settings_of(data_args, model_args, args)
    if not args.restart:
        if holds_weights(folder):
            _check_teachers(teachers, args.output_dir)
        check_settings(folder, settings)
    set_seed(args.seed)
    try:
        num_streamed = _num_streamed(data_args, args)
        with gathering() as left_out:
            splits = training_splits(data_args, args.seed, dataset, num_streamed, model_args.problem_type)
        _check_validation(data_args, model_args, args, splits)
        check_feature_set(data_args, model_args, args, splits)
        problem = choose_problem(data_args, model_args, splits[data_args.train_split_name])
        splits = rated_splits(splits, problem)
        columns = ("id", data_args.label_column_name, data_args.speaker_column_name, *problem.columns)
        if begin(folder, settings, splits, columns, data_args.audio_column_name, args.restart):
            return read_outcome(folder)
        checkpoint = find_checkpoint(args)
        if checkpoint is None and args.process_index == 0:
            check_test_clips(data_args, model_args, splits)
        if model_args.model_name_or_path not in CLASSICAL and not model_args.probe:
            outcome = train_network(data_args, model_args, args, splits, teachers, checkpoint, problem)
        elif args.process_index == 0:
            train_other = train_classical
            if model_args.probe:
                with_means = partial(train_probe, problem=problem)
                train_other = train_statistics if model_args.probe_pooling == "statistics" else with_means
            outcome = train_other(data_args, model_args, args, splits)
        if args.process_index != 0:
            return Outcome()
        results = _score(data_args, model_args, args, splits, problem, left_out)
    except AudioError as error:
        raise AudioError(f"{error}. {_advice(data_args)}") from error
    write_model_card(args.output_dir)
    finish(folder)
    return dataclasses.replace(outcome, results=results)


def _check_flags(model_args: ModelArguments, args: RecipeArguments) -> None:
    start = model_args.model_name_or_path
    starts = {
        "the teacher's folder": args.teacher or (),
        "the folder of the model to start from": [] if start in (*list_models(), *CLASSICAL) else [start],
    }
    for kind, names in starts.items():
        if any(os.path.realpath(name) == os.path.realpath(args.output_dir) for name in names):
            raise ValueError(f"--output_dir {args.output_dir} is {kind}: choose another one")
    if args.teacher and model_args.probe:
        raise ValueError("--teacher is for networks: --probe fits a regression, which learns from labels alone")
    if model_args.probe and model_args.probe_pooling == "mean" and model_args.speaker_normalization != "none":
        raise ValueError(
            "--speaker_normalization is for networks: --probe takes an encoder and its front end as they are, unless "
            "with --probe_pooling statistics"
        )


def _num_streamed(data_args: DataArguments, args: RecipeArguments) -> int:
    """Return the number of training clips that a training takes from a stream, 0 where it does not stream."""
    if not data_args.streaming:
        return 0
    if args.max_steps <= 0:
        raise ValueError("--streaming needs --max_steps, which says how many clips to take from the stream")
    return args.max_steps * args.train_batch_size * args.gradient_accumulation_steps * args.world_size


def _check_validation(
    data_args: DataArguments, model_args: ModelArguments, args: RecipeArguments, splits: datasets.DatasetDict
) -> None:
    if data_args.validation_split_name in splits:
        return
    if model_args.probe:
        fixed = model_args.probe_layer is not None and model_args.probe_C is not None
        needed = model_args.probe_pooling != "statistics" or not fixed
    else:
        needed = args.load_best_model_at_end or args.eval_strategy != "no"
    if needed or model_args.model_name_or_path in CLASSICAL:
        raise ValueError(
            "--validation_fraction 0 leaves no clips to choose a model by: it is for --probe true --probe_pooling "
            "statistics with both --probe_layer and --probe_C, and for networks with --eval_strategy no and "
            "--load_best_model_at_end false, as in --recipe small"
        )


def _check_teachers(teachers: Sequence[Teacher], output_dir: str) -> None:
    """Check that a training goes on with the teachers that it was begun with."""
    begun = read_record(Path(output_dir)).get("teachers")
    if begun is not None and [facts.get("digest") for facts in begun] != [teacher.digest for teacher in teachers]:
        raise ValueError(
            f"{output_dir} was begun with other teachers, or they have changed since: give --teacher the same again, "
            "begin anew with --restart, or choose another --output_dir"
        )


def _score(
    data_args: DataArguments,
    model_args: ModelArguments,
    args: RecipeArguments,
    splits: datasets.DatasetDict,
    problem: Problem,
    left_out: Sequence[Omission],
) -> dict[str, Any]:
    """Score the saved model on the test split and return the contents of `results.json`, empty without such a split.

    The model is read back from its folder, so that the scores are those of what others will open.
    """
    if data_args.test_split_name not in splits:
        logger.warning(f"{data_args.dataset_name} has no split {data_args.test_split_name!r}: nothing to score on")
        write_left_out(args.output_dir, left_out)
        return {}
    speakers = leakage_sentence(speaker_leakage(read_record(Path(args.output_dir))))
    print(f"{speakers}\n")
    return evaluate_model(
        args.output_dir,
        splits[data_args.test_split_name],
        args.output_dir,
        audio_column=data_args.audio_column_name,
        label_column=data_args.label_column_name,
        speaker_column=data_args.speaker_column_name,
        speaker_normalization=model_args,
        majority_label=problem.most_frequent(splits[data_args.train_split_name]),
        training_means=dict(zip(problem.dimensions, problem.mean.tolist())),
        adversarial_epsilon=args.adversarial_epsilon if args.adversarial != "none" or args.adversarial_test else None,
        trust_remote_code=model_args.trust_remote_code,
        left_out=left_out,
        context={
            "dataset": data_args.dataset_name or "in memory",
            "split": data_args.test_split_name,
            "speakers": speakers,
        },
    )


def _advice(data_args: CorpusArguments) -> str:
    """Return a sentence on how to train without a damaged clip."""
    if data_args.dataset_name is not None:
        source = find_source(data_args.dataset_name, data_args.data_dir)
        if source.corpus is not None and source.manifest is None:
            folder = source.path or "FOLDER"
            return (
                f"To train without such clips, run `lssed-hf prepare {source.corpus} {folder} OUT`, which lists them "
                "in OUT/rejects.csv, and give --data_dir OUT"
            )
    return "To train without it, remove its row from the data set"
