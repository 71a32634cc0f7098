"""MSP-IMPROV: 8,438 turns of twelve actors in six sessions, acted English dialogues (Busso et al., IEEE TAFFC 2017).

The MSP Lab of UT Dallas gives the corpus to researchers whose institution signs its agreement; see
https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html. Files:

- `Evalution.txt` (so spelled in the release, `Evaluation.txt` in copies), in the folder or one level below. A line
  `UTD-IMPROV-S01A-F01-P-FM01.avi; A; A:3.2; V:1.8; D:3.4 ; N:4.2;` names a turn, the raters' label, and their mean
  ratings of activation, valence, dominance and naturalness. Lines of single raters follow, which are not read.
- `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`, in any folder: sentence and emotion of the scene, speaker, kind of
  recording, listener and turn. Sound without a line is left out.

The columns `valence`, `arousal` (the activation) and `dominance` hold the mean ratings from 1 to 5. The label is the
raters' and not that of the scene. `session_id` is the session, "1" to "6". Kinds of recordings, in the id, are P, R, S
and T. By second-hand accounts they stand for talk between scenes, improvised turns, and target sentences improvised or
read.

Labels: A angry, H happy, N neutral, S sad, O (other) other. X, no agreement, is left out; the configuration `ratings`
keeps it, with -1 as its class. The usual protocol has four classes: `benchmark` has 7,798 turns.

Split schemes leave one session out, a woman and a man: `session6` tests on session 6 and trains on all others, and so
on. Report the mean of the six. There is no validation split: `lssed-hf train` holds out speakers of the training split
instead.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from ..labels import GENDER_INITIALS
from .base import DIMENSIONS, CorpusFacts, Reject, Utterance
from .fields import rating
from .leave_out import LeaveSessionOutCorpus
from .media import find_clips, wrong_folder
from .tables import find_table, read_text


EMOTION_CODES = {
    "A": "angry",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
    "O": "other",
}
NO_AGREEMENT = "X"
TABLES = ("Evalution.txt", "Evaluation.txt")
_LINE = re.compile(
    r"(?:UTD|MSP)-(?P<turn>IMPROV-S\d\d[A-Z]-(?P<speaker>[FM]0?(?P<session>[1-6]))-[A-Z]-\w+)\.\w+ *;"
    r" *(?P<label>\w) *;(?P<ratings>.*)"
)
_RATING = {"V": "valence", "A": "arousal", "D": "dominance"}


class MspImprov(LeaveSessionOutCorpus):
    """MSP-IMPROV (Busso et al. 2017), for research on an agreement with UT Dallas."""

    BUILDER_CONFIGS = [*LeaveSessionOutCorpus.BUILDER_CONFIGS, LeaveSessionOutCorpus.RATINGS]
    SPLIT_SCHEMES = ("session6", "session1", "session2", "session3", "session4", "session5")
    RATED = DIMENSIONS
    FACTS = CorpusFacts(["English"], EMOTION_CODES.values(), utterances=8438, speakers=12, hours=9)
    HOMEPAGE = "https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Improv.html"
    LICENSE = "academic licence of UT Dallas, signed by the institution"
    NO_REDISTRIBUTION = "The agreement forbids redistribution of the corpus, which this folder is."
    CITATION = """@article{busso2017msp,
  title={{MSP-IMPROV}: An Acted Corpus of Dyadic Interactions to Study Emotion Perception},
  author={Busso, Carlos and Parthasarathy, Srinivas and Burmania, Alec and AbdelWahab, Mohammed and
    Sadoughi, Najmeh and Provost, Emily Mower},
  journal={IEEE Transactions on Affective Computing},
  volume={8},
  number={1},
  pages={67--80},
  year={2017}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        table = find_table(data_dir, *TABLES)
        if table is None:
            raise wrong_folder(data_dir, "MSP-IMPROV", f"{' or '.join(TABLES)} in it and one level below")
        clips, copies = find_clips(data_dir, key=lambda path: path.stem)
        yield from copies
        files = {path.stem: path for path in clips}
        for number, line in enumerate(read_text(table).split("\n"), 1):
            if re.match(r"\s*(UTD|MSP)-IMPROV-", line):
                yield _read_line(line.strip(), f"{table}, line {number}", files, self.config.without_class)
        for name, path in files.items():
            yield Reject(name, str(path), f"no line of {table.name} names it", by_rule=True)


def _read_line(line: str, source: str, files: dict[str, Path], without_class: bool) -> Utterance | Reject:
    """Read the line of a turn, and take its file out of `files`."""
    match = _LINE.fullmatch(line)
    if match is None:
        return Reject("", source, f"{line[:80]!r} is not a turn of MSP-IMPROV with a label and ratings")
    name = f"MSP-{match['turn']}"
    path = files.pop(name, None)
    if match["label"] == NO_AGREEMENT and not without_class:
        return Reject(name, source, f"the raters did not agree ({NO_AGREEMENT})", by_rule=True)
    if match["label"] not in (known := (*EMOTION_CODES, NO_AGREEMENT)):
        return Reject(name, source, f"label {match['label']!r} is none of {', '.join(known)}")
    if path is None:
        return Reject(name, source, f"no clip {name}.wav beside the table; copy it there")
    ratings = (part.partition(":") for part in match["ratings"].replace(" ", "").split(";"))
    return Utterance(
        id=name,
        path=str(path),
        emotion=EMOTION_CODES.get(match["label"]),
        gender=GENDER_INITIALS[match["speaker"][0]],
        speaker_id=match["speaker"],
        session_id=match["session"],
        **{_RATING[key]: rating(value) for key, _, value in ratings if key in _RATING},
        source=source,
    )
