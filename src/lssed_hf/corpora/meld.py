"""MELD: 13,708 utterances out of dialogues of the TV series Friends, in seven emotions.

Source: Poria et al., ACL 2019; https://github.com/declare-lab/MELD. Anyone may download it: metadata from that
repository (GPL-3.0), and as `MELD.Raw.tar.gz` clips of the series, which stays its owners'. What is read, in
`data_dir` or in `MELD.Raw/` or `data/MELD/` there, or in a folder `train/`, `dev/` or `test/` of these, as archives
unpack:

- `train_sent_emo.csv`, `dev_sent_emo.csv`, `test_sent_emo.csv`, of which a copy may lack some;
- `train_splits/`, `dev_splits_complete/`, `output_repeated_splits_test/` with `dia{D}_utt{U}.mp4`, or sound extracted
  from it (`.wav`, `.flac`, ...), which is taken where both are there. Videos need PyAV.

An utterance is (split, Dialogue_ID, Utterance_ID), so `id` is `train_dia0_utt0` and `session_id` `train_dia0`. The
folders hold some more clips, among them `final_videos_test*` and `._*`; what no line names is not read.
`start` and `end` are seconds in the episode, not in the clip; where a line's times cannot be read, or the end is not
after the start, both are null. The gender is known of the six main characters alone.

Labels: neutral, joy (happy), surprise, anger, sadness, disgust, fear. Many clips are cut badly or have laughter on
them. Left out by rule: two files known to be corrupt or missing, and, unless `keep_badly_cut=True`, three that last
minutes. That leaves 13,703 utterances.

Split: `official`, 9,989 / 1,109 / 2,610 lines; the usual score is weighted F1. It does not keep speakers apart, the
six main actors are in every part: a score says little about voices that were never heard in training.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..labels import BENCHMARK_EMOTIONS, EMOTIONS
from ..scan import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from .base import CorpusBuilder, CorpusConfig, CorpusDataError, Reject, Utterance
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
#: MELD's name of a part to the folder of its clips.
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
#: Known defects of the release. Left out wherever the file comes from, so that everyone has the same utterances.
DEFECTS = {
    "train_dia125_utt3": "the release's file is corrupt",
    "dev_dia110_utt7": "the release lacks the file",
}
BADLY_CUT = frozenset({"train_dia309_utt0", "test_dia220_utt0", "test_dia38_utt4"})
_PLACES = ("", "MELD.Raw", "data/MELD")
_SUFFIXES = (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES)  # the preferred ones first
_REQUIRED = {"dialogue": ("dialogue_id",), "utterance number": ("utterance_id",), "emotion": ("emotion",)}
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")


@dataclass
class MeldConfig(CorpusConfig):
    """`keep_badly_cut` keeps the clips that are known to last minutes."""

    keep_badly_cut: bool = False


class Meld(CorpusBuilder):
    """MELD (Poria et al., ACL 2019), metadata under GPL-3.0, clips of a TV series."""

    BUILDER_CONFIG_CLASS = MeldConfig
    BUILDER_CONFIGS = [
        MeldConfig(name="default", description="all seven emotions", emotions=EMOTIONS),
        MeldConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
    ]
    SPLIT_SCHEMES = ("official",)
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
        tables = {part: path for part in MEDIA_FOLDERS if (path := _find_table(data_dir, part))}
        if not tables:
            names = ", ".join(f"{part}_sent_emo.csv" for part in MEDIA_FOLDERS)
            raise wrong_folder(data_dir, "MELD", f"{names} in it, in MELD.Raw/ and in data/MELD/")
        for part, folder in MEDIA_FOLDERS.items():
            clips = _index(data_dir, part)
            if part in tables:
                yield from self._read_part(part, tables[part], clips)
            elif clips:
                raise CorpusDataError(
                    f"{data_dir} has clips in {folder}/, but no {part}_sent_emo.csv; add it (from {self.HOMEPAGE})"
                )

    def _read_part(self, part: str, table: Path, clips: Mapping[str, Path]) -> Iterator[Utterance | Reject]:
        for row in read_table(table, _REQUIRED):
            clip = f"dia{row.get('dialogue_id', '?')}_utt{row.get('utterance_id', '?')}"
            name, source, emotion = f"{part}_{clip}", f"{table}, line {row.line}", row.first("emotion") or ""
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
                reason = f"no clip {clip}.mp4 (or .wav, .flac, ...) in {MEDIA_FOLDERS[part]}/; copy it there"
                yield Reject(name, source, reason)
            else:
                yield _utterance(row, source, part, name, clips[clip])


def _folders(data_dir: Path, part: str) -> list[Path]:
    """Where a part's table and its folder of clips may be, the preferred place first."""
    return [data_dir / place / below for place in _PLACES for below in ("", part)]


def _find_table(data_dir: Path, part: str) -> Path | None:
    paths = (folder / f"{part}_sent_emo.csv" for folder in _folders(data_dir, part))
    return next((path for path in paths if path.is_file()), None)


def _index(data_dir: Path, part: str) -> dict[str, Path]:
    """Name of each clip to its file; listing a folder once is far cheaper than asking for 10,000 files."""
    index: dict[str, Path] = {}
    for folder in _folders(data_dir, part):
        media = folder / MEDIA_FOLDERS[part]
        names = os.listdir(media) if media.is_dir() else []
        files = [(_SUFFIXES.index(suffix), name) for name in names if (suffix := _suffix(name)) in _SUFFIXES]
        for _, name in sorted(files):
            index.setdefault(os.path.splitext(name)[0], media / name)
    return index


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _utterance(row: Row, source: str, part: str, name: str, path: Path) -> Utterance:
    start, end = _seconds(row.first("starttime")), _seconds(row.first("endtime"))
    if start is None or end is None or end <= start:
        # They only tell where in the episode the clip is from, which is no reason to do without the clip.
        start = end = None
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
        transcript=row.first("utterance"),
        split="validation" if part == "dev" else part,
        source=source,
    )


def _seconds(time: str | None) -> float | None:
    """`00:16:16,059` to seconds."""
    match = _TIME.fullmatch(time or "")
    if match is None:
        return None
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
