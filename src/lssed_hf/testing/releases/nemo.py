"""nEMO: `data.tsv` and `samples/KD0_anger_1.wav`, 24 kHz; the actors' names and genders are the corpus's own.

Ages are those of the voices, and everybody speaks English.
"""

from pathlib import Path

from ...corpora.nemo import COLUMNS, EMOTION_NAMES, TABLE
from ..voices import SENTENCES
from .common import cast_actors, claim, write_audio, write_text


#: Gender of each actor. Those for test and validation come first.
_GENDERS = {
    "KD0": "female",
    "TP0": "male",
    "MK0": "female",
    "WR0": "male",
    "EB0": "female",
    "KS0": "male",
    "IC0": "female",
    "MP0": "male",
    "SM0": "male",
}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    cast, actors = cast_actors("nEMO", _GENDERS, num_speakers, seed)
    claim(output_dir, "nemo")
    lines = [COLUMNS]
    for actor, speaker in actors.items():
        for label, emotion in EMOTION_NAMES.items():
            if label == "surprise":  # a spelling that no release has
                continue
            for number, text in enumerate(SENTENCES[:2], 1):
                file = f"{actor}_{label}_{number}.wav"
                write_audio(output_dir / "samples" / file, cast.say(speaker, emotion, text).samples, 24000)
                normalized = text.lower().rstrip(".")
                lines.append((file, label, text, normalized, actor, speaker.gender, str(speaker.age)))
    write_text(output_dir / TABLE, "".join("\t".join(line) + "\n" for line in lines))
