"""SAVEE: `AudioData/DC/sa01.wav`, 44.1 kHz."""

from pathlib import Path

from ...corpora.savee import EMOTION_CODES, SPEAKERS
from .common import cast_actors, claim, write_audio


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release, the speakers for test and validation first."""
    cast, speakers = cast_actors("SAVEE", dict.fromkeys(reversed(SPEAKERS), "male"), num_speakers, seed)
    claim(output_dir, "savee")
    for name, speaker in speakers.items():
        for code, emotion in EMOTION_CODES.items():
            for number in range(1, 5 if code == "n" else 3):
                path = output_dir / "AudioData" / name / f"{code}{number:02}.wav"
                write_audio(path, cast.say(speaker, emotion).samples, 44100)
