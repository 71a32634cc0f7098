"""ShEMO: `female/F03S02.wav`, 44.1 kHz, and the transcripts of `modified_shemo.json`. An English voice speaks."""

import json
from pathlib import Path

from ...corpora.shemo import EMOTION_CODES, TEXTS
from .common import cast_actors, claim, write_audio, write_text


_NUM_FEMALE, _NUM_MALE = 31, 56


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release, women and men in turn as long as there are women."""
    genders = {}
    for number in range(1, _NUM_MALE + 1):
        genders |= {f"F{number:02}": "female"} if number <= _NUM_FEMALE else {}
        genders[f"M{number:02}"] = "male"
    cast, speakers = cast_actors("ShEMO", genders, num_speakers, seed)
    claim(output_dir, "shemo")
    texts = {}
    for name, speaker in speakers.items():
        for code, emotion in EMOTION_CODES.items():
            for number in (1, 2):
                clip, spoken = f"{name}{code}{number:02}.wav", cast.say(speaker, emotion)
                write_audio(output_dir / speaker.gender / clip, spoken.samples, 44100)
                texts[clip] = {"gender": speaker.gender, "transcript": spoken.text}
    write_text(output_dir / TEXTS, json.dumps(texts, indent=1))
