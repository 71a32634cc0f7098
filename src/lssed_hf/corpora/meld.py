"""MELD: 13,708 utterances out of dialogues of the TV series Friends, in seven emotions.

Source: Poria et al., ACL 2019; https://github.com/declare-lab/MELD. Anyone may download it: metadata from that
repository (GPL-3.0), and clips of the series, which stays its owners', as `MELD.Raw.tar.gz`. Files may lie in
`data_dir`, in `MELD.Raw/` or `data/MELD/` there, or in a folder `train/`, `dev/` or `test/` of these:

- `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`. A copy may lack some.
- `train_splits/`, `dev_splits_complete/` and `output_repeated_splits_test/` with `dia{D}_utt{U}.mp4`. Sound extracted
  from a video (`.wav`, `.flac`, ...) takes its place. Videos need PyAV.

An utterance is (split, Dialogue_ID, Utterance_ID): `id` is `train_dia0_utt0`, and `session_id` is `train_dia0`. Clips
that no line names are not read, such as `final_videos_test*` and `._*`. `start` and `end` are seconds in the episode,
not in the clip. Both are null where a line's times cannot be read or the end is not after the start. Only the gender
of the six main characters is known.

Labels: neutral, joy (happy), surprise, anger, sadness, disgust, fear. Many clips are cut badly or have laughter on
them. Two files known to be corrupt or missing are left out by rule. So are three clips that last minutes, unless
`keep_badly_cut=True`. That leaves 13,703 utterances.

The only split is `official`: 9,989 / 1,109 / 2,610 lines. The usual score is weighted F1. The six main actors are in
every split, so a score says little about new voices.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..labels import BENCHMARK_EMOTIONS, EMOTIONS
from ..scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from .base import CorpusBuilder, CorpusConfig, CorpusDataError, CorpusFacts, Reject, Utterance
from .fields import SPLIT_NAMES
from .media import wrong_folder
from .tables import Row, read_table


EMOTION_NAMES = {
    "neutral": "neutral",
    "joy": "happy",
    "surprise": "surprised",
    "anger": "angry",
    "sadness": "sad",
    "disgust": "disgusted",
    "fear": "fearful",
}
#: MELD's name of a split to the folder of its clips.
MEDIA_FOLDERS = {
    "train": "train_splits",
    "dev": "dev_splits_complete",
    "test": "output_repeated_splits_test",
}
MAIN_CHARACTERS = {
    "Chandler": "male",
    "Joey": "male",
    "Monica": "female",
    "Phoebe": "female",
    "Rachel": "female",
    "Ross": "male",
}
#: Known defects of the release. A mended file is left out too, so that everyone has the same utterances.
DEFECTS = {
    "train_dia125_utt3": "the release's file is corrupt",
    "dev_dia110_utt7": "the release lacks the file",
}
BADLY_CUT = frozenset({"train_dia309_utt0", "test_dia220_utt0", "test_dia38_utt4"})
_PLACES = ("", "MELD.Raw", "data/MELD")
_SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)  # the preferred ones first
_REQUIRED = {"dialogue": ("dialogue_id",), "utterance number": ("utterance_id",), "emotion": ("emotion",)}
# The tables are UTF-8, but quotes and dashes in them are control characters with the numbers of Windows-1252.
_QUOTES = {
    number: bytes([number]).decode("cp1252")
    for number in range(0x80, 0xA0)
    if number not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)  # which Windows-1252 lacks
}
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")


@dataclass
class MeldConfig(CorpusConfig):
    """Configuration of MELD.

    Args:
        keep_badly_cut: Whether to keep the clips that are known to last minutes.
    """

    keep_badly_cut: bool = False


class Meld(CorpusBuilder):
    """MELD (Poria et al., ACL 2019), metadata under GPL-3.0, clips of a TV series."""

    BUILDER_CONFIG_CLASS = MeldConfig
    BUILDER_CONFIGS = [
        MeldConfig(name="default", description="all seven emotions", emotions=EMOTIONS),
        MeldConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    SPLIT_SCHEMES = ("official",)
    FACTS = CorpusFacts(["English"], EMOTION_NAMES.values(), utterances=13708, speakers=304, hours=12.1)
    HOMEPAGE = "https://github.com/declare-lab/MELD"
    LICENSE = "GPL-3.0 (metadata); clips of a TV series, all rights reserved"
    CITATION = """@inproceedings{poria2019meld,
  title={{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author={Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and Cambria, Erik and
    Mihalcea, Rada},
  booktitle={ACL},
  year={2019}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        tables = {split: path for split in MEDIA_FOLDERS if (path := _find_table(data_dir, split))}
        if not tables:
            names = ", ".join(f"{split}_sent_emo.csv" for split in MEDIA_FOLDERS)
            raise wrong_folder(data_dir, "MELD", f"{names} in it, in MELD.Raw/ and in data/MELD/")
        for split, folder in MEDIA_FOLDERS.items():
            clips = _index(data_dir, split)
            if split in tables:
                yield from self._read_split(split, tables[split], clips)
            elif clips:
                raise CorpusDataError(
                    f"{data_dir} has clips in {folder}/, but no {split}_sent_emo.csv; add it (from {self.HOMEPAGE})"
                )

    def _read_split(self, split: str, table: Path, clips: Mapping[str, Path]) -> Iterator[Utterance | Reject]:
        for row in read_table(table, _REQUIRED):
            clip = f"dia{row.get('dialogue_id', '?')}_utt{row.get('utterance_id', '?')}"
            name, source, emotion = f"{split}_{clip}", f"{table}, line {row.line}", row.first("emotion") or ""
            if row.problem:
                yield Reject(name, source, row.problem)
            elif not re.fullmatch(r"dia\d+_utt\d+", clip):
                yield Reject(name, source, "Dialogue_ID and Utterance_ID must be numbers")
            elif name in DEFECTS:
                yield Reject(name, source, DEFECTS[name], by_rule=True)
            elif name in BADLY_CUT and not self.config.keep_badly_cut:
                yield Reject(name, source, "lasts minutes, badly cut (keep_badly_cut=True keeps these)", by_rule=True)
            elif emotion.lower() not in EMOTION_NAMES:
                yield Reject(name, source, f"emotion {emotion!r} is none of {', '.join(EMOTION_NAMES)}")
            elif clip not in clips:
                reason = f"no clip {clip}.mp4 (or .wav, .flac, ...) in {MEDIA_FOLDERS[split]}/; copy it there"
                yield Reject(name, source, reason)
            else:
                yield _utterance(row, source, split, name, clips[clip])


def _folders(data_dir: Path, split: str) -> list[Path]:
    """Return the possible folders of a split's table and clips, the preferred one first."""
    return [data_dir / place / below for place in _PLACES for below in ("", split)]


def _find_table(data_dir: Path, split: str) -> Path | None:
    paths = (folder / f"{split}_sent_emo.csv" for folder in _folders(data_dir, split))
    return next((path for path in paths if path.is_file()), None)


def _index(data_dir: Path, split: str) -> dict[str, Path]:
    """Return the file of each clip, by the clip's name."""
    # Listing a folder once is far cheaper than asking for 10,000 files.
    index: dict[str, Path] = {}
    for folder in _folders(data_dir, split):
        media = folder / MEDIA_FOLDERS[split]
        names = os.listdir(media) if media.is_dir() else []
        files = [(_SUFFIXES.index(suffix), name) for name in names if (suffix := _suffix(name)) in _SUFFIXES]
        for _, name in sorted(files):
            index.setdefault(os.path.splitext(name)[0], media / name)
    return index


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _utterance(row: Row, source: str, split: str, name: str, path: Path) -> Utterance:
    start, end = _seconds(row.first("starttime")), _seconds(row.first("endtime"))
    if start is None or end is None or end <= start:
        start = end = None  # the clip is there all the same
    speaker = row.first("speaker")
    return Utterance(
        id=name,
        path=str(path),
        emotion=EMOTION_NAMES[row["emotion"].lower()],
        gender=MAIN_CHARACTERS.get(speaker or ""),
        speaker_id=speaker,
        session_id=name.rsplit("_", 1)[0],
        start=start,
        end=end,
        transcript=(row.first("utterance") or "").translate(_QUOTES) or None,
        split=SPLIT_NAMES[split],
        source=source,
    )


def _seconds(time: str | None) -> float | None:
    """Return the seconds of a time such as `00:16:16,059`, None for other text."""
    match = _TIME.fullmatch(time or "")
    if match is None:
        return None
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
