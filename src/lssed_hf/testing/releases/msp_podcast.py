"""MSP-Podcast: `Labels/labels_consensus.csv`, `Audios/MSP-PODCAST_0001_0008.wav`, 16 kHz, and `Transcripts/`.

The sets go to the speakers in turn. The labels of Test3 are not there, nor one speaker's name.
"""

from pathlib import Path

from ...corpora.msp_podcast import COLUMNS, EMOTION_CODES, NO_AGREEMENT, TABLES
from .common import Cast, claim, format_table, rated, write_audio, write_files, write_text


_SETS = ("Test1", "Development", "Train", "Test2", "Test3", "Train")


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    claim(output_dir, "msp_podcast")
    cast = Cast(num_speakers, seed)
    rows = []
    for index, speaker in enumerate(cast.speakers):
        part = _SETS[index % len(_SETS)]
        known = index != len(_SETS) - 1
        for turn, label in enumerate((*EMOTION_CODES, NO_AGREEMENT), 1):
            emotion = EMOTION_CODES.get(label, "neutral")
            name = f"MSP-PODCAST_{index + 1:04}_{turn:04}"
            spoken = cast.say(speaker, emotion)
            write_audio(output_dir / "Audios" / f"{name}.wav", spoken.samples)
            if part == "Test3":
                continue
            write_text(output_dir / "Transcripts" / f"{name}.txt", f"{spoken.text}\n")
            valence, arousal, dominance = rated(emotion, 7)
            who = (index + 1, speaker.gender.title()) if known else ("Unknown", "Unknown")
            rows.append([f"{name}.wav", label, arousal, valence, dominance, *who, part])
    write_files(output_dir / "Labels", {TABLES[0]: format_table(COLUMNS, rows)})
