"""Fine-tuning for depression detection on DAIC-WOZ, as in the paper's Table 6: `lssed-hf finetune-daic`.

Every model is trained once for each choice of its trained layers, each front end and each seed. Epochs, and thresholds
if they are asked for, are chosen on held-out training participants. Nothing else looks at labels outside of training.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from transformers import SequenceFeatureExtractor

from ..corpora import corpus_builder
from ..evaluation.depression_report import (
    chosen_on_scored_note,
    depression_latex,
    depression_markdown,
    flow_section,
    leak_note,
    table_cells,
)
from ..evaluation.diagnosis import best_threshold
from ..evaluation.leakage import speaker_leakage, worst_leakage
from ..evaluation.participants import DepressionSystem, compare_depression, participant_run
from ..evaluation.phq8 import HIGHEST_SCORE, compare_phq8
from ..evaluation.plots import plot_observed_shares, plot_people, plot_roc
from ..evaluation.run_results import RunResults, read_run
from ..files import replacing, write_json
from ..inference.classifiers.network import open_front_end
from ..inference.trained_on import read_record
from ..models.registry import create_feature_extractor, list_models
from .benchmark import Spec, make_run, parse_systems
from .experiment_report import Report, failures_of, left_out_of, left_out_section, missing_section, write_text
from .papers_task import corpus_source, corpus_title, is_synthetic_corpus, table6_difference
from .runs import Run, data_arguments
from .settings import recipe, training_settings
from .starts import describe_start, describe_trained


logger = logging.getLogger(__name__)

#: Fine-tuning of the paper is not described; these are ours, and any flag of `lssed-hf train` takes their place.
RECIPE = [
    *("--num_train_epochs", "20", "--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1"),
    *("--optim", "adamw_torch", "--learning_rate", "1e-4", "--weight_decay", "0.01", "--max_grad_norm", "1"),
    *("--lr_scheduler_type", "linear", "--warmup_steps", "0.1", "--class_weighting", "balanced"),
    *("--validation_fraction", "0.2"),
]
#: Windows and hops in samples at 16 kHz, of the argument below Table 6: about 65 ms for emotions (64 ms, every 32, as
#: for LSSED), 25 ms for words (every 10, the usual hop, which the paper leaves open).
FRONT_ENDS = {"own": None, "65ms": (1024, 512), "25ms": (400, 160)}
SYNTHETIC_NOTE = (
    "**Synthetic interviews, spoken by eSpeak NG**: the figures say that the command works, nothing about people."
)
#: Official name of a split -> its name in `datasets`.
SPLITS = {"development": "validation", "test": "test"}
LABELS = ["not_depressed", "depressed"]


@dataclass(frozen=True)
class Study:
    """Choices that hold for all systems of an experiment.

    Attributes:
        output_dir: Folder of the experiment.
        dataset_name: Corpus of the interviews.
        seeds: Seeds of the trainings.
        evaluate_on: Set that is scored.
        select_on: Participants that epochs are chosen on. With several, each system is trained for each.
        threshold: "half", or "training" to score each system at a threshold of held-out training participants too.
    """

    output_dir: Path
    dataset_name: str = "daic_woz"
    seeds: Sequence[int] = (0,)
    evaluate_on: Literal["development", "test"] = "development"
    select_on: Sequence[Literal["training", "development"]] = ("training",)
    threshold: Literal["half", "training"] = "half"


@dataclass(frozen=True)
class Plan:
    """Plan of a system.

    Attributes:
        name: Name of the system.
        start: Model that it starts from, for people.
        stages: Number of last stages of the encoder that are trained. Default: not told.
        windows: Front end and choice of epochs, for people.
        chosen_on_scored: Whether epochs are chosen on the participants that are scored.
        runs: Runs by seed.
        selections: Tests by seed on the training participants that epochs were chosen on, for a threshold.
    """

    name: str
    start: str
    stages: int | None
    windows: Sequence[str]
    chosen_on_scored: bool
    runs: Mapping[int, Run]
    selections: Mapping[int, Run] = field(default_factory=dict)

    @property
    def all_runs(self) -> list[Run]:
        """Trainings, then tests for thresholds."""
        return [*self.runs.values(), *self.selections.values()]


def make_plans(
    study: Study, systems: Sequence[str], parts: Sequence[str], front_ends: Sequence[str], flags: Sequence[str]
) -> list[Plan]:
    """Return the plans of all systems.

    Args:
        study: Choices that hold for all of them.
        systems: Models to start from (see `parse_systems`).
        parts: Parts to train of a model: "full", "head" or a number of last stages.
        front_ends: Names of `FRONT_ENDS`.
        flags: Flags of `lssed-hf train` for all systems.

    Raises:
        ValueError: A part or a system that is not understood, or a model without a window to change.
    """
    common = [*RECIPE, "--dataset_name", study.dataset_name, "--label_column_name", "depression", *flags]
    common += ["--test_split_name", SPLITS[study.evaluate_on]]
    return [
        _plan(study, spec, part, front_end, select_on, common)
        for spec in parse_systems(systems)
        for part in (["full"] if spec.model in list_models() else parts)
        for front_end in front_ends
        for select_on in study.select_on
    ]


def _plan(study: Study, spec: Spec, part: str, front_end: str, select_on: str, common: Sequence[str]) -> Plan:
    words = [*_windows(front_end), *([] if len(study.select_on) == 1 else [f"epochs on {select_on}"])]
    suffixes = [*([part] if part != "full" else []), *_windows(front_end)]
    suffixes += [] if select_on == study.select_on[0] else [select_on]
    # A split called "selection" does not exist, so that `train` holds out training participants for it.
    selection = "selection" if select_on == "training" else SPLITS["development"]
    more = [*spec.flags, *_part_flags(part)]
    more += _front_end_flags(front_end, spec.model, [*common, *more])
    system = Spec("-".join([spec.name, *suffixes]), spec.model, tuple(more))
    common = [*common, "--validation_split_name", selection]
    runs = {seed: make_run(system, seed, common, study.output_dir, keep_model=True) for seed in study.seeds}
    selections = {}
    if study.threshold == "training" and select_on == "training":
        selections = {
            seed: Run(f"{run.title}, for its threshold", run.folder / "selection", "evaluate_selection", {})
            for seed, run in runs.items()
        }
    stages = next(iter(runs.values())).settings.get("num_trainable_stages")
    chosen_on_scored = select_on == study.evaluate_on
    return Plan(system.name, describe_start(spec.model), stages, words, chosen_on_scored, runs, selections)


def _part_flags(part: str) -> list[str]:
    """Return the flags of `lssed-hf train` that train a part of a model."""
    if part == "full":
        return []
    if part != "head" and not part.isdecimal():
        raise ValueError(f"--train {part}: it takes full, head or a number of stages")
    return ["--num_trainable_stages", "0" if part == "head" else part]


def _windows(front_end: str) -> list[str]:
    return [] if front_end == "own" else [front_end]


def _front_end_flags(front_end: str, model: str, flags: Sequence[str]) -> list[str]:
    """Return the flags of `lssed-hf train` that give a model another window, beside what other flags change."""
    if FRONT_ENDS[front_end] is None:
        return []
    settings = training_settings(flags)
    overrides = json.loads(settings.get("feature_extractor_overrides", "{}"))
    if model in list_models():
        feature_extractor = create_feature_extractor(model)
    else:
        feature_extractor = open_front_end(model, settings.get("trust_remote_code", False))
    overrides |= window_overrides(feature_extractor, *FRONT_ENDS[front_end])
    return ["--feature_extractor_overrides", json.dumps(overrides)]


def window_overrides(feature_extractor: SequenceFeatureExtractor, win_length: int, hop_length: int) -> dict[str, int]:
    """Return the parameters that give a front end another window. Its mel bins stay, as the network counts on them.

    Args:
        feature_extractor: Front end of a model.
        win_length: Length of the window in samples.
        hop_length: Distance of windows in samples.

    Raises:
        ValueError: The front end works on waveforms, or its window cannot be set.
    """
    if not hasattr(feature_extractor, "hop_length") or not hasattr(feature_extractor, "n_fft"):
        raise ValueError(f"{type(feature_extractor).__name__} has no window to change: use --front_ends own")
    if hasattr(feature_extractor, "win_length"):
        n_fft = 1 << (win_length - 1).bit_length()
        return {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
    return {"n_fft": win_length, "hop_length": hop_length}


def write_depression(
    plans: Sequence[Plan],
    study: Study,
    decision: Literal["mean", "vote"] = "mean",
    reference: str | None = None,
    note: str | None = None,
) -> Report | None:
    """Write `results.json`, `table.tex`, `roc.png`, `participants.png` and `report.md` from the finished runs.

    `results.json` has the score and the label of every participant and must not be shared. The other files name no
    one.

    Args:
        plans: Plans of the systems.
        study: Choices that hold for all of them.
        decision: Rule by which a participant is decided on: the mean probability or a majority vote of the utterances.
        reference: Name of the system to test the others against. Default: the one with the best UA.
        note: Line below the title of the report.

    Returns:
        The report, whose file is written last, or None if no run is finished.
    """
    systems = [system for plan in plans for system in _systems(plan, decision)]
    if not systems:
        return None
    failures = failures_of(run for plan in plans for run in plan.all_runs)
    comparison = compare_depression(
        systems, decision, reference if reference in [system.name for system in systems] else None
    )
    finished = [run for plan in plans for run in plan.runs.values() if not run.problem]
    comparison["leakage"] = worst_leakage([speaker_leakage(read_record(run.folder)) for run in finished])

    if study.threshold == "training":
        comparison["phq8"] = _phq8(plans, decision)
    settings = next(iter(plans[0].runs.values())).settings
    output_dir, corpus, split = study.output_dir, corpus_title(settings), study.evaluate_on
    left_out = left_out_of(run for plan in plans for run in plan.runs.values())
    flow, difference = participant_flow(settings), table6_difference(settings, comparison)
    write_text(output_dir / "table.tex", depression_latex(comparison, corpus, split, difference))
    write_json(
        output_dir / "results.json",
        {"corpus": corpus, "split": split, "flow": flow, **comparison, "left_out": left_out, "failures": failures},
    )
    pictures = _draw(comparison, output_dir)
    lines = [note or "", SYNTHETIC_NOTE if is_synthetic_corpus(settings) else ""]
    text = "\n\n".join([f"# Depression detection on {corpus}", *filter(None, lines), ""])
    names = {name: official for official, name in SPLITS.items()}
    section = flow_section(flow, comparison, SPLITS[split], names)
    text += depression_markdown(comparison, corpus, split, pictures, section, difference)
    text += f"\n## How it was done\n\n{_method(study, plans)}\n{left_out_section(left_out)}{missing_section(failures)}"
    write_text(output_dir / "report.md", text)
    notes = [f"Corpus: {corpus}.", leak_note(comparison), chosen_on_scored_note(comparison)]
    notes.append(f"The paper's rows are of another test set: {difference}." if difference else "")
    return Report(output_dir / "report.md", *table_cells(comparison, difference is not None), [*filter(None, notes)])


def _systems(plan: Plan, decision: str) -> list[DepressionSystem]:
    """Return the finished seeds of a plan at a half, and at thresholds of their own where these are chosen."""
    finished = {seed: run for seed, run in plan.runs.items() if not run.problem}
    if not finished:
        return []
    results = {seed: _depression_run(run) for seed, run in finished.items()}
    trained = describe_trained(read_record(next(iter(finished.values())).folder), plan.stages)
    strategy = ", ".join([trained, *plan.windows])
    systems = [DepressionSystem(plan.name, plan.start, strategy, results, chosen_on_scored=plan.chosen_on_scored)]
    thresholds = {}
    for seed, run in plan.selections.items():
        if not run.problem and seed in results:
            people = participant_run(_depression_run(run), decision)
            thresholds[seed] = best_threshold(people.references, people.probabilities[:, 1])
    if thresholds:
        chosen = {seed: results[seed] for seed in thresholds}
        name = f"{plan.name}, own threshold"
        systems.append(DepressionSystem(name, plan.start, strategy, chosen, thresholds))
    return systems


def _phq8(plans: Sequence[Plan], decision: str) -> dict[str, Any]:
    """Return the result of `compare_phq8` of each system with tests on held-out training participants."""
    scores = phq8_scores(next(iter(plans[0].runs.values())).settings)
    compared = {}
    for plan in plans:
        seeds = [n for n, run in plan.selections.items() if not run.problem and not plan.runs[n].problem]
        if seeds and scores:
            held_out, scored = (
                {seed: participant_run(_depression_run(runs[seed]), decision) for seed in seeds}
                for runs in (plan.selections, plan.runs)
            )
            compared[plan.name] = compare_phq8(held_out, scored, scores)
    return compared


def phq8_scores(settings: Mapping[str, Any]) -> dict[str, int]:
    """Return the PHQ-8 score of each participant of the corpus of a training, without those of unknown scores.

    It is empty for a data set that holds no scores, or is not there any more. Scores that no questionnaire gives count
    as unknown, with a warning; -1 and null stand for unknown ones.
    """
    data_args = data_arguments(dict(settings))
    try:
        dataset = data_args.load()
    except FileNotFoundError:
        return {}
    scores = {
        str(speaker): score
        for rows in dataset.values()
        if {"phq8_score", data_args.speaker_column_name} <= set(rows.column_names)
        for speaker, score in zip(rows[data_args.speaker_column_name], rows["phq8_score"], strict=True)
        if score is not None and score != -1 and score == score  # NaN is null to pandas
    }
    possible = {name: score for name, score in scores.items() if _is_score(score)}
    if impossible := [f"{name} ({score})" for name, score in scores.items() if name not in possible]:
        logger.warning(
            f"phq8_score of participant {', '.join(impossible)} is no number from 0 to {HIGHEST_SCORE}, and counts as "
            f"unknown: correct it in {data_args.dataset_name}"
        )
    return possible


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= HIGHEST_SCORE


def check_participants(plans: Sequence[Plan], study: Study) -> None:
    """Check that each utterance to score has a participant.

    Raises:
        ValueError: An utterance has none.
    """
    settings = next(iter(plans[0].runs.values())).settings
    data_args = data_arguments(dict(settings))
    if data_args.streaming:
        return
    try:
        dataset = data_args.load()
    except FileNotFoundError:  # which the runs will tell, unless they are finished
        return
    column, split = data_args.speaker_column_name, SPLITS[study.evaluate_on]
    if split not in dataset:
        return
    rows = dataset[split]
    known = [speaker not in (None, "") for speaker in rows[column]] if column in rows.column_names else []
    if len(rows) > sum(known):
        raise ValueError(
            f"{data_args.dataset_name}, split {split!r}: {len(rows) - sum(known):,} of {len(rows):,} utterances have "
            f"no participant in column {column!r}; name the column by --speaker_column_name, or take them out"
        )


def _depression_run(run: Run) -> RunResults:
    return read_run(run.folder).restricted(LABELS)


def participant_flow(settings: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the participant flow of the corpus of a training (see `CorpusBuilder.participant_flow`).

    None stands for a data set that does not tell who was left out, or is not there any more.
    """
    source = corpus_source(settings)
    if source.corpus is None or source.path is None:
        return None
    if source.manifest is not None:
        return source.manifest.get("participants")
    builder = corpus_builder(source.corpus)(**data_arguments(dict(settings)).options())
    return builder.participant_flow(Path(source.path).expanduser().resolve())


def _draw(comparison: Mapping[str, Any], output_dir: Path) -> list[str]:
    """Draw the pictures of a report, and return their names."""
    labels = np.array(list(comparison["labels"].values()))
    # Thresholds change no score.
    systems = [row for row in comparison["systems"] if row["utterances"] is not None]
    scores = {row["name"]: np.array(list(row["scores"].values())) for row in systems}
    pictures = ["participants.png", "calibration.png"]
    with replacing(output_dir / "participants.png") as path:
        names = [name.replace("_", " ") for name in LABELS]
        plot_people(scores, labels, path, names=names, xlabel="score of a participant, mean of seeds")
    with replacing(output_dir / "calibration.png") as path:
        plot_observed_shares({row["name"]: row["calibration"] for row in systems}, path)
    if len(set(labels.tolist())) == 2:
        pictures.insert(0, "roc.png")
        with replacing(output_dir / "roc.png") as path:
            plot_roc(scores, labels, path, title="Participants, mean of seeds")
    return pictures


def _method(study: Study, plans: Sequence[Plan]) -> str:
    notes = []
    if "training" in study.select_on:
        notes.append(
            "Epochs were chosen on held-out training participants, the same share of each class, by UA of "
            "utterances. Labels of the scored participants were read by the scoring alone."
        )
    if "development" in study.select_on:
        of = "" if len(study.select_on) == 1 else f" for the systems that end in {study.select_on[-1]}"
        notes.append(
            f"**Epochs were chosen on the development set{of}.** Where that is scored, the figures are too high."
        )
    notes.append("The threshold is a half, and is not tuned.")
    if study.threshold == "training":
        notes[-1] = (
            "The threshold is a half, or, in the rows that say so, the one with the highest UA on the training "
            "participants that epochs were chosen on, each seed its own."
        )
    settings_of = {plan.name: next(iter(plan.runs.values())).settings for plan in plans}
    return "\n".join(f"- {note}" for note in notes) + f"\n\n{recipe(settings_of)}"
