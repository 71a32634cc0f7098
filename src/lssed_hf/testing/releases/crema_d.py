"""CREMA-D: `AudioWAV/1001_DFA_ANG_XX.wav`, 16 kHz, and `VideoDemographics.csv`.

Actor 1040 comes first, because the name of one of that actor's files lacks a letter. Ages and genders are those of the
voices; race and ethnicity are Unknown.
"""

from pathlib import Path

from ...corpora.crema_d import DEMOGRAPHICS, EMOTION_CODES, SENTENCES
from .common import Cast, claim, write_audio, write_text


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    numbers = [1040, *(number for number in range(1001, 1092) if number != 1040)]
    if num_speakers > len(numbers):
        raise ValueError(f"CREMA-D has {len(numbers)} actors, got num_speakers={num_speakers}")
    claim(output_dir, "crema_d")
    cast = Cast(num_speakers, seed)
    actors = dict(zip(numbers, cast.speakers))
    lines = ['"ActorID","Age","Sex","Race","Ethnicity"']
    for actor in sorted(actors):
        speaker = actors[actor]
        lines.append(f'{actor},{speaker.age},"{speaker.gender.title()}","Unknown","Unknown"')
        for code, emotion in EMOTION_CODES.items():
            for sentence in ("DFA", "IEO", "ITH"):
                # All but the neutral ones of this sentence are said at three levels; two of them here.
                for level in ("LO", "HI") if sentence == "IEO" and code != "NEU" else ("XX",):
                    name = f"{actor}_{sentence}_{code}_{level}".replace("1040_ITH_SAD_XX", "1040_ITH_SAD_X")
                    samples = cast.say(speaker, emotion, SENTENCES[sentence]).samples
                    write_audio(output_dir / "AudioWAV" / f"{name}.wav", samples)
    write_text(output_dir / DEMOGRAPHICS, "\n".join(lines) + "\n")
