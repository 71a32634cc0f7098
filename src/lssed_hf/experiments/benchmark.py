"""Comparison of systems under one recipe on one corpus, as in the paper's Table 5: `lssed-hf benchmark`."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluation.comparison import (
    System,
    compare_systems,
    comparison_latex,
    comparison_markdown,
    has_paper,
    table_cells,
)
from ..evaluation.leakage import leakage_sentence, speaker_leakage
from ..evaluation.plots import plot_confusion_matrices, plot_scores
from ..evaluation.report import joined_runs
from ..evaluation.run_results import mean_and_std, read_run
from ..evaluation.text_tables import markdown_table, score_cell
from ..files import replacing, write_json
from ..hub.run_folders import runs_folder
from ..inference.speaker_normalization import speakers_of
from ..inference.trained_on import read_record
from .cross_corpus import folder_name
from .experiment_report import Report, failures_of, left_out_of, left_out_section, missing_section, write_text
from .papers_task import corpus_title, table5_difference
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


#: Runs by system and seed: one, or one for each test speaker.
SystemRuns = Mapping[Spec, Mapping[int, Sequence[Run]]]


def parse_systems(texts: Sequence[str]) -> list[Spec]:
    """Return the systems that texts of the form MODEL or NAME=MODEL FLAGS describe.

    Raises:
        ValueError: A text names no model, a name has other characters, or two systems have the same name.
    """
    specs = []
    for text in texts:
        match = re.fullmatch(r"([\w.-]+)=(.*)", text, re.DOTALL)
        if match is None and "=" in text and "/" not in text.partition("=")[0] and not os.path.isdir(text):
            raise ValueError(
                f"{text!r}: {text.partition('=')[0]!r} is no name of a system; letters, digits, '_', '.' and '-' are "
                "fine"
            )
        model, *flags = shlex.split(match[2]) if match else [text]
        if not model or model.startswith("--"):
            raise ValueError(f"{text!r} names no model; write NAME=MODEL FLAGS")
        name = match[1] if match else re.sub(r"[^\w.-]+", "_", model.strip("/."))
        if name in [spec.name for spec in specs]:
            raise ValueError(f"two systems are called {name!r}; name one of them, as in other={model}")
        specs.append(Spec(name, model, tuple(flags)))
    return specs


def make_run(
    spec: Spec,
    seed: int,
    flags: Sequence[str],
    output_dir: Path,
    keep_model: bool = False,
    test_speaker: str | None = None,
) -> Run:
    """Return the run that trains a system with a seed.

    Args:
        spec: System to train.
        seed: Seed of the training.
        flags: Flags of `lssed-hf train` for all systems. The system's own flags replace them.
        output_dir: Folder of the benchmark.
        keep_model: Whether the finished run keeps its weights.
        test_speaker: Speaker to leave out of the training and to test on. Default: the corpus's own splits.
    """
    folder, title = runs_folder(output_dir) / spec.name, spec.name
    own = ["--model_name_or_path", spec.model, "--seed", str(seed)]
    if test_speaker is not None:
        folder, title = folder / f"without_{folder_name(test_speaker)}", f"{title} without speaker {test_speaker}"
        own += ["--test_speaker", test_speaker]
    folder = folder / f"seed_{seed}"
    settings = training_settings([*flags, *spec.flags, *own, "--output_dir", str(folder)])
    return Run(f"{title}, seed {seed}", folder, "train", settings, keep_model)


def make_runs(
    specs: Sequence[Spec],
    seeds: Sequence[int],
    flags: Sequence[str],
    output_dir: Path,
    keep_models: bool = False,
    leave_one_speaker_out: bool = False,
) -> dict[Spec, dict[int, list[Run]]]:
    """Return the runs of all systems and seeds, see `SystemRuns`.

    Args:
        specs: Systems to train.
        seeds: Seeds of the trainings.
        flags: Flags of `lssed-hf train` for all systems.
        output_dir: Folder of the benchmark.
        keep_models: Whether finished runs keep their weights.
        leave_one_speaker_out: Whether to test on each speaker of the corpus in turn.

    Raises:
        ValueError: The corpus has fewer than two known speakers, or clips of unknown speakers.
    """
    speakers = _speakers(flags) if leave_one_speaker_out else [None]
    return {
        spec: {
            seed: [make_run(spec, seed, flags, output_dir, keep_models, speaker) for speaker in speakers]
            for seed in seeds
        }
        for spec in specs
    }


def _speakers(flags: Sequence[str]) -> list[str]:
    """Return the names of the speakers of a corpus, sorted."""
    data_args = data_arguments(training_settings(flags))
    splits = data_args.load().values()
    names = {name for rows in splits for name in speakers_of(rows, data_args.speaker_column_name)}
    if None in names or len(names) < 2:
        unknown = " and clips of unknown ones" if None in names else ""
        raise ValueError(
            "--protocol leave-one-speaker-out needs the speaker of every clip, and two speakers at least; "
            f"{data_args.dataset_name} has {len(names - {None})}{unknown}"
        )
    return sorted(names)


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
    runs = [run for by_seed in system_runs.values() for folds in by_seed.values() for run in folds]
    failures = failures_of(runs)
    first_runs = {spec.name: next(iter(by_seed.values()))[0] for spec, by_seed in system_runs.items()}
    settings = next(iter(first_runs.values())).settings
    corpus = corpus_title(settings)
    finished = [system.name for system in systems]
    comparison = compare_systems(systems, reference if reference in finished else None)
    rows = {row["name"]: row for row in comparison["systems"]}
    difference = table5_difference(settings, comparison)
    pair = [name for name in figure2 or () if name in finished]
    if len(pair) < 2:
        pair = sorted(finished, key=lambda name: (name != comparison["reference"], -_ua(rows[name])))[:2]

    left_out = left_out_of(runs)
    write_json(
        output_dir / "results.json", {"corpus": corpus, **comparison, "left_out": left_out, "failures": failures}
    )
    write_text(output_dir / "table.tex", comparison_latex(comparison, corpus, difference))
    with replacing(output_dir / "table.png") as path:
        title = f"UA on {corpus}, with 95 % intervals"
        dots = _dots(comparison, difference is not None)
        plot_scores(dots, path, majority=comparison["majority"]["unweighted_accuracy"], xlabel=title)
    with replacing(output_dir / "figure2.png") as path:
        matrices = {name: rows[name]["confusion_matrix"] for name in pair}
        plot_confusion_matrices(matrices, comparison["labels"], path)
    write_text(
        output_dir / "report.md",
        f"# {len(systems)} system{'' if len(systems) == 1 else 's'} on {corpus}\n\n"
        f"{comparison_markdown(comparison, corpus, 'table.png', 'figure2.png', difference)}"
        f"{_folds_section(comparison, system_runs)}{left_out_section(left_out)}"
        f"{missing_section(failures)}"
        f"\n## Recipe\n\n{recipe({name: run.settings for name, run in first_runs.items()})}\n",
    )
    cells = table_cells(comparison, has_paper(comparison, difference))
    notes = [f"Corpus: {corpus}.", leakage_sentence(comparison["leakage"])]
    if difference and "paper UA" in cells[0]:
        notes.append(f"The paper's figures are of another test set: {difference}.")
    return Report(output_dir / "report.md", *cells, notes)


def _system(spec: Spec, by_seed: Mapping[int, Sequence[Run]]) -> System | None:
    """Return a system with the results of its finished seeds, or None if it has none.

    The clips of all test speakers of a seed count as one test set.
    """
    finished = {seed: folds for seed, folds in by_seed.items() if not any(run.problem for run in folds)}
    if not finished:
        return None
    settings = next(iter(finished.values()))[0].settings
    return System(
        spec.name,
        spec.model,
        # Without the folders of this machine.
        shlex.join(Path(flag).name if os.path.isabs(flag) else flag for flag in spec.flags),
        {seed: joined_runs([read_run(run.folder) for run in folds]) for seed, folds in finished.items()},
        [_joined_facts(folds) for folds in finished.values()],
        "config_overrides" in settings,
        settings.get("adversarial", "none") != "none",
    )


def _joined_facts(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the facts of a run, or of several: sums of seconds and speakers, the mean UA on validation clips."""
    folds = [run.facts for run in runs]
    leakages = [speaker_leakage(read_record(run.folder)) for run in runs]
    validation = [facts["validation_unweighted_accuracy"] for facts in folds]
    return {
        "num_parameters": folds[0]["num_parameters"],
        "train_seconds": sum(facts["train_seconds"] for facts in folds),
        "resumed": any(facts["resumed"] for facts in folds),
        "validation_unweighted_accuracy": None if None in validation else mean_and_std(validation)["mean"],
        "leakage": {
            key: None if None in (numbers := [row[key] for row in leakages]) else sum(numbers)
            for key in ("shared", "speakers")
        },
    }


def _folds_section(comparison: Mapping[str, Any], system_runs: SystemRuns) -> str:
    """Return the section of a report on scores by test speaker, Markdown, or nothing without such a protocol."""
    if all(len(folds) == 1 for by_seed in system_runs.values() for folds in by_seed.values()):
        return ""
    rows = []
    for row in comparison["systems"]:
        scores = [speaker["unweighted_accuracy"]["value"] for speaker in row["speakers"]["by_speaker"]]
        over_speakers = mean_and_std(scores)
        rows.append([row["name"], f"{_ua(row):.3f}", score_cell(over_speakers["mean"], std=over_speakers["std"])])
    table = markdown_table(["system", "UA of all clips", "mean UA of the test speakers"], rows)
    return (
        f"\n## Leave one speaker out\n\n{table}\n\nEach speaker is tested by a model that was trained and selected "
        "without. All other tables score the clips of all test speakers together. ± is one sample deviation over "
        "speakers. The UA of a speaker is over the classes that the speaker has.\n"
    )


def _ua(row: Mapping[str, Any]) -> float:
    return row["unweighted_accuracy"]["mean"]


def _dots(comparison: Mapping[str, Any], paper: bool) -> list[dict[str, Any]]:
    """Return the rows of `plot_scores`, with the paper's figures if wanted."""
    dots = []
    for row in comparison["systems"]:
        score, published = row["unweighted_accuracy"], row["published"]
        dots.append(
            {
                "name": row["name"],
                "value": score["mean"],
                **{bound: score[bound] for bound in ("low", "high")},
                "points": list(score["by_seed"].values()),
                "published": published["unweighted_accuracy"] if paper and published and not row["changed"] else None,
            }
        )
    return dots
