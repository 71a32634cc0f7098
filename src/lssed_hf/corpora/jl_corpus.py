"""JL-Corpus: 2,400 clips of 15 New Zealand English sentences by four actors in ten emotions (James et al. 2018).

JL-Corpus is in the public domain (CC0) at https://www.kaggle.com/tli725/jl-corpus. Files are called
`Raw JL corpus (unchecked and unannotated)/JL(wav+txt)/female1_angry_10a_1.wav`: actor (female1, female2, male1,
male2), emotion, sentence and session, repetition. If there is a folder `JL(wav+txt)`, clips are read below it alone,
else in all folders. A text file beside a clip is taken for its transcript. The sound is 44.1 kHz.

Labels: five primary emotions, angry, excited, happy, neutral and sad, and five secondary ones. Of these, anxious is
`fearful`, and apologetic, assertive, concerned and encouraging are `other`. The 4-class benchmark holds 960 clips.

There is no official split. The usual protocol leaves one actor out: schemes `speaker_female1` to `speaker_male2` test
on the actor that they name and train on all others. Report the mean of the four. The default `speaker` is a fixed
split with female2 and male2 for test and the two others for training, without validation.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from .base import CorpusFacts, Reject, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus
from .tables import read_text


EMOTION_NAMES = {
    "angry": "angry",
    "excited": "excited",
    "happy": "happy",
    "neutral": "neutral",
    "sad": "sad",
    "anxious": "fearful",
    "apologetic": "other",
    "assertive": "other",
    "concerned": "other",
    "encouraging": "other",
}
FOLDER = "JL(wav+txt)"


class JlCorpus(FileNameCorpus, LeaveOutCorpus):
    """JL-Corpus (James et al. 2018), public domain."""

    TITLE = "JL-Corpus"
    NAME = re.compile(rf"((female|male)[12])_({'|'.join(EMOTION_NAMES)})_\d+[ab]_[12]")
    EXAMPLE = f"{FOLDER}/female1_angry_10a_1.wav"
    SPLIT_OF_SPEAKER = {"female2": "test", "male2": "test"}
    FACTS = CorpusFacts(["English"], EMOTION_NAMES.values(), utterances=2400, speakers=4, hours=1.4)
    HOMEPAGE = "https://www.kaggle.com/tli725/jl-corpus"
    LICENSE = "CC0 1.0"
    CITATION = """@inproceedings{james2018open,
  title={An Open Source Emotional Speech Corpus for Human Robot Interaction Applications},
  author={James, Jesin and Tian, Li and Watson, Catherine Inez},
  booktitle={Interspeech},
  year={2018}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        return super().read_utterances(next(data_dir.rglob(FOLDER), data_dir))

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        actor, gender, emotion = match.groups()
        text = path.with_suffix(".txt")
        return Utterance(
            id=match[0],
            path=str(path),
            emotion=EMOTION_NAMES[emotion],
            gender=gender,
            speaker_id=actor,
            transcript=read_text(text).strip() or None if text.is_file() else None,
        )
