"""`lssed-hf cross-corpus`: train on each corpus, test on the others, and see what is lost, as in the paper's Table 4.

Every corpus and seed is trained on by `lssed-hf train` in a folder of its own (OUTPUT_DIR/cells/CORPUS/seed_N), and
the model tested on all corpora. Stopped anywhere and started again, the command keeps what is finished and goes on
with the rest. It takes all flags of `lssed-hf train` as well, for every corpus.
"""

import argparse
import dataclasses
import json
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.cross_corpus import compare_corpora, cross_corpus_latex, cross_corpus_markdown, loss_matrices
from ..evaluation.plots import plot_losses
from ..evaluation.runs import Run, read_run
from ..files import replacing
from .arguments import DataArguments
from .benchmark import refuse_flags
from .cells import (
    Cell,
    check_settings,
    claimed,
    data_arguments,
    load_dataset_of,
    run_cells,
    training_settings,
    write_json,
)


EXAMPLE = """example:
  lssed-hf cross-corpus --corpora ravdess emodb --data_dirs ravdess=RAVDESS emodb=EMODB --model pyresnet50 \\
      --seeds 0 1 --output_dir outputs/cross_corpus --num_train_epochs 30"""
#: Flags of `train` that this command sets, and what takes their place.
INSTEAD = {
    "--seed": "--seeds",
    "--model_name_or_path": "--model",
    "--dataset_name": "--corpora",
    "--corpus": "--corpora",
    "--data_dir": "--data_dirs CORPUS=FOLDER",
    "--split_scheme": "--split_schemes CORPUS=SCHEME",
}


def main(argv: Sequence[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    args, flags = parser.parse_known_args(argv)
    asked = args.output_dir / "asked.json"
    if args.report_only:
        if not asked.is_file():
            parser.error(f"--report_only: there is no comparison in {args.output_dir}")
        args, flags = parser.parse_known_args([*json.loads(asked.read_text(encoding="utf-8")), *argv])
    if len(set(args.corpora or ())) < 2:
        parser.error("--corpora needs two different corpora at least")
    refuse_flags(parser, flags, INSTEAD)

    flags_of = {
        corpus: [*flags, "--dataset_name", corpus, "--model_name_or_path", args.model] for corpus in args.corpora
    }
    for option in ("data_dir", "split_scheme"):
        for text in getattr(args, f"{option}s"):
            corpus, _, value = text.partition("=")
            if corpus not in flags_of or not value:
                parser.error(f"--{option}s takes CORPUS=VALUE with one of {', '.join(args.corpora)}, got {text!r}")
            flags_of[corpus] += [f"--{option}", value]
    cells = make_cells(flags_of, args.seeds, args.output_dir, args.labels, args.target_split)
    all_cells = list(cells.values())
    with claimed(args.output_dir):
        if not args.report_only:
            check_settings(all_cells)
            write_json(asked, argv)
            run_cells(all_cells)
        report = write_cross_corpus(cells, args.corpora, args.output_dir, args.target_split)
    if report:
        print(f"Report: {report}")
    failed = [cell for cell in all_cells if cell.problem]
    for cell in failed:
        print(f"lssed-hf cross-corpus: {cell.title}: {cell.problem}", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lssed-hf cross-corpus",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --seed is a flag of train
    )
    parser.add_argument("--corpora", nargs="+", metavar="CORPUS", help="two or more of lssed_hf.list_corpora()")
    parser.add_argument("--data_dirs", nargs="+", default=[], metavar="CORPUS=DIR", help="where each one is")
    parser.add_argument(
        "--split_schemes", nargs="+", default=[], metavar="CORPUS=SCHEME", help="how each is split (default: its own)"
    )
    parser.add_argument("--model", default="pyresnet50", help="what to train (default: pyresnet50)")
    parser.add_argument("--output_dir", type=Path, required=True, help="where models and the report go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="default: 0")
    parser.add_argument("--labels", nargs="+", help="classes to test on (default: those that all corpora have)")
    parser.add_argument(
        "--target_split",
        choices=("test", "all"),
        default="test",
        help="test on the test split of other corpora, or on all of their clips (default: test)",
    )
    parser.add_argument(
        "--report_only", action="store_true", help="write the report of an --output_dir again, from what is finished"
    )
    return parser


def make_cells(
    flags_of: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    output_dir: Path,
    labels: Sequence[str] | None = None,
    target_split: str = "test",
) -> dict[tuple[str, str | None, int], Cell]:
    """Cells by corpus of training, corpus of testing (None: the training itself) and seed, in the order of work.

    Args:
        flags_of: flags of `lssed-hf train` by corpus.
        seeds: to train with.
        output_dir: of the whole.
        labels: classes to test on, by default those that the training and the tested clips of all corpora have.
        target_split: "test", or "all" for all clips of other corpora.

    Raises:
        ValueError: no class is left, or one is not in all corpora.
    """
    settings = {corpus: training_settings(flags, "lssed-hf cross-corpus") for corpus, flags in flags_of.items()}
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
    for source in corpora:
        for seed in seeds:
            folder = output_dir / "cells" / _folder_name(source) / f"seed_{seed}"
            training = {**settings[source], "seed": seed, "output_dir": str(folder)}
            cells[source, None, seed] = Cell(f"{source}, seed {seed}", folder, "train", training)
            for target, corpus in corpora.items():
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
        dataset = load_dataset_of(arguments)
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
    cells: Mapping[tuple[str, str | None, int], Cell], corpora: Sequence[str], output_dir: Path, target_split: str
) -> Path | None:
    """Write `results.json`, `table.tex`, `table.png` and `report.md` from the finished cells.

    Args:
        cells: from `make_cells`.
        corpora: in the order of the matrix.
        output_dir: where to write.
        target_split: "test" or "all", for the report.

    Returns:
        Path of `report.md`, written last; None if no test is finished.
    """
    runs: dict[tuple[str, str], dict[int, Run]] = {}
    for (source, target, seed), cell in cells.items():
        if target is not None and not cell.problem:
            runs.setdefault((source, target), {})[seed] = read_run(cell.folder)
    if not runs:
        return None
    labels = next(cell.settings["labels"] for cell in cells.values() if cell.work == "evaluate")
    failures = {cell.title: cell.problem for cell in cells.values() if cell.problem}
    comparison = compare_corpora(runs, labels)

    write_json(output_dir / "results.json", {"corpora": list(corpora), **comparison, "failures": failures})
    with replacing(output_dir / "table.tex") as path:
        path.write_text(cross_corpus_latex(comparison), encoding="utf-8")
    with replacing(output_dir / "table.png") as path:
        plot_losses(*loss_matrices(comparison, corpora), corpora, path)
    with replacing(output_dir / "report.md") as path:
        model = next(iter(cells.values())).settings.get("model_name_or_path", "pyresnet50")
        text = f"# {model} across corpora\n\n{cross_corpus_markdown(comparison, target_split, 'table.png')}"
        if failures:
            text += "\n## Missing\n\n" + "".join(f"- {title}: {problem}\n" for title, problem in failures.items())
        path.write_text(text, encoding="utf-8")
    return output_dir / "report.md"
