"""EMO-DB, the Berlin database of emotional speech: 535 utterances, ten German actors, seven emotions.

Source: Burkhardt et al., Interspeech 2005; http://emodb.bilderbar.info (free for research). Names are `SSTTTEV`:
speaker, sentence, emotion (German initial), version.

Labels: W (Wut) angry, N neutral, F (Freude) happy, T (Trauer) sad, L (Langeweile) bored, E (Ekel) disgusted, A (Angst)
fearful. The laryngograms of version 2 (`laryngo/`, files of the same names as in `wav/`) are left out.

The usual protocol leaves one speaker out: schemes `speaker_03` to `speaker_16` test on the speaker that they name and
train on all others. Report the mean of the ten. The default `speaker` is a fixed split with a man and a woman each for
validation (15, 16) and test (12, 13), and six speakers for training.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..scan import AUDIO_SUFFIXES, find_audio_files
from .base import CorpusFacts, Reject, Utterance
from .download import Archive, download_corpus
from .leave_out import LeaveOutCorpus


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
#: Version 1.3.0: the 535 WAV files, and tables of labels that are not read. (Version 2.0, record 16273947, adds 281
#: utterances that listeners were not sure of.) Size and MD5 are Zenodo's. The authors' own
#: http://emodb.bilderbar.info/download/download.zip has no checksum.
DOWNLOAD = Archive(
    url="https://zenodo.org/records/7447302/files/emodb.zip",
    size=39_981_818,
    md5="9d21362dbc5676ef3ab4745d83ced0db",
    num_files=535,
    license="CC BY 4.0, https://zenodo.org/records/7447302",
)
NAME = re.compile(rf"({'|'.join(SPEAKERS)})([ab]\d\d)([{''.join(EMOTION_CODES)}])([a-z]?)")


class Emodb(LeaveOutCorpus):
    """EMO-DB (Burkhardt et al. 2005), free for research."""

    SPLIT_OF_SPEAKER = {"12": "test", "13": "test", "15": "validation", "16": "validation"}
    FACTS = CorpusFacts(["German"], EMOTION_CODES.values(), utterances=535, speakers=10, hours=0.4)
    HOMEPAGE = "http://emodb.bilderbar.info"
    LICENSE = "free for research"

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the corpus in the `datasets` cache, downloaded once (40 MB)."""
        return download_corpus("emodb", DOWNLOAD)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        for path in find_audio_files(data_dir, AUDIO_SUFFIXES):
            match = NAME.fullmatch(path.stem)
            if "laryngo" in path.relative_to(data_dir).parts:
                yield Reject(path.stem, str(path), "a laryngogram, not speech", by_rule=True)
            elif match is None:
                reason = "its name is not one of EMO-DB's (SSTTTEV, e.g. 03a01Fa); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
            else:
                speaker, _, emotion, _ = match.groups()
                gender, age = SPEAKERS[speaker]
                yield Utterance(
                    id=path.stem,
                    path=str(path),
                    emotion=EMOTION_CODES[emotion],
                    gender=gender,
                    age=age,
                    speaker_id=speaker,
                )
