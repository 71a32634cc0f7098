"""eNTERFACE'05: 1,293 videos of English sentences by 44 subjects, six emotions (Martin et al., ICDE Workshops 2006).

eNTERFACE'05 is free for research at https://enterface.net/enterface05/emotion.html. The paper counts 42 subjects and
1,166 videos. Subjects of 14 nationalities heard a short story per emotion and then said five sentences in it.

Files are `subject N/EMOTION/sentence K/*.avi` (48 kHz sound) in any folder, such as `enterface database`. A `.wav` or
`.flac` file beside a video takes its place. Subject, emotion and ids (`s11_anger_1`, `s6_anger`) come from the
folders, because the names of files are irregular. Subject 6 has one file per emotion and no sentence folders. Subject
3's files are named `s_3_su_1`, one of subject 16 `s16_su_3avi`, and subject 11's `s12_*` like subject 12's. Subject 23
has 27 files.

Labels: anger angry, disgust disgusted, fear fearful, happiness happy, sadness sad, surprise surprised. There is no
neutral speech, so the 4-class benchmark has three classes here. Genders are unknown (81 % are men).

There is no official split. `speaker` is ours: a fixed random draw of 70 / 10 / 20 % of the subjects.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
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

    FACTS = CorpusFacts(["English"], EMOTION_FOLDERS.values(), utterances=1293, speakers=44, hours=1.1)
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
