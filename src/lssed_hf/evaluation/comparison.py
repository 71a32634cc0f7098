"""Comparison of systems on one test set, as in the paper's Table 5, with significance: numbers, Markdown and LaTeX."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..wording import counted
from .fairness import fairness, fairness_table
from .intervals import SCORES
from .leakage import leakage_sentence, worst_leakage
from .published import LSSED_MAJORITY, TABLE_5, PublishedSystem, find_published
from .run_results import RunResults, check_same_test_set, choose_reference, mean_and_std, score_runs
from .significance import holm, mcnemar_of_runs, paired_differences
from .text_tables import (
    BOLD_NOTE,
    FEW_SPEAKERS,
    SEEDS_NOTE,
    best_cells,
    bracket_note,
    latex_table,
    markdown_table,
    score_cell,
    uneven_seeds,
    without_empty_columns,
)


@dataclass(frozen=True)
class System:
    """One system of a comparison, trained once per seed.

    Attributes:
        name: Unique name.
        model: Name in the zoo, or folder, that the network was built from.
        flags: Further settings that set it apart, for people.
        runs: Scored test set by seed.
        facts: `num_parameters`, `train_seconds`, `resumed`, `validation_unweighted_accuracy` and `leakage` (see
            `speaker_leakage`) of each run, where known.
        changed: Whether the network's configuration differs from the one of that name in the zoo.
        adversarial: Whether it was trained adversarially.
    """

    name: str
    model: str
    flags: str
    runs: Mapping[int, RunResults]
    facts: Sequence[Mapping[str, Any]] = ()
    changed: bool = False
    adversarial: bool = False


def compare_systems(systems: Sequence[System], reference: str | None = None) -> dict[str, Any]:
    """Score systems beside each other and test each against one of them.

    Args:
        systems: Systems scored on the same utterances; at least one.
        reference: Name of the system that the others are tested against; by default the one of the highest UA.

    Returns:
        JSON-ready. `systems`, in the order of Table 5 (others after it): `name`, `model`, `flags`, `changed`,
        `algorithm`, `backbone`, `seeds`, both `SCORES` with `mean` and `std` over seeds (sample deviation; None for
        one seed), `low` and `high` (95 %, the mean's, over speakers) and `by_seed`; `num_parameters`, `train_seconds`
        (mean) and `resumed`; `validation_unweighted_accuracy`, None or its `mean` and `std`; `published`, both scores
        of the paper's row or None; `adversarial`, None or the `epsilon` and the scores on fake clips;
        `confusion_matrix`, summed over seeds; `groups` and `speakers`, see `fairness`.
        `labels`, `num_utterances`, `num_speakers`, `majority` and `majority_from`, see `evaluate_predictions`.
        `num_clusters`, the number of speakers that are resampled: the known ones, and one for all unknown ones; None
        where all are unknown.
        `leakage`, that of the run with the most speakers of the test set in training (see `speaker_leakage`).
        `reference`, its name, `reference_chosen`, "by UA" or "by name", and `comparisons`: for every other system
        `system`, both `SCORES` (see `paired_differences`) with `p_holm`, and `mcnemar` with `p_holm` and the `seed`
        of the runs it compares (the first that both have).

    Raises:
        ValueError: There are no systems, the reference is unknown, or the test sets differ.
    """
    first = check_same_test_set({system.name: system.runs for system in systems})
    systems = sorted(systems, key=_table_order)
    rows = [_row(system) for system in systems]
    chosen = "by UA" if reference is None else "by name"
    reference = choose_reference(reference, {row["name"]: row["unweighted_accuracy"]["mean"] for row in rows})
    return {
        "labels": first.labels,
        **{key: first.results[key] for key in ("num_utterances", "num_speakers", "majority", "majority_from")},
        "num_clusters": None if first.speakers is None else len(set(first.speakers)),
        "leakage": worst_leakage(
            [facts["leakage"] for system in systems for facts in system.facts if "leakage" in facts]
        ),
        "systems": rows,
        "reference": reference,
        "reference_chosen": chosen,
        "comparisons": _comparisons(systems, reference, first),
    }


def _published(system: System, clips: str = "real") -> PublishedSystem | None:
    """Return the paper's row of a system on "real" or on "fake" clips; None where there is none."""
    if system.adversarial:
        return find_published(system.model, clips)
    return find_published(system.model) if clips == "real" else None


def _table_order(system: System) -> int:
    published = _published(system)
    return TABLE_5.index(published) if published else len(TABLE_5)


def _predictions(runs: Mapping[int, RunResults]) -> np.ndarray:
    return np.stack([run.predictions for run in runs.values()])


def _row(system: System) -> dict[str, Any]:
    runs, metrics = system.runs, [run.results["metrics"] for run in system.runs.values()]
    scores, _, _ = score_runs(runs)
    published = _published(system)
    validation = [facts.get("validation_unweighted_accuracy") for facts in system.facts] or [None]
    return {
        "name": system.name,
        "model": system.model,
        "flags": system.flags,
        "changed": system.changed,
        "algorithm": published.algorithm if published else None,
        "backbone": published.backbone if published else None,
        "seeds": list(runs),
        **scores,
        "num_parameters": next((facts["num_parameters"] for facts in system.facts), None),
        "train_seconds": float(np.mean([f["train_seconds"] for f in system.facts])) if system.facts else None,
        "resumed": any(facts["resumed"] for facts in system.facts),
        "validation_unweighted_accuracy": mean_and_std(validation) if None not in validation else None,
        "published": {name: getattr(published, name) for name in SCORES} if published else None,
        "adversarial": _fake_scores(system),
        "confusion_matrix": sum(np.array(result["confusion_matrix"]) for result in metrics).tolist(),
        **fairness(runs),
    }


def _fake_scores(system: System) -> dict[str, Any] | None:
    """Return the epsilon and the scores on fake clips; None where a run lacks them."""
    runs = system.runs.values()
    if not all("adversarial" in run.results for run in runs):
        return None
    results, published = [run.results["adversarial"] for run in runs], _published(system, "fake")
    scores = {"epsilon": results[0]["epsilon"]}
    for name in SCORES:
        interval = results[0]["fake"]["intervals"][name] if len(results) == 1 else {}
        scores[name] = {
            **mean_and_std([result["fake"]["metrics"][name] for result in results]),
            **{bound: interval.get(bound) for bound in ("low", "high")},
            "published": getattr(published, name) if published else None,
        }
    return scores


def _comparisons(systems: Sequence[System], reference: str, test_set: RunResults) -> list[dict[str, Any]]:
    runs = {system.name: system.runs for system in systems}
    other_runs = runs.pop(reference)
    comparisons = []
    for name, of_system in runs.items():
        differences = paired_differences(
            test_set.references,
            _predictions(of_system),
            _predictions(other_runs),
            test_set.speakers,
            len(test_set.labels),
        )
        seed, test = mcnemar_of_runs(of_system, other_runs)
        comparisons.append({"system": name, **differences, "mcnemar": {**test, "seed": seed}})
    for name in (*SCORES, "mcnemar"):
        corrected = holm([comparison[name]["p"] for comparison in comparisons])
        for comparison, p in zip(comparisons, corrected, strict=True):
            comparison[name]["p_holm"] = p
    return comparisons


def comparison_markdown(
    comparison: Mapping[str, Any],
    corpus: str,
    picture: str,
    figure2: str | None = None,
    difference: str | None = None,
) -> str:
    """Return the report below its heading.

    Args:
        comparison: Result of `compare_systems`.
        corpus: Corpus that the systems were tested on.
        picture: File name of the picture of scores, beside the report.
        figure2: File name of the picture of confusion matrices, beside the report; None for no such section.
        difference: Difference of the task from that of the paper's Table 5 in words, "" for none. Default: it is
            another task, and the paper's figures are left out.
    """
    size = counted(comparison["num_utterances"], "utterance")
    if comparison["num_speakers"] is not None:
        size += f" of {counted(comparison['num_speakers'], 'speaker')}"
    several = any(len(row["seeds"]) > 1 for row in comparison["systems"])
    chance = "" if several else " and seed, of which there is one"
    clusters = comparison["num_clusters"]
    resampled = {"num_speakers": clusters, "interval_clusters": "utterance" if clusters is None else "speaker"}
    notes = [f"Tested on {size} of {corpus}. {bracket_note(resampled)}"]
    if clusters != comparison["num_speakers"]:
        notes[0] += " Utterances of unknown speakers count as those of one more."
    if clusters != 1:
        notes[0] += f" They cover the choice of the test set, not that of training data{chance}."
    if several:
        notes.append(f"{SEEDS_NOTE} The interval is that of the mean.")
    if uneven := uneven_seeds(_seeds_of(comparison)):
        notes.append(uneven)
    notes.append(f"**{leakage_sentence(comparison['leakage'])}**")
    if paper := has_paper(comparison, difference):
        note = "The columns paper WA and paper UA are the paper's Table 5, with the same speakers in training and test"
        notes.append(f"{note}. **Here the task differs: {difference}.**" if difference else f"{note}, as here.")
    if any(row["changed"] and row["published"] for row in comparison["systems"]):
        notes.append("† The network's configuration was changed, so it is not the one of the paper's row.")
    if any(row["resumed"] for row in comparison["systems"]):
        notes.append("≥: training was interrupted; the seconds are those since it was last resumed.")
    if any(row["adversarial"] for row in comparison["systems"]):
        notes.append("Fake clips are FGSM versions, made against each system itself (see its own report).")
    if any(row["validation_unweighted_accuracy"] for row in comparison["systems"]):
        notes.append(
            "validation UA is that of the validation split, the only one to choose by: a system chosen by its UA on "
            "the test split would flatter itself."
        )
    header, rows = table_cells(comparison, paper)
    num_names = sum(name in ("system", "algorithm", "backbone") for name in header)
    parts = [markdown_table(header, rows, num_names), "\n".join(f"- {note}" for note in notes), f"![UA]({picture})"]
    if comparison["comparisons"]:
        parts += ["## Significance", _significance_table(comparison), _significance_note(comparison)]
    if fair := fairness_table({row["name"]: row for row in comparison["systems"]}):
        parts += ["## Groups and speakers", fair]
    if figure2:
        parts += ["## Confusion", f"![Confusion matrices]({figure2})"]
    return "\n\n".join(parts) + "\n"


def comparison_latex(comparison: Mapping[str, Any], corpus: str, difference: str | None = None) -> str:
    """Return the systems in the columns of Table 5 as LaTeX.

    Args:
        comparison: Result of `compare_systems`.
        corpus: Corpus that the systems were tested on.
        difference: See `comparison_markdown`.
    """
    systems, paper = {row["name"]: row for row in comparison["systems"]}, has_paper(comparison, difference)
    header, cells = table_cells(comparison, paper)
    lines = [{"algorithm": "–", "backbone": "–", **dict(zip(header, line, strict=True))} for line in cells]
    times = Counter((line["algorithm"], line["backbone"]) for line in lines)
    for line in lines:
        algorithm, system = line["algorithm"], systems.get(line["system"], {})
        known = algorithm not in ("", "–") and times[algorithm, line["backbone"]] == 1 and "†" not in algorithm
        # What sets a system apart is in its name, but for the adversarial training of the paper's own rows.
        if known and (not system.get("flags") or algorithm.startswith("ADV")):
            line["system"] = algorithm
        elif paper and "†" in algorithm:
            line["system"] += "†"
    titles = {"system": "Algorithm", "backbone": "Backbone"}
    kept = [title for title in header if title in (*titles, "WA", "UA", "paper WA", "paper UA")]
    rows = [[line[title] for title in kept] for line in lines]

    numbers = [number for number, line in enumerate(cells) if line[0] in systems]
    majority = [comparison["majority"][score] for score in SCORES]
    means = [[row[score]["mean"] for score in SCORES] for row in systems.values()]
    bold = [(numbers[row], column) for row, column in best_cells(means, majority, kept.index("WA"))]
    caption = [f"The performance of different methods on {corpus}, with 95 % intervals."]
    if any(len(row["seeds"]) > 1 for row in systems.values()):
        caption.append(SEEDS_NOTE)
    caption += [uneven_seeds(_seeds_of(comparison)), leakage_sentence(comparison["leakage"])]
    if paper:
        test_set = f", on another test set: {difference}" if difference else ""
        caption.append(f"The columns of the paper are Table 5 of Fan et al. (2021){test_set}.")
    if any(row[0].endswith("†") for row in rows):
        caption.append("†: not the network of the paper, as its configuration was changed.")
    if bold:
        caption.append(BOLD_NOTE.format(answer=rows[-1][0]))
    header = [titles.get(title, title) for title in kept]
    return latex_table(header, rows, " ".join(filter(None, caption)), kept.index("WA"), bold=bold)


def has_paper(comparison: Mapping[str, Any], difference: str | None) -> bool:
    """Return whether the paper's figures stand beside ours.

    Args:
        comparison: Result of `compare_systems`.
        difference: See `comparison_markdown`.
    """
    return difference is not None and any(row["published"] for row in comparison["systems"])


def _seeds_of(comparison: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    return {row["name"]: row["seeds"] for row in comparison["systems"]}


def table_cells(comparison: Mapping[str, Any], paper: bool = False) -> tuple[list[str], list[list[str]]]:
    """Return header and rows in the layout of Table 5, the majority row last, without columns that would be empty.

    Args:
        comparison: Result of `compare_systems`.
        paper: Whether the paper's figures stand beside ours.
    """
    header = ["system", "algorithm", "backbone", "WA", "UA", "parameters", "training s"]
    if paper:
        header += ["paper WA", "paper UA"]
    validated = any(row["validation_unweighted_accuracy"] for row in comparison["systems"])
    if validated:
        header.append("validation UA")
    rows = []
    for row in comparison["systems"]:
        changed = "†" if row["changed"] and row["published"] else ""
        published = row["published"] or {}
        seconds = "–"
        if row["train_seconds"] is not None:
            seconds = f"{'≥ ' * row['resumed']}{row['train_seconds']:,.{int(row['train_seconds'] < 10)}f}"
        rows.append(
            [
                row["name"],
                (row["algorithm"] or "–") + changed,
                row["backbone"] or "–",
                *(_score_cell(row[name]) for name in SCORES),
                "–" if row["num_parameters"] is None else f"{row['num_parameters']:,}",
                seconds,
                *(f"{published[name]:.3f}" if published else "–" for name in SCORES if paper),
                *_validation_cell(row, validated),
            ]
        )
        if fake := row["adversarial"]:
            published = [fake[name]["published"] for name in SCORES]
            rows.append(
                [
                    f"{row['name']}, fake clips (FGSM {fake['epsilon']:g})",
                    (row["algorithm"] or "–").replace("Real", "Fake") + changed,
                    row["backbone"] or "–",
                    *(_score_cell(fake[name]) for name in SCORES),
                    "",
                    "",
                    *("–" if value is None else f"{value:.3f}" for value in published if paper),
                    *[""] * validated,
                ]
            )
    majority = comparison["majority"]
    label = comparison["labels"][majority["label"]]
    scores = [f"{majority[name]:.3f}" for name in SCORES]
    # The paper's majority is of its largest class.
    lssed = [f"{value:.3f}" if label.lower() == "neutral" else "–" for value in LSSED_MAJORITY if paper]
    rows.append([f'always "{label}"', "", "", *scores, "", "", *lssed, *[""] * validated])
    return without_empty_columns(header, rows)


def _validation_cell(row: Mapping[str, Any], validated: bool) -> list[str]:
    if not validated:
        return []
    validation = row["validation_unweighted_accuracy"]
    return ["–" if validation is None else score_cell(validation["mean"], std=validation["std"])]


def _score_cell(score: Mapping[str, Any]) -> str:
    return score_cell(score["mean"], score["low"], score["high"], score["std"])


def _significance_table(comparison: Mapping[str, Any]) -> str:
    header = [f"against {comparison['reference']}", "WA", "p", "UA", "p", "right alone", "McNemar p"]
    rows = []
    for row in comparison["comparisons"]:
        cells = [row["system"]]
        for name in SCORES:
            cells.append(score_cell(*(row[name][key] for key in ("value", "low", "high")), form="+.3f"))
            cells.append(_p_cell(row[name]["p_holm"]))
        test = row["mcnemar"]
        alone = "–" if test["p"] is None else f"{test['only_first']:,} : {test['only_second']:,}"
        rows.append([*cells, alone, _p_cell(test["p_holm"])])
    return markdown_table(header, rows)


def _p_cell(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _significance_note(comparison: Mapping[str, Any]) -> str:
    reference, speakers = comparison["reference"], comparison["num_clusters"]
    notes = [
        f"Differences are each system minus {reference}, with 95 % intervals of a paired bootstrap that resamples "
        "speakers. p is that of swapping the two systems for random speakers, two-sided, and Holm-corrected over the "
        "rows, for WA, UA and McNemar each on its own.",
        "McNemar's exact test is about the utterances that one of the two alone has right, of the first seed that "
        "both have. It counts them as independent; those of one speaker are not, so its p is too small.",
    ]
    if speakers == 1:
        notes[0] = f"Differences are each system minus {reference}. A single test speaker gives no p but McNemar's."
    elif speakers is None:
        notes[0] = notes[0].replace("speakers", "utterances") + " Speakers are unknown."
    elif speakers < FEW_SPEAKERS:
        notes.append(
            f"With {speakers} test speakers intervals are too narrow, and p, before Holm, is never below "
            f"{2 / 2**speakers:.2g}."
        )
    if comparison["reference_chosen"] == "by UA":
        notes.append(f"{reference} was chosen for its UA on this very test set, which flatters it.")
    return "\n".join(f"- {note}" for note in notes)
