"""MSP-IMPROV: `session1/S01A/P/MSP-IMPROV-S01A-F01-P-FM01.wav`, 44.1 kHz, and `Evalution.txt`."""

from pathlib import Path

from ...corpora.msp_improv import EMOTION_CODES, NO_AGREEMENT, TABLES
from .common import Cast, claim, rated, write_audio, write_text


_RECORDINGS = "PRST"


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers not in range(4, 13, 2):
        raise ValueError(
            f"MSP-IMPROV has 2 speakers in each of 6 sessions; num_speakers={num_speakers} is not 4, 6, 8, 10 or 12"
        )
    claim(output_dir, "msp_improv")
    cast = Cast(num_speakers, seed)
    table = ""
    for session, pair in enumerate(zip(cast.of("female"), cast.of("male")), 1):
        for speaker, letter in zip(pair, "FM"):
            for turn, label in enumerate((*EMOTION_CODES, NO_AGREEMENT), 1):
                emotion, kind = EMOTION_CODES.get(label, "neutral"), _RECORDINGS[turn % len(_RECORDINGS)]
                scene = f"S01{label if label in 'AHNS' else 'N'}"
                name = f"IMPROV-{scene}-{letter}{session:02}-{kind}-{letter}{'FM'[letter == 'F']}{turn:02}"
                folder = output_dir / f"session{session}" / scene / kind
                write_audio(folder / f"MSP-{name}.wav", cast.say(speaker, emotion).samples, 44100)
                valence, arousal, dominance = rated(emotion, 5)
                means = f"A:{arousal:f}; V:{valence:f}; D:{dominance:f} ; N:4.200000;"
                table += f"UTD-{name}.avi; {label}; {means}\n"
                table += "WORKER1; Anger; A:4.000000; V:2.000000; D:4.000000; N:4.000000;\n\n"
    write_text(output_dir / TABLES[0], table)
