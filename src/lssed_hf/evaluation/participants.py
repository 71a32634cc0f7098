"""Scores of depression detection by utterance and by participant, beside the paper's Table 6.

The paper's two rows are consistent with one decision for each of the 35 participants of DAIC-WOZ's development set
(23 controls, 12 depressed): WA 0.657 and UA 0.500 is the answer "not depressed" to everybody, and 0.714 and 0.583 is
two of the twelve found and no false alarm. So the report counts the people that a system finds, with exact intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from .published import TABLE_6
from .run_results import RunResults, check_same_test_set, choose_reference, mean_and_std
from .significance import holm, mcnemar_of_runs
from .text_tables import latex_table, markdown_table, score_cell


#: Ways to join the probabilities of a participant's utterances: their mean, or the share of utterances above a half.
DECISIONS = ("mean", "vote")
METRICS = ("weighted_accuracy", "unweighted_accuracy", "f1_depressed", "f1_not_depressed")
LEVELS = ("participants", "utterances")
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class DepressionSystem:
    """One system of a comparison, trained once per seed.

    Attributes:
        name: Unique name.
        start: Start of training, for people: "pyresnet50, from scratch", a folder, ...
        strategy: Trained part of the network, for people.
        runs: Scored test set by seed; labels are "not_depressed" and "depressed", in this order.
    """

    name: str
    start: str
    strategy: str
    runs: Mapping[int, RunResults]


def participant_run(run: RunResults, decision: str = "mean") -> RunResults:
    """Join the rows of utterances to one row for each participant.

    Args:
        run: Scored utterances, with speakers.
        decision: One of `DECISIONS`. With "mean" a participant's probability is the mean over the utterances, with
            "vote" the share of utterances called depressed. Both count utterances alike, long or short. More than a
            half is depressed.

    Raises:
        ValueError: The decision is unknown, an utterance has no speaker, or a participant has both labels.
    """
    if decision not in DECISIONS:
        raise ValueError(f"decision={decision!r} is not one of {', '.join(DECISIONS)}")
    if run.speakers is None or None in run.speakers:
        raise ValueError("an utterance without a speaker belongs to no participant")
    speakers = np.asarray(run.speakers)
    names, labels, probabilities = [], [], []
    for name in dict.fromkeys(run.speakers):
        chosen = speakers == name
        label = np.unique(run.references[chosen])
        if len(label) > 1:
            raise ValueError(f"participant {name} is labelled both ways: {', '.join(run.labels[i] for i in label)}")
        depressed = run.probabilities[chosen, 1] if decision == "mean" else run.predictions[chosen] == 1
        names.append(name)
        labels.append(int(label[0]))
        probabilities.append(float(np.mean(depressed)))
    scores = np.asarray(probabilities)
    predictions = (scores > 0.5).astype(int)
    probabilities = np.stack([1 - scores, scores], axis=1)
    return RunResults(run.results, names, np.asarray(labels), predictions, probabilities, names)


def clopper_pearson(successes: int, trials: int, confidence: float = _CONFIDENCE) -> dict[str, float | int | None]:
    """Return the exact interval of a share (Clopper and Pearson 1934, Biometrika 26).

    Returns:
        `successes`, `trials`, `low` and `high`; the last two are None without trials.
    """
    if not trials:
        return {"successes": 0, "trials": 0, "low": None, "high": None}
    interval = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return {"successes": successes, "trials": trials, "low": float(interval.low), "high": float(interval.high)}


def compare_depression(
    systems: Sequence[DepressionSystem],
    decision: str = "mean",
    reference: str | None = None,
    *,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Score systems by utterance and by participant, and test each against one of them.

    Args:
        systems: Systems scored on the same utterances; at least one.
        decision: One of `DECISIONS`, see `participant_run`.
        reference: Name of the system that the others are tested against; by default the one of the highest UA by
            participant.
        num_resamples: Number of bootstrap resamples; participants are resampled on both levels.
        seed: Seed of the bootstrap.

    Returns:
        JSON-ready. `num_utterances`, `num_participants`, `num_depressed`, `decision`, `all_negative` (the `METRICS` by
        participant of always answering "not depressed"), `systems`, `reference`, `comparisons` and `labels`, the class
        number of each participant. A system has `name`, `start`, `strategy`, `seeds`; `participants` and
        `utterances`, each with the `METRICS` as `mean`, `std` (over seeds), `low`, `high` (95 %) and `by_seed`;
        `exact`, by seed: the shares of participants that are `right`, of the depressed ones that are `found` and of
        the controls that are `cleared` (see `clopper_pearson`); `auc` of participants (`mean`, `std`, `low`, `high`;
        None with a single class); and `scores`, the mean probability of each participant over seeds. A comparison has
        `system`, and for the first `seed` that both have McNemar's exact test on participants (see `mcnemar`) with
        `p_holm`.

    Raises:
        ValueError: There are no systems, the reference is unknown, the test sets differ, or see `participant_run`.
    """
    first = check_same_test_set({system.name: system.runs for system in systems})
    by_participant = {
        system.name: {number: participant_run(run, decision) for number, run in system.runs.items()}
        for system in systems
    }
    people = next(iter(by_participant[systems[0].name].values()))
    draws = np.random.default_rng(seed).multinomial(
        len(people.ids), np.full(len(people.ids), 1 / len(people.ids)), size=num_resamples
    )
    rows = [_row(system, by_participant[system.name], draws) for system in systems]
    scores = {row["name"]: row["participants"]["unweighted_accuracy"]["mean"] for row in rows}
    reference = choose_reference(reference, scores)
    never = _metrics(_confusion(people.references, np.zeros_like(people.references)))
    return {
        "num_utterances": len(first.ids),
        "num_participants": len(people.ids),
        "num_depressed": int((people.references == 1).sum()),
        "decision": decision,
        "all_negative": dict(zip(METRICS, never.tolist(), strict=True)),
        "systems": rows,
        "reference": reference,
        "comparisons": _comparisons(by_participant, reference),
        "labels": dict(zip(people.ids, people.references.tolist(), strict=True)),
    }


def _confusion(references: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return counts (2, 2): rows are references, columns predictions."""
    return np.bincount(2 * references + predictions, minlength=4).reshape(2, 2)


def _metrics(confusions: np.ndarray) -> np.ndarray:
    """Return the `METRICS` (..., 4) of confusion matrices (..., 2, 2).

    A class that does not occur has no recall. F1 of a class that neither occurs nor is predicted is 0, as in
    scikit-learn.
    """
    right = np.stack([confusions[..., 0, 0], confusions[..., 1, 1]], axis=-1)
    true, predicted = confusions.sum(axis=-1), confusions.sum(axis=-2)
    recalls = np.divide(right, true, out=np.full(true.shape, np.nan), where=true > 0)
    both = true + predicted
    f1 = np.divide(2 * right, both, out=np.zeros(both.shape), where=both > 0)
    accuracy = right.sum(axis=-1) / true.sum(axis=-1)
    return np.stack([accuracy, np.nanmean(recalls, axis=-1), f1[..., 1], f1[..., 0]], axis=-1)


def _row(system: DepressionSystem, people: Mapping[int, RunResults], draws: np.ndarray) -> dict[str, Any]:
    row = {"name": system.name, "start": system.start, "strategy": system.strategy, "seeds": list(system.runs)}
    for level, runs in (("participants", people), ("utterances", system.runs)):
        names = next(iter(people.values())).ids
        by_person = np.stack([_confusions_by_person(run, names) for run in runs.values()])
        singles = _metrics(by_person.sum(axis=1))
        resampled = _metrics(np.einsum("bk,skij->bsij", draws, by_person)).mean(axis=1)
        low, high = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2], axis=0)
        row[level] = {
            name: {
                **mean_and_std(singles[:, index].tolist()),
                "low": float(low[index]),
                "high": float(high[index]),
                "by_seed": {str(seed): float(value) for seed, value in zip(runs, singles[:, index], strict=True)},
            }
            for index, name in enumerate(METRICS)
        }
    row["exact"] = {}
    for seed, run in people.items():
        (cleared, alarms), (missed, found) = _confusion(run.references, run.predictions).tolist()
        row["exact"][str(seed)] = {
            "right": clopper_pearson(cleared + found, len(run.ids)),
            "found": clopper_pearson(found, found + missed),
            "cleared": clopper_pearson(cleared, cleared + alarms),
        }
    scores = np.mean([run.probabilities[:, 1] for run in people.values()], axis=0)
    first = next(iter(people.values()))
    row["auc"] = _auc(first.references, [run.probabilities[:, 1] for run in people.values()], draws)
    row["scores"] = dict(zip(first.ids, scores.tolist(), strict=True))
    return row


def _confusions_by_person(run: RunResults, names: Sequence[str]) -> np.ndarray:
    """Return counts (participants, 2, 2), in the order of `names`."""
    numbers = {name: number for number, name in enumerate(names)}
    persons = np.array([numbers[speaker] for speaker in run.speakers])
    counts = np.zeros((len(names), 2, 2), dtype=np.int64)
    np.add.at(counts, (persons, run.references, run.predictions), 1)
    return counts


def _auc(references: np.ndarray, scores: Sequence[np.ndarray], draws: np.ndarray) -> dict[str, float] | None:
    """Return the area under the ROC curve with its bootstrap interval.

    The area is the share of pairs in the right order, where ties count half.
    """
    positive, negative = np.flatnonzero(references == 1), np.flatnonzero(references == 0)
    if not len(positive) or not len(negative):
        return None
    values, resampled = [], []
    weights = draws[:, positive].sum(axis=1) * draws[:, negative].sum(axis=1)
    for score in scores:
        order = np.sign(score[positive][:, None] - score[negative][None]) / 2 + 0.5
        values.append(float(order.mean()))
        area = np.einsum("bp,pn,bn->b", draws[:, positive], order, draws[:, negative], optimize=True)
        resampled.append(area[weights > 0] / weights[weights > 0])
    low, high = np.quantile(np.mean(resampled, axis=0), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return {**mean_and_std(values), "low": float(low), "high": float(high)}


def _comparisons(by_participant: Mapping[str, Mapping[int, RunResults]], reference: str) -> list[dict[str, Any]]:
    comparisons = []
    for name, runs in by_participant.items():
        if name == reference:
            continue
        seed, test = mcnemar_of_runs(runs, by_participant[reference])
        comparisons.append({"system": name, "seed": seed, **test})
    for comparison, p in zip(comparisons, holm([row["p"] for row in comparisons]), strict=True):
        comparison["p_holm"] = p
    return comparisons


def depression_markdown(comparison: Mapping[str, Any], corpus: str, split: str, pictures: Sequence[str]) -> str:
    """Return the report below its heading.

    Args:
        comparison: Result of `compare_depression`.
        corpus: Corpus that the systems were tested on.
        split: Split that the systems were tested on.
        pictures: File names of pictures beside the report.
    """
    depressed, people = comparison["num_depressed"], comparison["num_participants"]
    rule = {"mean": "mean probability", "vote": "majority vote"}[comparison["decision"]]
    notes = [
        f"Tested on the {split} set of {corpus}: {comparison['num_utterances']:,} utterances of {people} "
        f"participants, {depressed} of them depressed. A participant is decided on by the {rule} of the utterances, "
        "at a half.",
        "Brackets hold 95 % bootstrap intervals that resample participants, on both levels.",
        "The paper does not say which level its figures are of. 0.657 / 0.500 is what the answer 'not depressed' to "
        "all 35 participants of DAIC-WOZ's development set scores, and 0.714 / 0.583 is two of the 12 depressed found "
        "with no false alarm: a difference of two people (McNemar's exact p = 0.5).",
    ]
    if any(len(row["seeds"]) > 1 for row in comparison["systems"]):
        notes.append("Scores are means over seeds, ± one sample standard deviation.")
    parts = [
        "## Table 6",
        markdown_table(*table_cells(comparison), 3),
        "\n".join(f"- {note}" for note in notes),
        "## People",
        markdown_table(*people_cells(comparison), 2),
        "Shares of participants with exact (Clopper-Pearson) 95 % intervals, each seed on its own. AUC is the chance "
        "that a depressed participant scores above one who is not, over seeds.",
    ]
    if comparison["comparisons"]:
        parts += [
            "## Significance",
            markdown_table(
                [f"against {comparison['reference']}", "seed", "right alone", "McNemar p", "Holm"],
                [
                    [
                        row["system"],
                        "–" if row["seed"] is None else str(row["seed"]),
                        "–" if row["p"] is None else f"{row['only_first']} : {row['only_second']}",
                        "–" if row["p"] is None else f"{row['p']:.3f}",
                        "–" if row["p_holm"] is None else f"{row['p_holm']:.3f}",
                    ]
                    for row in comparison["comparisons"]
                ],
            ),
            "McNemar's exact test counts the participants that one of the two alone has right.",
        ]
    parts += [f"![]({picture})" for picture in pictures]
    return "\n\n".join(parts) + "\n"


def depression_latex(comparison: Mapping[str, Any], corpus: str, split: str) -> str:
    """Return Table 6 of `depression_markdown` as LaTeX."""
    caption = f"Depression detection on the {split} set of {corpus}, with 95 % intervals, and the paper's Table 6."
    return latex_table(*table_cells(comparison), caption, 3)


def table_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows in the layout of Table 6: by participant, by utterance, and the paper's rows."""
    header = ["system", "start", "trained"]
    header += [f"{name}, {level}" for level in LEVELS for name in ("WA", "UA", "F1 depressed", "F1 not depressed")]
    rows = []
    for row in comparison["systems"]:
        cells = [
            score_cell(*(row[level][name][key] for key in ("mean", "low", "high", "std")))
            for level in LEVELS
            for name in METRICS
        ]
        rows.append([row["name"], row["start"], row["strategy"], *cells])
    never = [f"{comparison['all_negative'][name]:.3f}" for name in METRICS]
    rows.append(["always not depressed", "", "", *never, *[""] * len(METRICS)])
    for algorithm, scores in TABLE_6.items():
        rows.append([f"paper: {algorithm}", "", "", *(f"{score:.3f}" for score in scores), *[""] * 6])
    return header, rows


def people_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the participants that each system has right, seed by seed."""
    header = ["system", "seed", "right", "depressed found", "controls cleared", "AUC"]
    rows = []
    for row in comparison["systems"]:
        auc = row["auc"]
        cell = "–" if auc is None else score_cell(auc["mean"], auc["low"], auc["high"], auc["std"])
        for index, (seed, exact) in enumerate(row["exact"].items()):
            shares = [_share_cell(exact[name]) for name in ("right", "found", "cleared")]
            rows.append([row["name"], seed, *shares, cell if index == 0 else ""])
    return header, rows


def _share_cell(share: Mapping[str, Any]) -> str:
    if not share["trials"]:
        return "–"
    return f"{share['successes']} of {share['trials']} [{share['low']:.2f}, {share['high']:.2f}]"
