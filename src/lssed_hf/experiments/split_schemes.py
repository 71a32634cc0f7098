"""One benchmark for each of several split schemes of a corpus, side by side: `lssed-hf benchmark --split_schemes`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..evaluation.intervals import SCORES
from ..evaluation.leakage import leakage_sentence
from ..evaluation.text_tables import SEEDS_NOTE, latex_table, markdown_table, score_cell, uneven_seeds
from ..files import read_json
from .benchmark import SystemRuns, write_benchmark
from .experiment_report import Report, write_text


def write_split_schemes(
    runs_of: Mapping[str, SystemRuns],
    output_dir: Path,
    reference: str | None = None,
    figure2: Sequence[str] | None = None,
) -> Report | None:
    """Write the report of each scheme into a folder of its name, and one with all side by side.

    Args:
        runs_of: Runs of each scheme, by system and seed.
        output_dir: Folder of the experiment.
        reference: See `write_benchmark`.
        figure2: See `write_benchmark`.

    Returns:
        The report with all schemes, whose file is written last, or None if no run is finished.
    """
    reports = {
        scheme: write_benchmark(system_runs, output_dir / scheme, reference, figure2)
        for scheme, system_runs in runs_of.items()
    }
    results = {scheme: read_json(output_dir / scheme / "results.json") for scheme, report in reports.items() if report}
    if not results:
        return None
    header = ["system", *(f"{name}, {scheme}" for scheme in results for name in ("WA", "UA"))]
    systems = dict.fromkeys(row["name"] for result in results.values() for row in result["systems"])
    rows = [[name, *(cell for result in results.values() for cell in _cells(result, name))] for name in systems]
    majorities = [result["majority"] for result in results.values()]
    rows.append(["majority", *(f"{majority[score]:.3f}" for majority in majorities for score in SCORES)])
    notes = [f"{scheme}: {leakage_sentence(result['leakage'])}" for scheme, result in results.items()]
    corpus = next(iter(results.values()))["corpus"]
    seeds = {
        f"{row['name']}, {scheme}": row["seeds"] for scheme, result in results.items() for row in result["systems"]
    }
    words = ["Brackets hold 95 % intervals."]
    if any(len(of_row) > 1 for of_row in seeds.values()):
        words.append(SEEDS_NOTE)
    words += [uneven_seeds(seeds), "Majority: always answering with the largest class."]
    words = " ".join(filter(None, words))
    caption = f"Systems on {corpus} by split scheme. {words} {' '.join(notes)}"
    write_text(output_dir / "table.tex", latex_table(header, rows, caption))
    lines = "\n".join(
        f"- **{note}** See [{scheme}/report.md]({scheme}/report.md)." for scheme, note in zip(results, notes)
    )
    write_text(
        output_dir / "report.md",
        f"# Split schemes of {corpus}\n\n{markdown_table(header, rows)}\n\n{lines}\n\n{words} Scores of "
        "speakers that the training knows say little about new ones.\n",
    )
    return Report(output_dir / "report.md", header, rows, [f"Corpus: {corpus}.", *notes])


def _cells(result: Mapping, name: str) -> list[str]:
    """Return WA and UA of a system in the results of a scheme, dashes if it has none there."""
    for row in result["systems"]:
        if row["name"] == name:
            return [score_cell(*(row[score][key] for key in ("mean", "low", "high", "std"))) for score in SCORES]
    return ["–"] * len(SCORES)
