"""Scores of depression detection by utterance and by participant, and tests of systems against each other.

The paper's two rows of Table 6 are consistent with one decision for each of the 35 participants of DAIC-WOZ's
development set (23 controls, 12 depressed): WA 0.657 and UA 0.500 is the answer "not depressed" to everybody, and
0.714 and 0.583 is two of the twelve found and no false alarm. So scores count people, with intervals that hold for a
few dozen of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .diagnosis import (
    by_group,
    confusions_by_person,
    diagnosis,
    diagnosis_of_runs,
    observed_shares,
    probability_figures,
)
from .intervals import SCORES
from .run_results import RunResults, check_same_test_set, choose_reference
from .significance import better_than_chance, holm, mcnemar_of_runs, paired_differences
from .small_samples import clopper_pearson


#: Ways to join the probabilities of a participant's utterances: their mean, or the share of utterances above a half.
DECISIONS = ("mean", "vote")
#: Levels of scores.
LEVELS = ("participants", "utterances")
_TRADITIONAL = 0.5  # threshold


@dataclass(frozen=True)
class DepressionSystem:
    """One system of a comparison, trained once per seed.

    Attributes:
        name: Unique name.
        start: Start of training, for people: "pyresnet50, from scratch", a folder, ...
        strategy: Trained part of the network, for people.
        runs: Scored test set by seed; labels are "not_depressed" and "depressed", in this order.
        thresholds: Score by seed above which a participant is called depressed. Default: a half.
        chosen_on_scored: Whether its epochs were chosen on the participants that are scored, which flatters it.
    """

    name: str
    start: str
    strategy: str
    runs: Mapping[int, RunResults]
    thresholds: Mapping[int, float] = field(default_factory=dict)
    chosen_on_scored: bool = False


def participant_run(run: RunResults, decision: str = "mean", threshold: float = _TRADITIONAL) -> RunResults:
    """Join the rows of utterances to one row for each participant.

    Args:
        run: Scored utterances, with speakers.
        decision: One of `DECISIONS`. With "mean" a participant's probability is the mean over the utterances, with
            "vote" the share of utterances called depressed. Both count utterances alike, long or short.
        threshold: Score above which a participant is called depressed.

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
    predictions = (scores > threshold).astype(int)
    probabilities = np.stack([1 - scores, scores], axis=1)
    groups = {
        attribute: [_only({values[index] for index in np.flatnonzero(speakers == name)}) for name in names]
        for attribute, values in run.groups.items()
    }
    return RunResults(run.results, names, np.asarray(labels), predictions, probabilities, names, groups)


def _only(values: set[str | None]) -> str | None:
    """Return the one value of a participant, None where there is none or several."""
    return next(iter(values)) if len(values) == 1 else None


def compare_depression(
    systems: Sequence[DepressionSystem], decision: str = "mean", reference: str | None = None, *, seed: int = 0
) -> dict[str, Any]:
    """Score systems by utterance and by participant, and test each against one of them.

    Args:
        systems: Systems scored on the same utterances; at least one.
        decision: One of `DECISIONS`, see `participant_run`.
        reference: Name of the system that the others are tested against; by default the one of the highest UA by
            participant, or of the highest WA where all participants are of one class. One whose epochs were chosen on
            the scored participants is passed over if there are others.
        seed: Seed of the permutation tests.

    Returns:
        JSON-ready. `num_utterances`, `num_participants`, `num_depressed`, `decision`, `all_negative` (`FIGURES` by
        participant of always answering "not depressed", see `diagnosis`), `systems`, `reference`, `reference_chosen`
        ("by UA", "by WA" or "by name"), `comparisons`, and `labels`, the class number of each participant.
        A system has `name`, `start`, `strategy`, `chosen_on_scored`, `seeds`, `thresholds` by seed, and `participants`
        and `utterances`, each with the `FIGURES` as `mean`, `std` (over seeds), `low`, `high` (95 %) and `by_seed`;
        `utterances` is None
        with thresholds of its own. By participant there are also `auc` and `brier` (see `probability_figures`),
        `groups` (see `by_group`), `calibration` (see `observed_shares`), `p_chance` (see `better_than_chance`; None
        with a single class), and `exact`, by seed: the shares of participants that are `right`, of the depressed ones
        that are `found`, of the controls that are `cleared`, of those called depressed who are (`ppv`) and of the
        others who are not (`npv`), see `clopper_pearson`. `scores` is the mean probability of each participant over
        seeds. A comparison has `system`, both `SCORES` over all seeds with `value` and `p` (see `paired_differences`),
        and for the first `seed` that both have McNemar's exact test on participants (see `mcnemar`), each with
        `p_holm`; the difference of UA is None with a single class.

    Raises:
        ValueError: There are no systems, the reference is unknown, the test sets differ, or see `participant_run`.
    """
    first = check_same_test_set({system.name: system.runs for system in systems})
    by_participant = {
        system.name: {
            number: participant_run(run, decision, system.thresholds.get(number, _TRADITIONAL))
            for number, run in system.runs.items()
        }
        for system in systems
    }
    people = next(iter(by_participant[systems[0].name].values()))
    rows = [_row(system, by_participant[system.name], seed) for system in systems]
    score, kind = ("unweighted_accuracy", "UA") if len(set(people.references)) == 2 else ("weighted_accuracy", "WA")
    chosen = f"by {kind}" if reference is None else "by name"
    fair = [row for row in rows if not row["chosen_on_scored"]] if reference is None else []
    reference = choose_reference(reference, {row["name"]: row["participants"][score]["mean"] for row in fair or rows})
    nobody = RunResults({}, people.ids, people.references, 0 * people.references, people.probabilities, people.ids)
    return {
        "num_utterances": len(first.ids),
        "num_participants": len(people.ids),
        "num_depressed": int((people.references == 1).sum()),
        "decision": decision,
        "all_negative": diagnosis(confusions_by_person(nobody, people.ids)),
        "systems": rows,
        "reference": reference,
        "reference_chosen": chosen,
        "comparisons": _comparisons(by_participant, reference, seed),
        "labels": dict(zip(people.ids, people.references.tolist(), strict=True)),
    }


def _row(system: DepressionSystem, people: Mapping[int, RunResults], seed: int) -> dict[str, Any]:
    first, seeds = next(iter(people.values())), list(people)
    counts = np.stack([confusions_by_person(run, first.ids) for run in people.values()])
    scores = np.stack([run.probabilities[:, 1] for run in people.values()])
    utterances = np.stack([confusions_by_person(run, first.ids) for run in system.runs.values()])
    two_classes = len(set(first.references.tolist())) == 2
    decided = np.stack([run.predictions for run in people.values()])
    return {
        "name": system.name,
        "start": system.start,
        "strategy": system.strategy,
        "chosen_on_scored": system.chosen_on_scored,
        "seeds": seeds,
        "thresholds": {str(number): system.thresholds.get(number, _TRADITIONAL) for number in seeds},
        "participants": {
            **diagnosis_of_runs(counts, seeds),
            **probability_figures(first.references, scores, seeds),
        },
        "utterances": None if system.thresholds else diagnosis_of_runs(utterances, seeds, by_utterance=True),
        "groups": by_group(first.groups, first.references, counts.mean(axis=0)),
        "calibration": observed_shares(first.references, scores.mean(axis=0)),
        "p_chance": better_than_chance(first.references, decided, seed=seed) if two_classes else None,
        "exact": {str(number): _exact(run) for number, run in zip(seeds, counts.sum(axis=1), strict=True)},
        "scores": dict(zip(first.ids, scores.mean(axis=0).tolist(), strict=True)),
    }


def _exact(confusion: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Return shares of participants for counts (2, 2); rows are references, columns predictions."""
    (cleared, alarms), (missed, found) = confusion.astype(int).tolist()
    return {
        "right": clopper_pearson(cleared + found, cleared + alarms + missed + found),
        "found": clopper_pearson(found, found + missed),
        "cleared": clopper_pearson(cleared, cleared + alarms),
        "ppv": clopper_pearson(found, found + alarms),
        "npv": clopper_pearson(cleared, cleared + missed),
    }


def _comparisons(
    by_participant: Mapping[str, Mapping[int, RunResults]], reference: str, seed: int
) -> list[dict[str, Any]]:
    others = by_participant[reference]
    comparisons = []
    for name, runs in by_participant.items():
        if name == reference:
            continue
        first = next(iter(runs.values()))
        decided, other = (np.stack([run.predictions for run in side.values()]) for side in (runs, others))
        differences = paired_differences(first.references, decided, other, first.ids, 2, seed=seed)
        if len(set(first.references)) < 2:
            differences["unweighted_accuracy"] = {"value": None, "p": None}
        compared_seed, test = mcnemar_of_runs(runs, others)
        comparisons.append(
            {
                "system": name,
                **{score: {key: differences[score][key] for key in ("value", "p")} for score in SCORES},
                "mcnemar": {"seed": compared_seed, **test},
            }
        )
    for test in (*SCORES, "mcnemar"):
        for row, p in zip(comparisons, holm([row[test]["p"] for row in comparisons]), strict=True):
            row[test]["p_holm"] = p
    return comparisons
