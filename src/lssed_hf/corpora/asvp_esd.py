"""ASVP-ESD: 13,964 emotional sounds of 131 people out of films, television and the web (Landry et al. 2020).

The Audio, Speech and Vision Processing Lab Emotional Sound database is free at https://zenodo.org/records/7132783, for
research; see there for its terms. The sound is 16 kHz. Files are called, e.g.,
`Audio/actor_36/03-01-09-01-06-36-02-02-01-39.wav`: modality, channel (01 speech, 02 other sounds), emotion, intensity,
number, actor (odd numbers are women, even ones men), age, source, language, and further numbers. They may lie in any
folder.

Laughter, cries and other sounds that are no speech are left out unless `keep_nonspeech=True`. So are clips whose
emotion is unknown (17).

Labels: 01 bored, 02 neutral, 03 happy, 04 sad, 05 angry, 06 fearful, 07 disgusted, 08 surprised, 09 excited, 10
(pleasure) other, 11 (pain) other, 12 disappointed, 13 (breath, others) other. Listeners voted on them. Age 01 (above
65) is `old`; the others fit no group of this vocabulary. Sources disagree on the codes of languages (Chinese, English,
French, Russian and others), so these are not read.

There is no official split. `speaker` is ours: a fixed random draw of 70 / 10 / 20 % of the clips, no actor in two.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..labels import BENCHMARK_EMOTIONS
from .base import CorpusConfig, CorpusFacts, Reject, Utterance
from .file_names import FileNameCorpus
from .splits import assign_speakers


EMOTION_CODES = {
    "01": "bored",
    "02": "neutral",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgusted",
    "08": "surprised",
    "09": "excited",
    "10": "other",
    "11": "other",
    "12": "disappointed",
    "13": "other",
}
_UNKNOWN = "17"
_AGE_GROUPS = {"01": "old"}


@dataclass
class AsvpEsdConfig(CorpusConfig):
    """Configuration of ASVP-ESD.

    Args:
        keep_nonspeech: Whether to keep sounds that are no speech.
    """

    keep_nonspeech: bool = False


class AsvpEsd(FileNameCorpus):
    """ASVP-ESD (Landry et al. 2020), free for research."""

    BUILDER_CONFIG_CLASS = AsvpEsdConfig
    BUILDER_CONFIGS = [
        AsvpEsdConfig(name="default", description="all emotions of LSSED's vocabulary"),
        AsvpEsdConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    TITLE = "ASVP-ESD"
    NAME = re.compile(
        rf"03-(?P<channel>0[12])-(?P<emotion>{'|'.join([*EMOTION_CODES, _UNKNOWN])})-\d\d-\d+-(?P<actor>\d+)-"
        r"(?P<age>\d\d)-\d\d(-\d+)*"
    )
    EXAMPLE = "Audio/actor_36/03-01-09-01-06-36-02-02-01-39.wav"
    FACTS = CorpusFacts(
        ["Chinese", "English", "French", "Russian", "others"],
        EMOTION_CODES.values(),
        utterances=13964,
        speakers=131,
        hours=18,
    )
    HOMEPAGE = "https://zenodo.org/records/7132783"
    LICENSE = "free for research"
    CITATION = """@misc{landry2020asvp,
  title={Audio, Speech and Vision Processing Lab Emotional Sound database ({ASVP-ESD})},
  author={Landry, Dejoli Tientcheu Touko and He, Qianhua and Xie, Wei},
  publisher={Zenodo},
  doi={10.5281/zenodo.7132783},
  year={2020}
}"""

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance | Reject:
        if match["channel"] != "01" and not self.config.keep_nonspeech:
            return Reject(path.stem, str(path), "no speech (keep_nonspeech=True keeps these)", by_rule=True)
        if match["emotion"] == _UNKNOWN:
            return Reject(path.stem, str(path), "its emotion is unknown (17)", by_rule=True)
        return Utterance(
            id=path.stem,
            path=str(path),
            emotion=EMOTION_CODES[match["emotion"]],
            gender="female" if int(match["actor"]) % 2 else "male",
            age_group=_AGE_GROUPS.get(match["age"]),
            speaker_id=match["actor"],
        )

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return assign_speakers([row.speaker_id for row in utterances])
