"""SAVEE: 480 English sentences by four men in seven emotions (Haq and Jackson, AVSP 2009).

The University of Surrey gives SAVEE away for research on registration; see http://kahlan.eps.surrey.ac.uk/savee/.
Files are called `AudioData/DC/sa01.wav` (the speaker's folder, a code of the emotion, the number of the sentence) or,
in copies without folders, `DC_sa01.wav`. They may lie in any folder. The sound is 44.1 kHz. If a clip is there as
audio and as video, the audio is read.

Labels: a angry, d disgusted, f fearful, h happy, n neutral, sa sad, su surprised. Each man says 15 sentences in each
emotion, 30 in neutral. The 4-class benchmark holds 300 clips. Transcripts are not read.

There is no official split. The usual protocol leaves one speaker out: schemes `speaker_DC` to `speaker_KL` test on the
man that they name and train on all others. Report the mean of the four. The default `speaker` is a fixed split with
JK for validation, KL for test, and DC and JE for training.
"""

import re
from pathlib import Path

from .base import CorpusFacts, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus


EMOTION_CODES = {
    "a": "angry",
    "d": "disgusted",
    "f": "fearful",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprised",
}
SPEAKERS = ("DC", "JE", "JK", "KL")


class Savee(FileNameCorpus, LeaveOutCorpus):
    """SAVEE (Haq and Jackson 2009), free for research on registration."""

    TITLE = "SAVEE"
    NAME = re.compile(rf"({'|'.join(SPEAKERS)})_({'|'.join(EMOTION_CODES)})\d\d")
    EXAMPLE = "AudioData/DC/sa01.wav"
    SPLIT_OF_SPEAKER = {"JK": "validation", "KL": "test"}
    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=480, speakers=4, hours=0.5)
    HOMEPAGE = "http://kahlan.eps.surrey.ac.uk/savee/"
    LICENSE = "research use, on registration"
    CITATION = """@inproceedings{haq2009speaker,
  title={Speaker-dependent audio-visual emotion recognition},
  author={Haq, Sanaul and Jackson, Philip J. B.},
  booktitle={AVSP},
  year={2009}
}"""

    def clip_name(self, path: Path) -> str:
        return path.stem if path.stem.startswith(SPEAKERS) else f"{path.parent.name}_{path.stem}"

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        speaker, emotion = match.groups()
        return Utterance(
            id=match[0], path=str(path), emotion=EMOTION_CODES[emotion], gender="male", speaker_id=speaker
        )
