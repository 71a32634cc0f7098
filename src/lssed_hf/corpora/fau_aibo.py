"""FAU-AIBO: 18,216 chunks of German speech by 51 children who play with a robot dog (Steidl 2009).

These are the data of the first INTERSPEECH Emotion Challenge (Schuller et al., Interspeech 2009). The FAU Erlangen
gives them away for research, on a licence agreement:
https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/. The children are 10 to 13 years old and
go to two schools, Ohm and Mont. The sound is 16 kHz from a close-talk microphone. Nothing is acted.

The file `labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt` has a line for each chunk: its name, class and the
agreement of the labellers (`Ohm_01_000_00 N 0.67`). The chunks, such as `Ohm_01_000_00.wav`, may lie in `wav/` or any
other folder. Audio that the file does not list is no part of the challenge and is left out.

Labels: A (anger) angry, N neutral, P (motherese and joyful) happy, E (emphatic) and R (the rest) other. Their numbers
for training and test are

    A 881 / 611, E 2,093 / 1,508, N 5,590 / 5,377, P 674 / 215, R 721 / 546, in all 9,959 / 8,257.

Nobody is sad, so the 4-class benchmark has three classes here. The challenge's other task, with the classes negative
and idle (`chunk_labels_2cl_corpus.txt`), has no counterpart in this vocabulary and is not read. The challenge's
measure is the unweighted average recall (UAR), because more than half of the chunks are neutral.

The only split is the `official` one: Ohm for training, Mont for test. As is usual, the two children of Ohm with the
highest numbers (31 and 32) are for validation. `session_id` is the school. The files tell neither age nor gender, and
no age group fits children.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .base import CorpusBuilder, CorpusFacts, Reject, Utterance
from .media import find_clips, wrong_folder


EMOTION_CODES = {
    "A": "angry",
    "E": "other",
    "N": "neutral",
    "P": "happy",
    "R": "other",
}
LABELS = Path("labels", "IS2009EmotionChallenge", "chunk_labels_5cl_corpus.txt")
_NUM_VALIDATION_SPEAKERS = 2
_LINE = re.compile(
    rf"(?P<chunk>(?P<speaker>(?P<school>Ohm|Mont)_\d\d)_\d{{3}}_\d\d)\s+(?P<code>[{''.join(EMOTION_CODES)}])\s+"
    r"(?:0?\.\d+|0|1(?:\.0*)?)"
)


class FauAibo(CorpusBuilder):
    """FAU Aibo Emotion Corpus (Steidl 2009), INTERSPEECH 2009 Emotion Challenge, for research on an agreement."""

    SPLIT_SCHEMES = ("official",)
    FACTS = CorpusFacts(["German"], EMOTION_CODES.values(), utterances=18216, speakers=51, hours=9.2)
    HOMEPAGE = "https://www5.cs.fau.de/de/mitarbeiter/steidl-stefan/fau-aibo-emotion-corpus/"
    LICENSE = "research, on a licence agreement"
    CITATION = """@book{steidl2009automatic,
  title={Automatic Classification of Emotion-Related User States in Spontaneous Children's Speech},
  author={Steidl, Stefan},
  publisher={Logos},
  address={Berlin},
  year={2009}
}
@inproceedings{schuller2009interspeech,
  title={The {INTERSPEECH} 2009 Emotion Challenge},
  author={Schuller, Bj{\\"o}rn and Steidl, Stefan and Batliner, Anton},
  booktitle={Interspeech},
  pages={312--315},
  year={2009}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        labels = data_dir / LABELS
        if not labels.is_file():
            raise wrong_folder(data_dir, "FAU-AIBO", LABELS.as_posix())
        files, copies = find_clips(data_dir, key=lambda path: path.stem)
        yield from copies
        clips: dict[str, Path] = {}
        for path in files:
            if path.stem in clips:
                yield Reject(path.stem, str(path), f"the chunk is also {clips[path.stem]}; remove one of them")
            clips.setdefault(path.stem, path)

        lines: dict[str, int] = {}  # chunk -> number of its line
        with labels.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row = _read(line.strip(), f"{labels}, line {number}", clips)
                if isinstance(row, Utterance) and row.id in lines:
                    row = Reject(row.id, f"{labels}, line {number}", f"labelled in line {lines[row.id]} already")
                lines.setdefault(row.id, number)
                yield row
        for name, path in clips.items():
            if name not in lines:
                yield Reject(name, str(path), "not in the challenge's file of labels", by_rule=True)

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        ohm = sorted({row.speaker_id for row in utterances if row.session_id == "Ohm"})
        validation = ohm[1:][-_NUM_VALIDATION_SPEAKERS:]  # at least one speaker is left to train on
        return [
            "test" if row.session_id == "Mont" else "validation" if row.speaker_id in validation else "train"
            for row in utterances
        ]


def _read(line: str, source: str, clips: dict[str, Path]) -> Utterance | Reject:
    match = _LINE.fullmatch(line)
    if match is None:
        expected = f"a chunk, one of {', '.join(EMOTION_CODES)} and a number from 0 to 1 (Ohm_01_000_00 N 0.67)"
        return Reject(line.split()[0], source, f"{line!r} is not {expected}; correct the line")
    if match["chunk"] not in clips:
        return Reject(match["chunk"], source, f"no audio file {match['chunk']}.wav; copy it again from its source")
    return Utterance(
        id=match["chunk"],
        path=str(clips[match["chunk"]]),
        emotion=EMOTION_CODES[match["code"]],
        speaker_id=match["speaker"],
        session_id=match["school"],
    )
