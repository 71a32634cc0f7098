"""Training on one corpus and test on others, as in the paper's Table 4: `lssed-hf cross-corpus`."""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.corpus_losses import (
    compare_corpora,
    cross_corpus_latex,
    cross_corpus_markdown,
    loss_matrices,
    pair_cells,
)
from ..evaluation.few_shot import compare_few_shot, few_shot_markdown, few_shot_panels, start_name
from ..evaluation.leakage import leakage_sentence, speaker_leakage, worst_leakage
from ..evaluation.plots import plot_curves, plot_losses
from ..evaluation.run_results import RunResults, read_run
from ..files import replacing, write_json
from ..hub.run_folders import runs_folder
from ..inference.trained_on import read_record
from ..training.arguments import DataArguments
from .experiment_report import Report, failures_of, missing_section, write_text
from .papers_task import corpus_source, corpus_title
from .runs import Run, data_arguments
from .settings import recipe, training_settings


#: Runs by corpus of training, corpus of testing (None: the training itself) and seed.
PairRuns = Mapping[tuple[str, str | None, int], Run]
#: Runs by start (corpus, or None for random weights), target, number of training speakers and seed.
FewShotRuns = Mapping[tuple[str | None, str, int, int], Run]


def make_runs(
    flags_of: Mapping[str, Sequence[str]],
    sources: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    output_dir: Path,
    labels: Sequence[str] | None = None,
    target_split: str = "test",
) -> dict[tuple[str, str | None, int], Run]:
    """Return the runs of a matrix of corpora, see `PairRuns`, in the order of work.

    Args:
        flags_of: Flags of `lssed-hf train` by corpus.
        sources: Corpora to train on.
        targets: Corpora to test on, besides the source.
        seeds: Seeds of the trainings.
        output_dir: Folder of the experiment.
        labels: Classes to test on. Default: those that the training and the test clips of all corpora have.
        target_split: "test", or "all" for all clips of other corpora.

    Raises:
        ValueError: No class is left, or a class is not in all corpora.
    """
    settings = {corpus: training_settings(flags) for corpus, flags in flags_of.items()}
    corpora = {corpus: Corpus(settings[corpus]) for corpus in settings}
    labels = shared_labels(corpora, labels)
    runs = {}
    for source in sources:
        for seed in seeds:
            folder = runs_folder(output_dir) / folder_name(source) / f"seed_{seed}"
            training = {**settings[source], "seed": seed, "output_dir": str(folder)}
            runs[source, None, seed] = Run(f"{source}, seed {seed}", folder, "train", training)
            for target in dict.fromkeys([source, *targets]):
                corpus = corpora[target]
                split = "test" if target == source else target_split
                tested = {
                    **corpus.settings,
                    "splits": corpus.splits if split == "all" else [corpus.test_split],
                    "labels": labels,
                    "majority_label": corpora[source].majority(labels),
                }
                runs[source, target, seed] = Run(
                    f"{source}, seed {seed}, on {target} ({split})",
                    folder / f"on_{folder_name(target)}_{split}",
                    "evaluate",
                    tested,
                )
    return runs


def shared_labels(corpora: Mapping[str, "Corpus"], asked: Sequence[str] | None) -> list[str]:
    """Return the classes that all corpora have, or the ones that were asked for, if all have them."""
    first = next(iter(corpora.values()))
    shared = [label for label in first.labels if all(label in corpus.labels for corpus in corpora.values())]
    for label in asked or ():
        if label not in shared:
            raise ValueError(f"--labels: not all corpora have {label!r}; they share {', '.join(shared) or 'no class'}")
    if not shared:
        raise ValueError(f"{', '.join(corpora)} have no class in common")
    return list(asked or shared)


def make_few_shot_runs(
    flags_of: Mapping[str, Sequence[str]],
    sources: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    output_dir: Path,
    numbers: Sequence[int],
    more_flags: Sequence[str] = (),
) -> dict[tuple[str | None, str, int, int], Run]:
    """Return the runs that fine-tune on a few speakers of the targets, see `FewShotRuns`.

    Args:
        flags_of: Flags of `lssed-hf train` by corpus.
        sources: Corpora that the models were trained on.
        targets: Corpora to fine-tune them on.
        seeds: Seeds of the trainings.
        output_dir: Folder of the experiment.
        numbers: Numbers of training speakers.
        more_flags: Flags of `lssed-hf train` for these runs alone.
    """
    runs = {}
    for target in targets if numbers else ():
        # Choosing an epoch would take more labelled speakers than there are.
        flags = [*flags_of[target], "--load_best_model_at_end", "false", *more_flags]
        settings = training_settings(flags)
        tuning = {name: value for name, value in settings.items() if not name.endswith("_overrides")}
        for source in (None, *(corpus for corpus in sources if corpus != target)):
            for number in numbers:
                for seed in seeds:
                    system = "scratch" if source is None else folder_name(source)
                    start = runs_folder(output_dir) / system / f"seed_{seed}"
                    folder = start / f"few_shot_{folder_name(target)}_{number}"
                    own = settings if source is None else {**tuning, "model_name_or_path": str(start.absolute())}
                    own = {**own, "seed": seed, "output_dir": str(folder), "max_train_speakers": number}
                    title = f"{start_name(source)}, {number} speaker(s) of {target}, seed {seed}"
                    runs[source, target, number, seed] = Run(title, folder, "train", own, keep_model=False)
    return runs


class Corpus:
    """Test material of a corpus.

    Args:
        settings: Settings of a training (see `training_settings`).

    Attributes:
        settings: Subset of the settings that names the data.
        splits: Names of all splits.
        test_split: Name of the split to test on.
        train_counts: Number of training clips by class.
        counts: Number of all clips by class.
        labels: Classes that both the training clips and the test clips have.

    Raises:
        ValueError: The corpus lacks the training or the test split.
    """

    def __init__(self, settings: Mapping[str, Any]):
        names = {field.name for field in dataclasses.fields(DataArguments)} | {"trust_remote_code"}
        self.settings = {name: value for name, value in settings.items() if name in names}
        arguments = data_arguments(self.settings)
        dataset = arguments.load()
        for split in (arguments.train_split_name, arguments.test_split_name):
            if split not in dataset:
                raise ValueError(f"{arguments.dataset_name} has no split {split!r}; it has {', '.join(dataset)}")
        self.splits, self.test_split = list(dataset), arguments.test_split_name
        names = dataset[self.test_split].features[arguments.label_column_name].names

        def count(split: str) -> Counter[str]:
            return Counter(names[label] for label in dataset[split][arguments.label_column_name])

        self.train_counts = count(arguments.train_split_name)
        self.counts = sum(map(count, self.splits), Counter())
        self.labels = [name for name in names if self.train_counts[name] and count(self.test_split)[name]]

    def majority(self, labels: Sequence[str]) -> str:
        """Return the one of some classes that most training clips have."""
        return max(labels, key=lambda label: self.train_counts[label])


def folder_name(corpus: str) -> str:
    """Return the name of a corpus for a folder."""
    return re.sub(r"[^\w.-]+", "_", corpus.strip("/."))


def write_cross_corpus(
    pair_runs: PairRuns, few_shot_runs: FewShotRuns, corpora: Sequence[str], output_dir: Path, target_split: str
) -> Report | None:
    """Write `results.json`, `table.tex`, `table.png`, `few_shot.png` and `report.md` from the finished runs.

    Args:
        pair_runs: Runs from `make_runs`.
        few_shot_runs: Runs from `make_few_shot_runs`. Without any, the section on few speakers and its picture are
            left out.
        corpora: Names of the corpora, in the order of the matrix.
        output_dir: Folder for the files.
        target_split: "test" or "all", for the report.

    Returns:
        The report, whose file is written last, or None if no test is finished.
    """
    titles = {target or source: corpus_title(run.settings) for (source, target, _), run in pair_runs.items()}
    pair_runs = {
        (titles[source], target and titles[target], seed): run for (source, target, seed), run in pair_runs.items()
    }
    few_shot_runs = {
        (source and titles[source], titles[target], *more): run
        for (source, target, *more), run in few_shot_runs.items()
    }
    corpora = [titles[corpus] for corpus in corpora]
    tested: dict[tuple[str, str], dict[int, RunResults]] = {}
    for (source, target, seed), run in pair_runs.items():
        if target is not None and not run.problem:
            tested.setdefault((source, target), {})[seed] = read_run(run.folder)
    if not tested:
        return None
    labels = next(run.settings["labels"] for run in pair_runs.values() if run.work == "evaluate")
    failures = failures_of((*pair_runs.values(), *few_shot_runs.values()))
    trainings = {(source, seed): run for (source, target, seed), run in pair_runs.items() if target is None}
    leakages = {
        source: worst_leakage(
            [speaker_leakage(read_record(trainings[source, seed].folder)) for seed in tested.get((source, source), ())]
        )
        for source, _ in trainings
    }
    comparison = compare_corpora(tested, labels, leakages)
    names = {name: corpus_source(run.settings).corpus for (name, _), run in trainings.items()}
    names |= {target: corpus_source(run.settings).corpus for (_, target, _), run in pair_runs.items() if target}
    curves = compare_few_shot(_few_shot_results(pair_runs, few_shot_runs, labels))

    write_json(
        output_dir / "results.json",
        {"corpora": list(corpora), **comparison, "few_shot": curves, "failures": failures},
    )
    write_text(output_dir / "table.tex", cross_corpus_latex(comparison, names))
    with replacing(output_dir / "table.png") as path:
        plot_losses(*loss_matrices(comparison, corpora), corpora, path)
    if curves:
        with replacing(output_dir / "few_shot.png") as path:
            plot_curves(few_shot_panels(curves), path, xlabel="training speakers of the target")
    model = next(iter(pair_runs.values())).settings.get("model_name_or_path", "pyresnet50")
    text = f"# {model} across corpora\n\n{cross_corpus_markdown(comparison, target_split, 'table.png', names)}"
    if curves:
        text += f"\n## Few speakers\n\n{few_shot_markdown(curves, 'few_shot.png')}\n{_few_shot_leaks(few_shot_runs)}"
    recipes = {source: run.settings for (source, _), run in trainings.items()}
    text += f"\n## Recipe\n\n{recipe(recipes)}\n{missing_section(failures)}"
    write_text(output_dir / "report.md", text)
    notes = [f"{source}: {leakage_sentence(leakage)}" for source, leakage in comparison["leakages"].items()]
    return Report(output_dir / "report.md", *pair_cells(comparison), notes)


def _few_shot_leaks(few_shot_runs: FewShotRuns) -> str:
    """Return sentences, Markdown, on test speakers that finished runs were fine-tuned on, empty without any."""
    leakages: dict[str, list[dict[str, int | None]]] = {}
    for (_, target, *_), run in few_shot_runs.items():
        if not run.problem:
            leakages.setdefault(target, []).append(speaker_leakage(read_record(run.folder)))
    worst = {target: worst_leakage(of_target) for target, of_target in leakages.items()}
    return "".join(f"\n**{name}: {leakage_sentence(row)}**\n" for name, row in worst.items() if row["shared"])


def _few_shot_results(
    pair_runs: PairRuns, few_shot_runs: FewShotRuns, labels: Sequence[str]
) -> dict[tuple[str | None, str, int], dict[int, RunResults]]:
    """Return results by start, target, number of speakers and seed. The models before fine-tuning have 0 speakers."""
    results: dict[tuple[str | None, str, int], dict[int, RunResults]] = {}
    for (source, target, number, seed), run in few_shot_runs.items():
        before = pair_runs.get((source, target, seed))
        if before is not None and not before.problem and before.settings["splits"] == ["test"]:
            results.setdefault((source, target, 0), {})[seed] = read_run(before.folder).restricted(labels)
        if not run.problem:
            results.setdefault((source, target, number), {})[seed] = read_run(run.folder).restricted(labels)
    return results
