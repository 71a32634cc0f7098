"""JL-Corpus: `Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav`, 44.1 kHz, with texts."""

from pathlib import Path

from ...corpora.jl_corpus import EMOTION_NAMES, FOLDER
from .common import cast_actors, claim, write_audio, write_text


#: Gender of each actor. Those for test come first.
_GENDERS = {"female2": "female", "male2": "male", "female1": "female", "male1": "male"}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    cast, actors = cast_actors("JL-Corpus", _GENDERS, num_speakers, seed)
    claim(output_dir, "jl_corpus")
    folder = output_dir / "Raw JL corpus (unchecked and unannotated)" / FOLDER
    for actor, speaker in actors.items():
        for name, emotion in EMOTION_NAMES.items():
            for repetition in (1, 2):
                clip = f"{actor}_{name}_10a_{repetition}"
                spoken = cast.say(speaker, emotion)
                write_audio(folder / f"{clip}.wav", spoken.samples, 44100)
                write_text(folder / f"{clip}.txt", f"{spoken.text}\n")
