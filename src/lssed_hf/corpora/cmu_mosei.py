"""CMU-MOSEI, the audio: 23,453 segments of 3,228 English YouTube videos in six emotions (Zadeh et al., ACL 2018).

The raw data came from http://immortal.multicomp.cs.cmu.edu/raw_datasets/, which is often down. No licence is stated;
the videos are their makers'. Files may lie in `data_dir`, or in `Raw/`, `CMU_MOSEI/Raw/` or `CMU-MOSEI/` there:

- `Labels/*.csv` has a line for each rater: columns Input.VIDEO_ID, Input.CLIP, and Answer.anger, .disgust, .fear,
  .happiness, .sadness and .surprise from 0 (none) to 3.
- `Transcript/Segmented/Combined/VIDEO.txt` has lines `VIDEO___CLIP___start___end___text`, in seconds.
- `Audio/Full/WAV_16000/VIDEO.wav`, from which segments are cut. Clips `VIDEO_CLIP.wav` in any folder below `Audio/`,
  which some copies have, take their place. The release lacks the sound of some videos: their segments are left out.

Labels: `emotion` is the one with the highest mean over the raters, and `secondary_emotions` are all others that
somebody heard. A segment with no emotion at all is neutral. Where two share the highest mean, it is left out. The
corpus's own task scores each of the six emotions by itself, so figures of papers do not compare with these. The
sentiment is not read.

The release does not name the speakers (1,000 by the paper). `speaker_id` is the video here, so a person with several
videos counts as several. `video` is ours: a fixed random draw of 70 / 10 / 20 % of the segments by video. `official`
is the authors' split. It needs `cmu_mosei_std_folds.py` of their CMU-MultimodalSDK, in `data_dir` or one level below,
which is read as text and not run. Videos that are in none of its folds are in no split.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from ..scan import find_audio_files
from .base import CorpusBuilder, CorpusDataError, CorpusFacts, Reject, Utterance
from .fields import rating
from .media import wrong_folder
from .splits import assign_speakers
from .tables import find_table, read_table, read_text


EMOTION_NAMES = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}
FOLDS = "cmu_mosei_std_folds.py"
_PLACES = ("", "Raw", "CMU_MOSEI/Raw", "CMU_MOSEI", "CMU-MOSEI/Raw", "CMU-MOSEI")
_REQUIRED = {name: (name,) for name in ("input.video_id", "input.clip", *(f"answer.{name}" for name in EMOTION_NAMES))}
_FOLD = re.compile(r"^standard_(train|valid|test)_fold\s*=\s*(\[.*?\])", re.MULTILINE | re.DOTALL)
_SPLITS = {"train": "train", "valid": "validation", "test": "test"}

#: Video and number of a segment.
Segment = tuple[str, str]


class CmuMosei(CorpusBuilder):
    """CMU-MOSEI (Zadeh et al. 2018): segments of YouTube videos, without a stated licence."""

    SPLIT_SCHEMES = ("video", "official")
    FACTS = CorpusFacts(["English"], [*EMOTION_NAMES.values(), "neutral"], utterances=23453, speakers=1000, hours=65.9)
    HOMEPAGE = "https://github.com/A2Zadeh/CMU-MultimodalSDK"
    LICENSE = "no licence stated; clips of YouTube videos, all rights reserved"
    CITATION = """@inproceedings{zadeh2018multimodal,
  title={Multimodal Language Analysis in the Wild: {CMU-MOSEI} Dataset and Interpretable Dynamic Fusion Graph},
  author={Zadeh, AmirAli Bagher and Liang, Paul Pu and Poria, Soujanya and Cambria, Erik and Morency,
    Louis-Philippe},
  booktitle={ACL},
  year={2018}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        root = next((path for place in _PLACES if any((path := data_dir / place).glob("Labels/*.csv"))), None)
        if root is None:
            raise wrong_folder(data_dir, "CMU-MOSEI", "Labels/*.csv in it and in Raw/")
        ratings, faulty = _read_ratings(root / "Labels")
        yield from faulty
        files = {path.stem: path for path in find_audio_files(root / "Audio")}
        texts = {path.stem: path for path in root.glob("Transcript/Segmented/Combined/*.txt")}
        folds = _read_folds(data_dir)
        videos: dict[str, dict[str, tuple[float, float, str]]] = {}
        for segment, answers in ratings.items():
            video, clip = segment
            if video not in videos:
                videos[video] = _read_segments(texts[video]) if video in texts else {}
            yield _utterance(segment, answers, files, videos[video].get(clip), folds.get(video))

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """Return `official` only where the file with the folds is there."""
        return self.SPLIT_SCHEMES if any(row.split for row in utterances) else self.SPLIT_SCHEMES[:1]

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if scheme == "video":
            return assign_speakers([row.speaker_id for row in utterances])
        if scheme not in self.split_schemes(utterances):
            raise CorpusDataError(f"split_scheme='official' needs {FOLDS} of CMU-MultimodalSDK in the folder")
        return [row.split for row in utterances]


def _read_ratings(folder: Path) -> tuple[dict[Segment, dict[str, list[float]]], list[Reject]]:
    """Return the raters' answers for each segment and emotion, and the faulty lines."""
    ratings: dict[Segment, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    faulty = []
    for path in sorted(folder.glob("*.csv")):
        for row in read_table(path, _REQUIRED):
            video, clip = row.get("input.video_id", "").rpartition("/")[2], row.get("input.clip", "")
            answers = {name: rating(row.get(f"answer.{name}")) for name in EMOTION_NAMES}
            if row.problem or not video or not clip or None in answers.values():
                reason = row.problem or "lacks a video, a clip or the answer for an emotion"
                faulty.append(Reject(f"{video}_{clip}", f"{path}, line {row.line}", reason))
                continue
            for name, answer in answers.items():
                ratings[video, clip][name].append(answer)
    return ratings, faulty


def _read_segments(path: Path) -> dict[str, tuple[float, float, str]]:
    """Return start, end and text of each segment of a video."""
    segments = {}
    for line in read_text(path).split("\n"):
        # Some lines have longer bars before the text. A few segments start a little before the video.
        _, clip, start, end, text = (*line.strip().split("___", 4), *[""] * 5)[:5]
        times = rating(start), rating(end)
        if None not in times:
            segments[clip] = (max(0.0, times[0]), times[1], text.strip("_ "))
    return segments


def _read_folds(data_dir: Path) -> dict[str, str]:
    """Return the split of each video, nothing without the authors' file."""
    path = find_table(data_dir, FOLDS)
    folds = _FOLD.findall(read_text(path)) if path else ()
    return {video: _SPLITS[fold] for fold, videos in folds for video in ast.literal_eval(videos)}


def _utterance(
    segment: Segment,
    answers: Mapping[str, Sequence[float]],
    files: Mapping[str, Path],
    times: tuple[float, float, str] | None,
    split: str | None,
) -> Utterance | Reject:
    video, name = segment[0], "_".join(segment)
    means = {EMOTION_NAMES[emotion]: fmean(values) for emotion, values in answers.items()}
    heard = sorted((emotion for emotion, mean in means.items() if mean > 0), key=lambda emotion: -means[emotion])
    if len(heard) > 1 and means[heard[0]] == means[heard[1]]:
        return Reject(name, video, "two emotions share the highest mean of the raters", by_rule=True)
    cut = name not in files
    if cut and video not in files:
        return Reject(name, video, "the sound of its video is not there", by_rule=True)
    if cut and (times is None or times[1] <= times[0]):
        return Reject(name, video, "its video's transcript lacks its times, or they are empty", by_rule=True)
    start, end, text = times or (None, None, "")
    return Utterance(
        id=name,
        path=str(files[video if cut else name]),
        emotion=heard[0] if heard else "neutral",
        secondary_emotions=tuple(heard[1:]),
        speaker_id=video,
        session_id=video,
        start=start,
        end=end,
        transcript=text or None,
        split=split,
        cut=cut,
    )
