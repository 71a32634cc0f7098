"""CaFE: `Colère/Faible/01-C-1-1.wav`, 48 kHz. An English voice reads the French sentences."""

from pathlib import Path

from ...corpora.cafe import EMOTION_CODES, SENTENCES
from .common import cast_actors, claim, write_audio


_FOLDERS = {
    "C": "Colère",
    "D": "Dégoût",
    "J": "Joie",
    "N": "Neutre",
    "P": "Peur",
    "S": "Surprise",
    "T": "Tristesse",
}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release, the actors for test and validation first."""
    genders = {f"{number:02}": "male" if number % 2 else "female" for number in range(12, 0, -1)}
    cast, actors = cast_actors("CaFE", genders, num_speakers, seed)
    claim(output_dir, "cafe")
    for actor, speaker in actors.items():
        for code, emotion in EMOTION_CODES.items():
            intensities = {"": 0} if code == "N" else {"Faible": 1, "Fort": 2}
            for folder, intensity in intensities.items():
                path = output_dir / _FOLDERS[code] / folder / f"{actor}-{code}-{intensity}-1.wav"
                write_audio(path, cast.say(speaker, emotion, SENTENCES[0]).samples, 48000)
