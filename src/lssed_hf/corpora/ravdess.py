"""RAVDESS, the speech part: 1,440 utterances of two sentences by 24 North American actors in eight emotions.

Source: Livingstone and Russo, PLoS ONE 13(5), 2018; Zenodo record 1188976 (CC BY-NC-SA 4.0), the archive
`Audio_Speech_Actors_01-24`. Names are `03-01-EE-II-SS-RR-AA`: emotion, intensity, statement, repetition, actor (odd
numbers are men, even ones women).

Labels: 01 neutral and 02 calm are both `neutral` here, because calm is a second resting state and LSSED's vocabulary
has one. So the 4-class benchmark holds 864 utterances: 192 angry, 288 neutral, 192 happy, 192 sad.

Some downloads have every actor's folder twice. Byte-identical copies are left out. RAVDESS has no official split.
`speaker` is ours: actors 1-14 for training, 15-16 for validation, 17-24 for test.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..scan import AUDIO_SUFFIXES, find_audio_files
from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
from .download import Archive, download_corpus


EMOTION_CODES = {
    "01": "neutral",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
#: Size and MD5 are Zenodo's.
DOWNLOAD = Archive(
    url="https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip",
    size=208_468_073,
    md5="bc696df654c87fed845eb13823edef8a",
    num_files=1440,
    license="CC BY-NC-SA 4.0, https://zenodo.org/records/1188976",
)
NAME = re.compile(r"(?P<modality>0[1-3])-(?P<channel>0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


class Ravdess(CorpusBuilder):
    """RAVDESS speech (Livingstone and Russo 2018), CC BY-NC-SA 4.0."""

    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=1440, speakers=24, hours=1.5)
    HOMEPAGE = "https://zenodo.org/records/1188976"
    LICENSE = "CC BY-NC-SA 4.0"

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the corpus in the `datasets` cache, downloaded once (208 MB)."""
        return download_corpus("ravdess", DOWNLOAD)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        for path in find_audio_files(data_dir, AUDIO_SUFFIXES):
            match = NAME.fullmatch(path.stem)
            if match is None:
                reason = "its name is not one of RAVDESS's (03-01-EE-II-SS-RR-AA); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
            elif match["channel"] != "01":
                yield Reject(path.stem, str(path), "sung (vocal channel 02)", by_rule=True)
            else:
                yield _utterance(path, *match.groups()[2:])


def _utterance(path: Path, emotion: str, intensity: str, statement: str, repetition: str, actor: str) -> Utterance:
    number = int(actor)
    return Utterance(
        id=path.stem,
        path=str(path),
        emotion=EMOTION_CODES[emotion],
        gender="male" if number % 2 else "female",
        speaker_id=actor,
        transcript=STATEMENTS[statement],
        split="train" if number <= 14 else "validation" if number <= 16 else "test",
    )
