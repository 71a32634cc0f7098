"""LSSED: 147,025 English utterances of 820 speakers in eleven emotions (Fan et al., ICASSP 2021).

Access is by e-mail under an academic EULA that forbids redistribution; https://github.com/tobefans/LSSED says how to
apply. No public copy exists, so metadata is read liberally: `metadata_english_all.csv`, `metadata_4class.csv` or
`metadata.csv` in `data_dir`, or any other CSV or JSON-lines file given as `data_files`, with

- `name` (or `file`, `id`): the clip, found as `<name>.wav`, `.flac` or `.mp3` in `data_dir`, or below `wav_all/`,
  `wav/` or `audio/` there;
- `emotion` (or `faces`, `label`): a name in any known spelling, or a number in LSSED's order; several names, separated
  by `;`, `,`, `/` or `|`, are the main emotion and the secondary ones;
- optional `gender`, `age`, `age_group`, `speaker` (or `speaker_id`), `session` (or `session_id`), `start`, `end`,
  `transcript`, `split`, and `is_Chinese`, whose rows are left out unless `keep_chinese=True`. Without a speaker
  column, characters 1-4 of the name are the speaker's number;
- optional `recording` (or `video`): a longer file in `data_dir` (or below `recordings/` or `videos/` there), out of
  which an utterance without a clip of its own is cut, from `start` to `end`.

Configurations `spectrogram`, `is13_compare` and `vq_wav2vec` read the agreement's feature sets in place of audio, as a
column `features`: see `feature_sets.py`. They are found below folders of those names (`spec_librosa/` too), one file
per utterance, or IS13-ComParE in one table `is13_compare.csv` with a `name` column.

Split schemes: a `split` column wins over all. `speaker` keeps speakers apart (20 % test, 10 % validation); `paper`
(utterances, stratified 80/20, as section 2.2) puts the same speakers on both sides; `speaker_883` is that of the
authors' later code (ISNet): speakers numbered below 883 for training, the others for test. Report `speaker` beside
`paper`, and say which is which.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from ..audio import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from ..labels import AGE_GROUPS, BENCHMARK_EMOTIONS, EMOTIONS, GENDERS, normalize_emotion
from .base import SPLITS, CorpusBuilder, CorpusConfig, CorpusDataError, Reject, Utterance, corpus_features
from .feature_sets import FEATURE_SETS, FEATURE_SUFFIXES, read_features, table_offsets
from .splits import speaker_split, stratified_split
from .tables import Row, read_table


METADATA_NAMES = ("metadata_english_all.csv", "metadata_4class.csv", "metadata.csv", "metadata.jsonl")
# Names of folders, lower-case and with _ for -, the preferred one first; "" is data_dir itself.
_FOLDERS = {
    "audio": ("wav_all", "wav", "audio", ""),
    "recordings": ("recordings", "videos", ""),
    "spectrogram": ("spec_librosa", "spectrogram", "spec", ""),
    "is13_compare": ("is13_compare", ""),
    "vq_wav2vec": ("vq_wav2vec", ""),
}
_COLUMNS = {
    "name": ("name", "file", "id"),
    "emotion": ("emotion", "faces", "label"),
    "speaker": ("speaker", "speaker_id"),
    "session": ("session", "session_id"),
    "recording": ("recording", "video"),
}
_FIRST_TEST_SPEAKER = 883  # of the authors' later work


@dataclass
class LssedConfig(CorpusConfig):
    """`keep_chinese` keeps rows with `is_Chinese` set; `feature_set` takes the place of audio."""

    keep_chinese: bool = False
    feature_set: str | None = None


class Lssed(CorpusBuilder):
    """LSSED (Fan et al., ICASSP 2021), under an academic EULA that forbids redistribution."""

    BUILDER_CONFIG_CLASS = LssedConfig
    BUILDER_CONFIGS = [
        LssedConfig(name="default", description="all eleven emotions", emotions=EMOTIONS),
        LssedConfig(name="benchmark", description="angry, neutral, happy, sad", emotions=BENCHMARK_EMOTIONS),
        *(
            LssedConfig(name=name, description=f"{name} features in place of audio", feature_set=name)
            for name in FEATURE_SETS
        ),
    ]
    SPLIT_SCHEMES = ("speaker", "paper", "speaker_883")
    HOMEPAGE = "https://github.com/tobefans/LSSED"
    LICENSE = "LSSED EULA: academic, non-commercial, no redistribution"
    CITATION = """@inproceedings{fan2021lssed,
  title={{LSSED}: a large-scale dataset and benchmark for speech emotion recognition},
  author={Fan, Weiquan and Xu, Xiangmin and Xing, Xiaofen and Chen, Weidong and Huang, Dongyan},
  booktitle={ICASSP},
  year={2021}
}"""

    def _features(self) -> datasets.Features:
        features = corpus_features(self.config.emotions)
        if self.config.feature_set is None:
            return features
        del features["audio"]
        return datasets.Features({**features, "features": FEATURE_SETS[self.config.feature_set]})

    def payload(self, utterance: Utterance) -> dict:
        if self.config.feature_set is None:
            return super().payload(utterance)
        return {"features": read_features(Path(utterance.path), self.config.feature_set, utterance.offset).tolist()}

    def _metadata_path(self, data_dir: Path) -> Path:
        # Where no data_files were given, load_dataset puts everything below data_dir there.
        given = [str(path) for paths in (self.config.data_files or {}).values() for path in paths]
        if given and all(path.lower().endswith((".csv", ".tsv", ".jsonl")) for path in given):
            if len(given) > 1:
                raise CorpusDataError(f"lssed reads one metadata CSV, but data_files are {', '.join(given)}")
            return Path(given[0])
        for name in METADATA_NAMES:
            if (data_dir / name).is_file():
                return data_dir / name
        found = ", ".join(sorted(path.name for path in data_dir.iterdir())[:8]) or "nothing"
        raise CorpusDataError(
            f"{data_dir} is not LSSED: looked for {', '.join(METADATA_NAMES)}, found {found}; give the folder that "
            "holds the metadata"
        )

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        metadata = self._metadata_path(data_dir)
        feature_set = self.config.feature_set
        suffixes = AUDIO_SUFFIXES if feature_set is None else FEATURE_SUFFIXES
        clips = _index(data_dir, _FOLDERS[feature_set or "audio"], suffixes)
        offsets: dict[str, int] = {}
        if feature_set == "is13_compare" and (table := clips.get("is13_compare")):
            offsets = {_stem(name, suffixes): offset for name, offset in table_offsets(table)}
        recordings: dict[str, Path] | None = None
        numbers: dict[bool, Row] = {}  # whether emotions are numbers -> a row of that kind
        required = {field: _COLUMNS[field] for field in ("name", "emotion")}
        for row in read_table(metadata, required):
            source = f"{metadata}, line {row.line}"
            given = row.first(*_COLUMNS["name"]) or ""
            name = _stem(given, (*AUDIO_SUFFIXES, *FEATURE_SUFFIXES))
            if row.problem or not given or _escapes(given):
                problem = row.problem or ("no name given" if not given else f"{given!r} leads out of the data folder")
                yield Reject(name, source, problem)
                continue
            if (row.first("is_chinese") or "").lower() in ("1", "1.0", "true") and not self.config.keep_chinese:
                yield Reject(name, source, "is_Chinese is set (keep_chinese=True keeps these)", by_rule=True)
                continue
            path, offset, cut = clips.get(name), None, False
            if name in offsets:
                path, offset = table, offsets[name]
            elif path is None and feature_set is None and (recording := row.first(*_COLUMNS["recording"])):
                if recordings is None:
                    recordings = _index(data_dir, _FOLDERS["recordings"], (*AUDIO_SUFFIXES, *VIDEO_SUFFIXES))
                cut = True
                path = None if _escapes(recording) else recordings.get(_stem(recording, suffixes + VIDEO_SUFFIXES))
            if path is None:
                yield Reject(name, source, _missing(feature_set, suffixes))
                continue
            try:
                utterance = _utterance(row, name, path, cut, offset)
            except ValueError as error:
                yield Reject(name, source, str(error))
                continue
            numbers.setdefault(_is_number(row.first(*_COLUMNS["emotion"]) or ""), row)
            yield utterance
        if len(numbers) > 1:
            raise CorpusDataError(
                f"{metadata} mixes numbers and names of emotions (lines {numbers[True].line} and "
                f"{numbers[False].line}); write them all one way"
            )

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        if any(row.split for row in utterances):
            return ("official",)
        later = {_is_later(row.speaker_id) for row in utterances}
        return self.SPLIT_SCHEMES if later == {True, False} else self.SPLIT_SCHEMES[:2]

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if any(row.split for row in utterances):
            return super().assign_splits(utterances, scheme)
        if scheme == "paper":
            return ["test" if held_out else "train" for held_out in stratified_split([u.emotion for u in utterances])]
        if unknown := [row.id for row in utterances if row.speaker_id is None]:
            raise CorpusDataError(
                f"the speaker of {len(unknown)} utterances is unknown ({', '.join(unknown[:3])}); add a column "
                "'speaker', or choose split_scheme='paper'"
            )
        if scheme == "speaker_883":
            return ["test" if _is_later(row.speaker_id) else "train" for row in utterances]
        speakers = speaker_split([row.speaker_id for row in utterances])
        split_of = {speaker: split for split in SPLITS for speaker in speakers[split]}
        return [split_of[row.speaker_id] for row in utterances]


def _is_later(speaker_id: str | None) -> bool:
    return speaker_id is not None and speaker_id.isdecimal() and int(speaker_id) >= _FIRST_TEST_SPEAKER


def _index(data_dir: Path, folders: Sequence[str], suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Name of each clip to its file; listing a folder once is far cheaper than asking for 147,025 files."""
    index: dict[str, Path] = {}
    present = {entry.name.lower().replace("-", "_"): entry for entry in sorted(data_dir.iterdir()) if entry.is_dir()}
    for name in reversed(folders):
        if name == "":
            files = [path for path in sorted(data_dir.iterdir(), reverse=True) if path.is_file()]
        elif name in present:
            # Below it as well: releases are also sorted into folders by speaker.
            files = [
                Path(folder, file)
                for folder, _, files in sorted(os.walk(present[name]), reverse=True)
                for file in sorted(files, reverse=True)
            ]
        else:
            continue
        index.update((path.stem, path) for path in files if path.suffix.lower() in suffixes)
    return index


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    """The clip's name without folders and suffix; other dots belong to it."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in suffixes else name


def _escapes(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\", "~")) or bool(re.match(r"[A-Za-z]:", name)) or "\0" in name


def _missing(feature_set: str | None, suffixes: tuple[str, ...]) -> str:
    kind = feature_set or "audio"
    folders = ", ".join(name or "the folder itself" for name in _FOLDERS[kind])
    return f"no {kind} file of that name; looked for {'/'.join(suffixes)} in {folders}"


def _utterance(row: Row, name: str, path: Path, cut: bool, offset: int | None) -> Utterance:
    emotions = _emotions(row.first(*_COLUMNS["emotion"]))
    return Utterance(
        id=name,
        path=str(path),
        emotion=emotions[0],
        secondary_emotions=tuple(emotions[1:]),
        gender=_choice(row, "gender", GENDERS),
        age_group=_choice(row, "age_group", AGE_GROUPS),
        age=_number(row, "age"),
        speaker_id=row.first(*_COLUMNS["speaker"]) or (name[1:5] if re.fullmatch(r"\d{4}", name[1:5]) else None),
        session_id=row.first(*_COLUMNS["session"]),
        start=_number(row, "start"),
        end=_number(row, "end"),
        transcript=row.first("transcript"),
        split=_choice(row, "split", SPLITS),
        cut=cut,
        offset=offset,
    )


def _is_number(value: str) -> bool:
    return re.fullmatch(r"\d+(\.0)?", value) is not None


def _emotions(value: str | None) -> list[str]:
    if value is None:
        raise ValueError("no emotion given")
    if _is_number(value):
        number = int(float(value))
        if number >= len(EMOTIONS):
            raise ValueError(f"emotion number {number}; LSSED has 0 to {len(EMOTIONS) - 1}")
        return [EMOTIONS[number]]
    return [normalize_emotion(part) for part in re.split(r"[;,/|]", value)]


def _number(row: Row, field: str) -> float | None:
    value = row.first(field)
    try:
        return None if value is None else float(value)
    except ValueError:
        raise ValueError(f"{field} {value!r} is no number") from None


def _choice(row: Row, field: str, choices: tuple[str, ...]) -> str | None:
    value = row.first(field)
    if value is None:
        return None
    name = value.lower().replace("-", "_").replace(" ", "_")
    matches = [choice for choice in choices if choice == name or (len(name) == 1 and choice[0] == name)]
    if len(matches) != 1:
        raise ValueError(f"{field} {value!r} is none of {', '.join(choices)}")
    return matches[0]
