"""A release in DAIC-WOZ's or E-DAIC's layout, made of tones and of rows that a test gives."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile


RATE = 16000
SECONDS = 40.0
#: Start, stop, speaker and value. Turns of the participant: 2-5, 8-9 (of two rows), 20-20.5 (too short), 30-36.
ROWS = (
    (0.5, 1.5, "Ellie", "how are you"),
    (2.0, 5.0, "Participant", "fine thanks"),
    (6.0, 7.0, "Ellie", "good"),
    (8.0, 8.5, "Participant", "well"),
    (8.6, 9.0, "Participant", "um yes"),
    (10.0, 12.0, "Ellie", "tell me more"),
    (20.0, 20.5, "Participant", "no"),
    (21.0, 22.0, "Ellie", "okay"),
    (30.0, 36.0, "Participant", "there is <laughter> nothing to tell"),
)
HEADER = "start_time\tstop_time\tspeaker\tvalue"
TRAIN, DEV = "train_split_Depression_AVEC2017.csv", "dev_split_Depression_AVEC2017.csv"
TEST, FULL_TEST = "test_split_Depression_AVEC2017.csv", "full_test_split.csv"
COLUMNS = "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender"


class Release:
    """Participants 300 (train), 301 (dev) and 302 (test), invented, with the same rows unless a test writes others."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.labels(TRAIN, "300,0,3,1")
        self.labels(DEV, "301,1,15,0")
        self.labels(FULL_TEST, "302,0,9,0", header="Participant_ID,PHQ_Binary,PHQ_Score,Gender")
        for participant in (300, 301, 302):
            self.session(participant)

    def labels(self, name: str, *rows: str, header: str = COLUMNS) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return path

    def session(self, participant: int, rows: Sequence[tuple] = ROWS, folder: str | None = None, **audio) -> Path:
        place = self.folder / (f"{participant}_P" if folder is None else folder)
        self.audio(place / f"{participant}_AUDIO.wav", **audio)
        return self.transcript(participant, *rows, folder=folder)

    def transcript(self, participant: int, *rows: tuple, folder: str | None = None) -> Path:
        text = "\n".join([HEADER, *("\t".join(map(str, row)) for row in rows), ""])
        return self.write(participant, text, folder)

    def write(self, participant: int, content: str | bytes, folder: str | None = None) -> Path:
        place = self.folder / (f"{participant}_P" if folder is None else folder)
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{participant}_TRANSCRIPT.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def audio(self, path: Path, seconds: float = SECONDS, rate: int = RATE) -> Path:
        """A ramp: each sample tells its time, so that a cut can be checked."""
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, ramp(seconds, rate), rate, subtype="PCM_16")
        return path


def ramp(seconds: float, rate: int = RATE) -> np.ndarray:
    return (np.arange(round(seconds * rate)) // (rate // 100) % 32000).astype(np.int16)
