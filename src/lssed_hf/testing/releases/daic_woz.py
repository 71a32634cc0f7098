"""DAIC-WOZ: `300_P/300_AUDIO.wav` or `300_P.zip`, and four label files. No voice, score or label is a person's."""

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ...audio import encode_audio
from ...corpora.daic.defects import FIRST_AUTO_TRANSCRIBED, INTERRUPTIONS, OFFSETS
from ...corpora.daic.label_files import CUT_OFF
from .common import SAMPLING_RATE, claim, format_table, write_files
from .interviews import Interview, Person, Row, make_people, speak_interview


_ITEMS = ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure", "Concentrating", "Moving")
#: Participants whose known defects are planted, in this order.
_MISALIGNED, _INTERRUPTED, _WITHOUT_INTERVIEWER, _AUTO_TRANSCRIBED = 318, 444, 451, FIRST_AUTO_TRANSCRIBED
_FEWEST_WITH_DEFECTS = 8
#: Participants with known defects, who are never among the ordinary ones.
_KNOWN = {number for table in (*OFFSETS.values(), *INTERRUPTIONS.values()) for number in table}
_KNOWN |= {319, 342, 363, 394, 398, 402, 409, 411, 451, 458, 460, 480}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    write_synthetic_daic_woz(output_dir, num_participants=num_speakers, seed=seed)


def write_synthetic_daic_woz(
    folder: str | os.PathLike, *, num_participants: int = 12, seed: int = 0, defects: bool = True
) -> Path:
    """Write interviews in DAIC-WOZ's layout: folders and zips of sessions, and the four label files.

    With `defects`, these are planted: a transcript misaligned by the known offset (318), an interruption (444), no
    interviewer (451), automatic rows (363), talk and sync markers before the interview, scrubbed passages, times
    that are wrong, a binary label that disagrees with its score, an empty PHQ8_Sleep, blank rows at the end of
    `full_test_split.csv`, a session that is missing, one that no label file lists, and files of macOS and editors.

    Args:
        folder: New or empty folder, or an earlier release of ours, which is replaced.
        num_participants: Number of participants with a session, up to 150; with defects 8 or more.
        seed: Seed of everything random. The same seed writes the same bytes.
        defects: Whether to plant the defects.

    Returns:
        `folder` as a path. The label files are written last, so that a folder which has them is complete.

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: The number of participants is out of its range.
        FileExistsError: The folder holds something that is not ours.
    """
    folder = Path(folder)
    fewest = _FEWEST_WITH_DEFECTS if defects else 1
    if not fewest <= num_participants <= 150:
        raise ValueError(f"num_participants must be between {fewest} and 150, got {num_participants}")
    special = [_MISALIGNED, _INTERRUPTED, _WITHOUT_INTERVIEWER, _AUTO_TRANSCRIBED] if defects else []
    ordinary = [number for number in range(300, 493) if number not in _KNOWN]
    people = make_people([*special, *ordinary[: num_participants - len(special)]], seed)
    claim(folder, "daic_woz", replaces=("*_P", "*.zip", "*.csv"))
    for index, person in enumerate(people):
        _write_session(folder, person, index, seed, defects)
    if defects:
        stranger = ordinary[num_participants]
        write_files(folder / f"{stranger}_P", {f"{stranger}_TRANSCRIPT.csv": _transcript(())})
    _write_labels(folder, people, ordinary[num_participants + 1] if defects else None, seed)
    return folder


def _write_session(folder: Path, person: Person, index: int, seed: int, defects: bool) -> None:
    """Write the folder of a participant, or a zip for every third one."""
    number, interview = person.number, speak_interview(person, seed)
    if defects:
        interview = _damage(interview, number, index)
    files = {
        f"{number}_AUDIO.wav": encode_audio(interview.samples, SAMPLING_RATE, "wav"),
        f"{number}_TRANSCRIPT.csv": _transcript(interview.rows),
    }
    if defects:
        files[f"__MACOSX/._{number}_AUDIO.wav"] = b"\0\5\26\7"
        files[f".~lock.{number}_TRANSCRIPT.csv#"] = b",editor,"
    if index % 3 == 1:
        _write_zip(folder / f"{number}_P.zip", files)
    else:
        write_files(folder / f"{number}_P", files)


def _damage(interview: Interview, number: int, index: int) -> Interview:
    """Plant the defects of every session, and the known ones of this participant."""
    samples, rows = interview.samples, list(interview.rows)
    before = 3.0  # seconds of talk before the interview
    if number == _MISALIGNED:
        before += OFFSETS["adbailey"][number]
    samples, rows = _delayed(samples, rows, before)
    rows = [(before - 2.9, before - 1.4, "Participant", "is this thing on"), *rows]
    rows.insert(1, (before - 1.3, before - 0.1, "Participant", "<sync>" if index % 2 else "[synching]."))
    if number == _INTERRUPTED:
        samples, rows = _interrupt(samples, rows, *INTERRUPTIONS["documentation"][number])
    elif number == _WITHOUT_INTERVIEWER:
        rows = [row for row in rows[1:] if row[2] != "Ellie"]
    elif number >= FIRST_AUTO_TRANSCRIBED:
        rows = [
            (*row[:3], f"prompt_{i} ({row[3].lower()})" if row[2] == "Ellie" else row[3]) for i, row in enumerate(rows)
        ]
    else:
        samples, rows = _scrub(samples, rows)
        end = len(samples) / SAMPLING_RATE
        rows += [
            (end - 0.2, end - 0.3, "Participant", "ends before it starts"),
            (end + 5, end + 7, "Participant", "gone"),
        ]
        rows.append((end - 0.4, end - 0.1, "Participant", ""))
    if number == _MISALIGNED:
        offset = OFFSETS["adbailey"][number]
        rows = [(start - offset, stop - offset, *rest) for start, stop, *rest in rows]
    return Interview(samples, rows)


def _delayed(samples: np.ndarray, rows: list, seconds: float, after: float = 0.0) -> tuple[np.ndarray, list]:
    """Insert silence at a time in seconds, and delay the rows from there on."""
    at, gap = round(after * SAMPLING_RATE), np.zeros(round(seconds * SAMPLING_RATE), np.float32)
    moved = [
        (start + seconds, stop + seconds, *rest) if start >= after else (start, stop, *rest)
        for start, stop, *rest in rows
    ]
    return np.concatenate([samples[:at], gap, samples[at:]]), moved


def _interrupt(samples: np.ndarray, rows: list, start: float, stop: float) -> tuple[np.ndarray, list]:
    """Put half of the interview before the interruption, somebody's words in it, and half after it."""
    middle = next(row for row in rows[len(rows) // 2 :] if row[2] == "Ellie")[0] - 0.1
    samples, rows = _delayed(samples, rows, stop + 1.0 - middle, after=middle)
    position = next(index for index, row in enumerate(rows) if row[0] > stop)
    words = (start + 2.0, start + 4.5, "Participant", "sorry somebody came in")
    return samples, [*rows[:position], words, *rows[position:]]


def _scrub(samples: np.ndarray, rows: list) -> tuple[np.ndarray, list]:
    """Turn the last answer into a scrubbed entry, and its sound into zeros."""
    start, stop, speaker, _ = rows[-1]
    samples = samples.copy()
    samples[round(start * SAMPLING_RATE) : round(stop * SAMPLING_RATE)] = 0
    return samples, [*rows[:-1], (start, stop, speaker, "scrubbed_entry")]


def _transcript(rows: Iterable[Row]) -> bytes:
    lines = ["start_time\tstop_time\tspeaker\tvalue"]
    lines += [f"{start:.3f}\t{stop:.3f}\t{speaker}\t{text}" for start, stop, speaker, text in rows]
    return "\n".join([*lines, ""]).encode()


def _write_labels(folder: Path, people: Sequence[Person], missing: int | None, seed: int) -> None:
    """Write the four label files; with a `missing` participant, who has no session, also the defects of the labels."""
    rng = np.random.default_rng([seed, 2])
    everyone = list(people)
    if missing is not None:
        everyone.append(Person(missing, "train", int(rng.integers(0, CUT_OFF)), people[0].voice))
    codes = {person.number: int(rng.integers(0, 2)) for person in everyone}
    files = {}
    for part in ("train", "dev"):
        rows = []
        for person in (person for person in everyone if person.part == part):
            wrong = missing is not None and part == "train" and len(rows) == 1
            items = _items(person.score, rng)
            if missing is not None and not rows:
                items[_ITEMS.index("Sleep")] = ""
            rows.append([person.number, int(person.depressed != wrong), person.score, codes[person.number], *items])
        header = ["Participant_ID", "PHQ8_Binary", "PHQ8_Score", "Gender", *(f"PHQ8_{item}" for item in _ITEMS)]
        files[f"{part}_split_Depression_AVEC2017.csv"] = format_table(header, rows)
    test = [person for person in everyone if person.part == "test"]
    rows = [[person.number, codes[person.number]] for person in test]
    files["test_split_Depression_AVEC2017.csv"] = format_table(("participant_ID", "Gender"), rows)
    rows = [[person.number, int(person.depressed), person.score, codes[person.number]] for person in test]
    table = format_table(("Participant_ID", "PHQ_Binary", "PHQ_Score", "Gender"), rows)
    files["full_test_split.csv"] = table + b",,,\n" * (2 if missing is not None else 0)
    write_files(folder, files)


def _items(score: int, rng: np.random.Generator) -> list:
    """Return eight numbers from 0 to 3 with that sum."""
    items = [0] * len(_ITEMS)
    for _ in range(score):
        items[int(rng.choice([index for index, item in enumerate(items) if item < 3]))] += 1
    return items


def _write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a zip with its files at the top, as in the release; without times, so that a seed gives the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=1)
