"""Tables 1 to 3 of the LSSED paper (Fan et al., ICASSP 2021), and the comparison of a corpus with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..labels import EMOTIONS


PUBLISHED_CORPUS = {"speakers": 820, "minutes": 206 * 60 + 25, "utterances": 147025, "classes": 11}
PUBLISHED_SPEAKERS = {
    "female": {"young": 253, "middle_aged": 167, "old": 65, "total": 485},
    "male": {"young": 155, "middle_aged": 141, "old": 39, "total": 335},
    "total": {"young": 408, "middle_aged": 308, "old": 104, "total": 820},
}
#: Training and test utterances of each emotion. The paper heads these two columns the wrong way round.
PUBLISHED_EMOTIONS = {
    "angry": (5192, 1298),
    "neutral": (48369, 12092),
    "happy": (21627, 5406),
    "sad": (9641, 2410),
    "disappointed": (7124, 1781),
    "bored": (2333, 583),
    "disgusted": (2543, 636),
    "excited": (4182, 1046),
    "surprised": (1325, 331),
    "fearful": (502, 126),
    "other": (14782, 3696),
}
_HEADING_NOTE = (
    "The paper heads the first two columns of Table 3 the wrong way round: the column called training sums to 29,405, "
    "the 20 % that are the test set. Here they stand under the right names."
)


def compare_with_paper(statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Subtract the paper's numbers for LSSED from those of a corpus.

    Args:
        statistics: Counts from `corpus_statistics`.

    Returns:
        Differences, None where ours is unknown: `table1` (`speakers`, `minutes`, `utterances`, `classes`), `table2`
        (gender -> age group, with totals), `table3` (emotion or "all" -> `train`, `test`, `total`); `equal`, whether
        all that is known is 0; and `notes`. Tables 1 and 2 are None for a configuration without all eleven emotions.
    """
    emotions, splits = statistics["emotions"], list(statistics["splits"])
    compared = [emotion for emotion in PUBLISHED_EMOTIONS if emotion in emotions]
    table1 = table2 = None
    notes = [_HEADING_NOTE]
    if "test" in splits and len(splits) > 2:
        others = [split for split in splits if split != "test"]
        notes.append(f"The paper has two splits: {' and '.join(others)} together are held against its training set.")
    if len(compared) == len(EMOTIONS):
        table1, table2 = _table1(statistics["corpus"]), _table2(statistics["speakers"])
    else:
        notes.append(f"Tables 1 and 2 count all eleven emotions, this configuration has {', '.join(compared)}.")
    if table2 and statistics["speakers"] and any(None in row.values() for row in table2.values()):
        notes.append("Table 2 is compared by gender and by age only where those of all speakers are known.")
    table3 = {emotion: _table3_row(emotions, [emotion]) for emotion in compared}
    table3["all"] = _table3_row(emotions, compared)
    rows = [table1 or {}, *(table2 or {}).values(), *table3.values()]
    equal = bool(compared) and not any(difference for row in rows for difference in row.values())
    return {"table1": table1, "table2": table2, "table3": table3, "equal": equal, "notes": notes}


def _table1(corpus: Mapping[str, Any]) -> dict[str, int | None]:
    seconds = corpus["seconds"]
    ours = {**corpus, "minutes": None if seconds is None else round(seconds / 60)}
    return {key: None if ours[key] is None else ours[key] - number for key, number in PUBLISHED_CORPUS.items()}


def _table2(speakers: Mapping[str, Any] | None) -> dict[str, dict[str, int | None]]:
    """Return differences of numbers of speakers. Where a gender or an age is unknown, those by it are None."""
    table = {} if speakers is None else speakers["table"]
    genders_known = set(table) <= PUBLISHED_SPEAKERS.keys()
    ages_known = all(set(row) <= PUBLISHED_SPEAKERS["total"].keys() for row in table.values())

    def difference(gender: str, age: str, number: int) -> int | None:
        known = (gender == "total" or genders_known) and (age == "total" or ages_known)
        return table[gender][age] - number if table and known else None

    return {
        gender: {age: difference(gender, age, number) for age, number in row.items()}
        for gender, row in PUBLISHED_SPEAKERS.items()
    }


def _table3_row(emotions: Mapping[str, Any], chosen: Sequence[str]) -> dict[str, int]:
    train, test = (sum(PUBLISHED_EMOTIONS[emotion][column] for emotion in chosen) for column in (0, 1))
    ours_test = sum(emotions[emotion]["splits"].get("test", 0) for emotion in chosen)
    ours = sum(emotions[emotion]["total"] for emotion in chosen)
    return {"train": ours - ours_test - train, "test": ours_test - test, "total": ours - train - test}
