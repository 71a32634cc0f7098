"""What the layouts share: who speaks, and how sound is written."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from ...audio import encode_audio
from ..synthetic_speech import SENTENCES, Speaker, make_speakers, speak_as


SAMPLING_RATE = 16000


class Spoken(NamedTuple):
    """One synthetic utterance: float32 samples of shape (samples,) at 16 kHz."""

    speaker: Speaker
    emotion: str
    text: str
    samples: np.ndarray


class Cast:
    """Speakers who say what a layout asks of them; the same seed gives the same sound."""

    def __init__(self, num_speakers: int, seed: int = 0):
        self.speakers = make_speakers(num_speakers, seed=seed)
        self.seed = seed
        self._said = 0

    def of(self, gender: str) -> Sequence[Speaker]:
        return [speaker for speaker in self.speakers if speaker.gender == gender]

    def say(self, speaker: Speaker, emotion: str, text: str | None = None) -> Spoken:
        """An utterance of 1 to 5 s; a sentence of `SENTENCES` in turn where no text is given."""
        self._said += 1
        rng = np.random.default_rng([self.seed, self._said])
        text = SENTENCES[int(rng.integers(len(SENTENCES)))] if text is None else text
        return Spoken(speaker, emotion, text, speak_as(speaker, emotion, text, rng=rng))


def write_audio(path: Path, samples: np.ndarray, sampling_rate: int = SAMPLING_RATE) -> None:
    """A 16-bit mono WAV or FLAC file (by its suffix) at another rate if asked; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_audio(resample(samples, sampling_rate), sampling_rate, path.suffix[1:]))


def write_recording(path: Path, utterances: Sequence[Spoken], gap: float = 0.4) -> list[tuple[float, float]]:
    """One WAV file of utterances with `gap` seconds before, between and after them; start and end of each, seconds."""
    silence = np.zeros(round(gap * SAMPLING_RATE), np.float32)
    times, pieces, now = [], [silence], len(silence)
    for utterance in utterances:
        times.append((now / SAMPLING_RATE, (now + len(utterance.samples)) / SAMPLING_RATE))
        pieces += [utterance.samples, silence]
        now += len(utterance.samples) + len(silence)
    write_audio(path, np.concatenate(pieces))
    return times


def write_video(path: Path, samples: np.ndarray, sampling_rate: int = 48000, channels: int = 2) -> None:
    """A video of a plain grey field with the sound: MPEG-4 with AAC (`.mp4`) or with PCM (`.avi`). Needs PyAV."""
    try:
        import av
    except ImportError as error:
        raise ImportError(f"{path.name}: writing video needs PyAV; run pip install av") from error

    path.parent.mkdir(parents=True, exist_ok=True)
    sound = resample(samples, sampling_rate)
    layout = "stereo" if channels == 2 else "mono"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width = video.height = 32
        codec = "aac" if path.suffix == ".mp4" else "pcm_s16le"
        audio = container.add_stream(codec, rate=sampling_rate, layout=layout)
        grey = np.full((32, 32, 3), 128, np.uint8)
        for _ in range(max(1, int(len(sound) / sampling_rate * 25))):
            container.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(video.encode())
        for first in range(0, len(sound), 1024):
            block = np.repeat(sound[None, first : first + 1024], channels, axis=0)
            if path.suffix == ".mp4":
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
            else:
                pcm = (block.T.reshape(1, -1).clip(-1, 1) * 32767).astype(np.int16)
                frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=layout)
            frame.rate, frame.pts = sampling_rate, first
            container.mux(audio.encode(frame))
        container.mux(audio.encode())


def resample(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """From 16 kHz to another rate, float32 of shape (samples,)."""
    if sampling_rate == SAMPLING_RATE:
        return samples
    return soxr.resample(samples, SAMPLING_RATE, sampling_rate).astype(np.float32)
