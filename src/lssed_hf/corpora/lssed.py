"""LSSED: 147,025 English utterances of 820 speakers in eleven emotions (Fan et al., ICASSP 2021).

Access is by e-mail under an academic EULA that forbids redistribution; https://github.com/tobefans/LSSED says how to
apply. No public copy exists, so metadata is read liberally: `metadata_english_all.csv`, `metadata_4class.csv` or
`metadata.csv` in `data_dir`, or any other CSV given as `data_files`, with

- `name` (or `file`, `id`): the clip, found as `<name>.wav`, `.flac` or `.mp3` in `data_dir`, or in `wav_all/`, `wav/`
  or `audio/` there;
- `emotion` (or `faces`, `label`): a name in any known spelling, or a number in LSSED's order; several names, separated
  by `;`, `,`, `/` or `|`, are the main emotion and the secondary ones;
- optional `gender`, `age`, `age_group`, `speaker` (or `speaker_id`), `session` (or `session_id`), `start`, `end`,
  `transcript`, `split`, and `is_Chinese`, whose rows are left out. Without a speaker column, characters 1-4 of the
  name are the speaker.

Split schemes: a `split` column wins over both. `paper` (utterances, stratified 80/20, as section 2.2) puts the same
speakers on both sides; `speaker` keeps them apart (20 % test, 10 % validation). Report both, and say which is which.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..labels import AGE_GROUPS, EMOTIONS, GENDERS, normalize_emotion
from .base import SPLITS, CorpusBuilder, CorpusDataError, Utterance, logger
from .splits import speaker_split, stratified_split


METADATA_NAMES = ("metadata_english_all.csv", "metadata_4class.csv", "metadata.csv")
AUDIO_FOLDERS = ("wav_all", "wav", "audio", ".")
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3")
_COLUMNS = {
    "name": ("name", "file", "id"),
    "emotion": ("emotion", "faces", "label"),
    "speaker": ("speaker", "speaker_id"),
    "session": ("session", "session_id"),
}


class Lssed(CorpusBuilder):
    """LSSED (Fan et al., ICASSP 2021), under an academic EULA that forbids redistribution."""

    SPLIT_SCHEMES = ("speaker", "paper")
    HOMEPAGE = "https://github.com/tobefans/LSSED"
    LICENSE = "LSSED EULA: academic, non-commercial, no redistribution"
    CITATION = """@inproceedings{fan2021lssed,
  title={{LSSED}: a large-scale dataset and benchmark for speech emotion recognition},
  author={Fan, Weiquan and Xu, Xiangmin and Xing, Xiaofen and Chen, Weidong and Huang, Dongyan},
  booktitle={ICASSP},
  year={2021}
}"""

    def _metadata_path(self, data_dir: Path) -> Path:
        # Where no data_files were given, load_dataset puts everything below data_dir there.
        given = [str(path) for paths in (self.config.data_files or {}).values() for path in paths]
        if given and all(path.lower().endswith(".csv") for path in given):
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

    def read_utterances(self, data_dir: Path) -> list[Utterance]:
        metadata = self._metadata_path(data_dir)
        audio = _index_audio(data_dir)
        utterances, missing, chinese = [], [], 0
        for line, row in _read_csv(metadata):
            if (_field(row, "is_Chinese") or "").lower() in ("1", "1.0", "true"):
                chinese += 1
                continue
            name = Path(_field(row, *_COLUMNS["name"]) or "").name
            if name.lower().endswith(AUDIO_SUFFIXES):
                name = Path(name).stem
            if name not in audio:
                missing.append(f"line {line}: {name!r}")
                continue
            try:
                utterances.append(_utterance(row, name, audio[name]))
            except ValueError as error:
                raise CorpusDataError(f"{metadata}, line {line} ({name}): {error}") from error
        if missing:
            raise CorpusDataError(
                f"{metadata} names {len(missing)} clips without an audio file ({'; '.join(missing[:3])}); looked for "
                f"{'/'.join(AUDIO_SUFFIXES)} in {', '.join(AUDIO_FOLDERS)} of {data_dir}"
            )
        if chinese:
            logger.warning(f"lssed: {chinese} rows with is_Chinese set are left out")
        return utterances

    def assign_splits(self, utterances: list[Utterance]) -> dict[str, list[Utterance]]:
        if any(row.split for row in utterances):
            return super().assign_splits(utterances)
        if self.config.split_scheme == "paper":
            test = stratified_split([row.emotion for row in utterances])
            return {
                "train": [row for row, held_out in zip(utterances, test) if not held_out],
                "test": [row for row, held_out in zip(utterances, test) if held_out],
            }
        speakers = speaker_split([row.speaker_id for row in utterances])
        return {split: [row for row in utterances if row.speaker_id in speakers[split]] for split in SPLITS}


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for field in ("name", "emotion"):
            if not set(_COLUMNS[field]) & set(reader.fieldnames or ()):
                raise CorpusDataError(
                    f"{path} has no {field} column: looked for {', '.join(_COLUMNS[field])}, found "
                    f"{', '.join(reader.fieldnames or ()) or 'an empty file'}"
                )
        for row in reader:
            yield reader.line_num, row


def _index_audio(folder: Path) -> dict[str, Path]:
    """Name of each clip to its file; listing a folder once is far cheaper than asking for 147,025 files."""
    index: dict[str, Path] = {}
    for name in reversed(AUDIO_FOLDERS):
        if (folder / name).is_dir():
            files = (folder / name).iterdir()
            index.update((path.stem, path) for path in files if path.suffix.lower() in AUDIO_SUFFIXES)
    return index


def _field(row: Mapping[str, str], *names: str) -> str | None:
    """The first of the columns that is there and not empty."""
    values = ((row.get(name) or "").strip() for name in names)  # None where a line is short
    return next((value for value in values if value), None)


def _utterance(row: Mapping[str, str], name: str, path: Path) -> Utterance:
    emotions = _emotions(_field(row, *_COLUMNS["emotion"]))
    age, start, end = (_field(row, field) for field in ("age", "start", "end"))
    return Utterance(
        id=name,
        path=str(path),
        emotion=emotions[0],
        secondary_emotions=tuple(emotions[1:]),
        gender=_choice(row, "gender", GENDERS),
        age_group=_choice(row, "age_group", AGE_GROUPS),
        age=None if age is None else float(age),
        speaker_id=_field(row, *_COLUMNS["speaker"]) or name[1:5],
        session_id=_field(row, *_COLUMNS["session"]),
        start=None if start is None else float(start),
        end=None if end is None else float(end),
        transcript=_field(row, "transcript"),
        split=_choice(row, "split", SPLITS),
    )


def _emotions(value: str | None) -> list[str]:
    if value is None:
        raise ValueError("no emotion given")
    if re.fullmatch(r"\d+(\.0)?", value):
        number = int(float(value))
        if number >= len(EMOTIONS):
            raise ValueError(f"emotion number {number}; LSSED has 0 to {len(EMOTIONS) - 1}")
        return [EMOTIONS[number]]
    return [normalize_emotion(part) for part in re.split(r"[;,/|]", value)]


def _choice(row: Mapping[str, str], field: str, choices: tuple[str, ...]) -> str | None:
    value = _field(row, field)
    if value is None:
        return None
    name = value.lower().replace("-", "_").replace(" ", "_")
    matches = [choice for choice in choices if choice == name or (len(name) == 1 and choice[0] == name)]
    if len(matches) != 1:
        raise ValueError(f"{field} {value!r} is none of {', '.join(choices)}")
    return matches[0]
