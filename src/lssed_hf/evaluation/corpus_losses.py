"""Losses of systems on corpora that they were not trained on, as in Table 4: numbers, Markdown and LaTeX."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .fairness import fairness, fairness_table
from .intervals import SCORES, percentile_intervals
from .leakage import leakage_sentence
from .published import TABLE_4
from .run_results import RunResults, score_runs
from .text_tables import (
    FEW_SPEAKERS,
    SEEDS_NOTE,
    best_cells,
    latex_table,
    markdown_table,
    score_cell,
    uneven_seeds,
)


def compare_corpora(
    runs: Mapping[tuple[str, str], Mapping[int, RunResults]],
    labels: Sequence[str],
    leakages: Mapping[str, Mapping[str, int | None]] | None = None,
    *,
    num_resamples: int = 2000,
) -> dict[str, Any]:
    """Score systems on their own corpus and on others, with the difference of both.

    The two test sets are independent, so the speakers of each are resampled on their own.

    Args:
        runs: Runs by corpora of training and of testing, then by seed. A pair has no loss if its system was not tested
            on its own corpus.
        labels: Classes to score. Utterances of other classes are left out, and predictions of other classes give way
            to the most probable one of these (see `RunResults.restricted`).
        leakages: Speakers of each corpus in its training and its test set, see `speaker_leakage`. Default: unknown.
        num_resamples: Number of bootstrap resamples.

    Returns:
        JSON-ready: `labels`, `leakages`, and `pairs`, a list of `source`, `target`, `seeds`, `num_utterances`,
        `num_speakers`,
        `majority` (scores on the target of always answering with the source's largest class), both scores with `mean`,
        `std` (over seeds), `low`, `high` (95 %) and `by_seed`, and `loss`, None or both scores with `value` (own minus
        other, of the means), `low` and `high`; `groups` and `speakers`, see `fairness`.
    """
    runs = {pair: {seed: run.restricted(labels) for seed, run in by_seed.items()} for pair, by_seed in runs.items()}
    # A seed for each pair, because the resamples of different test sets are independent.
    scored = {
        pair: score_runs(by_seed, num_resamples=num_resamples, seed=number)
        for number, (pair, by_seed) in enumerate(runs.items())
    }
    pairs = []
    for (source, target), (scores, values, resampled) in scored.items():
        by_seed = runs[source, target]
        run = next(iter(by_seed.values()))
        row = {
            "source": source,
            "target": target,
            "seeds": list(by_seed),
            "num_utterances": len(run.ids),
            "num_speakers": run.num_speakers,
            "majority": {name: run.results["majority"][name] for name in SCORES},
            **scores,
            **fairness(by_seed),
        }
        row["loss"] = None
        own = scored.get((source, source))
        if own is not None and source != target:
            both = own[2] is not None and resampled is not None
            row["loss"] = percentile_intervals(own[1] - values, own[2] - resampled if both else None)
        pairs.append(row)
    unknown = {"shared": None, "speakers": None}
    leakages = {source: dict((leakages or {}).get(source, unknown)) for source, target in runs if source == target}
    return {"labels": list(labels), "leakages": leakages, "pairs": pairs}


def loss_matrices(
    comparison: Mapping[str, Any], corpora: Sequence[str]
) -> tuple[dict[str, np.ndarray], dict[str, list[list[str]]]]:
    """Return -WA and -UA by title as matrices, and a text for each cell.

    Rows are sources, columns targets. Losses are 0 on the diagonal, and NaN where nothing was tested.
    """
    size = len(corpora)
    titles = {"−WA": SCORES[0], "−UA": SCORES[1]}
    losses = {title: np.full((size, size), np.nan) for title in titles}
    details = {title: [[""] * size for _ in range(size)] for title in titles}
    for row in comparison["pairs"]:
        at = corpora.index(row["source"]), corpora.index(row["target"])
        for title, name in titles.items():
            score = f"{title[1:]} {row[name]['mean']:.3f}"
            if row["source"] == row["target"]:
                losses[title][at] = 0
                details[title][at[0]][at[1]] = score + _bounds(row[name], ".2f")
            elif row["loss"]:
                losses[title][at] = row["loss"][name]["value"]
                interval = _bounds(row["loss"][name], "+.2f").strip()
                details[title][at[0]][at[1]] = "\n".join(filter(None, [interval, score]))
    return losses, details


def cross_corpus_markdown(
    comparison: Mapping[str, Any], target_split: str, picture: str, names: Mapping[str, str | None] | None = None
) -> str:
    """Return the report below its heading.

    Args:
        comparison: Result of `compare_corpora`.
        target_split: Split of other corpora that models were tested on, "test" or all of them.
        picture: File name of the picture of losses, beside the report.
        names: Corpus in the registry that each corpus is, to find the paper's pairs. Default: the names themselves.
    """
    others = "the test splits" if target_split == "test" else "all clips"
    notes = [
        f"Classes: {', '.join(comparison['labels'])}. Models are tested on the test split of their own corpus, and on "
        f"{others} of the others. Loss is own minus other, so positive where the other corpus is harder.",
        "Brackets hold 95 % bootstrap intervals that resample the speakers of each test set, of both for a loss; a "
        "single speaker gives none.",
        "A model's features are normalised with the statistics of the corpus it was trained on, on every corpus.",
        "Majority: always answering with the largest class of the corpus of training.",
        *(f"**{source}: {leakage_sentence(leakage)}**" for source, leakage in comparison["leakages"].items()),
    ]
    few = [row["num_speakers"] for row in comparison["pairs"] if row["num_speakers"] is not None]
    if few and min(few) < FEW_SPEAKERS:
        notes[1] += f" With fewer than {FEW_SPEAKERS} speakers, as in some test sets here, they are too narrow."
    if any(len(row["seeds"]) > 1 for row in comparison["pairs"]):
        notes.append(f"{SEEDS_NOTE} Intervals are those of the means.")
    if uneven := uneven_seeds(_seeds_of(comparison)):
        notes.append(f"{uneven} A loss is the difference of such means.")
    header, rows = pair_cells(comparison)
    fair = fairness_table({f"{row['source']} → {row['target']}": row for row in comparison["pairs"]})
    paper = [
        [row["source"], row["target"], *(f"{loss:.3f}" for loss in losses)]
        for row in comparison["pairs"]
        if (losses := _papers_losses(row, names))
    ]
    parts = [
        markdown_table(header, rows, 2),
        "\n".join(f"- {note}" for note in notes),
        f"![Losses]({picture})",
        *(["## Groups and speakers", fair] if fair else []),
    ]
    if paper:
        parts += [
            "## The paper",
            "The paper's Table 4, of a ResNet152. Its classes and its split of IEMOCAP are not told, and its split of "
            "LSSED has the same speakers in training and test.",
            markdown_table(["source", "target", "−WA", "−UA"], paper, 2),
        ]
    return "\n\n".join(parts) + "\n"


def _papers_losses(row: Mapping[str, Any], names: Mapping[str, str | None] | None) -> tuple[float, float] | None:
    """Return the losses of WA and UA in the paper's Table 4 for a pair of corpora, None where it has none."""
    names = names or {}
    return TABLE_4.get(tuple(names.get(row[end], row[end]) for end in ("source", "target")))


def cross_corpus_latex(comparison: Mapping[str, Any], names: Mapping[str, str | None] | None = None) -> str:
    """Return the losses in the columns of Table 4 as LaTeX.

    Args:
        comparison: Result of `compare_corpora`.
        names: See `cross_corpus_markdown`.
    """
    pairs = [row for row in comparison["pairs"] if row["loss"]]
    rows = [[row["source"], row["target"], *(score_cell(**row["loss"][score]) for score in SCORES)] for row in pairs]
    # A system that beats no constant answer has nothing to lose.
    own = {row["source"]: row for row in comparison["pairs"] if row["source"] == row["target"]}
    gains = [
        [-row["loss"][score]["value"] if best["majority"][score] < best[score]["mean"] else None for score in SCORES]
        for row in pairs
        for best in [own[row["source"]]]
    ]
    bold = best_cells(gains, [None] * len(SCORES), 2) if len(pairs) > 1 else []
    for row in pairs:
        if losses := _papers_losses(row, names):
            rows.append([f"{row['source']} (paper)", row["target"], *(f"{loss:.3f}" for loss in losses)])
    caption = [
        "Performance degradation when testing in the target database compared with the source database (training in "
        "the source database), with 95 % intervals."
    ]
    if any(len(row["seeds"]) > 1 for row in comparison["pairs"]):
        caption.append("Losses are differences of means over seeds.")
    caption.append(uneven_seeds(_seeds_of(comparison)))
    caption += [f"{source}: {leakage_sentence(leakage)}" for source, leakage in comparison["leakages"].items()]
    if bold:
        caption.append("Bold: least loss of the systems that beat the majority class of their own corpus.")
    if len(rows) > len(pairs):
        caption.append("Rows of the paper: Fan et al. (2021), Table 4, of a ResNet152, with other classes and splits.")
    return latex_table(["Source", "Target", "−WA", "−UA"], rows, " ".join(filter(None, caption)), 2, bold=bold)


def _seeds_of(comparison: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    return {f"{row['source']} → {row['target']}": row["seeds"] for row in comparison["pairs"]}


def pair_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows in the layout of Table 4, with the scores behind the losses."""
    header = ["source", "target", "utterances", "WA", "UA", "−WA", "−UA", "majority WA", "majority UA"]
    rows = []
    for row in comparison["pairs"]:
        scores = []
        for name in SCORES:
            scores.append(score_cell(*(row[name][key] for key in ("mean", "low", "high", "std"))))
        losses = ["own", "own"] if row["source"] == row["target"] else ["–", "–"]
        if row["loss"]:
            losses = [score_cell(**row["loss"][name]) for name in SCORES]
        majority = [f"{row['majority'][name]:.3f}" for name in SCORES]
        rows.append([row["source"], row["target"], f"{row['num_utterances']:,}", *scores, *losses, *majority])
    return header, rows


def _bounds(interval: Mapping[str, float | None], form: str) -> str:
    """Return " [low, high]", or an empty string without an interval."""
    return "" if interval["low"] is None else f" [{interval['low']:{form}}, {interval['high']:{form}}]"
