"""nEMO: 4,481 clips of 90 Polish sentences by nine actors in six emotions (Christop, LREC-COLING 2024).

nEMO is free under CC BY-NC-SA 4.0 at https://github.com/amu-cai/nEMO. Files may lie in `data_dir` or one level below:

- `data.tsv` has a line for each clip, with tabs between the columns `file_id`, `emotion`, `raw_text`,
  `normalized_text`, `speaker_id`, `gender` and `age`. `raw_text` is the transcript here.
- `samples/WR0_surprised_64.wav`, 24 kHz: actor, emotion, sentence. Clips may lie in any folder beside the table, and
  in other formats of audio: the suffix in `file_id` does not count. If a clip is there as WAV and in another format,
  the WAV file is read. Clips that no line names are left out.

Labels: anger angry, fear fearful, happiness happy, neutral, sadness sad, surprised. Four actors are women (EB0, IC0,
KD0, MK0), five are men (KS0, MP0, SM0, TP0, WR0).

There is no official split. Schemes `speaker_EB0` to `speaker_WR0` test on the actor that they name and train on all
others. Report the mean of the nine. The default `speaker` is a fixed split with a woman and a man each for validation
(MK0, WR0) and test (KD0, TP0), and five actors for training.
"""

from collections.abc import Callable, Iterator, Sequence
from os.path import splitext
from pathlib import Path

from ..labels import GENDERS
from .base import CorpusFacts, Reject, Utterance
from .fields import choice_in, number_in
from .leave_out import LeaveOutCorpus
from .media import find_clips, wrong_folder
from .tables import Row, find_table, read_table


EMOTION_NAMES = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
    "surprised": "surprised",
}
TABLE = "data.tsv"
COLUMNS = ("file_id", "emotion", "raw_text", "normalized_text", "speaker_id", "gender", "age")
_REQUIRED = {column: (column,) for column in ("file_id", "emotion", "speaker_id")}


class Nemo(LeaveOutCorpus):
    """nEMO (Christop 2024), CC BY-NC-SA 4.0."""

    SPLIT_OF_SPEAKER = {"MK0": "validation", "WR0": "validation", "KD0": "test", "TP0": "test"}
    FACTS = CorpusFacts(["Polish"], EMOTION_NAMES.values(), utterances=4481, speakers=9, hours=3.1)
    HOMEPAGE = "https://github.com/amu-cai/nEMO"
    LICENSE = "CC BY-NC-SA 4.0"
    CITATION = """@inproceedings{christop2024nemo,
  title={{nEMO}: Dataset of Emotional Speech in {Polish}},
  author={Christop, Iwona},
  booktitle={LREC-COLING},
  year={2024}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        table = find_table(data_dir, TABLE)
        if table is None:
            raise wrong_folder(data_dir, "nEMO", f"{TABLE} in it and one level below")
        clips, copies = find_clips(table.parent, key=lambda path: path.stem)
        yield from copies
        files: dict[str, list[Path]] = {}
        for path in clips:
            files.setdefault(path.stem, []).append(path)
        named = set()
        for row in read_table(table, _REQUIRED):
            name, source = splitext(row.get("file_id", ""))[0], f"{table}, line {row.line}"
            named.add(name)
            try:
                yield _utterance(row, source, name, files.get(name, ()), self.optional)
            except ValueError as error:
                yield Reject(name, source, str(error))
        for path in clips:
            if path.stem not in named:
                yield Reject(path.stem, str(path), f"no line of {TABLE} names it", by_rule=True)


def _utterance(row: Row, source: str, name: str, files: Sequence[Path], optional: Callable) -> Utterance:
    """Return the utterance of a line.

    Raises:
        ValueError: The line is faulty, or its clip is missing or ambiguous.
    """
    if row.problem:
        raise ValueError(row.problem)
    if not files:
        raise ValueError(f"no clip {name}.wav (or .flac, .ogg, ...) beside the table; copy it to samples/")
    if len(files) > 1:
        raise ValueError(f"{files[0]} and {files[1]} have the same name; keep one of them")
    emotion, speaker = row.get("emotion", ""), row.first("speaker_id")
    if emotion not in EMOTION_NAMES:
        raise ValueError(f"emotion {emotion!r} is none of {', '.join(EMOTION_NAMES)}")
    if speaker is None:
        raise ValueError("speaker_id is empty")
    return Utterance(
        id=name,
        path=str(files[0]),
        emotion=EMOTION_NAMES[emotion],
        gender=optional(choice_in, row, "gender", GENDERS),
        age=optional(number_in, row, "age"),
        speaker_id=speaker,
        transcript=row.first("raw_text"),
        source=source,
    )
