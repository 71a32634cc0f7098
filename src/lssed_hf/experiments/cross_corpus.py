"""`lssed-hf cross-corpus`: train on a corpus, test on others, and see what is lost, as in the paper's Table 4.

Every source and seed is trained on by `lssed-hf train` in a folder of its own (OUTPUT_DIR/cells/CORPUS/seed_N), and
the model tested there and on the targets. Stopped anywhere and started again, the command keeps what is finished and
goes on with the rest. It takes all flags of `lssed-hf train` as well, for every corpus.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.corpus_losses import compare_corpora, cross_corpus_latex, cross_corpus_markdown, loss_matrices
from ..evaluation.few_shot import compare_few_shot, few_shot_markdown, few_shot_panels, start_name
from ..evaluation.plots import plot_curves, plot_losses
from ..evaluation.run_results import RunResults, read_run
from ..files import replacing
from ..training.arguments import DataArguments
from .runs import Cell, data_arguments, recipe, training_settings, write_json


def make_cells(
    flags_of: Mapping[str, Sequence[str]],
    sources: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    output_dir: Path,
    labels: Sequence[str] | None = None,
    target_split: str = "test",
) -> dict[tuple[str, str | None, int], Cell]:
    """Cells by corpus of training, corpus of testing (None: the training itself) and seed, in the order of work.

    Args:
        flags_of: flags of `lssed-hf train` by corpus.
        sources, targets: what to train on, and to test on besides.
        seeds: to train with.
        output_dir: of the whole.
        labels: classes to test on, by default those that the training and the tested clips of all corpora have.
        target_split: "test", or "all" for all clips of other corpora.

    Raises:
        ValueError: no class is left, or one is not in all corpora.
    """
    settings = {corpus: training_settings(flags) for corpus, flags in flags_of.items()}
    corpora = {corpus: Corpus(settings[corpus]) for corpus in settings}
    shared = [
        label for label in next(iter(corpora.values())).labels if all(label in c.labels for c in corpora.values())
    ]
    for label in labels or ():
        if label not in shared:
            raise ValueError(f"--labels: not all corpora have {label!r}; they share {', '.join(shared) or 'no class'}")
    labels = list(labels or shared)
    if not labels:
        raise ValueError(f"{', '.join(corpora)} have no class in common")

    cells = {}
    for source in sources:
        for seed in seeds:
            folder = output_dir / "cells" / _folder_name(source) / f"seed_{seed}"
            training = {**settings[source], "seed": seed, "output_dir": str(folder)}
            cells[source, None, seed] = Cell(f"{source}, seed {seed}", folder, "train", training)
            for target in dict.fromkeys([source, *targets]):
                corpus = corpora[target]
                split = "test" if target == source else target_split
                tested = {
                    **corpus.settings,
                    "splits": corpus.splits if split == "all" else [corpus.test_split],
                    "labels": labels,
                    "majority_label": corpora[source].majority(labels),
                }
                cells[source, target, seed] = Cell(
                    f"{source}, seed {seed}, on {target} ({split})",
                    folder / f"on_{_folder_name(target)}_{split}",
                    "evaluate",
                    tested,
                )
    return cells


def make_few_shot_cells(
    flags_of: Mapping[str, Sequence[str]],
    sources: Sequence[str],
    targets: Sequence[str],
    seeds: Sequence[int],
    output_dir: Path,
    numbers: Sequence[int],
    more_flags: Sequence[str] = (),
) -> dict[tuple[str | None, str, int, int], Cell]:
    """Cells by start (corpus, or None for random weights), target, number of training speakers and seed.

    Args:
        flags_of: flags of `lssed-hf train` by corpus.
        sources, targets: what models were trained on, and what they are to be fine-tuned on.
        seeds: to train with.
        output_dir: of the whole.
        numbers: of training speakers.
        more_flags: flags of `lssed-hf train` for these cells alone.
    """
    cells = {}
    for target in targets if numbers else ():
        # Choosing an epoch would take more labelled speakers than there are.
        flags = [*flags_of[target], "--load_best_model_at_end", "false", *more_flags]
        settings = training_settings(flags)
        tuning = {name: value for name, value in settings.items() if not name.endswith("_overrides")}
        for source in (None, *(corpus for corpus in sources if corpus != target)):
            for number in numbers:
                for seed in seeds:
                    name = f"few_shot_{_folder_name(target)}_{number}"
                    if source is None:
                        folder, own = output_dir / "cells" / "scratch" / f"seed_{seed}" / name, dict(settings)
                    else:
                        start = output_dir / "cells" / _folder_name(source) / f"seed_{seed}"
                        folder, own = start / name, {**tuning, "model_name_or_path": str(start.absolute())}
                    own |= {"seed": seed, "output_dir": str(folder), "max_train_speakers": number}
                    title = f"{start_name(source)}, {number} speaker(s) of {target}, seed {seed}"
                    cells[source, target, number, seed] = Cell(title, folder, "train", own, keep_model=False)
    return cells


class Corpus:
    """What there is to test on in a corpus.

    Args:
        settings: see `training_settings`.

    Attributes:
        settings: those of them that say what the corpus is.
        splits: names of all splits.
        test_split: name of the one to test on.
        labels: classes that its training and its test clips have.
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
        self.labels = [name for name in names if self.train_counts[name] and count(self.test_split)[name]]

    def majority(self, labels: Sequence[str]) -> str:
        """The largest of some classes among the training clips."""
        return max(labels, key=lambda label: self.train_counts[label])


def _folder_name(corpus: str) -> str:
    return re.sub(r"[^\w.-]+", "_", corpus.strip("/."))


def write_cross_corpus(
    cells: Mapping[tuple[str, str | None, int], Cell],
    few_shot: Mapping[tuple[str | None, str, int, int], Cell],
    corpora: Sequence[str],
    output_dir: Path,
    target_split: str,
) -> Path | None:
    """Write `results.json`, `table.tex`, `table.png`, `few_shot.png` and `report.md` from the finished cells.

    Args:
        cells: from `make_cells`.
        few_shot: from `make_few_shot_cells`; without any there is no such section and picture.
        corpora: in the order of the matrix.
        output_dir: where to write.
        target_split: "test" or "all", for the report.

    Returns:
        Path of `report.md`, written last; None if no test is finished.
    """
    runs: dict[tuple[str, str], dict[int, RunResults]] = {}
    for (source, target, seed), cell in cells.items():
        if target is not None and not cell.problem:
            runs.setdefault((source, target), {})[seed] = read_run(cell.folder)
    if not runs:
        return None
    labels = next(cell.settings["labels"] for cell in cells.values() if cell.work == "evaluate")
    failures = {cell.title: cell.problem for cell in (*cells.values(), *few_shot.values()) if cell.problem}
    comparison = compare_corpora(runs, labels)
    curves = compare_few_shot(_few_shot_runs(cells, few_shot, labels))

    write_json(
        output_dir / "results.json",
        {"corpora": list(corpora), **comparison, "few_shot": curves, "failures": failures},
    )
    with replacing(output_dir / "table.tex") as path:
        path.write_text(cross_corpus_latex(comparison), encoding="utf-8")
    with replacing(output_dir / "table.png") as path:
        plot_losses(*loss_matrices(comparison, corpora), corpora, path)
    if curves:
        with replacing(output_dir / "few_shot.png") as path:
            plot_curves(few_shot_panels(curves), path, xlabel="training speakers of the target")
    with replacing(output_dir / "report.md") as path:
        model = next(iter(cells.values())).settings.get("model_name_or_path", "pyresnet50")
        text = f"# {model} across corpora\n\n{cross_corpus_markdown(comparison, target_split, 'table.png')}"
        if curves:
            text += f"\n## Few speakers\n\n{few_shot_markdown(curves, 'few_shot.png')}\n"
        trainings = {source: cell for (source, target, _), cell in cells.items() if target is None}
        text += f"\n## Recipe\n\n{recipe(trainings)}\n"
        if failures:
            text += "\n## Missing\n\n" + "".join(f"- {title}: {problem}\n" for title, problem in failures.items())
        path.write_text(text, encoding="utf-8")
    return output_dir / "report.md"


def _few_shot_runs(
    cells: Mapping[tuple[str, str | None, int], Cell],
    few_shot: Mapping[tuple[str | None, str, int, int], Cell],
    labels: Sequence[str],
) -> dict[tuple[str | None, str, int], dict[int, RunResults]]:
    """Runs by start, target, number of speakers and seed. The models as they came stand for 0 speakers."""
    runs: dict[tuple[str | None, str, int], dict[int, RunResults]] = {}
    for (source, target, number, seed), cell in few_shot.items():
        before = cells.get((source, target, seed))
        if before is not None and not before.problem and before.settings["splits"] == ["test"]:
            runs.setdefault((source, target, 0), {})[seed] = read_run(before.folder).restricted(labels)
        if not cell.problem:
            runs.setdefault((source, target, number), {})[seed] = read_run(cell.folder).restricted(labels)
    return runs
