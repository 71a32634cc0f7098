"""Fine-tuning for depression detection on DAIC-WOZ, as in the paper's Table 6: `lssed-hf finetune-daic`.

Every model is trained once for each choice of its trained layers, each front end and each seed. Epochs are chosen on
held-out training participants. Nothing else looks at labels outside of training.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import SequenceFeatureExtractor

from ..evaluation.participants import (
    DepressionSystem,
    compare_depression,
    depression_latex,
    depression_markdown,
    table_cells,
)
from ..evaluation.plots import plot_people, plot_roc
from ..evaluation.run_results import read_run
from ..files import replacing, write_json
from ..inference.classifiers.network import open_front_end
from ..models.registry import create_feature_extractor, list_models
from .benchmark import Spec, make_run, parse_systems
from .experiment_report import Report, failures_of, missing_section, write_text
from .runs import Run
from .settings import recipe, training_settings


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
        select_on: Participants that epochs are chosen on.
    """

    output_dir: Path
    dataset_name: str = "daic_woz"
    seeds: Sequence[int] = (0,)
    evaluate_on: Literal["development", "test"] = "development"
    select_on: Literal["training", "development"] = "training"


@dataclass(frozen=True)
class Plan:
    """Plan of a system.

    Attributes:
        name: Name of the system.
        start: Model that it starts from, for people.
        strategy: Part that is trained and front end, for people.
        runs: Runs by seed.
    """

    name: str
    start: str
    strategy: str
    runs: Mapping[int, Run]


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
    # A split called "selection" does not exist, so that `train` holds out training participants for it.
    selection = "selection" if study.select_on == "training" else SPLITS["development"]
    common += ["--validation_split_name", selection, "--test_split_name", SPLITS[study.evaluate_on]]
    plans = []
    for spec in parse_systems(systems):
        random_weights = spec.model in list_models()
        start = f"{spec.model}, random weights" if random_weights else Path(spec.model).name
        for part in ["full"] if random_weights else parts:
            own, strategy = _part(part)
            for front_end in front_ends:
                name = "-".join([spec.name, *([part] if part != "full" else []), *_windows(front_end)])
                more = [*spec.flags, *own]
                more += _front_end_flags(front_end, spec.model, [*common, *more])
                system = Spec(name, spec.model, tuple(more))
                runs = {
                    seed: make_run(system, seed, common, study.output_dir, keep_model=True) for seed in study.seeds
                }
                plans.append(Plan(name, start, ", ".join([strategy, *_windows(front_end)]), runs))
    return plans


def _part(part: str) -> tuple[list[str], str]:
    """Return the flags of `lssed-hf train` that train a part of a model, and a phrase for it."""
    if part == "full":
        return [], "all"
    if part == "head":
        return ["--num_trainable_stages", "0"], "head"
    if not part.isdecimal():
        raise ValueError(f"--train {part}: it takes full, head or a number of stages")
    return ["--num_trainable_stages", part], f"head and last {part} stages"


def _windows(front_end: str) -> list[str]:
    return [] if front_end == "own" else [front_end]


def _front_end_flags(front_end: str, model: str, flags: Sequence[str]) -> list[str]:
    """Return the flags of `lssed-hf train` that give a model another window, beside what other flags change."""
    if FRONT_ENDS[front_end] is None:
        return []
    overrides = json.loads(training_settings(flags).get("feature_extractor_overrides", "{}"))
    feature_extractor = create_feature_extractor(model) if model in list_models() else open_front_end(model)
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
    systems = []
    for plan in plans:
        finished = {seed: run for seed, run in plan.runs.items() if not run.problem}
        results = {seed: read_run(run.folder).restricted(LABELS) for seed, run in finished.items()}
        if results:
            systems.append(DepressionSystem(plan.name, plan.start, plan.strategy, results))
    if not systems:
        return None
    failures = failures_of(run for plan in plans for run in plan.runs.values())
    comparison = compare_depression(
        systems, decision, reference if reference in [system.name for system in systems] else None
    )

    output_dir, corpus, split = study.output_dir, study.dataset_name, study.evaluate_on
    write_json(output_dir / "results.json", {"corpus": corpus, "split": split, **comparison, "failures": failures})
    write_text(output_dir / "table.tex", depression_latex(comparison, corpus, split))
    labels = np.array(list(comparison["labels"].values()))
    scores = {row["name"]: np.array(list(row["scores"].values())) for row in comparison["systems"]}
    pictures = ["participants.png"]
    with replacing(output_dir / "participants.png") as path:
        names = [name.replace("_", " ") for name in LABELS]
        plot_people(scores, labels, path, names=names, xlabel="score of a participant, mean of seeds")
    if len(set(labels.tolist())) == 2:
        pictures.insert(0, "roc.png")
        with replacing(output_dir / "roc.png") as path:
            plot_roc(scores, labels, path, title="Participants, mean of seeds")
    text = f"# Depression detection on {corpus}\n\n" + (f"{note}\n\n" if note else "")
    text += depression_markdown(comparison, corpus, split, pictures)
    text += f"\n## How it was done\n\n{_method(study, plans)}\n{missing_section(failures)}"
    write_text(output_dir / "report.md", text)
    return Report(output_dir / "report.md", *table_cells(comparison))


def _method(study: Study, plans: Sequence[Plan]) -> str:
    chosen = (
        "- Epochs were chosen on held-out training participants, an equal share of both classes, by UA of utterances. "
        "Labels of the scored participants were read by the scoring alone."
        if study.select_on == "training"
        else "- **Epochs were chosen on the development set.** Where that is scored, the figures are too high."
    )
    settings_of = {plan.name: next(iter(plan.runs.values())).settings for plan in plans}
    return f"{chosen}\n- The threshold is a half, and is not tuned.\n\n{recipe(settings_of)}"
