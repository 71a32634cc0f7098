"""AFEW: `Train_AFEW/Angry/000000001.avi`, `Val_AFEW` likewise, and `Test_AFEW/000000001.avi` without emotions.

Each speaker stands for a film with one scene in each emotion. Scenes are numbered anew in each split, so that names
recur, as some do in the corpus.
"""

from collections import Counter
from pathlib import Path

from ...corpora.afew import EMOTION_FOLDERS
from .common import Cast, claim, write_video


_SPLITS = ("Train", "Val", "Test", "Train", "Train")  # of the speakers, in turn


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    claim(output_dir, "afew")
    cast = Cast(num_speakers, seed)
    scenes: Counter = Counter()
    for number, speaker in enumerate(cast.speakers):
        split = _SPLITS[number % len(_SPLITS)]
        for folder, emotion in EMOTION_FOLDERS.items():
            scenes[split] += 1
            place = output_dir / f"{split}_AFEW" / ("" if split == "Test" else folder)
            write_video(place / f"{scenes[split]:09d}.avi", cast.say(speaker, emotion).samples)
