"""Synthetic interviews in the layouts of DAIC-WOZ and E-DAIC, spoken by eSpeak NG.

They are no part of either corpus, nobody's voice and nobody's health. Participants' numbers come from the range that
the layout asks for; scores and genders are random. "Depression" is slower, lower, flatter and quieter speech with
longer pauses, far more cleanly than in people: scores on this say nothing about real interviews.
"""

import csv
import gzip
import io
import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from ..audio import encode_audio
from ..corpora.daic.defects import FIRST_AUTO_TRANSCRIBED, INTERRUPTIONS, OFFSETS
from ..corpora.daic.label_files import CUT_OFF, HIGHEST_SCORE
from .synthetic_speech import SENTENCES, Speaker, make_speakers, speak_as


_RATE = 16000
_NOISE = 0.0005  # of the room, in amplitude
_BLEED = 0.15  # of the interviewer in the participant's microphone
_QUESTIONS = ("How are you doing today?", "Where are you from?", "What do you enjoy?", "Tell me more about that.")
_ITEMS = ("NoInterest", "Depressed", "Sleep", "Tired", "Appetite", "Failure", "Concentrating", "Moving")
_PARTS = ("train", "dev", "test", "train")
#: Participants whose known defects are planted, in this order.
_MISALIGNED, _INTERRUPTED, _WITHOUT_INTERVIEWER, _AUTO_TRANSCRIBED = 318, 444, 451, FIRST_AUTO_TRANSCRIBED
_FEWEST_WITH_DEFECTS = 8
_README = """\
Synthetic speech, not {layout}.

Every interview here was spoken by the speech synthesiser eSpeak NG and written by lssed_hf.
Only the layout (names of folders and files, columns, and the known defects) is that of {layout},
to try software on. No person was recorded; scores and genders are random.
"""


@dataclass(frozen=True)
class Interview:
    """What a participant's files are made of. Times are seconds.

    Attributes:
        samples: float32 of shape (samples,) at 16 kHz.
        rows: start, stop, speaker and text of each row.
    """

    samples: np.ndarray
    rows: Sequence[tuple[float, float, str, str]]


@dataclass(frozen=True)
class _Person:
    number: int
    part: str
    score: int
    voice: Speaker

    @property
    def depressed(self) -> bool:
        return self.score >= CUT_OFF


def write_synthetic_daic_woz(
    folder: str | os.PathLike, *, num_participants: int = 12, seed: int = 0, defects: bool = True
) -> Path:
    """Write interviews in DAIC-WOZ's layout: folders and zips of sessions, and the four label files.

    With `defects`, these are planted: a transcript misaligned by the known offset (318), an interruption (444), no
    interviewer (451), automatic rows (363), talk and sync markers before the interview, scrubbed passages, times
    that are wrong, a binary label that disagrees with its score, an empty PHQ8_Sleep, blank rows at the end of
    `full_test_split.csv`, a session that is missing, one that no label file lists, and files of macOS and editors.

    Args:
        folder: a new or empty one, or an earlier release of ours, which is replaced.
        num_participants: whose sessions are there; up to 150, with defects 8 or more.
        seed: of everything random. The same seed writes the same bytes.
        defects: whether to plant them.

    Returns:
        `folder` as a path. The label files are written last, so that a folder which has them is complete.

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: a number out of range.
        FileExistsError: the folder holds something that is not ours.
    """
    folder = Path(folder)
    fewest = _FEWEST_WITH_DEFECTS if defects else 1
    if not fewest <= num_participants <= 150:
        raise ValueError(f"num_participants must be between {fewest} and 150, got {num_participants}")
    special = [_MISALIGNED, _INTERRUPTED, _WITHOUT_INTERVIEWER, _AUTO_TRANSCRIBED] if defects else []
    ordinary = [number for number in range(300, 493) if number not in _KNOWN]
    people = _people([*special, *ordinary[: num_participants - len(special)]], seed)
    _claim(folder, "daic_woz")
    for index, person in enumerate(people):
        interview = _interview(person, seed)
        if defects:
            interview = _damage(interview, person.number, index)
        files = {
            f"{person.number}_AUDIO.wav": encode_audio(interview.samples, _RATE, "wav"),
            f"{person.number}_TRANSCRIPT.csv": _transcript(interview.rows).encode(),
        }
        if defects:
            files[f"__MACOSX/._{person.number}_AUDIO.wav"] = b"\0\5\26\7"
            files[f".~lock.{person.number}_TRANSCRIPT.csv#"] = b",editor,"
        if index % 3 == 1:
            _write_zip(folder / f"{person.number}_P.zip", files)
        else:
            _write_files(folder / f"{person.number}_P", files)
    if defects:
        stranger = ordinary[num_participants]
        _write_files(folder / f"{stranger}_P", {f"{stranger}_TRANSCRIPT.csv": _transcript(()).encode()})
    _write_daic_woz_labels(folder, people, ordinary[num_participants + 1] if defects else None, seed)
    return folder


_KNOWN = {number for table in (*OFFSETS.values(), *INTERRUPTIONS.values()) for number in table}
_KNOWN |= {319, 342, 363, 394, 398, 402, 409, 411, 451, 458, 460, 480}


def write_synthetic_e_daic(folder: str | os.PathLike, *, num_participants: int = 6, seed: int = 0) -> Path:
    """Write interviews in E-DAIC's layout: `labels/`, and `data/` with archives and folders of sessions.

    Every transcript is without speakers and has no row of the interviewer; one recording is at 48 kHz, and one binary
    label disagrees with its score. Arguments and errors are those of `write_synthetic_daic_woz`.
    """
    folder = Path(folder)
    if not 1 <= num_participants <= 150:
        raise ValueError(f"num_participants must be between 1 and 150, got {num_participants}")
    numbers = [(300 if index % 2 else 600) + index // 2 for index in range(num_participants)]
    people = _people(numbers, seed)
    _claim(folder, "e_daic")
    for index, person in enumerate(people):
        interview = _interview(person, seed)
        rate = 48000 if index == 2 else _RATE
        samples = interview.samples if rate == _RATE else soxr.resample(interview.samples, _RATE, rate)
        rows = [(start, stop, text) for start, stop, speaker, text in interview.rows if speaker == "Participant"]
        files = {
            f"{person.number}_P/{person.number}_AUDIO.wav": encode_audio(samples, rate, "wav"),
            f"{person.number}_P/{person.number}_Transcript.csv": _csv(
                ("Start_Time", "End_Time", "Text", "Confidence"),
                [(f"{start:.1f}", f"{stop:.1f}", text.lower(), "0.9") for start, stop, text in rows],
            ).encode(),
            f"{person.number}_P/features/{person.number}_OpenSMILE2.3.0_mfcc.csv": b"name;frameTime\n",
        }
        if index % 2:
            _write_tar(folder / "data" / f"{person.number}_P.tar.gz", files)
        else:
            _write_files(folder / "data", files)
    header = ("Participant_ID", "Gender", "PHQ_Binary", "PHQ_Score", "PCL-C (PTSD)", "PTSD Severity")
    for part in ("train", "dev", "test"):
        rows = []
        for person in people:
            binary = int(person.depressed != (person is people[0]))
            if person.part == part:
                rows.append((person.number, person.voice.gender, binary, person.score, 0, 17))
        _write_files(folder / "labels", {f"{part}_split.csv": _csv(header, rows).encode()})
    return folder


def _people(numbers: Sequence[int], seed: int) -> list[_Person]:
    """Participants in their splits, of which each has both labels as soon as it has two people."""
    rng = np.random.default_rng([seed, 1])
    people = []
    sizes = dict.fromkeys(_PARTS, 0)
    for index, (number, voice) in enumerate(zip(numbers, make_speakers(len(numbers), seed=seed))):
        part = _PARTS[index % len(_PARTS)]
        low, high = ((0, CUT_OFF), (CUT_OFF, HIGHEST_SCORE + 1))[sizes[part] % 2]
        sizes[part] += 1
        people.append(_Person(number, part, int(rng.integers(low, high)), voice))
    return people


def _interview(person: _Person, seed: int) -> Interview:
    """Five questions and five answers of one or two rows each, and a dialogue of the staff's before."""
    rng = np.random.default_rng([seed, person.number])
    interviewer = make_speakers(1, seed=12345)[0]
    pieces: list[np.ndarray] = []
    rows: list[tuple[float, float, str, str]] = []
    now = 0.0

    def say(speaker: Speaker, emotion: str, name: str, text: str, level: float, pause: float) -> None:
        nonlocal now
        speech = (level * speak_as(speaker, emotion, text, rng=rng)).astype(np.float32)
        pieces.extend([np.zeros(round(pause * _RATE), np.float32), speech])
        start = now + round(pause * _RATE) / _RATE
        now = start + len(speech) / _RATE
        rows.append((start, now, name, text))

    manner = "sad" if person.depressed else "neutral"
    slow = 2.5 if person.depressed else 1.0
    for question in range(5):
        say(interviewer, "neutral", "Ellie", _QUESTIONS[question % len(_QUESTIONS)], _BLEED, rng.uniform(0.4, 0.8))
        for answer in range(int(rng.integers(1, 3))):
            pause = slow * rng.uniform(0.2, 0.6) if answer == 0 else slow * rng.uniform(0.1, 0.3)
            text = SENTENCES[int(rng.integers(len(SENTENCES)))]
            say(person.voice, manner, "Participant", text, 1.0, pause)
    pieces.append(np.zeros(round(0.5 * _RATE), np.float32))
    samples = np.concatenate(pieces)
    samples = samples + _NOISE * rng.standard_normal(len(samples)).astype(np.float32)
    return Interview(samples.clip(-1, 1).astype(np.float32), rows)


def _damage(interview: Interview, number: int, index: int) -> Interview:
    """Plant the known defects: first what every session has, then what this one has."""
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
        end = len(samples) / _RATE
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
    """Silence put in at `after`, and the rows from there on so much later."""
    at, gap = round(after * _RATE), np.zeros(round(seconds * _RATE), np.float32)
    moved = [
        (start + seconds, stop + seconds, *rest) if start >= after else (start, stop, *rest)
        for start, stop, *rest in rows
    ]
    return np.concatenate([samples[:at], gap, samples[at:]]), moved


def _interrupt(samples: np.ndarray, rows: list, start: float, stop: float) -> tuple[np.ndarray, list]:
    """Half of the interview before the interruption, somebody's words in it, and half after it."""
    middle = next(row for row in rows[len(rows) // 2 :] if row[2] == "Ellie")[0] - 0.1
    samples, rows = _delayed(samples, rows, stop + 1.0 - middle, after=middle)
    position = next(index for index, row in enumerate(rows) if row[0] > stop)
    words = (start + 2.0, start + 4.5, "Participant", "sorry somebody came in")
    return samples, [*rows[:position], words, *rows[position:]]


def _scrub(samples: np.ndarray, rows: list) -> tuple[np.ndarray, list]:
    """The last answer becomes a scrubbed entry, and zeros in the sound."""
    start, stop, speaker, _ = rows[-1]
    samples = samples.copy()
    samples[round(start * _RATE) : round(stop * _RATE)] = 0
    return samples, [*rows[:-1], (start, stop, speaker, "scrubbed_entry")]


def _transcript(rows: Iterable[tuple[float, float, str, str]]) -> str:
    lines = ["start_time\tstop_time\tspeaker\tvalue"]
    lines += [f"{start:.3f}\t{stop:.3f}\t{speaker}\t{text}" for start, stop, speaker, text in rows]
    return "\n".join([*lines, ""])


def _write_daic_woz_labels(folder: Path, people: Sequence[_Person], missing: int | None, seed: int) -> None:
    """The four label files. A `missing` participant is listed without a session, and other defects are planted too."""
    rng = np.random.default_rng([seed, 2])
    everyone = list(people)
    if missing is not None:
        everyone.append(_Person(missing, "train", int(rng.integers(0, CUT_OFF)), people[0].voice))
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
        files[f"{part}_split_Depression_AVEC2017.csv"] = _csv(header, rows).encode()
    test = [person for person in everyone if person.part == "test"]
    rows = [[person.number, codes[person.number]] for person in test]
    files["test_split_Depression_AVEC2017.csv"] = _csv(("participant_ID", "Gender"), rows).encode()
    rows = [[person.number, int(person.depressed), person.score, codes[person.number]] for person in test]
    text = _csv(("Participant_ID", "PHQ_Binary", "PHQ_Score", "Gender"), rows)
    files["full_test_split.csv"] = (text + ",,,\n" * (2 if missing is not None else 0)).encode()
    _write_files(folder, files)


def _items(score: int, rng: np.random.Generator) -> list:
    """Eight numbers from 0 to 3 with that sum."""
    items = [0] * len(_ITEMS)
    for _ in range(score):
        items[int(rng.choice([index for index, item in enumerate(items) if item < 3]))] += 1
    return items


def _csv(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue()


def _write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _write_zip(path: Path, files: dict[str, bytes]) -> None:
    """A zip with its files at the top, as the release has them; without times, so that a seed gives the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, compresslevel=1)


def _write_tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        gzip.GzipFile(path, "wb", compresslevel=1, mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _claim(folder: Path, layout: str) -> None:
    """Mark a folder as ours, and empty it of an earlier release of ours."""
    readme, text = folder / "README.txt", _README.format(layout=layout)
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace") == text
    if not ours and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty, nor our synthetic {layout}; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    readme.write_text(text, encoding="utf-8", newline="\n")
    for path in folder.iterdir():
        if path.is_dir() and (path.name.endswith("_P") or path.name in ("data", "labels")):
            shutil.rmtree(path)
        elif path.suffix in (".csv", ".zip"):
            path.unlink()
