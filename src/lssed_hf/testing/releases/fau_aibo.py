"""FAU-AIBO: `wav/Ohm_01_000_00.wav`, 16 kHz, and both files of labels of the INTERSPEECH 2009 challenge.

Half of the children (or one more) go to Ohm, with numbers 31 and 32 for the last two as there, the others to Mont.
"""

from pathlib import Path

from ...corpora.fau_aibo import EMOTION_CODES, LABELS
from .common import Cast, claim, write_audio, write_text


_NUM_OHM, _NUM_MONT = 26, 25
_NEGATIVE = "AE"  # of the task with two classes


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > _NUM_OHM + _NUM_MONT:
        raise ValueError(f"FAU-AIBO has {_NUM_OHM + _NUM_MONT} children, got num_speakers={num_speakers}")
    claim(output_dir, "fau_aibo")
    cast = Cast(num_speakers, seed)
    num_ohm = min((num_speakers + 1) // 2, _NUM_OHM)
    ohm = [*range(1, num_ohm - 1), 31, 32][-num_ohm:]
    children = [f"Ohm_{number:02d}" for number in ohm]
    children += [f"Mont_{number:02d}" for number in range(1, num_speakers - num_ohm + 1)]
    five, two = [], []
    for child, speaker in zip(children, cast.speakers):
        for turn, (code, emotion) in enumerate(EMOTION_CODES.items()):
            for chunk in (0, 1) if code == "N" else (0,):
                name = f"{child}_{turn:03d}_{chunk:02d}"
                write_audio(output_dir / "wav" / f"{name}.wav", cast.say(speaker, emotion).samples)
                five.append(f"{name} {code} 0.67")
                two.append(f"{name} {'NEG' if code in _NEGATIVE else 'IDL'} 0.67")
    labels = output_dir / LABELS
    write_text(labels, "\n".join(sorted(five)) + "\n")
    write_text(labels.with_name("chunk_labels_2cl_corpus.txt"), "\n".join(sorted(two)) + "\n")
