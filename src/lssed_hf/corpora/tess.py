"""TESS: 2,800 clips of 200 English words by two women in seven emotions (Pichora-Fuller and Dupuis 2020).

The Toronto emotional speech set is free under CC BY-NC-ND 4.0 at https://doi.org/10.5683/SP2/E8H2MF. Each clip says
"Say the word ..." at 24.4 kHz. Files are called `OAF_angry/OAF_back_angry.wav`: actor (OAF is 64 years old, YAF 26),
word, emotion. They may lie in any folder. Some downloads have each file twice; byte-identical copies are left out.
The release calls one file `OA_bite_neutral`, which is OAF_bite_neutral here.

Labels: angry, disgust disgusted, fear fearful, happy, neutral, ps (pleasant surprise) surprised, sad. Each actor says
each word once in each emotion, so the 4-class benchmark holds 1,600 clips.

There is no official split, and two actors leave little choice: `speaker`, the same as `speaker_YAF`, trains on OAF and
tests on YAF, and `speaker_OAF` the other way round. A score on one voice says little about others. Random splits of
the clips, with the same words by the same actors on both sides, give accuracies near 100 %.
"""

import re
from pathlib import Path

from .base import CorpusFacts, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus


EMOTION_CODES = {
    "angry": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happy": "happy",
    "neutral": "neutral",
    "ps": "surprised",
    "sad": "sad",
}
AGES = {"OAF": 64, "YAF": 26}


class Tess(FileNameCorpus, LeaveOutCorpus):
    """TESS (Pichora-Fuller and Dupuis 2020), CC BY-NC-ND 4.0."""

    TITLE = "TESS"
    NAME = re.compile(rf"({'|'.join(AGES)})_([a-z-]+)_({'|'.join(EMOTION_CODES)})")
    EXAMPLE = "OAF_angry/OAF_back_angry.wav"
    SPLIT_OF_SPEAKER = {"YAF": "test"}
    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=2800, speakers=2, hours=1.6)
    HOMEPAGE = "https://doi.org/10.5683/SP2/E8H2MF"
    LICENSE = "CC BY-NC-ND 4.0"
    CITATION = """@data{pichorafuller2020tess,
  title={Toronto emotional speech set ({TESS})},
  author={Pichora-Fuller, M. Kathleen and Dupuis, Kate},
  publisher={Borealis},
  doi={10.5683/SP2/E8H2MF},
  year={2020}
}"""

    def clip_name(self, path: Path) -> str:
        return re.sub("^OA_", "OAF_", path.stem)

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        actor, word, emotion = match.groups()
        return Utterance(
            id=match[0],
            path=str(path),
            emotion=EMOTION_CODES[emotion],
            gender="female",
            age=AGES[actor],
            speaker_id=actor,
            transcript=f"Say the word {word}.",
        )
