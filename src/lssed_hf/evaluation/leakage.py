"""Words for the speakers that training and test share."""

from collections.abc import Mapping, Sequence
from typing import Any


def speaker_leakage(record: Mapping[str, Any]) -> dict[str, int | None]:
    """Return how many `speakers` a test set has, and how many `shared` ones are in the training set too.

    Args:
        record: Contents of `training.json`. Unknown numbers are None.
    """
    return {
        "shared": (record.get("shared_speakers") or {}).get("train, test"),
        "speakers": ((record.get("splits") or {}).get("test") or {}).get("num_speakers"),
    }


def worst_leakage(leakages: Sequence[Mapping[str, int | None]]) -> dict[str, int | None]:
    """Return the leakage with the most shared speakers; unknown if one is unknown and none is shared."""
    if not leakages:
        return {"shared": None, "speakers": None}
    return dict(max(leakages, key=lambda row: 0.5 if row["shared"] is None else row["shared"]))


def leakage_sentence(leakage: Mapping[str, int | None]) -> str:
    """Return a sentence on the speakers that training and test share, by number and share.

    Args:
        leakage: Result of `speaker_leakage`.
    """
    shared, speakers = leakage["shared"], leakage["speakers"]
    if shared is None or not speakers:
        return "Whether speakers of the test set are in the training set too is unknown."
    if speakers == 1:
        return f"The only test speaker is {'in the training set too' if shared else 'not in the training set'}."
    if not shared:
        return f"None of the {speakers:,} test speakers is in the training set."
    percent = f"{100 * shared / speakers:.0f}"
    if percent in ("0", "100") and shared < speakers:
        percent = {"0": "< 1", "100": "> 99"}[percent]
    verb = "is" if shared == 1 else "are"
    return (
        f"{shared:,} of the {speakers:,} test speakers ({percent} %) {verb} in the training set too: scores are too "
        "high for new speakers."
    )
