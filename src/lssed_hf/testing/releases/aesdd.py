"""AESDD: `anger/a03 (4).wav`, 44.1 kHz, with irregular names and the corrupt file. An English voice speaks."""

from pathlib import Path

from ...corpora.aesdd import EMOTION_CODES
from .common import cast_actors, claim, write_audio, write_files


_FOLDERS = {"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "s": "sadness"}
#: Actors, those for test and validation first. Their genders are those of the voices.
_GENDERS = {"5": "female", "6": "male", "4": "female", "1": "male", "2": "female", "3": "male"}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    cast, actors = cast_actors("AESDD", _GENDERS, num_speakers, seed)
    claim(output_dir, "aesdd")
    for actor, speaker in actors.items():
        for code, emotion in EMOTION_CODES.items():
            for name in (f"{code}01 ({actor})", f"{code}02 (0{actor})", f"{code}02 ({actor})b"):
                samples = cast.say(speaker, emotion).samples
                write_audio(output_dir / _FOLDERS[code] / f"{name}.wav", samples, 44100)
    write_files(output_dir / _FOLDERS["s"], {"s05 (3).wav": b"no sound"})
