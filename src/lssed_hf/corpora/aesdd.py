"""AESDD: 604 clips of Greek utterances by six actors in five emotions (Vryzas et al., J. Audio Eng. Soc. 66(6), 2018).

The Acted Emotional Speech Dynamic Database is free for research at
http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/. Its authors add actors now and then. Files are
called `anger/a03 (4).wav`: initial of the emotion, sentence, actor. A few have a zero before the actor (`f10 (01)`) or
a `b` behind, a second take (`a06 (5)b`). Clips may lie in any folder. `s05 (3)` is known to be corrupt. It is left
out.

Labels: a angry, d disgusted, f fearful, h happy, s sad. There is no neutral speech, so the 4-class benchmark has three
classes here. Genders are unknown: public scripts take odd numbers for men, while the authors' description of the first
version counts three women and two men.

There is no official split. The usual protocol leaves one actor out: schemes `speaker_1` to `speaker_6` test on the
actor that they name and train on all others. Report the mean. The default `speaker` is a fixed split with actor 4 for
validation, 5 and 6 for test, and all others for training.
"""

import re
from pathlib import Path

from .base import CorpusFacts, Reject, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus


EMOTION_CODES = {
    "a": "angry",
    "d": "disgusted",
    "f": "fearful",
    "h": "happy",
    "s": "sad",
}
_CORRUPT = "s05_3"


class Aesdd(FileNameCorpus, LeaveOutCorpus):
    """AESDD (Vryzas et al. 2018), free for research."""

    TITLE = "AESDD"
    NAME = re.compile(rf"([{''.join(EMOTION_CODES)}])(\d\d) *\(0*([1-9]\d*)\)(b?)")
    EXAMPLE = "anger/a03 (4).wav"
    SPLIT_OF_SPEAKER = {"4": "validation", "5": "test", "6": "test"}
    FACTS = CorpusFacts(["Greek"], EMOTION_CODES.values(), utterances=604, speakers=6, hours=0.7)
    HOMEPAGE = "http://m3c.web.auth.gr/research/aesdd-speech-emotion-recognition/"
    LICENSE = "free for research"
    CITATION = """@article{vryzas2018speech,
  title={Speech emotion recognition for performance interaction},
  author={Vryzas, Nikolaos and Kotsakis, Rigas and Liatsou, Aikaterini and Dimoulas, Charalampos A. and
    Kalliris, George},
  journal={Journal of the Audio Engineering Society},
  volume={66},
  number={6},
  pages={457--467},
  year={2018}
}"""

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance | Reject:
        emotion, sentence, actor, take = match.groups()
        name = f"{emotion}{sentence}_{actor}{take}"
        if name == _CORRUPT:
            return Reject(name, str(path), "the release's file is corrupt", by_rule=True)
        return Utterance(id=name, path=str(path), emotion=EMOTION_CODES[emotion], speaker_id=actor)
