"""EMO-DB, the Berlin database of emotional speech: 535 utterances, ten German actors, seven emotions.

Source: Burkhardt et al., Interspeech 2005; http://emodb.bilderbar.info (free for research). Names are `SSTTTEV`:
speaker, sentence, emotion (German initial), version.

Labels: W (Wut) angry, N neutral, F (Freude) happy, T (Trauer) sad, L (Langeweile) bored, E (Ekel) disgusted, A (Angst)
fearful. The usual protocol is leave-one-speaker-out; the `speaker` split here is a fixed one with a man and a woman
each for validation (15, 16) and test (12, 13), and six speakers for training.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..audio import find_audio_files
from .base import CorpusBuilder, Reject, Utterance


EMOTION_CODES = {
    "W": "angry",
    "N": "neutral",
    "F": "happy",
    "T": "sad",
    "L": "bored",
    "E": "disgusted",
    "A": "fearful",
}
#: Gender and age of the speakers, from the corpus's documentation.
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}
_SPLITS = {"12": "test", "13": "test", "15": "validation", "16": "validation"}
_NAME = re.compile(rf"({'|'.join(SPEAKERS)})([ab]\d\d)([{''.join(EMOTION_CODES)}])([a-z]?)")


class Emodb(CorpusBuilder):
    """EMO-DB (Burkhardt et al. 2005), free for research."""

    HOMEPAGE = "http://emodb.bilderbar.info"
    LICENSE = "free for research"

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        for path in find_audio_files(data_dir):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                reason = "its name is not one of EMO-DB's (SSTTTEV, e.g. 03a01Fa); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
                continue
            speaker, _, emotion, _ = match.groups()
            gender, age = SPEAKERS[speaker]
            yield Utterance(
                id=path.stem,
                path=str(path),
                emotion=EMOTION_CODES[emotion],
                gender=gender,
                age=age,
                speaker_id=speaker,
                split=_SPLITS.get(speaker, "train"),
            )
