"""EMOVO: `f1/rab-f1-b1.wav`, 48 kHz stereo. The right channel is late and half as loud.

An English voice reads the Italian sentences.
"""

from pathlib import Path

import numpy as np
import soundfile

from ...corpora.emovo import EMOTION_CODES, SENTENCES
from .common import SAMPLING_RATE, Cast, claim, resample


_SPEAKERS = ("f3", "m3", "m2", "f1", "f2", "m1")  # test and validation come first
_DELAY = SAMPLING_RATE // 100  # samples
_RATE = 48000


def write(output_dir: Path, num_speakers: int, seed: int) -> None:
    """Write the release."""
    if num_speakers > len(_SPEAKERS):
        raise ValueError(f"EMOVO has {len(_SPEAKERS)} actors, got num_speakers={num_speakers}")
    claim(output_dir, "emovo")
    cast = Cast(2 * num_speakers, seed)
    voices = {"f": iter(cast.of("female")), "m": iter(cast.of("male"))}
    for actor in _SPEAKERS[:num_speakers]:
        speaker, folder = next(voices[actor[0]]), output_dir / actor
        folder.mkdir(exist_ok=True)
        for code, emotion in EMOTION_CODES.items():
            for sentence in ("b1", "d1"):
                left = cast.say(speaker, emotion, SENTENCES[sentence]).samples
                right = 0.5 * np.concatenate([np.zeros(_DELAY, np.float32), left[:-_DELAY]])
                stereo = np.stack([resample(left, _RATE), resample(right, _RATE)], axis=1)
                soundfile.write(folder / f"{code}-{actor}-{sentence}.wav", stereo, _RATE, subtype="PCM_16")
