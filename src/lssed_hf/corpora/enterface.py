"""eNTERFACE'05: 1,293 videos of English sentences by 44 subjects, six emotions (Martin et al., ICDE Workshops 2006).

Free for research; https://enterface.net/enterface05/emotion.html offers it. The paper counts 42 subjects and 1,166
videos. Subjects of 14 nationalities listened to a short story per emotion and then said five sentences in it.

Read is `subject N/EMOTION/sentence K/*.avi` (48 kHz sound) in any folder, such as `enterface database`. A `.wav` or
`.flac` file of the same name beside the video is read in its place. Subject and emotion are those of the folders, for
the names of the files are irregular: subject 6 has one file per emotion and no sentence folders, subject 3's are named
`s_3_su_1`, one of subject 16 `s16_su_3avi`, and those of subject 11 are named `s12_*` as if they were subject 12's.
Subject 23 has 27 files. Identifiers are therefore built from the folders: `s11_anger_1`, and `s6_anger`.

Labels: anger angry, disgust disgusted, fear fearful, happiness happy, sadness sad, surprise surprised. There is no
neutral speech, so the 4-class benchmark has three classes here.
Who is a man or a woman is not said (81 % are men). There is no official split. `speaker` is ours: a random 70 / 10 /
20 % of the subjects, the same ones each time.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, Reject, Utterance
from .media import find_clips, wrong_folder
from .splits import assign_speakers


EMOTION_FOLDERS = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}
_PATH = re.compile(
    rf"(?:.*/)?subject[ _-]?0*(?P<subject>[1-9]\d*)/(?P<emotion>{'|'.join(EMOTION_FOLDERS)})/"
    r"(?:sentence[ _-]?0*(?P<sentence>[1-9]\d*)/)?[^/]+",
    re.IGNORECASE,
)


class Enterface(CorpusBuilder):
    """eNTERFACE'05 (Martin et al. 2006), free for research."""

    HOMEPAGE = "https://enterface.net/enterface05/emotion.html"
    LICENSE = "free for research"
    CITATION = """@inproceedings{martin2006enterface,
  title={The {eNTERFACE}'05 audio-visual emotion database},
  author={Martin, Olivier and Kotsia, Irene and Macq, Benoit and Pitas, Ioannis},
  booktitle={22nd International Conference on Data Engineering Workshops},
  year={2006}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        clips, copies = find_clips(data_dir)
        matches = [_PATH.fullmatch(path.relative_to(data_dir).as_posix()) for path in clips]
        if not any(matches):
            raise wrong_folder(data_dir, "eNTERFACE'05", "folders such as subject 1/anger/sentence 1")
        yield from copies
        for path, match in zip(clips, matches):
            if match is None:
                reason = (
                    f"not in a folder subject N/EMOTION/sentence K, EMOTION one of {', '.join(EMOTION_FOLDERS)}; "
                    "move the file"
                )
                yield Reject(path.stem, str(path), reason)
            else:
                yield _utterance(path, match["subject"], match["emotion"].lower(), match["sentence"])

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return assign_speakers([row.speaker_id for row in utterances])


def _utterance(path: Path, subject: str, emotion: str, sentence: str | None) -> Utterance:
    return Utterance(
        id=f"s{subject}_{emotion}" + (f"_{sentence}" if sentence else ""),
        path=str(path),
        emotion=EMOTION_FOLDERS[emotion],
        speaker_id=subject,
    )
