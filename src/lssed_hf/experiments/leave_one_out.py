"""Training on all corpora but one and test on that one: `lssed-hf cross-corpus --leave_one_out`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..evaluation.left_out_corpora import compare_left_out, left_out_cells, left_out_latex, left_out_markdown
from ..evaluation.plots import plot_confusion_matrices, plot_reliability
from ..evaluation.run_results import RunResults, read_run
from ..files import replacing, write_json
from ..hub.run_folders import runs_folder
from ..training.selection import ALL_SPLITS
from .benchmark import Spec
from .cross_corpus import Corpus, folder_name, shared_labels
from .experiment_report import Report, failures_of, missing_section, write_text
from .papers_task import corpus_title
from .runs import Run
from .settings import recipe, training_settings


@dataclass(frozen=True)
class LeftOutTest:
    """Test of a system on the corpus that it was not trained on.

    Attributes:
        system: Name of the system, with the normalisation of its test.
        corpus: Corpus that was left out.
        seed: Seed of the training.
    """

    system: str
    corpus: str
    seed: int


#: Trainings by system, corpus left out and seed; tests by `LeftOutTest`.
LeftOutRuns = Mapping[tuple[str, str, int] | LeftOutTest, Run]
BY_SPEAKER = "by speaker"


def make_runs(
    specs: Sequence[Spec],
    data_flags: Mapping[str, Sequence[str]],
    flags: Sequence[str],
    seeds: Sequence[int],
    output_dir: Path,
    labels: Sequence[str] | None = None,
) -> dict[tuple[str, str, int] | LeftOutTest, Run]:
    """Return the runs of all systems, seeds and corpora, in the order of work.

    A training takes the clips of all splits of its corpora. A system that is trained with `--speaker_normalization` is
    tested with speakers' own statistics (of all their clips, without labels), and without. A `--teacher` that names an
    earlier system is the one trained on the same corpora with the same seed.

    Args:
        specs: Systems.
        data_flags: Flags of `lssed-hf train` that name the data, by corpus.
        flags: Flags of `lssed-hf train` for all systems. The system's own flags replace them.
        seeds: Seeds of the trainings.
        output_dir: Folder of the experiment.
        labels: Classes to test on. Default: those that all corpora have.

    Raises:
        ValueError: No class is left, or a class is not in all corpora.
    """
    corpora = {corpus: Corpus(training_settings([*flags, *own])) for corpus, own in data_flags.items()}
    labels = shared_labels(corpora, labels)
    runs: dict[tuple[str, str, int] | LeftOutTest, Run] = {}
    trained: list[str] = []
    for spec in specs:
        for left_out in data_flags:
            first, *others = (corpus for corpus in data_flags if corpus != left_out)
            more = [f"{corpus}={corpora[corpus].settings.get('data_dir', '')}" for corpus in others]
            counts = sum((corpora[corpus].counts for corpus in (first, *others)), Counter())
            for seed in seeds:
                run_folder = f"without_{folder_name(left_out)}/seed_{seed}"
                folder = runs_folder(output_dir) / spec.name / run_folder
                settings = training_settings(
                    [
                        *data_flags[first],
                        *flags,
                        *spec.flags,
                        *("--model_name_or_path", spec.model, "--train_split_name", ALL_SPLITS),
                        *(["--extra_corpora", *more] if more else []),
                        *("--seed", str(seed), "--output_dir", str(folder)),
                    ]
                )
                if "teacher" in settings:
                    settings["teacher"] = [
                        str(runs_folder(output_dir) / name / run_folder) if name in trained else name
                        for name in settings["teacher"]
                    ]
                title = f"{spec.name} without {left_out}, seed {seed}"
                runs[spec.name, left_out, seed] = Run(title, folder, "train", settings)
                kinds = {spec.name: "none"}
                if settings.get("speaker_normalization", "none") != "none":
                    kinds[f"{spec.name}, {BY_SPEAKER}"] = "all"
                for name, kind in kinds.items():
                    tested = {
                        **corpora[left_out].settings,
                        "splits": corpora[left_out].splits,
                        "labels": labels,
                        "majority_label": max(labels, key=counts.__getitem__),
                        "speaker_normalization": kind,
                    }
                    runs[LeftOutTest(name, left_out, seed)] = Run(
                        f"{name}, on {left_out}, seed {seed}", folder / f"on_it_{kind}", "evaluate", tested
                    )
        trained.append(spec.name)
    return runs


def write_leave_one_out(runs: LeftOutRuns, corpora: Sequence[str], output_dir: Path) -> Report | None:
    """Write `results.json`, `table.tex`, pictures and `report.md` from the finished runs.

    Args:
        runs: Runs from `make_runs`.
        corpora: Names of the corpora, in the order of the columns.
        output_dir: Folder for the files.

    Returns:
        The report, whose file is written last, or None if no test is finished.
    """
    tested: dict[str, dict[str, dict[int, RunResults]]] = {}
    labels: Sequence[str] = ()
    titles = {corpus: corpus for corpus in corpora}
    for key, run in runs.items():
        if isinstance(key, LeftOutTest) and not run.problem:
            titles[key.corpus] = title = corpus_title(run.settings)
            tested.setdefault(key.system, {}).setdefault(title, {})[key.seed] = read_run(run.folder)
            labels = run.settings["labels"]
    if not tested:
        return None
    corpora = [titles[corpus] for corpus in corpora]
    comparison = compare_left_out(tested, labels, corpora)
    failures = failures_of(runs.values())
    write_json(output_dir / "results.json", {**comparison, "failures": failures})
    write_text(output_dir / "table.tex", left_out_latex(comparison))
    with replacing(output_dir / "reliability.png") as path:
        plot_reliability({row["name"]: row["calibration"] for row in comparison["systems"]}, path)
    best = max(comparison["systems"], key=_mean_ua)
    with replacing(output_dir / "confusion.png") as path:
        matrices = {f"{best['name']}: {corpus}": row["confusion_matrix"] for corpus, row in best["corpora"].items()}
        plot_confusion_matrices(matrices, comparison["labels"], path)
    corpus_settings = {"dataset_name", "extra_corpora"}  # which differ between the trainings of a system
    trainings = {
        key[0]: {name: value for name, value in run.settings.items() if name not in corpus_settings}
        for key, run in runs.items()
        if isinstance(key, tuple)
    }
    write_text(
        output_dir / "report.md",
        f"# Corpora that were left out: {', '.join(corpora)}\n\n"
        f"{left_out_markdown(comparison, ['reliability.png', 'confusion.png'])}"
        f"\n## Recipe\n\n{recipe(trainings)}\n{missing_section(failures)}",
    )
    return Report(output_dir / "report.md", *left_out_cells(comparison))


def _mean_ua(system: Mapping[str, Any]) -> float:
    """Return the mean UA of a system, 0 where a corpus is missing."""
    return 0.0 if system["mean"] is None else system["mean"]["unweighted_accuracy"]["value"]
