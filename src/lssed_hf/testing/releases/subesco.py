"""SUBESCO: `F_01_OISHI_S_10_ANGRY_1.wav`, 48 kHz, with the stray bracket.

An English voice speaks, and the actors have one name.
"""

from pathlib import Path

from ...corpora.subesco import EMOTION_CODES
from .common import cast_actors, claim, write_audio


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    genders = {f"{letter}_{n:02}": gender for n in range(1, 11) for letter, gender in (("F", "female"), ("M", "male"))}
    cast, actors = cast_actors("SUBESCO", genders, num_speakers, seed)
    claim(output_dir, "subesco")
    for actor, speaker in actors.items():
        for code, emotion in EMOTION_CODES.items():
            for take in (1, 2):
                name = f"{actor}_VOICE_S_2_{code}_{take}"
                stray = "]" if name == "F_01_VOICE_S_2_SURPRISE_2" else ""
                write_audio(output_dir / f"{name}{stray}.wav", cast.say(speaker, emotion).samples, 48000)
