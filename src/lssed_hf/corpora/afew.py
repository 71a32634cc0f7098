"""AFEW: scenes of films in seven emotions, the data of the EmotiW challenges (Dhall et al., IEEE MultiMedia 2012).

By request and under a licence for academic research, see https://cs.anu.edu.au/few/AFEW.html. Version 6.0 has 773
scenes for training, 383 for validation and 593 for test (version 7.0: 653). The sound is that of the films, with music
and noise, and several people may speak.

Read is `Train_AFEW/Angry/000046280.avi`, likewise `Val_AFEW` and `Test_AFEW`, or the folders without `_AFEW`. A `.wav`
or `.flac` file beside a video is read instead.

Labels: the folders Angry, Disgust, Fear, Happy, Neutral, Sad and Surprise; of version 6.0, in that order, 133, 74, 81,
150, 144, 117 and 74 for training and 64, 40, 46, 63, 63, 61 and 46 for validation. Labels of the test set were kept
back by the organisers: scenes in `Test_AFEW` itself, in no folder of an emotion, are left out.
The only split is the `official` one. Some scenes of training and validation have the same name (they are parts of the
same video), so identifiers carry the split: `train_000046280`. Nothing is said of the speakers.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, Reject, Utterance
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
_EMOTIONS = {folder.lower(): emotion for folder, emotion in EMOTION_FOLDERS.items()}
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
_SPLIT_FOLDER = re.compile(r"(train|val|test)(_afew)?", re.IGNORECASE)


class Afew(CorpusBuilder):
    """AFEW (Dhall et al. 2012), by request for academic research."""

    SPLIT_SCHEMES = ("official",)
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
    """`train`, `val` or `test`, after the innermost folder that says so."""
    names = [match[1].lower() for folder in folders if (match := _SPLIT_FOLDER.fullmatch(folder))]
    return names[-1] if names else None


def _read(path: Path, folders: Sequence[str]) -> Utterance | Reject:
    split = _split_of(folders)
    if split is None:
        return Reject(path.stem, str(path), "in no folder Train, Val or Test (or Train_AFEW, ...); move the file")
    name = f"{split}_{path.stem}"
    if split == "test" and _SPLIT_FOLDER.fullmatch(folders[-1]):
        return Reject(name, str(path), "a test scene without a label", by_rule=True)
    if folders[-1].lower() not in _EMOTIONS:
        return Reject(name, str(path), f"in no folder of an emotion ({', '.join(EMOTION_FOLDERS)}); move the file")
    return Utterance(id=name, path=str(path), emotion=_EMOTIONS[folders[-1].lower()], split=_SPLITS[split])
