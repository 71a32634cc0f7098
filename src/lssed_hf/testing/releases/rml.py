"""RML: `rml-1/s1/an1.avi`, 22.05 kHz mono; subjects 1 and 6 speak two languages, with a folder for each.

Their languages are made up, as is that everybody speaks English.
"""

from pathlib import Path

from ...corpora.rml import EMOTION_CODES
from .common import Cast, claim, write_video


_SUBJECTS = (8, 1, 6, 3, 2, 4, 5, 7)  # the test speaker comes first, then the speakers of two languages
_LANGUAGES = {1: ("english", "urdu"), 6: ("english", "mandarin")}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > len(_SUBJECTS):
        raise ValueError(f"RML has {len(_SUBJECTS)} subjects, got num_speakers={num_speakers}")
    claim(output_dir, "rml")
    cast = Cast(num_speakers, seed)
    for subject, speaker in zip(_SUBJECTS, cast.speakers):
        folder = output_dir / ("rml-1" if subject <= 5 else "rml-2") / f"s{subject}"
        for language in _LANGUAGES.get(subject, ("",)):
            for code, emotion in EMOTION_CODES.items():
                for number in (1, 2):
                    samples = cast.say(speaker, emotion).samples
                    write_video(folder / language / f"{code}{number}.avi", samples, 22050, channels=1)
