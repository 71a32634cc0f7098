"""AFEW: scenes of films in seven emotions, the data of the EmotiW challenges (Dhall et al., IEEE MultiMedia 2012).

AFEW is given away on request, for academic research; see https://cs.anu.edu.au/few/AFEW.html. Version 6.0 has 773
scenes for training, 383 for validation and 593 for test (version 7.0: 653). The sound is the films', with music and
noise. Several people may speak.

Files are `Train_AFEW/Angry/000046280.avi`, and the like in `Val_AFEW` and `Test_AFEW`. The folders may lack `_AFEW`. A
`.wav` or `.flac` file beside a video takes its place.

Labels are the folders Angry, Disgust, Fear, Happy, Neutral, Sad and Surprise. In that order version 6.0 has 133, 74,
81, 150, 144, 117 and 74 scenes for training, and 64, 40, 46, 63, 63, 61 and 46 for validation. The organisers kept
back the labels of the test set: scenes in `Test_AFEW` itself, in no folder of an emotion, are left out.

The only split is the `official` one. Some scenes of training and validation come from one video and have the same
name, so ids begin with the split: `train_000046280`. The speakers are unknown.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
from .fields import SPLIT_NAMES
from .media import find_clips, wrong_folder


EMOTION_FOLDERS = {
    "Angry": "angry",
    "Disgust": "disgusted",
    "Fear": "fearful",
    "Happy": "happy",
    "Neutral": "neutral",
    "Sad": "sad",
    "Surprise": "surprised",
}
_SPLIT_FOLDER = re.compile(r"(train|val|test)(_afew)?", re.IGNORECASE)


class Afew(CorpusBuilder):
    """AFEW (Dhall et al. 2012), by request for academic research."""

    SPLIT_SCHEMES = ("official",)
    FACTS = CorpusFacts(["English"], EMOTION_FOLDERS.values(), utterances=1749)
    HOMEPAGE = "https://cs.anu.edu.au/few/AFEW.html"
    LICENSE = "academic research, by request"
    CITATION = """@article{dhall2012collecting,
  title={Collecting large, richly annotated facial-expression databases from movies},
  author={Dhall, Abhinav and Goecke, Roland and Lucey, Simon and Gedeon, Tom},
  journal={IEEE MultiMedia},
  volume={19},
  number={3},
  pages={34--41},
  year={2012}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        clips, copies = find_clips(data_dir)
        places = [path.relative_to(data_dir).parts[:-1] for path in clips]
        if not any(_split_of(folders) for folders in places):
            raise wrong_folder(data_dir, "AFEW", "folders such as Train_AFEW/Angry, Val_AFEW/Angry")
        yield from copies
        for path, folders in zip(clips, places):
            yield _read(path, folders)


def _split_of(folders: Sequence[str]) -> str | None:
    """Return `train`, `val` or `test` from the innermost folder with such a name."""
    names = [match[1].lower() for folder in folders if (match := _SPLIT_FOLDER.fullmatch(folder))]
    return names[-1] if names else None


def _read(path: Path, folders: Sequence[str]) -> Utterance | Reject:
    split = _split_of(folders)
    if split is None:
        return Reject(path.stem, str(path), "in no folder Train, Val or Test (or Train_AFEW, ...); move the file")
    name = f"{split}_{path.stem}"
    if split == "test" and _SPLIT_FOLDER.fullmatch(folders[-1]):
        return Reject(name, str(path), "a test scene without a label", by_rule=True)
    emotion = EMOTION_FOLDERS.get(folders[-1].capitalize())
    if emotion is None:
        return Reject(name, str(path), f"in no folder of an emotion ({', '.join(EMOTION_FOLDERS)}); move the file")
    return Utterance(id=name, path=str(path), emotion=emotion, split=SPLIT_NAMES[split])
