"""ASVP-ESD: `Audio/actor_36/03-01-09-01-06-36-02-02-01.wav`, 16 kHz.

Each actor also has a clip that counts as no speech, and one whose emotion is unknown.
"""

from pathlib import Path

from ...corpora.asvp_esd import EMOTION_CODES
from .common import cast_actors, claim, write_audio


_NUM_ACTORS = 131


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    genders = {str(number): "female" if number % 2 else "male" for number in range(1, _NUM_ACTORS + 1)}
    cast, actors = cast_actors("ASVP-ESD", genders, num_speakers, seed)
    claim(output_dir, "asvp_esd")
    for actor, speaker in actors.items():
        number = f"{int(actor):02}"
        age = "01" if speaker.age > 65 else "02"
        for code, emotion in EMOTION_CODES.items():
            name = f"03-01-{code}-01-01-{number}-{age}-03-01"
            write_audio(output_dir / "Audio" / f"actor_{number}" / f"{name}.wav", cast.say(speaker, emotion).samples)
        for code in ("03", "17"):
            name = f"03-{'01' if code == '17' else '02'}-{code}-01-02-{number}-{age}-03-01-16"
            write_audio(output_dir / "Audio" / f"actor_{number}" / f"{name}.wav", cast.say(speaker, "happy").samples)
