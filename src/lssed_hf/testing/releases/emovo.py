"""EMOVO: `f1/rab-f1-b1.wav`, 48 kHz stereo. The right channel is late and half as loud.

An English voice reads the Italian sentences.
"""

from pathlib import Path

import numpy as np
import soundfile

from ...corpora.emovo import EMOTION_CODES, SENTENCES
from .common import SAMPLING_RATE, cast_actors, claim, resample


#: Gender of each actor. Those for test and validation come first.
_GENDERS = {"f3": "female", "m3": "male", "m2": "male", "f1": "female", "f2": "female", "m1": "male"}
_DELAY = SAMPLING_RATE // 100  # samples
_RATE = 48000


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    cast, actors = cast_actors("EMOVO", _GENDERS, num_speakers, seed)
    claim(output_dir, "emovo")
    for actor, speaker in actors.items():
        folder = output_dir / actor
        folder.mkdir(exist_ok=True)
        for code, emotion in EMOTION_CODES.items():
            for sentence in ("b1", "d1"):
                left = cast.say(speaker, emotion, SENTENCES[sentence]).samples
                right = 0.5 * np.concatenate([np.zeros(_DELAY, np.float32), left[:-_DELAY]])
                stereo = np.stack([resample(left, _RATE), resample(right, _RATE)], axis=1)
                soundfile.write(folder / f"{code}-{actor}-{sentence}.wav", stereo, _RATE, subtype="PCM_16")
