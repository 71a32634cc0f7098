"""IEMOCAP: sessions of a woman and a man, each with an improvised and a scripted dialog, 16 kHz."""

from collections.abc import Sequence
from pathlib import Path

from ...corpora.iemocap import EMOTION_CODES, NO_AGREEMENT
from ..voices import Speaker
from .common import Cast, claim, rated, write_audio, write_recording, write_text


# Each label is spoken by one of the two in the improvisation, the usual ones by the other in the scripted dialog.
_IMPROVISED = (*EMOTION_CODES, NO_AGREEMENT)
_SCRIPTED = ("neu", "ang", "sad", "hap", NO_AGREEMENT, "exc", "neu", "fru")
_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
_RATERS = "C-E1:\tOther;\t()\nC-E2:\tOther;\t()\nA-E3:\tval 3; act 3; dom  3;\t()\n\n"


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers not in (4, 6, 8, 10):
        raise ValueError(
            f"IEMOCAP has 2 speakers in each of 5 sessions; num_speakers={num_speakers} is not 4, 6, 8 or 10"
        )
    claim(output_dir, "iemocap")
    cast = Cast(num_speakers, seed)
    for number, pair in enumerate(zip(cast.of("female"), cast.of("male")), 1):
        session = output_dir / f"Session{number}"
        _write_dialog(session, f"Ses0{number}F_impro01", cast, pair, _IMPROVISED)
        _write_dialog(session, f"Ses0{number}M_script01_1", cast, pair, _SCRIPTED)


def _write_dialog(session: Path, dialog: str, cast: Cast, pair: Sequence[Speaker], labels: Sequence[str]) -> None:
    """Write a dialog in which the two speak in turn, the woman first."""
    spoken = [cast.say(pair[i % 2], EMOTION_CODES.get(label, "neutral")) for i, label in enumerate(labels)]
    turns = [f"{dialog}_{'FM'[i % 2]}{i // 2:03}" for i in range(len(labels))]
    times = write_recording(session / "dialog" / "wav" / f"{dialog}.wav", spoken)
    evaluation, transcription, ratings = _HEADER, "", ""
    for turn, label, (start, end), utterance in zip(turns, labels, times, spoken):
        means = ", ".join(f"{mean:.4f}" for mean in rated(utterance.emotion, 5))
        evaluation += f"[{start:.4f} - {end:.4f}]\t{turn}\t{label}\t[{means}]\n{_RATERS}"
        transcription += f"{turn} [{start:08.4f}-{end:08.4f}]: {utterance.text}\n"
        ratings += f"{turn} :act 3; :val 3; :dom 3; ;\n"
        write_audio(session / "sentences" / "wav" / dialog / f"{turn}.wav", utterance.samples)
    write_text(session / "dialog" / "EmoEvaluation" / f"{dialog}.txt", evaluation)
    write_text(session / "dialog" / "EmoEvaluation" / "Attribute" / f"{dialog}_e1.txt", ratings)
    # The release has such files of macOS.
    write_text(session / "dialog" / "EmoEvaluation" / f"._{dialog}.txt", "\0\5\26\7")
    write_text(session / "dialog" / "transcriptions" / f"{dialog}.txt", transcription)
