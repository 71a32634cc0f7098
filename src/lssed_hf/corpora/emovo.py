"""EMOVO: 588 clips of 14 Italian sentences by six actors in seven states (Costantini et al., LREC 2014).

EMOVO is free for research; the paper is http://www.lrec-conf.org/proceedings/lrec2014/pdf/591_Paper.pdf. Files are
called `f1/rab-f1-b1.wav`: state, actor (f1 to f3 are women, m1 to m3 men), sentence. They may lie in any folder, and
in other formats of audio. If a clip is there as WAV and in another format, the WAV file is read.

The files are stereo at 48 kHz, and their channels differ. The speech of the corpus is in the left channel, so that one
is read, and the two are never mixed. Loading the corpus therefore decodes stereo files. Mono files are read as they
are.

Labels: dis disgusted, gio happy, neu neutral, pau fearful, rab angry, sor surprised, tri sad. Each actor says each
sentence once in each state, so the 4-class benchmark holds 336 clips, 84 of each class. Sentences are b short, l long,
n without sense and d questions. A clip with another code of a sentence has no transcript. Ages are unknown.

There is no official split. The usual protocol leaves one actor out: schemes `speaker_f1` to `speaker_m3` test on the
actor that they name and train on all others. Report the mean of the six. The default `speaker` is a fixed split with a
man for validation (m2), a woman and a man for test (f3, m3), and three actors for training.
"""

import re
from pathlib import Path

from ..labels import GENDER_INITIALS
from .base import CorpusFacts, Utterance
from .file_names import FileNameCorpus
from .leave_out import LeaveOutCorpus


EMOTION_CODES = {
    "dis": "disgusted",
    "gio": "happy",
    "neu": "neutral",
    "pau": "fearful",
    "rab": "angry",
    "sor": "surprised",
    "tri": "sad",
}
SENTENCES = {
    "b1": "Gli operai si alzano presto.",
    "b2": "I vigili sono muniti di pistola.",
    "b3": "La cascata fa molto rumore.",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre.",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata.",
    "l3": "Un attimo dopo s'è incamminato... ed è inciampato.",
    "l4": "Vorrei il numero telefonico del Signor Piatti.",
    "n1": "La casa forte vuole col pane.",
    "n2": "La forza trova il passo e l'aglio rosso.",
    "n3": "Il gatto sta scorrendo nella pera.",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello.",
    "n5": "Uno quarantatré dieci mille cinquantasette venti.",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}


class Emovo(FileNameCorpus, LeaveOutCorpus):
    """EMOVO (Costantini et al. 2014), free for research."""

    TITLE = "EMOVO"
    NAME = re.compile(rf"({'|'.join(EMOTION_CODES)})-([fm][1-3])-(\w+)")
    EXAMPLE = "f1/rab-f1-b1.wav"
    SPLIT_OF_SPEAKER = {"m2": "validation", "f3": "test", "m3": "test"}
    CHANNEL = "left"
    FACTS = CorpusFacts(["Italian"], EMOTION_CODES.values(), utterances=588, speakers=6, hours=0.5)
    HOMEPAGE = "http://www.lrec-conf.org/proceedings/lrec2014/summaries/591.html"
    LICENSE = "free for research"
    CITATION = """@inproceedings{costantini2014emovo,
  title={{EMOVO} Corpus: an {Italian} Emotional Speech Database},
  author={Costantini, Giovanni and Iaderola, Iacopo and Paoloni, Andrea and Todisco, Massimiliano},
  booktitle={LREC},
  year={2014}
}"""

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        emotion, speaker, sentence = match.groups()
        return Utterance(
            id=path.stem,
            path=str(path),
            emotion=EMOTION_CODES[emotion],
            gender=GENDER_INITIALS[speaker[0].upper()],
            speaker_id=speaker,
            transcript=SENTENCES.get(sentence),
        )
