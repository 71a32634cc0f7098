"""Comparison of systems under one recipe on one corpus, as in the paper's Table 5: `lssed-hf benchmark`."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluation.comparison import System, compare_systems, comparison_latex, comparison_markdown, table_cells
from ..evaluation.plots import plot_confusion_matrices, plot_scores
from ..evaluation.run_results import read_run
from ..files import replacing, write_json
from ..hub.run_folders import runs_folder
from .experiment_report import Report, failures_of, missing_section, write_text
from .runs import Run, data_arguments
from .settings import recipe, training_settings


@dataclass(frozen=True)
class Spec:
    """Description of a system.

    Attributes:
        name: Name of the system.
        model: Model that it is built from.
        flags: Flags of `lssed-hf train` for this system alone.
    """

    name: str
    model: str
    flags: tuple[str, ...] = ()


#: Runs by system and seed.
SystemRuns = Mapping[Spec, Mapping[int, Run]]


def parse_systems(texts: Sequence[str]) -> list[Spec]:
    """Return the systems that texts of the form MODEL or NAME=MODEL FLAGS describe.

    Raises:
        ValueError: A text names no model, or two systems have the same name.
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


def make_run(spec: Spec, seed: int, flags: Sequence[str], output_dir: Path, keep_model: bool = False) -> Run:
    """Return the run that trains a system with a seed.

    Args:
        spec: System to train.
        seed: Seed of the training.
        flags: Flags of `lssed-hf train` for all systems. The system's own flags replace them.
        output_dir: Folder of the benchmark.
        keep_model: Whether the finished run keeps its weights.
    """
    folder = runs_folder(output_dir) / spec.name / f"seed_{seed}"
    own = ["--model_name_or_path", spec.model, "--seed", str(seed), "--output_dir", str(folder)]
    settings = training_settings([*flags, *spec.flags, *own])
    return Run(f"{spec.name}, seed {seed}", folder, "train", settings, keep_model)


def write_benchmark(
    system_runs: SystemRuns, output_dir: Path, reference: str | None = None, figure2: Sequence[str] | None = None
) -> Report | None:
    """Write `results.json`, `table.tex`, `table.png`, `figure2.png` and `report.md` from the finished runs.

    Args:
        system_runs: Runs by system and seed.
        output_dir: Folder for the files.
        reference: Name of the system to compare with (see `compare_systems`). A system without a finished run is
            passed over.
        figure2: Names of the two systems of `figure2.png`. Default: the reference and the best other one.

    Returns:
        The report, whose file is written last, or None if no run is finished.

    Raises:
        ValueError: See `compare_systems`.
    """
    systems = [system for spec, by_seed in system_runs.items() if (system := _system(spec, by_seed))]
    if not systems:
        return None
    failures = failures_of(run for by_seed in system_runs.values() for run in by_seed.values())
    first_runs = {spec.name: next(iter(by_seed.values())) for spec, by_seed in system_runs.items()}
    corpus = data_arguments(next(iter(first_runs.values())).settings).dataset_name
    finished = [system.name for system in systems]
    comparison = compare_systems(systems, reference if reference in finished else None)
    rows = {row["name"]: row for row in comparison["systems"]}
    pair = [name for name in figure2 or () if name in finished]
    if len(pair) < 2:
        pair = sorted(finished, key=lambda name: (name != comparison["reference"], -_ua(rows[name])))[:2]

    write_json(output_dir / "results.json", {"corpus": corpus, **comparison, "failures": failures})
    write_text(output_dir / "table.tex", comparison_latex(comparison, corpus))
    with replacing(output_dir / "table.png") as path:
        title = f"UA on {corpus}, with 95 % intervals"
        plot_scores(_dots(comparison), path, majority=comparison["majority"]["unweighted_accuracy"], xlabel=title)
    with replacing(output_dir / "figure2.png") as path:
        matrices = {name: rows[name]["confusion_matrix"] for name in pair}
        plot_confusion_matrices(matrices, comparison["labels"], path)
    write_text(
        output_dir / "report.md",
        f"# {len(systems)} system{'' if len(systems) == 1 else 's'} on {corpus}\n\n"
        f"{comparison_markdown(comparison, corpus, 'table.png', 'figure2.png')}{missing_section(failures)}"
        f"\n## Recipe\n\n{recipe({name: run.settings for name, run in first_runs.items()})}\n",
    )
    return Report(output_dir / "report.md", *table_cells(comparison))


def _system(spec: Spec, by_seed: Mapping[int, Run]) -> System | None:
    """Return a system with the results of its finished runs, or None if it has none."""
    finished = {seed: run for seed, run in by_seed.items() if not run.problem}
    if not finished:
        return None
    settings = next(iter(finished.values())).settings
    return System(
        spec.name,
        spec.model,
        # Without the folders of this machine.
        shlex.join(Path(flag).name if os.path.isabs(flag) else flag for flag in spec.flags),
        {seed: read_run(run.folder) for seed, run in finished.items()},
        [run.facts for run in finished.values()],
        "config_overrides" in settings,
        settings.get("adversarial", "none") != "none",
    )


def _ua(row: Mapping[str, Any]) -> float:
    return row["unweighted_accuracy"]["mean"]


def _dots(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `plot_scores`."""
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
