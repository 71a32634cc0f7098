"""`lssed-hf benchmark`: systems under one recipe on one corpus, side by side as in the paper's Table 5.

Every system is trained and scored once per seed by `lssed-hf train`, in a process and a folder of its own
(OUTPUT_DIR/cells/SYSTEM/seed_N). Stopped anywhere and started again, the command keeps what is finished and goes on
with the rest. It takes all flags of `lssed-hf train` as well, for every system.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluation.comparison import System, compare_systems, comparison_latex, comparison_markdown
from ..evaluation.plots import plot_confusion_matrices, plot_scores
from ..evaluation.run_results import read_run
from ..files import replacing
from .runs import Cell, data_arguments, recipe, training_settings, write_json


@dataclass(frozen=True)
class Spec:
    """A system as it was asked for: its name, what it is built from, and flags of `lssed-hf train` for it alone."""

    name: str
    model: str
    flags: tuple[str, ...] = ()


#: Cells by system and seed.
Cells = Mapping[Spec, Mapping[int, Cell]]


def parse_systems(texts: Sequence[str]) -> list[Spec]:
    """Systems from MODEL or NAME=MODEL FLAGS.

    Raises:
        ValueError: nothing stands where a model should, or two systems have the same name.
    """
    specs = []
    for text in texts:
        match = re.fullmatch(r"([\w.-]+)=(.*)", text, re.DOTALL)
        model, *flags = shlex.split(match[2]) if match else [text]
        if not model or model.startswith("--"):
            raise ValueError(f"{text!r} names no model; write NAME=MODEL FLAGS")
        name = match[1] if match else re.sub(r"[^\w.-]+", "_", model.strip("/."))
        if name in [spec.name for spec in specs]:
            raise ValueError(f"two systems are called {name!r}; name one of them, as in other={model}")
        specs.append(Spec(name, model, tuple(flags)))
    return specs


def make_cell(spec: Spec, seed: int, flags: Sequence[str], output_dir: Path, keep_model: bool = False) -> Cell:
    """The cell that trains a system with a seed: `flags` are those of all systems, and give way to its own."""
    folder = output_dir / "cells" / spec.name / f"seed_{seed}"
    own = ["--model_name_or_path", spec.model, "--seed", str(seed), "--output_dir", str(folder)]
    settings = training_settings([*flags, *spec.flags, *own])
    return Cell(f"{spec.name}, seed {seed}", folder, "train", settings, keep_model)


def write_benchmark(
    cells: Cells, output_dir: Path, reference: str | None = None, figure2: Sequence[str] | None = None
) -> Path | None:
    """Write `results.json`, `table.tex`, `table.png`, `figure2.png` and `report.md` from the finished cells.

    Args:
        cells: by system and seed.
        output_dir: where to write.
        reference: see `compare_systems`; a system without a finished cell is passed over.
        figure2: names of the two systems of `figure2.png`.

    Returns:
        Path of `report.md`, written last; None if no cell is finished.

    Raises:
        ValueError: see `compare_systems`.
    """
    systems = []
    for spec, of_system in cells.items():
        done = {seed: cell for seed, cell in of_system.items() if not cell.problem}
        if done:
            runs = {seed: read_run(cell.folder) for seed, cell in done.items()}
            facts = [cell.facts for cell in done.values()]
            settings = next(iter(done.values())).settings
            changed = "config_overrides" in settings
            trained = settings.get("adversarial", "none") != "none"
            systems.append(System(spec.name, spec.model, _shown(spec.flags), runs, facts, changed, trained))
    failures = {cell.title: cell.problem for row in cells.values() for cell in row.values() if cell.problem}
    if not systems:
        return None

    finished = [system.name for system in systems]
    settings = next(cell.settings for row in cells.values() for cell in row.values())
    corpus = data_arguments(settings).dataset_name
    comparison = compare_systems(systems, reference if reference in finished else None)
    rows = {row["name"]: row for row in comparison["systems"]}
    pair = [name for name in figure2 or () if name in finished]
    if len(pair) < 2:
        best = sorted(finished, key=lambda name: (name != comparison["reference"], -_ua(rows[name])))
        pair = best[:2]

    write_json(output_dir / "results.json", {"corpus": corpus, **comparison, "failures": failures})
    with replacing(output_dir / "table.tex") as path:
        path.write_text(comparison_latex(comparison, corpus), encoding="utf-8")
    with replacing(output_dir / "table.png") as path:
        title = f"UA on {corpus}, with 95 % intervals"
        plot_scores(_dots(comparison), path, majority=comparison["majority"]["unweighted_accuracy"], xlabel=title)
    with replacing(output_dir / "figure2.png") as path:
        matrices = {name: rows[name]["confusion_matrix"] for name in pair}
        plot_confusion_matrices(matrices, comparison["labels"], path)
    with replacing(output_dir / "report.md") as path:
        text = f"# {len(systems)} system{'' if len(systems) == 1 else 's'} on {corpus}\n\n"
        text += comparison_markdown(comparison, corpus, "table.png", "figure2.png")
        if failures:
            text += "\n## Missing\n\n" + "".join(f"- {title}: {problem}\n" for title, problem in failures.items())
        text += f"\n## Recipe\n\n{recipe({spec.name: next(iter(row.values())) for spec, row in cells.items()})}\n"
        path.write_text(text, encoding="utf-8")
    return output_dir / "report.md"


def _shown(flags: Sequence[str]) -> str:
    """Flags without the folders of this machine."""
    return shlex.join(Path(flag).name if os.path.isabs(flag) else flag for flag in flags)


def _ua(row: Mapping[str, Any]) -> float:
    return row["unweighted_accuracy"]["mean"]


def _dots(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    dots = []
    for row in comparison["systems"]:
        score, published = row["unweighted_accuracy"], row["published"]
        dots.append(
            {
                "name": row["name"],
                "value": score["mean"],
                **{bound: score[bound] for bound in ("low", "high")},
                "points": list(score["by_seed"].values()),
                "published": published["unweighted_accuracy"] if published and not row["changed"] else None,
            }
        )
    return dots
