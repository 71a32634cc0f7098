"""`lssed-hf finetune-daic`: fine-tune models for depression detection on DAIC-WOZ, as in the paper's Table 6.

Every model is trained once for each part that is trained of it (--train), front end (--front_ends) and seed, by
`lssed-hf train` in a folder of its own (OUTPUT_DIR/cells/SYSTEM/seed_N); then all are scored by utterance and by
participant. Stopped anywhere and started again, the command keeps what is finished and goes on with the rest. It takes
all flags of `lssed-hf train` as well.

Epochs are chosen on a part of the training participants, and nothing else looks at labels outside of training.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from transformers import AutoFeatureExtractor, SequenceFeatureExtractor

from ..evaluation.participants import DepressionSystem, compare_depression, depression_latex, depression_markdown
from ..evaluation.plots import plot_people, plot_roc
from ..evaluation.run_results import read_run
from ..files import replacing
from ..models.registry import create_feature_extractor, list_models
from .benchmark import parse_systems
from .runs import Cell, recipe, training_settings, write_json


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
#: Official names of the splits, and what `datasets` calls them.
SPLITS = {"development": "validation", "test": "test"}
LABELS = ["not_depressed", "depressed"]


@dataclass(frozen=True)
class Plan:
    """A system to be: its name, what it starts from and what is trained of it, for people, and its cells by seed."""

    name: str
    start: str
    strategy: str
    cells: Mapping[int, Cell]


def make_plans(args: argparse.Namespace, flags: Sequence[str]) -> list[Plan]:
    """The systems that were asked for; `flags` are those of `lssed-hf train`, for all of them."""
    common = [*RECIPE, "--dataset_name", args.dataset_name, "--label_column_name", "depression", *flags]
    # A split of that name does not exist, so that `train` holds out training participants for it.
    selection = "selection" if args.select_on == "training" else SPLITS["development"]
    common += ["--validation_split_name", selection, "--test_split_name", SPLITS[args.evaluate_on]]
    plans = []
    for spec in parse_systems(args.models):
        random_weights = spec.model in list_models()
        start = f"{spec.model}, random weights" if random_weights else Path(spec.model).name
        for part in ["full"] if random_weights else args.train:
            own, strategy = _part(part)
            for front_end in args.front_ends:
                name = "-".join([spec.name, *([part] if part != "full" else []), *_windows(front_end)])
                cells = {}
                for seed in args.seeds:
                    folder = args.output_dir / "cells" / name / f"seed_{seed}"
                    where = ["--model_name_or_path", spec.model, "--seed", str(seed), "--output_dir", str(folder)]
                    settings = training_settings([*common, *spec.flags, *own, *where])
                    if FRONT_ENDS[front_end]:
                        overrides = json.loads(settings.get("feature_extractor_overrides", "{}"))
                        overrides |= window_overrides(_feature_extractor(spec.model), *FRONT_ENDS[front_end])
                        settings["feature_extractor_overrides"] = json.dumps(overrides)
                    cells[seed] = Cell(f"{name}, seed {seed}", folder, "train", settings)
                plans.append(Plan(name, start, ", ".join([strategy, *_windows(front_end)]), cells))
    return plans


def _part(part: str) -> tuple[list[str], str]:
    """Flags of `lssed-hf train` for what is trained, and that in words."""
    if part == "full":
        return [], "all"
    if part == "head":
        return ["--num_trainable_stages", "0"], "head"
    if not part.isdecimal():
        raise ValueError(f"--train {part}: it takes full, head or a number of stages")
    return ["--num_trainable_stages", part], f"head and last {part} stages"


def _windows(front_end: str) -> list[str]:
    return [] if front_end == "own" else [front_end]


def _feature_extractor(model: str) -> SequenceFeatureExtractor:
    return create_feature_extractor(model) if model in list_models() else AutoFeatureExtractor.from_pretrained(model)


def window_overrides(feature_extractor: SequenceFeatureExtractor, win_length: int, hop_length: int) -> dict[str, int]:
    """Parameters that give a front end another window; mel bins stay, because the network counts on them.

    Raises:
        ValueError: it works on waveforms, or its window cannot be set.
    """
    if not hasattr(feature_extractor, "hop_length") or not hasattr(feature_extractor, "n_fft"):
        raise ValueError(f"{type(feature_extractor).__name__} has no window to change: use --front_ends own")
    if hasattr(feature_extractor, "win_length"):
        n_fft = 1 << (win_length - 1).bit_length()
        return {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
    return {"n_fft": win_length, "hop_length": hop_length}


def write_report(plans: Sequence[Plan], args: argparse.Namespace) -> Path | None:
    """Write `results.json`, `table.tex`, `roc.png`, `participants.png` and `report.md` from the finished cells.

    `results.json` has the score and the label of every participant: it must not be shared, and the rest names nobody.

    Returns:
        Path of `report.md`, written last; None if no cell is finished.
    """
    systems = []
    for plan in plans:
        runs = {
            seed: read_run(cell.folder).restricted(LABELS) for seed, cell in plan.cells.items() if not cell.problem
        }
        if runs:
            systems.append(DepressionSystem(plan.name, plan.start, plan.strategy, runs))
    failures = {cell.title: cell.problem for plan in plans for cell in plan.cells.values() if cell.problem}
    if not systems:
        return None
    finished = [system.name for system in systems]
    reference = args.reference if args.reference in finished else None
    comparison = compare_depression(systems, args.decision, reference)

    output_dir, corpus = args.output_dir, args.dataset_name
    results = {"corpus": corpus, "split": args.evaluate_on, **comparison, "failures": failures}
    write_json(output_dir / "results.json", results)
    with replacing(output_dir / "table.tex") as path:
        path.write_text(depression_latex(comparison, corpus, args.evaluate_on), encoding="utf-8")
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
    with replacing(output_dir / "report.md") as path:
        text = f"# Depression detection on {corpus}\n\n"
        if args.note:
            text += f"{args.note}\n\n"
        text += depression_markdown(comparison, corpus, args.evaluate_on, pictures)
        text += f"\n## How it was done\n\n{_method(args, plans)}\n"
        if failures:
            text += "\n## Missing\n\n" + "".join(f"- {title}: {problem}\n" for title, problem in failures.items())
        path.write_text(text, encoding="utf-8")
    return output_dir / "report.md"


def _method(args: argparse.Namespace, plans: Sequence[Plan]) -> str:
    lines = [
        "- Epochs were chosen on held-out training participants, an equal share of both classes, by UA of utterances. "
        "Labels of the scored participants were read by the scoring alone."
        if args.select_on == "training"
        else "- **Epochs were chosen on the development set.** Where that is scored, the figures are too high.",
        "- The threshold is a half, and is not tuned.",
    ]
    cells = {plan.name: next(iter(plan.cells.values())) for plan in plans}
    return "\n".join(lines) + f"\n\n{recipe(cells)}"
