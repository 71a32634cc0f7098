"""Scores of systems on corpora that were left out of their training: numbers, Markdown and LaTeX."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .calibration import calibration
from .intervals import SCORES, bootstrap_scores, percentile_intervals
from .run_results import RunResults, mean_and_std, score_runs
from .ser_metrics.ser_metrics import score
from .significance import holm, two_sided
from .text_tables import SEEDS_NOTE, latex_table, markdown_table, score_cell, uneven_seeds


#: Runs by system, corpus that was left out, and seed.
LeftOutRuns = Mapping[str, Mapping[str, Mapping[int, RunResults]]]
UA = SCORES[1]


def compare_left_out(
    runs: LeftOutRuns, labels: Sequence[str], corpora: Sequence[str] | None = None, *, num_resamples: int = 2000
) -> dict[str, Any]:
    """Score systems on each corpus that they were not trained on, and on average.

    Speakers are resampled within each corpus, so the interval of the mean covers the choice of speakers, not that of
    corpora. Systems are compared on the same resamples.

    Args:
        runs: Runs by system, corpus and seed.
        labels: Classes to score (see `RunResults.restricted`).
        corpora: Names of all corpora, in order. Default: those of the runs.
        num_resamples: Number of bootstrap resamples.

    Returns:
        JSON-ready: `labels`, `corpora`, `systems` and `comparisons`. A system has a `name`, `seeds`, `corpora` (by
        name: `num_utterances`, `num_speakers`, both scores, `calibration`, `confusion_matrix`), the `mean` of each
        score over corpora (None unless all are there) and the `calibration` of all clips together. Comparisons are of
        the first system with each other one: the difference of mean UA, first minus other, with `low`, `high`, `p` and
        `p_holm`.
    """
    corpora = list(corpora or dict.fromkeys(corpus for by_corpus in runs.values() for corpus in by_corpus))
    restricted = {
        name: {
            corpus: {seed: run.restricted(labels) for seed, run in by_corpus[corpus].items()}
            for corpus in corpora
            if corpus in by_corpus
        }
        for name, by_corpus in runs.items()
    }
    systems = [_system(name, by_corpus, corpora, num_resamples) for name, by_corpus in restricted.items()]
    complete = [name for name, by_corpus in restricted.items() if len(by_corpus) == len(corpora)]
    comparisons = [
        {
            "system": complete[0],
            "other": other,
            **_difference(restricted[complete[0]], restricted[other], num_resamples),
        }
        for other in complete[1:]
    ]
    for comparison, p in zip(comparisons, holm([row["p"] for row in comparisons]), strict=True):
        comparison["p_holm"] = p
    return {"labels": list(labels), "corpora": corpora, "systems": systems, "comparisons": comparisons}


def _system(
    name: str, by_corpus: Mapping[str, Mapping[int, RunResults]], corpora: Sequence[str], num_resamples: int
) -> dict[str, Any]:
    rows, means, resamples = {}, [], []
    for number, corpus in enumerate(corpora):
        if corpus not in by_corpus:
            continue
        scores, values, resampled = score_runs(by_corpus[corpus], num_resamples=num_resamples, seed=number)
        run = next(iter(by_corpus[corpus].values()))
        means.append(values)
        resamples.append(resampled)
        rows[corpus] = {
            "num_utterances": len(run.ids),
            "num_speakers": run.num_speakers,
            **scores,
            "calibration": _calibration([by_corpus[corpus]]),
            "confusion_matrix": _confusion(by_corpus[corpus].values()),
        }
    mean = None
    if len(rows) == len(corpora):
        mean, _ = _mean_over_corpora(means, resamples)
        for name_of_score in SCORES:
            by_seed = [rows[corpus][name_of_score]["by_seed"] for corpus in corpora]
            shared = set.intersection(*(set(scores) for scores in by_seed))
            seeds = [float(np.mean([scores[seed] for scores in by_seed])) for seed in sorted(shared)]
            mean[name_of_score] |= {"std": mean_and_std(seeds)["std"] if seeds else None}
    return {
        "name": name,
        "seeds": sorted({seed for by_seed in by_corpus.values() for seed in by_seed}),
        "corpora": rows,
        "mean": mean,
        "calibration": _calibration(list(by_corpus.values())),
    }


def _calibration(groups: Sequence[Mapping[int, RunResults]]) -> dict[str, Any]:
    runs = [run for by_seed in groups for run in by_seed.values()]
    return calibration(
        np.concatenate([run.probabilities / run.probabilities.sum(axis=1, keepdims=True) for run in runs]),
        np.concatenate([run.references for run in runs]),
    )


def _confusion(runs: Iterable[RunResults]) -> list[list[int]]:
    """Return the confusion matrix, summed over runs."""
    scores = (score(run.references, run.predictions, len(run.labels)) for run in runs)
    return sum(np.array(result["confusion_matrix"]) for result in scores).tolist()


def _mean_over_corpora(
    values: Sequence[np.ndarray], resamples: Sequence[np.ndarray | None]
) -> tuple[dict[str, dict[str, float | None]], np.ndarray | None]:
    """Return mean scores with intervals, and the resampled means, None where a corpus has one speaker alone."""
    together = None if any(row is None for row in resamples) else np.mean(resamples, axis=0)
    return percentile_intervals(np.mean(values, axis=0), together), together


def _difference(
    first: Mapping[str, Mapping[int, RunResults]], other: Mapping[str, Mapping[int, RunResults]], num_resamples: int
) -> dict[str, Any]:
    """Return the difference of mean UA, first minus other, with its interval and p."""
    values, resamples = [], []
    for number, corpus in enumerate(first):
        run = next(iter(first[corpus].values()))
        both = [
            np.stack([result.on(run.ids).predictions for result in system[corpus].values()])
            for system in (first, other)
        ]
        scores, resampled = bootstrap_scores(
            run.references, both, run.speakers, len(run.labels), num_resamples=num_resamples, seed=number
        )
        values.append(scores[0] - scores[1])
        resamples.append(None if resampled is None else resampled[0] - resampled[1])
    intervals, together = _mean_over_corpora(values, resamples)
    return {**intervals[UA], "p": None if together is None else two_sided(together[1])}


def left_out_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of UA: a column for each corpus, the mean, and the calibration error."""
    header = ["system", *comparison["corpora"], "mean UA", "ECE"]
    rows = []
    for system in comparison["systems"]:
        cells = [
            score_cell(system["corpora"][corpus][UA]["mean"]) if corpus in system["corpora"] else ""
            for corpus in comparison["corpora"]
        ]
        mean = system["mean"]
        if mean is None:
            cells.append("")
        else:
            cells.append(score_cell(*(mean[UA][name] for name in ("value", "low", "high", "std"))))
        rows.append([system["name"], *cells, f"{system['calibration']['ece']:.3f}"])
    return header, rows


def left_out_markdown(comparison: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Return the report below its heading.

    Args:
        comparison: Result of `compare_left_out`.
        pictures: File names of pictures, beside the report.
    """
    rows = {corpus: row for system in comparison["systems"] for corpus, row in system["corpora"].items()}
    sizes = "; ".join(
        f"{corpus}: {rows[corpus]['num_utterances']:,} clips of {rows[corpus]['num_speakers'] or 'unknown'} speakers"
        for corpus in comparison["corpora"]
        if corpus in rows
    )
    notes = [
        "UA (mean recall) on each corpus, by systems that were trained on all the others and chosen without it. "
        f"Classes: {', '.join(comparison['labels'])}. {sizes}.",
        "Brackets hold 95 % bootstrap intervals of the mean that resample speakers within corpora. With several "
        "seeds, ± is one sample standard deviation over seeds.",
        "ECE is the expected calibration error over ten bins, of all clips together.",
    ]
    parts = [
        markdown_table(*left_out_cells(comparison)),
        "\n".join(f"- {note}" for note in notes),
        *(f"![{name}]({name})" for name in pictures),
    ]
    if comparison["comparisons"]:
        rows = [
            [
                f"{row['system']} − {row['other']}",
                score_cell(row["value"], row["low"], row["high"], form="+.3f"),
                "" if row["p_holm"] is None else f"{row['p_holm']:.3f}",
            ]
            for row in comparison["comparisons"]
        ]
        parts += [
            "## Significance",
            markdown_table(["difference of mean UA", "value", "p (Holm)"], rows),
            "Paired bootstrap over the same speakers; p is two-sided, corrected for the number of comparisons.",
        ]
    return "\n\n".join(parts) + "\n"


def left_out_latex(comparison: Mapping[str, Any]) -> str:
    """Return the table of UA as LaTeX."""
    caption = (
        f"UA on corpora that were left out of the training; classes {', '.join(comparison['labels'])}. Brackets: 95 % "
        "intervals; ECE: expected calibration error."
    )
    if any(len(system["seeds"]) > 1 for system in comparison["systems"]):
        caption += f" {SEEDS_NOTE}"
    if uneven := uneven_seeds({system["name"]: system["seeds"] for system in comparison["systems"]}):
        caption += f" {uneven}"
    return latex_table(*left_out_cells(comparison), caption)


__all__ = ["LeftOutRuns", "compare_left_out", "left_out_cells", "left_out_latex", "left_out_markdown"]
