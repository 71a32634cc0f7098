"""ShEMO: 3,000 Persian utterances of radio plays by 87 speakers in six emotions (Mohamad Nezami et al. 2019).

The Sharif Emotional Speech Database is free (Apache-2.0) at https://github.com/pariajm/sharif-emotional-speech-dataset.
Files are called `female/F03S02.wav`: gender and number of the speaker, emotion, number. They may lie in any folder.

The texts in the release's `shemo.json` go by other names than the clips, so they are not read. If
`modified_shemo.json` lies in the folder or one level below, it gives the transcripts. Others have put texts and clips
together in it: https://github.com/aliyzd95/ShEMO-Modification.

Labels, by the vote of twelve listeners: A angry 1,059, F fearful 38, H happy 201, N neutral 1,028, S sad 449,
W surprised 225. The speech is semi-natural: actors play, but nobody asked them for an emotion.

There is no official split. `speaker` is ours: a fixed random draw of 70 / 10 / 20 % of the clips, no speaker in two.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..labels import GENDER_INITIALS
from .base import CorpusDataError, CorpusFacts, Reject, Utterance
from .file_names import FileNameCorpus
from .splits import assign_speakers
from .tables import find_table


EMOTION_CODES = {
    "A": "angry",
    "F": "fearful",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
    "W": "surprised",
}
TEXTS = "modified_shemo.json"


class Shemo(FileNameCorpus):
    """ShEMO (Mohamad Nezami et al. 2019), Apache-2.0."""

    TITLE = "ShEMO"
    NAME = re.compile(rf"(([FM])\d\d)([{''.join(EMOTION_CODES)}])\d+")
    EXAMPLE = "female/F03S02.wav"
    FACTS = CorpusFacts(["Persian"], EMOTION_CODES.values(), utterances=3000, speakers=87, hours=3.4)
    HOMEPAGE = "https://github.com/pariajm/sharif-emotional-speech-dataset"
    LICENSE = "Apache-2.0"
    CITATION = """@article{mohamadnezami2019shemo,
  title={{ShEMO}: a large-scale validated database for {Persian} speech emotion detection},
  author={Mohamad Nezami, Omid and Jamshid Lou, Paria and Karami, Mansoureh},
  journal={Language Resources and Evaluation},
  volume={53},
  number={1},
  pages={1--16},
  year={2019}
}"""

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        texts = _read_texts(data_dir)
        for row in super().read_utterances(data_dir):
            yield row if isinstance(row, Reject) else replace(row, transcript=texts.get(row.id))

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance:
        speaker, gender, emotion = match.groups()
        return Utterance(
            id=match[0],
            path=str(path),
            emotion=EMOTION_CODES[emotion],
            gender=GENDER_INITIALS[gender],
            speaker_id=speaker,
        )

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        return assign_speakers([row.speaker_id for row in utterances])


def _read_texts(data_dir: Path) -> dict[str, str]:
    """Return the transcript of each clip."""
    path = find_table(data_dir, TEXTS)
    if path is None:
        return {}
    try:
        clips = json.loads(path.read_text(encoding="utf-8"))
        return {name.removesuffix(".wav"): clip["transcript"] for name, clip in clips.items()}
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError) as error:
        raise CorpusDataError(f"{path} is not the JSON of clips with transcripts ({error}); take it away") from error
