"""Synthetic interviews, which the layouts of DAIC-WOZ and E-DAIC share.

They are no part of either corpus, nobody's voice and nobody's health. Participants' numbers come from the range that
the layout asks for; scores and genders are random. "Depression" is slower, lower, flatter and quieter speech with
longer pauses, far more cleanly than in people: scores on this say nothing about real interviews.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...corpora.daic.label_files import CUT_OFF, HIGHEST_SCORE
from ..voices import SENTENCES, Speaker, make_speakers, speak_as
from .common import SAMPLING_RATE


#: Start and end in seconds, speaker and text.
Row = tuple[float, float, str, str]

_NOISE = 0.0005  # amplitude of the room's noise
_BLEED = 0.15  # amplitude of the interviewer in the participant's microphone
_QUESTIONS = (
    "How are you doing today?",
    "Where are you from?",
    "What do you enjoy?",
    "Tell me more about that.",
    "How are you doing today?",
)
_PARTS = ("train", "dev", "test", "train")


@dataclass(frozen=True)
class Person:
    """Participant.

    Attributes:
        number: Number of the participant.
        part: Part of the corpus: "train", "dev" or "test".
        score: PHQ-8 score.
        voice: Voice of the participant.
    """

    number: int
    part: str
    score: int
    voice: Speaker

    @property
    def depressed(self) -> bool:
        """Label that the score stands for."""
        return self.score >= CUT_OFF


@dataclass(frozen=True)
class Interview:
    """Recording and transcript of a participant.

    Attributes:
        samples: float32 of shape (samples,) at 16 kHz.
        rows: Rows of the transcript.
    """

    samples: np.ndarray
    rows: Sequence[Row]


def make_people(numbers: Sequence[int], seed: int) -> list[Person]:
    """Invent participants. A part has both labels as soon as it has two people."""
    rng = np.random.default_rng([seed, 1])
    people = []
    sizes = dict.fromkeys(_PARTS, 0)
    for index, (number, voice) in enumerate(zip(numbers, make_speakers(len(numbers), seed=seed))):
        part = _PARTS[index % len(_PARTS)]
        low, high = ((0, CUT_OFF), (CUT_OFF, HIGHEST_SCORE + 1))[sizes[part] % 2]
        sizes[part] += 1
        people.append(Person(number, part, int(rng.integers(low, high)), voice))
    return people


def speak_interview(person: Person, seed: int) -> Interview:
    """Speak five questions, and an answer of one or two rows to each."""
    rng = np.random.default_rng([seed, person.number])
    interviewer = make_speakers(1, seed=12345)[0]
    pieces: list[np.ndarray] = []
    rows: list[Row] = []
    now = 0.0

    def say(speaker: Speaker, emotion: str, name: str, text: str, level: float, pause: float) -> None:
        nonlocal now
        speech = (level * speak_as(speaker, emotion, text, rng=rng)).astype(np.float32)
        pieces.extend([np.zeros(round(pause * SAMPLING_RATE), np.float32), speech])
        start = now + round(pause * SAMPLING_RATE) / SAMPLING_RATE
        now = start + len(speech) / SAMPLING_RATE
        rows.append((start, now, name, text))

    manner = "sad" if person.depressed else "neutral"
    slow = 2.5 if person.depressed else 1.0
    for question in _QUESTIONS:
        say(interviewer, "neutral", "Ellie", question, _BLEED, rng.uniform(0.4, 0.8))
        for answer in range(int(rng.integers(1, 3))):
            pause = slow * rng.uniform(0.2, 0.6) if answer == 0 else slow * rng.uniform(0.1, 0.3)
            text = SENTENCES[int(rng.integers(len(SENTENCES)))]
            say(person.voice, manner, "Participant", text, 1.0, pause)
    pieces.append(np.zeros(round(0.5 * SAMPLING_RATE), np.float32))
    samples = np.concatenate(pieces)
    samples = samples + _NOISE * rng.standard_normal(len(samples)).astype(np.float32)
    return Interview(samples.clip(-1, 1).astype(np.float32), rows)
