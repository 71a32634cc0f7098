"""SUBESCO: 7,000 clips of ten Bangla sentences by 20 actors in seven emotions (Sultana et al., PLoS ONE 16(4), 2021).

SUBESCO is free under CC BY 4.0 at https://zenodo.org/records/4526477. Files are called `F_01_OISHI_S_10_ANGRY_1.wav`:
gender, number and name of the actor, sentence, emotion, take (1 to 5). They may lie in any folder. The release has a
stray bracket in one name, `F_02_MONIKA_S_2_SURPRISE_3]`, which does not count. Clips are at 44.1 or 48 kHz.

Labels: ANGRY angry, DISGUST disgusted, FEAR fearful, HAPPY happy, NEUTRAL neutral, SAD sad, SURPRISE surprised, 1,000
clips each. Women and men are numbered apart, so a speaker is `F_01` or `M_01`. Transcripts are not read.

There is no official split. `speaker` is ours: a fixed random draw of 70 / 10 / 20 % of the actors.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from ..labels import GENDER_INITIALS
from .base import CorpusFacts, Utterance
from .file_names import FileNameCorpus
from .splits import assign_speakers


EMOTION_CODES = {
    "ANGRY": "angry",
    "DISGUST": "disgusted",
    "FEAR": "fearful",
    "HAPPY": "happy",
    "NEUTRAL": "neutral",
    "SAD": "sad",
    "SURPRISE": "surprised",
}


class Subesco(FileNameCorpus):
    """SUBESCO (Sultana et al. 2021), CC BY 4.0."""

    TITLE = "SUBESCO"
    NAME = re.compile(rf"(([FM])_\d\d)_[A-Z]+_S_\d+_({'|'.join(EMOTION_CODES)})_\d+")
    EXAMPLE = "F_01_OISHI_S_10_ANGRY_1.wav"
    FACTS = CorpusFacts(["Bangla"], EMOTION_CODES.values(), utterances=7000, speakers=20, hours=7.8)
    HOMEPAGE = "https://zenodo.org/records/4526477"
    LICENSE = "CC BY 4.0"
    CITATION = """@article{sultana2021sust,
  title={{SUST} {Bangla} Emotional Speech Corpus ({SUBESCO}): An audio-only emotional speech corpus for {Bangla}},
  author={Sultana, Sadia and Rahman, M. Shahidur and Selim, M. Reza and Iqbal, M. Zafar},
  journal={PLoS ONE},
  volume={16},
  number={4},
  pages={e0250173},
  year={2021}
}"""

    def clip_name(self, path: Path) -> str:
        return path.stem.removesuffix("]")

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        speaker, gender, emotion = match.groups()
        return Utterance(
            id=match[0],
            path=str(path),
            emotion=EMOTION_CODES[emotion],
            gender=GENDER_INITIALS[gender],
            speaker_id=speaker,
        )

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return assign_speakers([row.speaker_id for row in utterances])
