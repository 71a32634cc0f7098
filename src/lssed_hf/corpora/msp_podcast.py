"""MSP-Podcast: English turns of podcasts, natural speech in eight emotions (Lotfian and Busso, IEEE TAFFC 2019).

The MSP Lab of UT Dallas gives the corpus to researchers whose institution signs its agreement; see
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html. It grows: release 1.11 has 151,654 turns (238
hours), 1.12 has 207,136 (324 hours). Say which release a score is of. Files may lie in `data_dir` or one level below:

- `Labels/labels_consensus.csv` (`labels_concensus.csv` in early releases), also in `labels/` or in the folder itself,
  with columns FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender and Split_Set.
- `Audios/MSP-PODCAST_0001_0008.wav` (or `Audio/`), 16 kHz: podcast, turn. Sound without a line is left out, such as
  the turns of Test3, whose labels the lab keeps back.
- `Transcripts/MSP-PODCAST_0001_0008.txt`. It may be missing.

The columns `valence`, `arousal` (EmoAct) and `dominance` hold the mean ratings from 1 to 7. Speaker and gender may be
unknown. `session_id` is the podcast.

Labels, by the plurality of at least five raters: A angry, H happy, S sad, N neutral, U surprised, F fearful,
D disgusted, C (contempt) and O (other) other. X, no agreement, is left out; the configuration `ratings` keeps it,
with -1 as its class.

Schemes are the lab's split. `official` trains on Train, validates on Development (Validation in early releases) and
tests on Test1, `test2` and `test3` on the set that they name. Some speakers of the test sets are in several of these.
Those of training and validation are apart, as far as they are known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path

from ..labels import GENDERS
from .base import DIMENSIONS, CorpusBuilder, CorpusDataError, CorpusFacts, Reject, Utterance
from .fields import choice_in, rating
from .media import find_clips, wrong_folder
from .tables import Row, find_table, read_table, read_text


EMOTION_CODES = {
    "A": "angry",
    "H": "happy",
    "S": "sad",
    "N": "neutral",
    "U": "surprised",
    "F": "fearful",
    "D": "disgusted",
    "C": "other",
    "O": "other",
}
NO_AGREEMENT = "X"
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
TABLES = ("labels_consensus.csv", "labels_concensus.csv")
_SPLITS = {"train": "train", "development": "validation", "validation": "validation"}
_TEST_SETS = {"official": "test1", "test2": "test2", "test3": "test3"}
_AUDIO_FOLDERS = ("Audios", "Audio", "audios", "audio")
_REQUIRED = {column: (column.lower(),) for column in ("FileName", "EmoClass", "Split_Set")}
_DIMENSION_COLUMNS = dict(zip(DIMENSIONS, ("emoval", "emoact", "emodom")))


@dataclass(frozen=True, slots=True)
class PodcastTurn(Utterance):
    """Turn of a podcast; `part` is the lab's name of its set, in lower case."""

    part: str = ""


class MspPodcast(CorpusBuilder):
    """MSP-Podcast (Lotfian and Busso 2019), for research on an agreement with UT Dallas."""

    BUILDER_CONFIGS = [*CorpusBuilder.BUILDER_CONFIGS, CorpusBuilder.RATINGS]
    SPLIT_SCHEMES = tuple(_TEST_SETS)
    RATED = DIMENSIONS
    #: Release 1.12, whose speakers have not been counted here.
    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=207136, hours=324.4)
    HOMEPAGE = "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html"
    LICENSE = "academic licence of UT Dallas, signed by the institution"
    NO_REDISTRIBUTION = "The agreement forbids redistribution of the corpus, which this folder is."
    CITATION = """@article{lotfian2019building,
  title={Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech From Existing Podcast
    Recordings},
  author={Lotfian, Reza and Busso, Carlos},
  journal={IEEE Transactions on Affective Computing},
  volume={10},
  number={4},
  pages={471--483},
  year={2019}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        root, table = _find(data_dir)
        folders = [path for name in _AUDIO_FOLDERS if (path := root / name).is_dir()]
        # Listing a folder once is far cheaper than asking for 200,000 files.
        clips, copies = find_clips(folders[0] if folders else root, key=lambda path: path.stem)
        yield from copies
        files = {path.stem: path for path in clips}
        for row in read_table(table, _REQUIRED):
            name, source = splitext(row.get("filename", ""))[0], f"{table}, line {row.line}"
            path = files.pop(name, None)
            if row.get("emoclass") == NO_AGREEMENT and not self.config.without_class:
                yield Reject(name, source, f"the raters did not agree ({NO_AGREEMENT})", by_rule=True)
                continue
            try:
                yield _turn(row, source, name, path, root / "Transcripts" / f"{name}.txt", self.optional)
            except ValueError as error:
                yield Reject(name, source, str(error))
        for name, path in files.items():
            yield Reject(name, str(path), f"no line of {table.name} names it", by_rule=True)

    def split_schemes(self, utterances: Sequence[PodcastTurn]) -> Sequence[str]:
        """Return the schemes whose test set is there."""
        present = {row.part for row in utterances}
        return [scheme for scheme, part in _TEST_SETS.items() if part in present]

    def assign_splits(self, utterances: Sequence[PodcastTurn], scheme: str) -> list[str | None]:
        if scheme not in self.split_schemes(utterances):
            raise CorpusDataError(f"split_scheme={scheme!r} tests on {_TEST_SETS[scheme]}, of which no turn is there")
        splits: Mapping[str, str] = {**_SPLITS, _TEST_SETS[scheme]: "test"}
        return [splits.get(row.part) for row in utterances]


def _find(data_dir: Path) -> tuple[Path, Path]:
    """Return the folder of the release, and its table."""
    below = sorted(path for path in data_dir.iterdir() if path.is_dir())
    for folder in (data_dir, *below):
        if table := find_table(folder, *TABLES):
            return (table.parent.parent if table.parent.name.lower().startswith("label") else table.parent), table
    raise wrong_folder(data_dir, "MSP-Podcast", f"Labels/{TABLES[0]} in it and one level below")


def _turn(row: Row, source: str, name: str, path: Path | None, transcript: Path, optional: Callable) -> PodcastTurn:
    """Return the turn of a line.

    Raises:
        ValueError: The line is faulty, or its clip is missing.
    """
    if row.problem:
        raise ValueError(row.problem)
    emotion, part = row.get("emoclass", ""), row.get("split_set", "").lower()
    if emotion not in (known := (*EMOTION_CODES, NO_AGREEMENT)):
        raise ValueError(f"EmoClass {emotion!r} is none of {', '.join(known)}")
    if part not in (*_SPLITS, *_TEST_SETS.values()):
        raise ValueError(f"Split_Set {row.get('split_set', '')!r} is none of Train, Development, Test1, Test2, Test3")
    if path is None:
        raise ValueError(f"no clip {name}.wav in {_AUDIO_FOLDERS[0]}/; copy it there")
    speaker = row.first("spkrid")
    return PodcastTurn(
        id=name,
        path=str(path),
        emotion=EMOTION_CODES.get(emotion),
        gender=None if row.get("gender", "").lower() == "unknown" else optional(choice_in, row, "gender", GENDERS),
        speaker_id=None if speaker is None or speaker.lower() == "unknown" else speaker,
        session_id=name.rpartition("_")[0] or None,
        transcript=read_text(transcript).strip() or None if transcript.is_file() else None,
        **{dimension: rating(row.first(column)) for dimension, column in _DIMENSION_COLUMNS.items()},
        source=source,
        part=part,
    )
