"""TESS: `OAF_angry/OAF_back_angry.wav`, 24.4 kHz, with the release's misspelt name."""

from pathlib import Path

from ...corpora.tess import EMOTION_CODES
from .common import cast_actors, claim, write_audio


_WORDS = ("back", "bite", "chair")


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    cast, actors = cast_actors("TESS", {"YAF": "female", "OAF": "female"}, num_speakers, seed)
    claim(output_dir, "tess")
    for actor, speaker in actors.items():
        for code, emotion in EMOTION_CODES.items():
            for word in _WORDS:
                name = f"{actor}_{word}_{code}".replace("OAF_bite_neutral", "OA_bite_neutral")
                samples = cast.say(speaker, emotion, f"Say the word {word}.").samples
                write_audio(output_dir / f"{actor}_{code}" / f"{name}.wav", samples, 24414)
