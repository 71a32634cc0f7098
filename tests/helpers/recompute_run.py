"""Numbers of the report of a single run, recomputed from its predictions.csv."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median

from recompute_chance import Sampled, interval
from recompute_scores import read_people


NAMES = ["not_depressed", "depressed"]
Pairs = list[tuple[int, int]]  # class and answer of utterances


def accuracy(pairs: Pairs) -> float:
    return round(sum(label == answer for label, answer in pairs) / len(pairs), 12)


def balanced(pairs: Pairs) -> float:
    """Return the mean recall of the classes that are there."""
    classes = ([pair for pair in pairs if pair[0] == label] for label in (0, 1))
    return round(mean(accuracy(of_class) for of_class in classes if of_class), 12)


class SingleRun:
    """Predictions of a run.

    Args:
        path: File of the predictions.
        majority: Largest class of the training set.
    """

    def __init__(self, path: Path, majority: str):
        self.people = read_people(path)
        self.majority = majority
        self.spoken = {name: [(one.label, answer) for answer in one.answers] for name, one in self.people.items()}
        self.pairs = [pair for of_person in self.spoken.values() for pair in of_person]

    def tables(self) -> dict[str, list[dict]]:
        """Return the tables of the report, by section; the one below the heading has no name."""
        always = [(label, NAMES.index(self.majority)) for label, _ in self.pairs]
        trivial = {"WA": f"{accuracy(always):.3f}", "UA": f"{balanced(always):.3f}"}
        summary = [{"": "**this system**", **scores(list(self.spoken.values()))}]
        summary.append({"": f'always "{self.majority}"', **trivial})
        return {"": summary, "Classes": self._classes(), "Groups": self._groups(), "Speakers": self._speakers()}

    def _classes(self) -> list[dict]:
        rows = []
        for number, name in enumerate(NAMES):
            of_class = [pair for pair in self.pairs if pair[0] == number]
            predicted = sum(answer == number for _, answer in self.pairs)
            row = {"class": name, "utterances": str(len(of_class)), "predicted": str(predicted)}
            rows.append({**row, "recall": f"{accuracy(of_class):.3f}"})
        return rows

    def _groups(self) -> list[dict]:
        rows = []
        for code in sorted({person.gender for person in self.people.values()}):
            inside = [self.spoken[name] for name, person in self.people.items() if person.gender == code]
            size = {"utterances": str(sum(map(len, inside))), "speakers": str(len(inside))}
            rows.append({"group": f"gender_code: {code}", **size, **scores(inside)})
        return rows

    def _speakers(self) -> list[dict]:
        recalls = {name: balanced(of_person) for name, of_person in self.spoken.items()}
        ranked, values = sorted(recalls, key=lambda name: (recalls[name], name)), list(recalls.values())
        bounds = interval(len(values), lambda drawn: median(values[number] for number in drawn))
        middle = Sampled(f"{median(values):.3f} [{{}}, {{}}]", *bounds)
        worst, best = (
            {"": rank, "speaker": name, "utterances": str(len(self.spoken[name]))}
            | scores([[pair] for pair in self.spoken[name]])
            for rank, name in (("worst", ranked[0]), ("best", ranked[-1]))
        )
        speakers = f"{len(values)} speakers"
        return [worst, {"": "median", "speaker": speakers, "utterances": "", "WA": "", "UA": middle}, best]

    def prose_numbers(self, sizes: int) -> list[str]:
        """Return the numbers of the prose.

        Args:
            sizes: How often the number of speakers precedes the scores.
        """
        f1 = []
        for number in (0, 1):
            right = self.pairs.count((number, number))
            wrong = sum(number in pair for pair in self.pairs) - right
            f1.append(2 * right / (2 * right + wrong))
        people = str(len(self.people))
        return [str(len(self.pairs)), *[people] * sizes, f"{mean(f1):.3f}", people]


def scores(units: Sequence[Pairs]) -> dict[str, str | Sampled]:
    """Return WA and UA with bootstrap intervals that resample units, speakers or utterances."""
    cells = {}
    for title, score in (("WA", accuracy), ("UA", balanced)):
        value = score([pair for unit in units for pair in unit])
        cells[title] = f"{value:.3f}"
        if len(units) > 1:

            def of_units(drawn: list[int], score=score) -> float:
                return score([pair for number in drawn for pair in units[number]])

            cells[title] = Sampled(f"{value:.3f} [{{}}, {{}}]", *interval(len(units), of_units))
    return cells
