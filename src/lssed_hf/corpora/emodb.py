"""EMO-DB, the Berlin database of emotional speech: 535 utterances, ten German actors, seven emotions.

Source: Burkhardt et al., Interspeech 2005; http://emodb.bilderbar.info (free for research). Names are `SSTTTEV`:
speaker, sentence, emotion (German initial), version.

Labels: W (Wut) angry, N neutral, F (Freude) happy, T (Trauer) sad, L (Langeweile) bored, E (Ekel) disgusted, A (Angst)
fearful.

Version 2 has laryngograms (`laryngo/`, files of the same names as in `wav/`), which are left out. It also has
utterances that listeners were not sure of. Those whose emotion fewer than 80 % recognised are left out unless
`keep_ambiguous=True`. The shares are the column `erkannt` of `erkennung.txt`, or `emotion.confidence` of audformat's
tables `db.emotion*.csv`. (audformat's documentation of version 1 describes both, which version 2 is assumed to keep.)

The usual protocol leaves one speaker out: schemes `speaker_03` to `speaker_16` test on the speaker that they name and
train on all others. Report the mean of the ten. The default `speaker` is a fixed split with a man and a woman each for
validation (15, 16) and test (12, 13), and six speakers for training.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..scan import AUDIO_SUFFIXES, find_audio_files
from .base import CorpusConfig, CorpusFacts, Reject, Utterance
from .download import Archive, download_corpus
from .fields import decimal
from .leave_out import LeaveOutCorpus
from .tables import find_table, read_table, read_text


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
_AGREEMENT = 0.8  # share of listeners, the limit of version 1
NAME = re.compile(rf"({'|'.join(SPEAKERS)})([ab]\d\d)([{''.join(EMOTION_CODES)}])([a-z]?)")


@dataclass
class EmodbConfig(CorpusConfig):
    """Configuration of EMO-DB.

    Args:
        keep_ambiguous: Whether to keep utterances of version 2 that listeners were not sure of.
    """

    keep_ambiguous: bool = False


class Emodb(LeaveOutCorpus):
    """EMO-DB (Burkhardt et al. 2005), free for research."""

    BUILDER_CONFIG_CLASS = EmodbConfig
    BUILDER_CONFIGS = [EmodbConfig(**vars(config)) for config in LeaveOutCorpus.BUILDER_CONFIGS]
    SPLIT_OF_SPEAKER = {"12": "test", "13": "test", "15": "validation", "16": "validation"}
    FACTS = CorpusFacts(["German"], EMOTION_CODES.values(), utterances=535, speakers=10, hours=0.4)
    HOMEPAGE = "http://emodb.bilderbar.info"
    LICENSE = "free for research"

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the corpus in the `datasets` cache, downloaded once (40 MB)."""
        return download_corpus("emodb", DOWNLOAD)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        paths = find_audio_files(data_dir, AUDIO_SUFFIXES)
        recognised: Mapping[str, float] = {}
        if not self.config.keep_ambiguous and any(_is_laryngogram(path, data_dir) for path in paths):
            recognised = _read_recognised(data_dir)
            if not recognised:
                self.note("neither erkennung.txt nor db.emotion*.csv is there, so ambiguous utterances are kept")
        for path in paths:
            match = NAME.fullmatch(path.stem)
            if _is_laryngogram(path, data_dir):
                yield Reject(path.stem, str(path), "a laryngogram, not speech", by_rule=True)
            elif match is None:
                reason = "its name is not one of EMO-DB's (SSTTTEV, e.g. 03a01Fa); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
            elif recognised.get(path.stem, 1) < _AGREEMENT:
                reason = f"fewer than {_AGREEMENT:.0%} recognised its emotion (keep_ambiguous=True keeps these)"
                yield Reject(path.stem, str(path), reason, by_rule=True)
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


def _is_laryngogram(path: Path, data_dir: Path) -> bool:
    return "laryngo" in path.relative_to(data_dir).parts


def _read_recognised(data_dir: Path) -> dict[str, float]:
    """Return the share of listeners who recognised the emotion of each utterance, as far as tables tell it."""
    cells: list[tuple[str, str]] = []
    if table := find_table(data_dir, "erkennung.txt"):
        header, *lines = [line.replace("\xa0", " ").split() for line in read_text(table, "replace").splitlines()] or [
            []
        ]
        if {"Satz", "erkannt"} <= set(header):
            name, share = header.index("Satz"), header.index("erkannt")
            cells += [(line[name], line[share]) for line in lines if len(line) > max(name, share)]
    for pattern in ("db.emotion*.csv", "*/db.emotion*.csv"):
        for table in sorted(data_dir.glob(pattern)):
            cells += [(row.get("file", ""), row.get("emotion.confidence", "")) for row in read_table(table)]
    recognised = {}
    for name, text in cells:
        try:
            share = decimal(text)
        except ValueError:
            continue
        recognised[Path(name).stem] = share / 100 if share > 1 else share
    return recognised
