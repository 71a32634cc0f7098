"""IEMOCAP: 10,039 turns of ten actors in five sessions of a woman and a man each, improvised and scripted English.

Source: Busso et al., Language Resources and Evaluation 42(4), 2008; https://sail.usc.edu/iemocap/. USC's SAIL gives it
to researchers who send in its release form, whose terms hold for copies. A copy may lack sessions. Files may lie in
`data_dir` or in `IEMOCAP_full_release/` there:

- `Session{N}/dialog/EmoEvaluation/Ses*.txt` has a line `[start - end] turn label [v, a, d]`, with tabs, for each turn.
  Lines of single raters, folders below and sound that no line names are not read. The last three numbers are the mean
  ratings from 1 to 5, here columns `valence`, `arousal` and `dominance`; one that cannot be read is null.
- `Session{N}/dialog/transcriptions/<dialog>.txt` has lines `turn [start-end]: text`. Other turns have no transcript.
- `Session{N}/sentences/wav/<dialog>/<turn>.wav` is the sound. If it is missing, the turn is cut out of
  `Session{N}/dialog/wav/<dialog>.wav`, which has a channel for each speaker. They are down-mixed, so both are heard.

`start` and `end` are seconds in the dialog in both cases. In `Ses01F_impro01_M000` the letter before the number is the
speaker, and the letter behind the session is the one who wears markers: the speaker is `Ses01M`. `session_id` is the
session's number, "1" to "5". The dialog is the part of `id` before the speaker's letter.

Labels: ang, neu, hap, sad, exc, sur, fea and dis by name. LSSED's vocabulary has no frustration, so `fru` (1,849) is
`other`, as `oth` is. `xxx` (2,507), on which the raters did not agree, is left out; the configuration `ratings` keeps
it, with -1 as its class. The usual 4-class protocol counts excited as happy: `benchmark` has 5,531 utterances, 1,103
angry, 1,708 neutral, 1,636 happy, 1,084 sad.

The configurations `improvised` and `scripted` are these two parts of `benchmark`. A turn whose recording is damaged,
by its header, is left out with a warning.

Split schemes leave one session out: `session5` tests on session 5 and trains on all others, and so on. Report the mean
of the five. There is no validation split. Papers often choose the epoch on the test session, which flatters them;
`lssed-hf train` holds out speakers of the training split instead.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..audio import AudioError, audio_duration
from ..labels import BENCHMARK_EMOTIONS, GENDER_INITIALS
from .base import DIMENSIONS, CorpusBuilder, CorpusConfig, CorpusDataError, CorpusFacts, Reject, Utterance
from .fields import rating
from .leave_out import LeaveSessionOutCorpus
from .media import wrong_folder
from .tables import read_text


EMOTION_CODES = {
    "ang": "angry",
    "neu": "neutral",
    "hap": "happy",
    "sad": "sad",
    "exc": "excited",
    "sur": "surprised",
    "fea": "fearful",
    "dis": "disgusted",
    "fru": "other",
    "oth": "other",
}
NO_AGREEMENT = "xxx"
_TURN = re.compile(r"(?P<dialog>Ses0(?P<session>[1-5])[FM]_\w+)_(?P<speaker>[FM])\d{3}")
_ENTRY = re.compile(
    r"\[(?P<start>\d+\.?\d*) *- *(?P<end>\d+\.?\d*)\]\s+(?P<turn>\S+)\s+(?P<label>\S+)\s+\[(?P<vad>[^]]*)\]"
)
_TRANSCRIPT = re.compile(r"(\S+) +\[[^]]*\]: *(.+)")


@dataclass
class IemocapConfig(CorpusConfig):
    """Configuration of IEMOCAP.

    Args:
        part: Beginning of the names of dialogs to keep, impro or script. Default: all.
    """

    part: str = ""


class Iemocap(LeaveSessionOutCorpus):
    """IEMOCAP (Busso et al. 2008), given to researchers by USC's SAIL on request."""

    BUILDER_CONFIG_CLASS = IemocapConfig
    BUILDER_CONFIGS = [
        *(IemocapConfig(**vars(config)) for config in (*CorpusBuilder.BUILDER_CONFIGS, CorpusBuilder.RATINGS)),
        *(
            IemocapConfig(name=name, description=f"benchmark, {name} dialogs", emotions=BENCHMARK_EMOTIONS, part=part)
            for name, part in (("improvised", "impro"), ("scripted", "script"))
        ),
    ]
    SPLIT_SCHEMES = ("session5", "session1", "session2", "session3", "session4")
    RATED = DIMENSIONS
    BENCHMARK_MERGES = {"excited": "happy"}
    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=10039, speakers=10, hours=12)
    HOMEPAGE = "https://sail.usc.edu/iemocap/"
    LICENSE = "terms of USC SAIL's IEMOCAP release form, for research"
    CITATION = """@article{busso2008iemocap,
  title={{IEMOCAP}: interactive emotional dyadic motion capture database},
  author={Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and Kim, Samuel and
    Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal={Language Resources and Evaluation},
  volume={42},
  number={4},
  pages={335--359},
  year={2008}
}"""

    def label_of(self, utterance: Utterance) -> str | None:
        in_part = utterance.id.partition("_")[2].startswith(self.config.part)
        return super().label_of(utterance) if in_part else None

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        for session in _sessions(data_dir):
            evaluations = sorted((session / "dialog" / "EmoEvaluation").glob("Ses*.txt"))
            if not evaluations:
                raise CorpusDataError(
                    f"{session} has no dialog/EmoEvaluation/Ses*.txt; copy them there, or take the session away"
                )
            for evaluation in evaluations:
                yield from _read_dialog(session, evaluation, self.config.without_class)


def _sessions(data_dir: Path) -> list[Path]:
    """Return the folders of the sessions that are there, in order."""
    for folder in (data_dir, data_dir / "IEMOCAP_full_release"):
        if sessions := [path for number in range(1, 6) if (path := folder / f"Session{number}").is_dir()]:
            return sessions
    raise wrong_folder(data_dir, "IEMOCAP", "Session1 to Session5 in it and in IEMOCAP_full_release/")


def _read_dialog(session: Path, evaluation: Path, without_class: bool) -> Iterator[Utterance | Reject]:
    transcripts = _read_transcripts(session / "dialog" / "transcriptions" / evaluation.name)
    # Raters' comments may hold any bytes. Lines of turns that are not ASCII are refused.
    with evaluation.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.startswith("[") or _TURN.search(line):
                source = f"{evaluation}, line {number}"
                yield _read_turn(line.strip(), source, session, evaluation.stem, transcripts, without_class)


def _read_transcripts(path: Path) -> dict[str, str]:
    """Return the text of each turn. Lines without a turn, such as noises, are left out."""
    if not path.is_file():
        return {}
    lines = read_text(path, errors="replace").split("\n")
    return dict(match.groups() for line in lines if (match := _TRANSCRIPT.fullmatch(line.strip())))


def _read_turn(
    line: str, source: str, session: Path, dialog: str, transcripts: dict[str, str], without_class: bool
) -> Utterance | Reject:
    entry = _ENTRY.fullmatch(line)
    if entry is None:
        turn = _TURN.search(line)
        return Reject(turn[0] if turn else "", source, f"{line[:80]!r} is not [start - end] turn label [v, a, d]")
    name, label = entry["turn"], entry["label"]
    turn = _TURN.fullmatch(name)
    if turn is None or turn["dialog"] != dialog or session.name != f"Session{turn['session']}":
        return Reject(name, source, f"is no turn of {dialog} in {session.name}; correct its name or move it")
    if label == NO_AGREEMENT and not without_class:
        return Reject(name, source, f"the raters did not agree ({NO_AGREEMENT})", by_rule=True)
    if label not in (known := (*EMOTION_CODES, NO_AGREEMENT)):
        return Reject(name, source, f"label {label!r} is none of {', '.join(known)}")
    sentence = session / "sentences" / "wav" / dialog / f"{name}.wav"
    recording = session / "dialog" / "wav" / f"{dialog}.wav"
    cut = not sentence.is_file()
    if cut and not recording.is_file():
        return Reject(name, source, f"neither {sentence} nor {recording} is there; copy one of them")
    if problem := _audio_problem(str(recording if cut else sentence)):
        return Reject(name, source, problem, damaged=True)
    return Utterance(
        id=name,
        path=str(recording if cut else sentence),
        emotion=EMOTION_CODES.get(label),
        gender=GENDER_INITIALS[turn["speaker"]],
        speaker_id=f"Ses0{turn['session']}{turn['speaker']}",
        session_id=turn["session"],
        start=float(entry["start"]),
        end=float(entry["end"]),
        transcript=transcripts.get(name),
        **dict(zip(DIMENSIONS, map(rating, f"{entry['vad']},,".split(",")))),
        cut=cut,
        source=source,
    )


@lru_cache(maxsize=1)  # turns of a dialog follow one another
def _audio_problem(path: str) -> str | None:
    """Return a message if a file is no whole recording, by its header."""
    try:
        audio_duration(path)
    except (AudioError, OSError) as error:
        return str(error)
    return None
