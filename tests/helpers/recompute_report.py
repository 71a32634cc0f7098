"""All tables and numbers in the prose of reports of `lssed-hf finetune-daic`, recomputed from predictions.csv."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from interviews import DEV, TRAIN
from recompute_chance import Sampled, accuracies, exchange, holm, interval, mcnemar, p_chance
from recompute_scores import (
    Counts,
    Run,
    cell,
    counts_by_person,
    counts_of_answers,
    decisions,
    exact,
    figures,
    of_utterances,
    phq8_estimates,
    phq8_figures,
    probability_figures,
    read_people,
    threshold_of,
)


Table = list[dict[str, str]]
PAPER = {"ESPnet (ASR)": ("0.657", "0.500"), "PyResNet (SER)": ("0.714", "0.583")}
NEVER = "always not depressed"
REASONS = ("its session is not there", "an excluded session", "nothing of its interview is left")
FLOW = ("recruited", *REASONS, "analysed", "relabelled among these")
#: Numbers of the prose that are of methods, the literature and the paper.
FIXED = (
    r"\b(19|20)\d\d\b|\b95 %|PHQ-8( score of 10)?|Table 6|0\.657 / 0\.500|0\.714 / 0\.583|35 participants|the 12 dep|"
    r"12 of them|p = 0\.5\b|F1|1 \+ J|2 J|method 5|, 0 at best|below 0 and above 24|\w+\.(png|json)|`[^`]*`"
)


@dataclass(frozen=True)
class System:
    """A row of Table 6, with its runs and the threshold of each."""

    name: str
    trained: str
    runs: list[Run]
    thresholds: list[float]
    own: bool = False

    @property
    def labels(self) -> list[int]:
        return [person.label for person in self.runs[0].values()]

    @property
    def fair(self) -> bool:
        return not self.name.endswith("-development")

    @property
    def decided(self) -> list[list[int]]:
        return [decisions(*pair) for pair in zip(self.runs, self.thresholds, strict=True)]

    @property
    def counted(self) -> list[list[Counts]]:
        return [counts_by_person(*pair) for pair in zip(self.runs, self.thresholds, strict=True)]


class Study:
    """Predictions of a folder of the command.

    Args:
        folder: Folder of the command.
        names: Names of the trainings, in the order of the command.
        phq8: PHQ-8 score by participant.
        decision: "mean" or "vote".
    """

    def __init__(self, folder: Path, names: Sequence[str], phq8: dict[str, int], decision: str = "mean"):
        self.systems: list[System] = []
        self.held_out: dict[str, list[Run]] = {}
        self.phq8 = phq8
        for name in names:
            seeds = sorted((folder / "runs" / name).iterdir())
            runs = [read_people(seed / "predictions.csv", decision) for seed in seeds]
            chosen_on = "development" if name.endswith("-development") else "training"
            trained = f"all, epochs on {chosen_on}"
            self.systems.append(System(name, trained, runs, [0.5] * len(runs)))
            if chosen_on == "training":
                self.held_out[name] = [read_people(seed / "selection" / "predictions.csv", decision) for seed in seeds]
                thresholds = list(map(threshold_of, self.held_out[name]))
                self.systems.append(System(f"{name}, own threshold", trained, runs, thresholds, own=True))
        people = self.systems[0].runs[0]
        self.labels = self.systems[0].labels
        self.people, self.ill = len(people), sum(self.labels)
        self.utterances = sum(len(person.answers) for person in people.values())
        self.figures = {system.name: figures(system.counted) for system in self.systems}
        self.never = figures([counts_by_person(people, 2.0)])
        fair = [system for system in self.systems if system.fair]
        self.best = max(fair, key=lambda system: accuracies(self.labels, system.decided)[1].round(9))

    def tables(self) -> dict[str, Table]:
        """Return the tables of the report below the participant flow, by section."""
        return {
            "Table 6": self._table6(),
            "Scores by participant": self._scores(),
            "People": self._people(),
            "PHQ-8 score": self._phq8(),
            "Groups": self._groups(),
            "Significance": self._significance(),
        }

    def _table6(self) -> Table:
        columns = [f"{score}, {level}" for level in ("participants", "utterances") for score in ("WA", "UA")]
        rows = []
        for system in self.systems:
            answers = figures([counts_of_answers(run) for run in system.runs], of_utterances)
            cells = [cell(row[score]) for row in (self.figures[system.name], answers) for score in ("WA", "UA")]
            rows.append([system.name, "scratch: pyresnet50", system.trained, *cells])
            if system.own:
                rows[-1][5:] = ["", ""]
        rows.append([NEVER, "", "", *(cell(self.never[score]) for score in ("WA", "UA")), "", ""])
        rows += [[f"paper: {name}", "", "", *cells, "", ""] for name, cells in PAPER.items()]
        return [dict(zip(["system", "start", "trained", *columns], row, strict=True)) for row in rows]

    def _scores(self) -> Table:
        columns = {}
        for system in self.systems:
            cells = {**self.figures[system.name], **probability_figures(system.runs)}
            columns[system.name] = {title: cell(figure) for title, figure in cells.items()}
            columns[system.name]["p of a UA above chance"] = p_chance(self.labels, system.decided)
        columns[NEVER] = {title: cell(figure) for title, figure in self.never.items()}
        titles = ["WA", "UA", "sensitivity", "specificity", "PPV", "NPV", "F1 depressed", "F1 not depressed"]
        titles += ["AUC", "Brier score", "p of a UA above chance"]
        return [{"": title, **{name: cells.get(title, "") for name, cells in columns.items()}} for title in titles]

    def _people(self) -> Table:
        def share(people: list[Counts], over: str, under: str) -> str:
            hits, number = (sum(one[key] for one in people for key in keys.split()) for keys in (over, under))
            low, high = exact(hits, number) if number else (0, 0)
            return f"{hits} of {number} [{low:.2f}, {high:.2f}]" if number else "not estimable"

        return [
            {
                "system": system.name,
                "seed": str(seed),
                "right": share(people, "TP TN", "TP TN FP FN"),
                "depressed found": share(people, "TP", "TP FN"),
                "controls cleared": share(people, "TN", "TN FP"),
                "called depressed, right": share(people, "TP", "TP FP"),
                "called not depressed, right": share(people, "TN", "TN FN"),
            }
            for system in self.systems
            for seed, people in enumerate(system.counted)
        ]

    def _phq8(self) -> Table:
        runs = {system.name: system.runs for system in self.systems}
        right = np.array([self.phq8[name] for name in self.systems[0].runs[0]], dtype=float)
        rows = []
        for name, held_out in self.held_out.items():
            pairs = list(zip(held_out, runs[name], strict=True))
            guesses = [phq8_estimates(*pair, self.phq8) for pair in pairs]
            values = np.array([phq8_figures(right, guess) for guess in guesses])
            row = {"system": name, "participants": str(self.people)}
            row["line fitted on"] = ", ".join(dict.fromkeys(str(len(fitted)) for fitted in held_out))
            for number, title in enumerate(("MAE", "RMSE", "CCC")):

                def statistic(drawn: list[int], number: int = number, guesses: list = guesses) -> float:
                    return mean(phq8_figures(right[drawn], guess[drawn])[number] for guess in guesses)

                text = f"{values[:, number].mean():.3f} ± {values[:, number].std(ddof=1):.3f} [{{}}, {{}}]"
                row[title] = Sampled(text, *interval(self.people, statistic))
            always = [np.full(len(right), mean(self.phq8[name] for name in fitted)) for fitted in held_out]
            numbers = np.mean([phq8_figures(right, guess) for guess in always], axis=0)
            row["always the mean: MAE / RMSE / CCC"] = " / ".join(f"{number:.2f}" for number in numbers)
            rows.append(row)
        return rows

    def _groups(self) -> Table:
        rows = []
        for system in self.systems:
            codes = [person.gender for person in system.runs[0].values()]
            for code in sorted(set(codes)):
                chosen = [number for number, other in enumerate(codes) if other == code]
                row = figures([[people[number] for number in chosen] for people in system.counted])
                ill = sum(self.labels[number] for number in chosen)
                cells = {
                    name: cell(row[name] and row[name][:2]) for name in ("sensitivity", "specificity", "WA", "UA")
                }
                size = f"{len(chosen)}, {ill} depressed"
                rows.append({"system": system.name, "group": f"gender_code: {code}", "participants": size, **cells})
        return rows

    def _significance(self) -> Table:
        others = [system for system in self.systems if system is not self.best]
        tests = [exchange(self.labels, np.array(one.decided), np.array(self.best.decided)) for one in others]
        alone = [mcnemar(self.labels, one.decided[0], self.best.decided[0]) for one in others]
        corrected = [holm(kind) for kind in zip(*([*p, pair[2]] for (_, p), pair in zip(tests, alone)), strict=True)]
        return [
            {
                f"against {self.best.name}": system.name,
                "WA": f"{difference[0]:+.3f}",
                "WA p": f"{corrected[0][row]:.3f}",
                "UA": f"{difference[1]:+.3f}",
                "UA p": f"{corrected[1][row]:.3f}",
                "right alone": f"{alone[row][0]} : {alone[row][1]}",
                "seed": "0",
                "McNemar p": f"{corrected[2][row]:.3f}",
            }
            for row, (system, (difference, _)) in enumerate(zip(others, tests, strict=True))
        ]

    def prose_numbers(self) -> list[str]:
        """Return the numbers of the prose, in its order."""
        low, high = exact(self.ill, self.people)
        share = self.ill / self.people
        numbers = [self.ill, self.people, *(f"{100 * number:.1f}" for number in (share, low, high))]
        numbers += [self.utterances, self.people, self.ill, self.people, self.ill]
        numbers += [f"{threshold:.6g}" for system in self.systems if system.own for threshold in system.thresholds]
        return [*map(str, numbers), f"{share * (1 - share):.3f}"]

    def latex_rows(self) -> list[str]:
        """Return the rows of table.tex."""
        kinds = ("WA", "UA")
        values = [[self.figures[system.name][kind][0] for kind in kinds] for system in self.systems]
        fair = [scores for system, scores in zip(self.systems, values, strict=True) if system.fair]
        best = [max(column) for column in zip(*fair, strict=True)]
        rows = []
        for system, of_system in zip(self.systems, values, strict=True):
            cells = [cell(self.figures[system.name][kind][:2]) for kind in kinds]
            for column, kind in enumerate(kinds):
                if (
                    system.fair
                    and best[column] > self.never[kind][0] + 1e-9
                    and of_system[column] > best[column] - 1e-9
                ):
                    cells[column] = rf"\textbf{{{cells[column]}}}"
            rows.append([f"{system.name} (scratch: pyresnet50)", *cells])
        rows.append([NEVER, *(cell(self.never[kind]) for kind in kinds)])
        rows += [[f"paper: {name}", *cells] for name, cells in PAPER.items()]
        return [" & ".join(row) + r" \\" for row in rows]


def flow(release: Path) -> Table:
    """Return the participant flow of a release, by its label files, folders and transcripts."""
    rows = []
    for split, path in (("train", TRAIN), ("development", DEV)):
        listed: dict[str, list[tuple[str, bool]]] = {"depressed": [], "not depressed": []}
        for line in (release / path).read_text(encoding="utf-8").split()[1:]:
            number, label, score, _ = map(int, line.split(","))
            transcript = release / f"{number}_P" / f"{number}_TRANSCRIPT.csv"
            outcome = "analysed"
            if number in (342, 394, 398, 460):
                outcome = "an excluded session"
            elif not transcript.is_file():
                outcome = "its session is not there"
            elif "\tParticipant\t" not in transcript.read_text(encoding="utf-8"):
                outcome = "nothing of its interview is left"
            depressed = score >= 10
            listed["depressed" if depressed else "not depressed"].append((outcome, depressed != bool(label)))
        for name, people in listed.items():
            row = dict.fromkeys(FLOW, 0) | Counter(outcome for outcome, _ in people)
            row["recruited"] = len(people)
            row["relabelled among these"] = people.count(("analysed", True))
            rows.append({"split": split, "class": name, **row})
    total = {"split": "all", "class": "", **{name: sum(row[name] for row in rows) for name in FLOW}}
    return [{name: str(value) for name, value in row.items()} for row in [*rows, total]]


def read_tables(report: Path) -> dict[str, Table]:
    """Return the tables of a report by section, rows by header; of two columns p the header before is added."""
    tables: dict[str, Table] = {}
    for section in f"\n{report.read_text(encoding='utf-8')}".replace("\n# ", "\n## \n", 1).split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        lines = [line for line in text.splitlines() if line.startswith("|")]
        cells = [[part.strip() for part in line.strip("|").split("|")] for line in lines]
        if cells:
            header = [f"{cells[0][number - 1]} p" if name == "p" else name for number, name in enumerate(cells[0])]
            tables[title] = [dict(zip(header, row, strict=True)) for row in cells[2:]]
    return tables


def prose_numbers(text: str) -> list[str]:
    """Return the numbers of a text outside of tables that no method or source gives."""
    prose = "\n".join(line for line in text.splitlines() if not line.startswith("|"))
    return re.findall(r"\d+(?:[.,]\d+)*", re.sub(FIXED, "", prose))
