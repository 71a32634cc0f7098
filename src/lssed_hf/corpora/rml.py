"""RML: 720 videos of eight subjects who speak six languages, 120 for each of six emotions (Wang and Guan 2008).

The Ryerson Multimedia Lab sends RML on a signed agreement, for research and non-commercial use; see
http://www.rml.ryerson.ca/rml-emotion-database.html. Languages are English, Mandarin, Urdu, Punjabi, Persian and
Italian. The sound is mono at 22.05 kHz.

Files are `rml-1/s1/an1.avi` in any folder: subjects s1 to s5 in `rml-1`, s6 to s8 in `rml-2`, some with a folder for
each of their languages. The subject is the folder sN. Ids come from the path (`s7_english_an1`), because every folder
has the same names of files. A `.wav` or `.flac` file beside a video takes its place.

Labels come from the name of the file: an angry, di disgusted, fe fearful, ha happy, sa sad, su surprised. There is no
neutral speech, so the 4-class benchmark has three classes here. Gender, age and language are unknown.

There is no official split. Schemes `s1` to `s8` test on the subject that they name and train on all others. Report the
mean of the eight. The default is `s8`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
from .media import find_clips, wrong_folder
from .splits import leave_one_out


EMOTION_CODES = {
    "an": "angry",
    "di": "disgusted",
    "fe": "fearful",
    "ha": "happy",
    "sa": "sad",
    "su": "surprised",
}
_LANGUAGES = ("English", "Mandarin", "Urdu", "Punjabi", "Persian", "Italian")
_NAME = re.compile(rf"({'|'.join(EMOTION_CODES)})[ _-]?\d+", re.IGNORECASE)
_SPEAKER = re.compile(r"s[1-8]", re.IGNORECASE)


class Rml(CorpusBuilder):
    """RML emotion database (Wang and Guan 2008), free for research on a signed agreement."""

    SPLIT_SCHEMES = ("s8",)
    FACTS = CorpusFacts(_LANGUAGES, EMOTION_CODES.values(), utterances=720, speakers=8)
    HOMEPAGE = "http://www.rml.ryerson.ca/rml-emotion-database.html"
    LICENSE = "research and non-commercial use, on a signed agreement"
    CITATION = """@article{wang2008recognizing,
  title={Recognizing human emotional state from audiovisual signals},
  author={Wang, Yongjin and Guan, Ling},
  journal={IEEE Transactions on Multimedia},
  volume={10},
  number={5},
  pages={936--946},
  year={2008}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        clips, copies = find_clips(data_dir)
        rows = [_read(path, path.relative_to(data_dir).parts[:-1]) for path in clips]
        if not any(isinstance(row, Utterance) for row in rows):
            raise wrong_folder(data_dir, "RML", "videos such as rml-1/s1/an1.avi")
        yield from copies
        yield from rows

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """Return a scheme for each speaker that is there, the default first."""
        speakers = {row.speaker_id for row in utterances}
        return sorted(speakers, key=lambda speaker: (speaker not in self.SPLIT_SCHEMES, speaker))

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return leave_one_out([row.speaker_id for row in utterances], scheme)


def _read(path: Path, folders: Sequence[str]) -> Utterance | Reject:
    depth = max((depth for depth, folder in enumerate(folders) if _SPEAKER.fullmatch(folder)), default=None)
    if depth is None:
        return Reject(path.stem, str(path), "in no folder of a subject (s1 to s8); move the file")
    match = _NAME.fullmatch(path.stem)
    if match is None:
        reason = f"its name is not one of RML's ({', '.join(EMOTION_CODES)} and a number); move the file elsewhere"
        return Reject(path.stem, str(path), reason)
    speaker = folders[depth].lower()
    return Utterance(
        id=re.sub(r"\s+", "-", "_".join([speaker, *folders[depth + 1 :], path.stem])),
        path=str(path),
        emotion=EMOTION_CODES[match[1].lower()],
        speaker_id=speaker,
    )
