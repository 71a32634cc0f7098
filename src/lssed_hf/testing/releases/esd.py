"""ESD: `0011/Angry/train/0011_000371.wav`, 16 kHz, and the transcripts of each speaker; everybody speaks English.

Speakers with even numbers have no folders of splits. A third of the transcripts is in each of UTF-8, UTF-16 and the
encoding of the speaker's language.
"""

from pathlib import Path

from ...corpora.esd import EMOTION_FOLDERS, NUM_CLIPS
from ..voices import SENTENCES
from .common import cast_actors, claim, write_audio, write_files


#: Gender of each speaker. Those for test and validation come first, of both languages.
_WOMEN = ("0018", "0007", "0019", "0009", "0001", "0002", "0003", "0015", "0016", "0017")
_MEN = ("0014", "0008", "0020", "0010", "0004", "0005", "0006", "0011", "0012", "0013")
#: Order of the emotions by the numbers of their clips, and the clips that are written.
_BLOCKS = ("Neutral", "Angry", "Happy", "Sad", "Surprise")
_NUMBERS = {1: "evaluation", 21: "test", 51: "train", 350: "train"}


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    genders = {name: gender for pair in zip(_WOMEN, _MEN) for name, gender in zip(pair, ("female", "male"))}
    cast, speakers = cast_actors("ESD", genders, num_speakers, seed)
    claim(output_dir, "esd")
    for name, speaker in speakers.items():
        lines = []
        for block, folder in enumerate(_BLOCKS):
            for (number, split), text in zip(_NUMBERS.items(), SENTENCES):
                clip = f"{name}_{block * NUM_CLIPS + number:06}"
                place = output_dir / name / folder / (split if int(name) % 2 else "")
                write_audio(place / f"{clip}.wav", cast.say(speaker, EMOTION_FOLDERS[folder], text).samples)
                lines.append(f"{clip}\t{text}\t{folder}\n")
        own = "cp1252" if int(name) > 10 else "gb18030"
        encoding = ("utf-8", "utf-16", own)[int(name) % 3]
        write_files(output_dir / name, {f"{name}.txt": "\n".join(lines).encode(encoding)})
