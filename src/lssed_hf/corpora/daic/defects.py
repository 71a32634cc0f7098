"""Known defects of DAIC-WOZ, their sources, and their remedies.

No participant's score or label is in this file, because labels are corrected by a rule (`recompute_binary`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .segments import Repairs


_AVEC = "DAIC-WOZ documentation of AVEC 2017 (DAICWOZDepression_Documentation_AVEC2017.pdf)"
_BAILEY = "adbailey1/daic_woz_process and adbailey1/DepAudioNet_reproduction (Bailey and Plumbley, EUSIPCO 2021)"
_HAREN = "repository of HAREN-CTC"

#: Seconds to add to the times of a misaligned transcript. Nobody has established which set is better.
OFFSETS: Mapping[str, Mapping[int, float]] = {
    "adbailey": {318: 34.319917, 321: 3.8379167, 341: 6.1892, 362: 16.8582},
    "haren_ctc": {318: 34.0, 321: 3.355, 341: 6.07, 362: 16.54},
}
#: Start and end, in seconds, of interruptions by other people. The two sources differ about 373.
INTERRUPTIONS: Mapping[str, Mapping[int, tuple[float, float]]] = {
    "documentation": {373: (352.0, 420.0), 444: (286.0, 387.0)},
    "adbailey": {373: (395.0, 428.0), 444: (286.0, 387.0)},
}
EXCLUDED_SESSIONS = frozenset({342, 394, 398, 460})
WITHOUT_INTERVIEWER = frozenset({451, 458, 480})
CONTESTED_SESSIONS = frozenset({411, 480})
#: From this participant on, the interviewer's rows are `identifier (spoken text)`.
FIRST_AUTO_TRANSCRIBED = 363

#: Remedy -> its effect. All but `contested_sessions` are applied by default.
REMEDIES: Mapping[str, str] = {
    "misalignment": "add the offset of `offsets` to the times of a misaligned transcript",
    "interruptions": "leave out rows that touch an interruption, and end a turn there",
    "sync_markers": "leave out <sync>, [synch], [syncing] and the like",
    "missing_interviewer": "where there is no row of the interviewer, merge none: she may be heard between any two",
    "chatter": "leave out what precedes the first row of the interviewer, where there is one",
    "scrubbed": "leave out rows with scrubbed_entry, whose sound was set to zero",
    "auto_transcribed": "take the spoken text out of the interviewer's `identifier (spoken text)`",
    "recompute_binary": "depressed means a PHQ-8 score of 10 or more, whatever the binary column says",
    "excluded_sessions": "leave out sessions that the release says are excluded",
    "contested_sessions": "leave out sessions that some authors leave out",
}
DEFAULT_REMEDIES = tuple(name for name in REMEDIES if name != "contested_sessions")
#: Remedies for defects of E-DAIC. Its transcripts are new, so they do not share DAIC-WOZ's defects.
E_DAIC_REMEDIES = ("scrubbed", "recompute_binary")


@dataclass(frozen=True)
class Defect:
    """Known defect.

    Attributes:
        participants: Participants concerned, empty for all.
        description: Defect in words.
        remedy: Name of a remedy in `REMEDIES`, None if none is needed.
        source: Publication or repository that reports the defect.
    """

    participants: Sequence[int]
    description: str
    remedy: str | None
    source: str


DEFECTS = (
    Defect((342, 394, 398, 460), "session excluded, not released", "excluded_sessions", _AVEC),
    Defect((373,), "interruption 5:52-7:00; 395-428 s by another source", "interruptions", f"{_AVEC}; {_BAILEY}"),
    Defect((444,), "interruption 4:46-6:27", "interruptions", f"{_AVEC}; {_BAILEY}"),
    Defect((451, 458, 480), "no rows of the interviewer", "missing_interviewer", f"{_AVEC}; {_BAILEY}"),
    Defect((402,), "video ends about two minutes early; the sound is whole", None, _AVEC),
    Defect((318, 321, 341, 362), "transcript misaligned", "misalignment", f"{_BAILEY}; {_HAREN}"),
    Defect((409,), "binary column and score disagree", "recompute_binary", _BAILEY),
    Defect((319,), "item PHQ8_Sleep empty; items are not read", None, "third parties who looked at the label files"),
    Defect((411, 480), "left out by some authors, for no agreed reason", "contested_sessions", "published code"),
    Defect((), "sync markers, and talk before the interview", "sync_markers", _BAILEY),
    Defect((), "talk of the staff before the interviewer's first words", "chatter", _BAILEY),
    Defect((), "identifying passages are `scrubbed_entry` and zeros in the sound", "scrubbed", _AVEC),
    Defect((), "from 363 on the interviewer's rows are `identifier (spoken text)`", "auto_transcribed", _AVEC),
    Defect((), "487_P.zip holds __MACOSX/._*; lock files of editors: never read", None, "copies of the release"),
)


def repairs_of(
    participant: int | None,
    remedies: Collection[str] = DEFAULT_REMEDIES,
    offsets: str = "adbailey",
    interruptions: str = "documentation",
) -> Repairs:
    """Return the repairs of a session of DAIC-WOZ.

    Args:
        participant: Number of the participant, None if it is unknown.
        remedies: Names of remedies in `REMEDIES`.
        offsets: Name of a set in `OFFSETS`.
        interruptions: Name of a set in `INTERRUPTIONS`.
    """
    spans = INTERRUPTIONS[interruptions]
    return Repairs(
        offset=OFFSETS[offsets].get(participant, 0.0) if "misalignment" in remedies else 0.0,
        interruptions=[spans[participant]] if "interruptions" in remedies and participant in spans else [],
        drop_sync="sync_markers" in remedies,
        drop_scrubbed="scrubbed" in remedies,
        drop_chatter="chatter" in remedies,
        split_without_interviewer="missing_interviewer" in remedies,
        auto_transcribed="auto_transcribed" in remedies and (participant or 0) >= FIRST_AUTO_TRANSCRIBED,
    )


def chosen_remedies(
    remedies: str | Sequence[str], known: Sequence[str] = tuple(REMEDIES), default: Sequence[str] = DEFAULT_REMEDIES
) -> frozenset[str]:
    """Return the names of the remedies that a user chose.

    Args:
        remedies: "default", "none", or one name or several.
        known: Names that may be chosen.
        default: Names that "default" stands for.

    Raises:
        ValueError: A name is unknown.
    """
    names = [remedies] if isinstance(remedies, str) else list(remedies)
    if names == ["default"]:
        return frozenset(default)
    if names == ["none"]:
        return frozenset()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"remedies={remedies!r}: {unknown[0]!r} is none of {', '.join(known)}, default, none")
    return frozenset(names)
