"""Report of depression detection in the layout of the paper's Table 6: Markdown, LaTeX and a table for terminals."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..wording import counted
from .intervals import SCORES
from .leakage import leakage_sentence
from .participants import LEVELS
from .phq8 import HIGHEST_SCORE, PHQ8_FIGURES
from .published import TABLE_6
from .small_samples import clopper_pearson
from .text_tables import BOLD_NOTE, best_cells, fixed, latex_table, markdown_table, score_cell, uneven_seeds


#: Cell of a score that these participants do not allow.
NOT_ESTIMABLE = "not estimable"
_TITLES = {
    "weighted_accuracy": "WA",
    "unweighted_accuracy": "UA",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1_depressed": "F1 depressed",
    "f1_not_depressed": "F1 not depressed",
    "auc": "AUC",
    "brier": "Brier score",
}
_METHODS = """\
- sensitivity: share of the depressed who are found; specificity: share of the others who are cleared; PPV and NPV:
  shares of right answers among those called depressed and not depressed. They, and WA, have exact intervals (Clopper
  and Pearson 1934). PPV and NPV hold at the prevalence of this sample only.
- UA is balanced accuracy, the mean of sensitivity and specificity. Its interval is made of theirs, which are
  independent: squared distances to the bounds add up (MOVER; Newcombe 1998, Zou and Donner 2008).
- F1 = 2 J / (1 + J), where J is the share of right ones among all that are or are called so; its bounds are those of
  J.
- AUC is the chance that a depressed participant scores above another one; score interval of Newcombe (2006), method 5.
- Brier score is the mean squared error of the probability, 0 at best; {base:.3f} is that of always giving the
  prevalence among the scored participants themselves. Its interval is by an effective number of people (Korn and
  Graubard 1998).
- "not estimable": nobody to count, such as PPV where nobody is called depressed, or UA where a class has nobody. In
  brackets: there is a score but no interval, as the numbers do not differ between people or are all of one person,
  such as the utterances of a class with one participant."""


def depression_markdown(
    comparison: Mapping[str, Any],
    corpus: str,
    split: str,
    pictures: Sequence[str],
    flow: str | None = None,
    difference: str | None = "",
) -> str:
    """Return the report below its heading.

    Args:
        comparison: Result of `compare_depression`, perhaps with `leakage` (see `speaker_leakage`) and `phq8`, the
            result of `compare_phq8` by system.
        corpus: Corpus that the systems were tested on.
        split: Split that the systems were tested on.
        pictures: File names of pictures beside the report.
        flow: Section on the participants, from `flow_section`.
        difference: Difference of the task from the paper's in words, "" for none. With None, the paper's rows are
            left out.
    """
    parts = [] if flow is None else [flow]
    parts += [
        "## Table 6" if difference is not None else "## Scores in the layout of Table 6",
        markdown_table(*table_cells(comparison, difference is not None), 3),
        "\n".join(f"- {note}" for note in _table_notes(comparison, corpus, split, difference)),
        "## Scores by participant",
        markdown_table(*figure_cells(comparison)),
        _METHODS.format(base=_base_rate(comparison)),
        "## People",
        markdown_table(*people_cells(comparison), 2),
        "Participants with exact (Clopper-Pearson) 95 % intervals, each seed on its own.",
        *_phq8_parts(comparison.get("phq8") or {}),
        *_group_parts(comparison),
        *_significance_parts(comparison),
    ]
    parts += [f"![]({picture})" for picture in pictures]
    return "\n\n".join(parts) + "\n"


def _base_rate(comparison: Mapping[str, Any]) -> float:
    prevalence = comparison["num_depressed"] / comparison["num_participants"]
    return prevalence * (1 - prevalence)


def _table_notes(comparison: Mapping[str, Any], corpus: str, split: str, difference: str | None) -> list[str]:
    score = {"mean": "mean probability of the utterances", "vote": "share of utterances called depressed"}
    notes = [
        f"Tested on the {split} set of {corpus}: {counted(comparison['num_utterances'], 'utterance')} of "
        f"{counted(comparison['num_participants'], 'participant')}, {comparison['num_depressed']} of them depressed. "
        f"A participant is called depressed if the {score[comparison['decision']]} is above a half.",
        "Brackets hold 95 % intervals. By participant they are those of the next section. By utterance they are "
        "of the same kinds, for an effective number of utterances that is at most the number of participants (Korn "
        "and Graubard 1998).",
    ]
    if difference is not None:
        notes.append(
            "The paper does not say which level its figures are of. 0.657 / 0.500 is what the answer 'not depressed' "
            "to all 35 participants of DAIC-WOZ's development set scores, and 0.714 / 0.583 is two of the 12 "
            "depressed found with no false alarm: a difference of two people (McNemar's exact p = 0.5)."
        )
    if difference:
        notes.append(f"**The paper's rows are on another test set: {difference}.**")
    flaws = [leak_note(comparison), chosen_on_scored_note(comparison)]
    notes += [f"**{flaw}**" for flaw in flaws if flaw]
    if any(len(row["seeds"]) > 1 for row in comparison["systems"]):
        notes.append(
            "Scores are over seeds, ± one sample standard deviation. Their intervals are for one decision on each "
            "participant, which is conservative for a mean; F1, PPV and NPV are those of the summed counts."
        )
    if uneven := uneven_seeds({row["name"]: row["seeds"] for row in comparison["systems"]}):
        notes.append(uneven)
    for row in comparison["systems"]:
        if row["utterances"] is None:
            chosen = ", ".join(f"{value:.6g}" for value in row["thresholds"].values())
            notes.append(f"{row['name']}: threshold chosen on training participants ({chosen}).")
    return notes


def chosen_on_scored_note(comparison: Mapping[str, Any]) -> str:
    """Return a sentence on the systems whose epochs were chosen on the scored participants, empty without any.

    Args:
        comparison: Result of `compare_depression`.
    """
    names = [row["name"] for row in comparison["systems"] if row["chosen_on_scored"]]
    if not names:
        return ""
    return f"Epochs of {', '.join(names)} were chosen on the scored participants: these scores are too high."


def leak_note(comparison: Mapping[str, Any]) -> str:
    """Return a sentence on scored participants who are in the training set too, empty without any.

    Args:
        comparison: Result of `compare_depression`, perhaps with `leakage` (see `speaker_leakage`).
    """
    leakage = comparison.get("leakage") or {}
    return leakage_sentence(leakage) if leakage.get("shared") else ""


def table_cells(comparison: Mapping[str, Any], paper: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return header and rows in the layout of Table 6: by participant and by utterance.

    Args:
        comparison: Result of `compare_depression`.
        paper: Whether the paper's rows follow.
    """
    header = ["system", "start", "trained", *(f"{_TITLES[name]}, {level}" for level in LEVELS for name in SCORES)]
    rows = []
    for row in comparison["systems"]:
        cells = ["" if row[level] is None else _score_cell(row[level][name]) for level in LEVELS for name in SCORES]
        rows.append([row["name"], row["start"], row["strategy"], *cells])
    never = [_estimate_cell(comparison["all_negative"][name]) for name in SCORES]
    rows.append(["always not depressed", "", "", *never, "", ""])
    for algorithm, scores in TABLE_6.items() if paper else ():
        rows.append([f"paper: {algorithm}", "", "", *(f"{score:.3f}" for score in scores), "", ""])
    return header, rows


def figure_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of all scores by participant, a column for each system."""
    systems = comparison["systems"]
    header = ["", *(row["name"] for row in systems), "always not depressed"]
    rows = []
    for name, title in _TITLES.items():
        never = comparison["all_negative"].get(name)
        cells = [_score_cell(row["participants"][name]) for row in systems]
        rows.append([title, *cells, _estimate_cell(never) if never else ""])
    chance = ["–" if row["p_chance"] is None else _p_cell(row["p_chance"]) for row in systems]
    return header, [*rows, ["p of a UA above chance", *chance, ""]]


def people_cells(comparison: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the participants that each system has right, seed by seed."""
    header = ["system", "seed", "right", "depressed found", "controls cleared", "called depressed, right"]
    header.append("called not depressed, right")
    rows = []
    for row in comparison["systems"]:
        for seed, exact in row["exact"].items():
            shares = [_share_cell(exact[name]) for name in ("right", "found", "cleared", "ppv", "npv")]
            rows.append([row["name"], seed, *shares])
    return header, rows


def _phq8_parts(phq8: Mapping[str, Any]) -> list[str]:
    known = {name: row for name, row in phq8.items() if row is not None}
    if not known:
        return []
    rows = []
    for name, row in known.items():
        always = " / ".join(fixed(row["baseline"][figure], ".2f") for figure in PHQ8_FIGURES)
        cells = [_score_cell(row[figure]) for figure in PHQ8_FIGURES]
        fitted = ", ".join(map(str, dict.fromkeys(row["num_fitted"].values())))
        rows.append([name, str(row["num_participants"]), fitted, *cells, always])
    note = (
        "The PHQ-8 score of each participant is estimated from the probability, by the least-squares line of the "
        "training participants that epochs were chosen on, each seed its own; the third column counts them. Estimates "
        f"below 0 and above {HIGHEST_SCORE} are set to these bounds. Brackets hold 95 % bootstrap intervals "
        "that resample participants. CCC is the concordance correlation coefficient (Lin 1989). The last column "
        "always estimates the mean of these training participants."
    )
    header = ["system", "participants", "line fitted on", "MAE", "RMSE", "CCC", "always the mean: MAE / RMSE / CCC"]
    return ["## PHQ-8 score", markdown_table(header, rows), note]


def _group_parts(comparison: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            row["name"],
            f"{attribute}: {group['value']}",
            f"{group['num_participants']}, {group['num_depressed']} depressed",
            *(_estimate_cell(group[name]) for name in ("sensitivity", "specificity", *SCORES)),
        ]
        for row in comparison["systems"]
        for attribute, groups in row["groups"].items()
        for group in groups
    ]
    if not rows:
        return []
    header = ["system", "group", "participants", "sensitivity", "specificity", "WA", "UA"]
    note = "By participant, over seeds. Codes of genders are those of the label files; sources disagree on them."
    return ["## Groups", markdown_table(header, rows, 2), note]


def _significance_parts(comparison: Mapping[str, Any]) -> list[str]:
    notes = [
        "p of a UA above chance is that of a permutation test: the share of random exchanges of labels among "
        "participants that give as high a mean UA over seeds."
    ]
    if not comparison["comparisons"]:
        return ["## Significance", notes[0]]
    reference, rows = comparison["reference"], []
    for row in comparison["comparisons"]:
        cells = [row["system"]]
        for name in SCORES:
            value = row[name]["value"]
            cells += [NOT_ESTIMABLE if value is None else fixed(value, "+.3f"), _p_cell(row[name]["p_holm"])]
        test = row["mcnemar"]
        alone = "–" if test["p"] is None else f"{test['only_first']} : {test['only_second']}"
        cells += [alone, "–" if test["seed"] is None else str(test["seed"]), _p_cell(test["p_holm"])]
        rows.append(cells)
    header = [f"against {reference}", "WA", "p", "UA", "p", "right alone", "seed", "McNemar p"]
    notes += [
        f"Differences are each system minus {reference}, over all seeds. p is that of a permutation test: the share "
        "of exchanges of the two systems' decisions, participant by participant with all seeds, that give as large a "
        "difference (Noreen 1989). McNemar's exact test counts the participants that one of the two alone has right, "
        "for one seed. Holm's procedure corrects p over the rows, each kind on its own.",
    ]
    if comparison["reference_chosen"] != "by name":
        score = comparison["reference_chosen"].removeprefix("by ")
        notes.append(f"{reference} was chosen for its {score} on these very participants, which flatters it.")
    return ["## Significance", markdown_table(header, rows), "\n".join(f"- {note}" for note in notes)]


def depression_latex(comparison: Mapping[str, Any], corpus: str, split: str, difference: str | None = "") -> str:
    """Return Table 6 as LaTeX in the paper's columns, by participant.

    Args:
        comparison: Result of `compare_depression`.
        corpus: Corpus that the systems were tested on.
        split: Split that the systems were tested on.
        difference: See `depression_markdown`.
    """
    scores = [[row["participants"][name] for name in SCORES] for row in comparison["systems"]]
    rows = [
        [f"{row['name']} ({row['start']})", *map(_short_cell, cells)]
        for row, cells in zip(comparison["systems"], scores, strict=True)
    ]
    never = [comparison["all_negative"][name] for name in SCORES]
    rows.append(["always not depressed", *(_short_cell({"mean": row["value"], **row}) for row in never)])
    if difference is not None:
        rows += [[f"paper: {name}", *(f"{score:.3f}" for score in scores)] for name, scores in TABLE_6.items()]
    people, depressed = comparison["num_participants"], comparison["num_depressed"]
    caption = (
        f"Depression detection on the {split} set of {corpus} by participant ({people}, {depressed} depressed), with "
        "95 % intervals"
    )
    caption += "." if difference is None else ", and the rows of Fan et al. (2021), Table 6."
    if difference:
        caption += f" These are on another test set: {difference}."
    if any(len(row["seeds"]) > 1 for row in comparison["systems"]):
        caption += " Scores are means over seeds."
    if uneven := uneven_seeds({row["name"]: row["seeds"] for row in comparison["systems"]}):
        caption += f" {uneven}"
    if leak := leak_note(comparison):
        caption += f" {leak}"
    if chosen := chosen_on_scored_note(comparison):
        caption += f" {chosen} None of them is bold."
    fair = [
        [None if row["chosen_on_scored"] else cell["mean"] for cell in cells]
        for row, cells in zip(comparison["systems"], scores, strict=True)
    ]
    bold = best_cells(fair, [row["value"] for row in never], 1)
    if bold:
        caption += f" {BOLD_NOTE.format(answer=rows[len(scores)][0])}"
    return latex_table(["Algorithm", "WA", "UA"], rows, caption, bold=bold)


def flow_section(
    flow: Sequence[Mapping[str, Any]] | None, comparison: Mapping[str, Any], split: str, split_names: Mapping[str, str]
) -> str:
    """Return the section on who was recruited, left out and analysed, and on what depressed means.

    Args:
        flow: Rows of `participant_flow` of a corpus, None where nothing tells who was left out.
        comparison: Result of `compare_depression`.
        split: Name of the split that was scored, as in `flow`.
        split_names: Names for people of splits.
    """
    people, depressed = comparison["num_participants"], comparison["num_depressed"]
    exact = clopper_pearson(depressed, people)
    share = f"{100 * depressed / people:.1f} % [{100 * exact['low']:.1f}, {100 * exact['high']:.1f}]"
    lines = [
        "## Participants",
        "Depressed means a PHQ-8 score of 10 or more (Kroenke et al. 2009): a questionnaire that participants fill in "
        "about the last two weeks, not a clinical diagnosis.",
        f"Prevalence among the participants analysed on the {split_names.get(split, split)} set: {depressed} of "
        f"{people} ({share}).",
    ]
    if flow is None:
        return "\n\n".join([*lines, "Who was left out before this data set was made is not known."])
    header, rows = flow_cells(flow, split_names)
    lines += [markdown_table(header, rows, 2), _flow_note(flow, comparison, split)]
    return "\n\n".join(lines)


def flow_cells(flow: Sequence[Mapping[str, Any]], split_names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a participant flow, by split and class, and in total."""
    reasons = [reason for reason in dict.fromkeys(row["outcome"] for row in flow) if reason != "kept"]
    header = ["split", "class", "recruited", *reasons, "analysed", "relabelled among these"]
    places = dict.fromkeys((row["split"], row["label"]) for row in flow)
    splits = list(dict.fromkeys(split for split, _ in places))

    def cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
        number = {reason: sum(row["participants"] for row in rows if row["outcome"] == reason) for reason in reasons}
        kept = [row for row in rows if row["outcome"] == "kept"]
        counts = [sum(row["participants"] for row in rows), *number.values()]
        counts += [sum(row[key] for row in kept) for key in ("participants", "relabelled")]
        return [f"{count:,}" for count in counts]

    lines = []
    for split, label in sorted(places, key=lambda place: (splits.index(place[0]), place[1] or "~")):
        rows = [row for row in flow if (row["split"], row["label"]) == (split, label)]
        name = "in no label file" if split is None else split_names.get(split, split)
        lines.append([name, (label or "unknown").replace("_", " "), *cells(rows)])
    return header, [*lines, ["all", "", *cells(flow)]]


def _flow_note(flow: Sequence[Mapping[str, Any]], comparison: Mapping[str, Any], split: str) -> str:
    note = (
        "Recruited are the participants that a label file lists or that have a session. Relabelled are those whose "
        "label follows the PHQ-8 score, and was another one in the file's binary column."
    )
    kept = sum(row["participants"] for row in flow if row["split"] == split and row["outcome"] == "kept")
    if missing := kept - comparison["num_participants"]:
        verb = "is" if abs(missing) == 1 else "are"
        place = "missing from" if missing > 0 else "beyond"
        note += f" **Of the scored set, {abs(missing)} {verb} {place} these counts.**"
    return note


def _score_cell(score: Mapping[str, Any]) -> str:
    """Return `mean ± std [low, high]`, or that the score or its interval is not estimable."""
    if score["mean"] is None:
        return NOT_ESTIMABLE
    if score["low"] is None:
        return f"{score_cell(score['mean'], std=score['std'])} [{NOT_ESTIMABLE}]"
    return score_cell(score["mean"], score["low"], score["high"], score["std"])


def _estimate_cell(estimate: Mapping[str, Any]) -> str:
    return _score_cell({"mean": estimate["value"], "std": None, **estimate})


def _short_cell(score: Mapping[str, Any]) -> str:
    return _score_cell({**score, "std": None})


def _share_cell(share: Mapping[str, Any]) -> str:
    if not share["trials"]:
        return NOT_ESTIMABLE
    return f"{share['successes']} of {share['trials']} [{share['low']:.2f}, {share['high']:.2f}]"


def _p_cell(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


__all__ = [
    "chosen_on_scored_note",
    "depression_latex",
    "depression_markdown",
    "figure_cells",
    "flow_cells",
    "flow_section",
    "leak_note",
    "people_cells",
    "table_cells",
]
