"""eNTERFACE'05: `enterface database/subject N/EMOTION/sentence K/sN_an_K.avi`, 48 kHz; two of the five sentences.

The corpus's irregular subjects come first, so that a few speakers show them all: 6 without folders for sentences, 3
and 16 with names of their own, 11 named as if it were 12, and 23, who lacks some.
"""

from pathlib import Path

from ...corpora.enterface import EMOTION_FOLDERS
from .common import Cast, claim, write_video


_IRREGULAR = (3, 6, 11, 12, 16, 23)
_SUBJECTS = (*_IRREGULAR, *(number for number in range(1, 45) if number not in _IRREGULAR))
_SENTENCES = (1, 3)


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > len(_SUBJECTS):
        raise ValueError(f"eNTERFACE'05 has {len(_SUBJECTS)} subjects, got num_speakers={num_speakers}")
    claim(output_dir, "enterface")
    cast = Cast(num_speakers, seed)
    for subject, speaker in zip(_SUBJECTS, cast.speakers):
        for folder, emotion in EMOTION_FOLDERS.items():
            for sentence in _SENTENCES:
                if path := _path(subject, folder, sentence):
                    samples = cast.say(speaker, emotion).samples
                    write_video(output_dir / "enterface database" / f"subject {subject}" / folder / path, samples)


def _path(subject: int, folder: str, sentence: int) -> str | None:
    """Return the path of a video below the folder of its emotion, or None where the corpus lacks it."""
    code = folder[:2]
    if subject == 6:
        return f"s6_{code}.avi" if sentence == 1 else None
    if subject == 23 and sentence == 3 and folder in ("fear", "sadness", "surprise"):
        return None
    name = f"s{12 if subject == 11 else subject}_{code}_{sentence}"
    if subject == 3:
        name = f"s_3_{code}_{sentence}"
    if subject == 16 and (code, sentence) == ("su", 3):
        name = "s16_su_3avi"
    return f"sentence {sentence}/{name}.avi"
