"""EMO-DB: `wav/SSTTTEV.wav`, 16 kHz; the ten speakers' numbers and genders are the corpus's own."""

from pathlib import Path

from ...corpora.emodb import EMOTION_CODES, SPEAKERS
from .common import Cast, claim, write_audio


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > len(SPEAKERS):
        raise ValueError(f"EMO-DB has {len(SPEAKERS)} speakers, got num_speakers={num_speakers}")
    claim(output_dir, "emodb")
    cast = Cast(2 * num_speakers, seed)
    voices = {gender: iter(cast.of(gender)) for gender in ("female", "male")}
    for number in list(SPEAKERS)[-num_speakers:]:  # the last speakers make up the test and validation splits
        speaker = next(voices[SPEAKERS[number][0]])
        for code, emotion in EMOTION_CODES.items():
            write_audio(output_dir / "wav" / f"{number}a01{code}a.wav", cast.say(speaker, emotion).samples)
