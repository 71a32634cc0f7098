"""CaFE: 936 clips of six Canadian French sentences by twelve actors in seven emotions (Gournay et al., MMSys 2018).

The Canadian French Emotional speech dataset is free under CC BY-NC-SA 4.0 at https://zenodo.org/records/1478765, as
WAV at 48 kHz and as AIFF at 192 kHz. Files are called `Colère/Faible/01-C-1-1.wav`: actor (odd numbers are men, even
ones women), initial of the emotion in French, intensity (1 weak, 2 strong, 0 for neutral), sentence. They may lie in
any folder. If a clip is there as WAV and in another format, the WAV file is read.

Labels: C (colère) angry, D (dégoût) disgusted, J (joie) happy, N neutral, P (peur) fearful, S surprised,
T (tristesse) sad. Each actor says each sentence once in neutral and twice in each other emotion. The 4-class benchmark
holds 504 clips.

There is no official split. The usual protocol leaves one actor out: schemes `speaker_01` to `speaker_12` test on the
actor that they name and train on all others. Report the mean of the twelve. The default `speaker` is a fixed split
with a man and a woman each for validation (09, 10) and test (11, 12), and eight actors for training.
"""

import re
from pathlib import Path

from .base import CorpusFacts, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus


EMOTION_CODES = {
    "C": "angry",
    "D": "disgusted",
    "J": "happy",
    "N": "neutral",
    "P": "fearful",
    "S": "surprised",
    "T": "sad",
}
#: Ages of the actors 01 to 12.
AGES = (46, 64, 18, 50, 22, 34, 15, 25, 42, 20, 35, 37)
#: Sentences 1 to 6.
SENTENCES = (
    "Un cheval fou dans mon jardin",
    "Deux ânes aigris au pelage brun",
    "Trois cygnes aveugles au bord du lac",
    "Quatre vieilles truies éléphantesques",
    "Cinq pumas fiers et passionnés",
    "Six ours aimants domestiqués",
)


class Cafe(FileNameCorpus, LeaveOutCorpus):
    """CaFE (Gournay et al. 2018), CC BY-NC-SA 4.0."""

    TITLE = "CaFE"
    NAME = re.compile(rf"(0[1-9]|1[0-2])-([{''.join(EMOTION_CODES)}])-[012]-([1-6])")
    EXAMPLE = "Colère/Faible/01-C-1-1.wav"
    SPLIT_OF_SPEAKER = {"09": "validation", "10": "validation", "11": "test", "12": "test"}
    FACTS = CorpusFacts(["French"], EMOTION_CODES.values(), utterances=936, speakers=12, hours=1.2)
    HOMEPAGE = "https://zenodo.org/records/1478765"
    LICENSE = "CC BY-NC-SA 4.0"
    CITATION = """@inproceedings{gournay2018canadian,
  title={A {Canadian} {French} emotional speech dataset},
  author={Gournay, Philippe and Lahaie, Olivier and Lefebvre, Roch},
  booktitle={ACM Multimedia Systems Conference},
  year={2018}
}"""

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        actor, emotion, sentence = match.groups()
        return Utterance(
            id=match[0],
            path=str(path),
            emotion=EMOTION_CODES[emotion],
            gender="male" if int(actor) % 2 else "female",
            age=AGES[int(actor) - 1],
            speaker_id=actor,
            transcript=SENTENCES[int(sentence) - 1],
        )
