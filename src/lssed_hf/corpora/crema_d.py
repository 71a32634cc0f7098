"""CREMA-D: 7,442 clips of twelve English sentences by 91 actors in six emotions (Cao et al., IEEE TAFFC 2014).

CREMA-D is free under the Open Database License at https://github.com/CheyneyComputerScience/CREMA-D. Clone it with
git-lfs: without it the clips are pointers, which are refused. A clip is `AudioWAV/1001_DFA_ANG_XX.wav`, 16 kHz: actor
(1001 to 1091), sentence, emotion, level (LO, MD, HI, or XX for none). Clips may lie in any folder. If a clip is there
as WAV, MP3 (`AudioMP3/`) and video (`VideoFlash/`), the WAV file is read. `VideoDemographics.csv` (columns ActorID,
Age, Sex, Race, Ethnicity), in the folder or one level below it, gives age and gender. It may be missing.

Labels: ANG angry, DIS disgusted, FEA fearful, HAP happy, NEU neutral, SAD sad. They name the emotion that the actor
was told to show: 1,271 clips each (neutral 1,087). People who hear the audio alone name it in four clips of ten. The
votes of the raters are not read. The 4-class benchmark holds 4,900 clips.

Two names are irregular: `1040_ITH_SAD_X` in older copies is 1040_ITH_SAD_XX, and `1076_MTI_SAD_XX` holds no sound and
is left out. CREMA-D has no official split. `speaker` is ours: a fixed random draw of 70 / 10 / 20 % of the actors.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from ..labels import GENDERS
from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
from .download import GitLfsFiles, download_corpus
from .fields import choice_in, number_in
from .media import find_clips, wrong_folder
from .splits import assign_speakers
from .tables import Row, find_table, read_table


EMOTION_CODES = {
    "ANG": "angry",
    "DIS": "disgusted",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
DEMOGRAPHICS = "VideoDemographics.csv"
_REPOSITORY = "CheyneyComputerScience/CREMA-D"
_COMMIT = "1658cd342dff90010aa843eaeebd53610a08b1dc"
#: The repository holds the SHA-256 of each clip. GitHub's store of the clips has been over the repository's budget for
#: Git LFS. Its owner then named the mirror at GitLab (issue 15 of the repository).
DOWNLOAD = GitLfsFiles(
    url=f"https://github.com/{_REPOSITORY}/archive/{_COMMIT}.zip",
    sources=(
        f"https://media.githubusercontent.com/media/{_REPOSITORY}/{_COMMIT}/",
        "https://gitlab.com/cs-cooper-lab/crema-d-mirror/-/raw/main/",
    ),
    wanted=rf"AudioWAV/\w+\.wav|{re.escape(DEMOGRAPHICS)}|processedResults/(summaryTable|tabulatedVotes)\.csv|LICENSE\.txt",
    size=605_899_936,
    num_files=7442,
    license="Open Database License 1.0, contents Database Contents License 1.0",
    page=f"https://github.com/{_REPOSITORY}",
)
_SILENT = "1076_MTI_SAD_XX"
_ACTOR = r"10(?:0[1-9]|[1-8]\d|9[01])"
_NAME = re.compile(rf"({_ACTOR})_({'|'.join(SENTENCES)})_({'|'.join(EMOTION_CODES)})_(LO|MD|HI|XX)")


class CremaD(CorpusBuilder):
    """CREMA-D (Cao et al. 2014), Open Database License."""

    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=7442, speakers=91, hours=5.3)
    HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
    LICENSE = "ODbL 1.0"
    CITATION = """@article{cao2014cremad,
  title={{CREMA-D}: Crowd-sourced Emotional Multimodal Actors Dataset},
  author={Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and Nenkova, Ani and
    Verma, Ragini},
  journal={IEEE Transactions on Affective Computing},
  volume={5},
  number={4},
  pages={377--390},
  year={2014}
}"""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the corpus in the `datasets` cache, downloaded once (606 MB)."""
        return download_corpus("crema_d", DOWNLOAD)

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        clips, copies = find_clips(data_dir, key=_clip_name)
        matches = [_NAME.fullmatch(_clip_name(path)) for path in clips]
        if not any(matches):
            raise wrong_folder(data_dir, "CREMA-D", "clips such as AudioWAV/1001_DFA_ANG_XX.wav")
        yield from copies
        actors, faulty = _read_actors(data_dir, self.optional)
        yield from faulty
        for path, match in zip(clips, matches):
            if match is None:
                reason = "its name is not one of CREMA-D's (1001_DFA_ANG_XX); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
            elif match[0] == _SILENT:
                yield Reject(match[0], str(path), "known to hold no sound", by_rule=True)
            else:
                yield _utterance(path, match, *actors.get(match[1], (None, None)))

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return assign_speakers([row.speaker_id for row in utterances])


def _clip_name(path: Path) -> str:
    return re.sub(r"_X$", "_XX", path.stem)


def _utterance(path: Path, match: re.Match, gender: str | None, age: float | None) -> Utterance:
    actor, sentence, emotion, _ = match.groups()
    return Utterance(
        id=match[0],
        path=str(path),
        emotion=EMOTION_CODES[emotion],
        gender=gender,
        age=age,
        speaker_id=actor,
        transcript=SENTENCES[sentence],
    )


def _read_actors(
    data_dir: Path, optional: Callable
) -> tuple[dict[str, tuple[str | None, float | None]], list[Reject]]:
    """Return the gender and age of each actor, and the faulty lines of the table."""
    table = find_table(data_dir, DEMOGRAPHICS)
    actors: dict[str, tuple[str | None, float | None]] = {}
    faulty = []
    columns = {"actor": ["actorid"], "age": ["age"], "sex": ["sex"]}
    for row in read_table(table, columns) if table else ():
        actor = row.get("actorid", "")
        if problem := _problem(row, actor, actors):
            faulty.append(Reject(actor, f"{table}, line {row.line}", problem))
        else:
            actors[actor] = optional(choice_in, row, "sex", GENDERS), optional(number_in, row, "age")
    return actors, faulty


def _problem(row: Row, actor: str, known: Collection[str]) -> str | None:
    if row.problem:
        return row.problem
    if not re.fullmatch(_ACTOR, actor):
        return f"ActorID {actor!r} is none of 1001 to 1091"
    return f"actor {actor} stands here twice" if actor in known else None
