"""RAVDESS: `Actor_AA/03-01-EE-II-SS-RR-AA.wav`, 48 kHz; odd actors are men, even ones women."""

from pathlib import Path

from ...corpora.ravdess import EMOTION_CODES, STATEMENTS
from .common import Cast, claim, write_audio


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > 24:
        raise ValueError(f"RAVDESS has 24 actors, got num_speakers={num_speakers}")
    claim(output_dir, "ravdess")
    cast = Cast(2 * num_speakers, seed)
    for actor in range(1, num_speakers + 1):
        speaker = cast.of("male" if actor % 2 else "female")[(actor - 1) // 2]
        for code, emotion in EMOTION_CODES.items():
            for intensity in ("01",) if code == "01" else ("01", "02"):
                spoken = cast.say(speaker, emotion, STATEMENTS["01"])
                name = f"03-01-{code}-{intensity}-01-01-{actor:02d}"
                write_audio(output_dir / f"Actor_{actor:02d}" / f"{name}.wav", spoken.samples, 48000)
