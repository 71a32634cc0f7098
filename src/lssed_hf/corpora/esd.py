"""ESD: 35,000 clips by ten English and ten Mandarin speakers in five emotions (Zhou et al., ICASSP 2021).

The Emotional Speech Database is for research, on a licence form; see https://hltsingapore.github.io/ESD/. Each speaker
says 350 sentences in each emotion, at 16 kHz. Files are called `0011/Angry/train/0011_000371.wav`: speaker, folder of
the emotion, folder of the split, number. Copies lack the folders of splits. Folders above the speakers do not count.
`0011/0011.txt` has lines of name, transcript and emotion, with tabs. It may be missing, and lines that cannot be read
cost the transcript alone. Speakers 0001 to 0010 speak Mandarin, 0011 to 0020 English. `language="English"` keeps the
latter.

Labels are the folders Angry, Happy, Neutral, Sad and Surprise. The 4-class benchmark holds 28,000 clips.

`speaker` is ours: a woman and a man of each language for validation (0009, 0010, 0019, 0020) and test (0007, 0008,
0014, 0018), twelve speakers for training. The `official` split has the same speakers everywhere: of the 350 clips of a
speaker in an emotion, 1 to 20 are for validation (`evaluation`), 21 to 50 for test, the others for training. A score
on it says nothing about new voices, and all speakers say the same sentences.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..labels import BENCHMARK_EMOTIONS
from .base import CorpusConfig, CorpusFacts, Reject, Utterance
from .file_names import FileNameCorpus
from .tables import decode_text


EMOTION_FOLDERS = {
    "Angry": "angry",
    "Happy": "happy",
    "Neutral": "neutral",
    "Sad": "sad",
    "Surprise": "surprised",
}
LANGUAGES = ("English", "Mandarin")
#: Clips of a speaker in an emotion.
NUM_CLIPS = 350
_MEN = frozenset((4, 5, 6, 8, 10, 11, 12, 13, 14, 20))
_VALIDATION, _TEST = ("0009", "0010", "0019", "0020"), ("0007", "0008", "0014", "0018")
_SPLIT_FOLDERS = {"train": "train", "evaluation": "validation", "test": "test"}


@dataclass
class EsdConfig(CorpusConfig):
    """Configuration of ESD.

    Args:
        language: Language to keep, "English" or "Mandarin". Default: both.
    """

    language: str | None = None


class Esd(FileNameCorpus):
    """ESD (Zhou et al. 2021), for research on a licence form."""

    BUILDER_CONFIG_CLASS = EsdConfig
    BUILDER_CONFIGS = [
        EsdConfig(name="default", description="all five emotions"),
        EsdConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    SPLIT_SCHEMES = ("speaker", "official")
    TITLE = "ESD"
    NAME = re.compile(r"(00(?:0[1-9]|1\d|20))_(\d{6})")
    EXAMPLE = "0011/Angry/0011_000371.wav"
    FACTS = CorpusFacts(LANGUAGES, EMOTION_FOLDERS.values(), utterances=35000, speakers=20, hours=29.1)
    HOMEPAGE = "https://hltsingapore.github.io/ESD/"
    LICENSE = "research use, on a licence form"
    CITATION = """@inproceedings{zhou2021seen,
  title={Seen and unseen emotional style transfer for voice conversion with a new emotional speech dataset},
  author={Zhou, Kun and Sisman, Berrak and Liu, Rui and Li, Haizhou},
  booktitle={ICASSP},
  year={2021}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        if self.config.language not in (None, *LANGUAGES):
            raise ValueError(f"language={self.config.language!r}; ESD has {', '.join(LANGUAGES)}")
        texts: dict[str, dict[str, str]] = {}
        for row in super().read_utterances(data_dir):
            if isinstance(row, Utterance):
                if row.speaker_id not in texts:
                    texts[row.speaker_id] = _read_texts(data_dir, Path(row.path), row.speaker_id)
                row = replace(row, transcript=texts[row.speaker_id].get(row.id))
            yield row

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance | Reject:
        speaker, number = match[1], int(match[2])
        folders = [folder.capitalize() for folder in path.parts[-3:-1]]
        emotion = next((emotion for folder, emotion in EMOTION_FOLDERS.items() if folder in folders), None)
        if emotion is None:
            reason = f"in no folder of an emotion ({', '.join(EMOTION_FOLDERS)}); move the file"
            return Reject(path.stem, str(path), reason)
        if self.config.language not in (None, _language(speaker)):
            return Reject(path.stem, str(path), f"its language is {_language(speaker)}", by_rule=True)
        rest = (number - 1) % NUM_CLIPS
        by_number = "validation" if rest < 20 else "test" if rest < 50 else "train"
        return Utterance(
            id=path.stem,
            path=str(path),
            emotion=emotion,
            gender="male" if int(speaker) in _MEN else "female",
            speaker_id=speaker,
            split=_SPLIT_FOLDERS.get(path.parent.name.lower(), by_number),
        )

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if scheme == "official":
            return [row.split for row in utterances]
        split_of = {**dict.fromkeys(_VALIDATION, "validation"), **dict.fromkeys(_TEST, "test")}
        return [split_of.get(row.speaker_id, "train") for row in utterances]


def _language(speaker: str) -> str:
    return "English" if int(speaker) > 10 else "Mandarin"


def _read_texts(data_dir: Path, clip: Path, speaker: str) -> dict[str, str]:
    """Return the transcripts of a speaker, whose file lies in a folder above a clip."""
    above = [folder for folder in clip.parents if folder.is_relative_to(data_dir)]
    path = next((file for folder in above if (file := folder / f"{speaker}.txt").is_file()), None)
    if path is None:
        return {}
    fallback = "cp1252" if _language(speaker) == "English" else "gb18030"
    lines = (line.split("\t") for line in decode_text(path.read_bytes(), fallback).splitlines())
    return {cells[0].strip(): cells[1].strip() for cells in lines if len(cells) > 1 and cells[1].strip()}
