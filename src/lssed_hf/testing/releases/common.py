"""Parts that releases share: the claim of the folder, speakers, and files of sound and tables."""

import csv
import io
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from ...audio import encode_audio
from ...corpora.synthetic_mark import SYNTHETIC_MARK
from ..voices import SENTENCES, Speaker, make_speakers, speak_as


SAMPLING_RATE = 16000
_README = f"""\
{SYNTHETIC_MARK}{{layout}}.

All speech here was spoken by the speech synthesiser eSpeak NG and written by lssed_hf.
Only the layout (names of folders and files, columns of tables, known defects) is that of
{{layout}}, to try software on. No person was recorded: speakers, ages, genders, emotions and
scores are settings of the synthesiser or random.
"""


def claim(folder: Path, layout: str, *, replaces: Sequence[str] = (), beside_others: bool = False) -> None:
    """Mark a folder as a synthetic release, and remove files of an earlier one.

    Args:
        folder: Folder of the release.
        layout: Name of the corpus.
        replaces: Patterns of the files and folders to remove, relative to the folder.
        beside_others: Whether the folder may hold anything that no pattern is about.

    Raises:
        FileExistsError: The folder holds something that is no synthetic release of this layout.
    """
    readme, text = folder / "README.txt", _README.format(layout=layout)
    mark = text.splitlines()[0]
    taken = (readme.name, *(pattern.partition("/")[0] for pattern in replaces)) if beside_others else ("*",)
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(mark)
    if not ours and any(path for pattern in taken for path in folder.glob(pattern)):
        raise FileExistsError(f"{folder} is not empty, nor our synthetic {layout}; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    readme.write_text(text, encoding="utf-8", newline="\n")
    for path in [path for pattern in replaces for path in folder.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


class Spoken(NamedTuple):
    """Synthetic utterance: float32 samples of shape (samples,) at 16 kHz."""

    speaker: Speaker
    emotion: str
    text: str
    samples: np.ndarray


class Cast:
    """Speakers of a release. The same seed gives the same sound.

    Args:
        num_speakers: Number of speakers.
        seed: Seed of everything random.
    """

    def __init__(self, num_speakers: int, seed: int = 0):
        self.speakers = make_speakers(num_speakers, seed=seed)
        self.seed = seed
        self._said = 0

    def of(self, gender: str) -> Sequence[Speaker]:
        """Return the speakers of a gender."""
        return [speaker for speaker in self.speakers if speaker.gender == gender]

    def say(self, speaker: Speaker, emotion: str, text: str | None = None) -> Spoken:
        """Speak an utterance of 1 to 5 s: a text, or by default a random one of `SENTENCES`."""
        self._said += 1
        rng = np.random.default_rng([self.seed, self._said])
        text = SENTENCES[int(rng.integers(len(SENTENCES)))] if text is None else text
        return Spoken(speaker, emotion, text, speak_as(speaker, emotion, text, rng=rng))


def cast_actors(title: str, genders: Mapping[str, str], num_actors: int, seed: int) -> tuple[Cast, dict[str, Speaker]]:
    """Return a cast, and the voices of the first actors of a corpus.

    Args:
        title: Name of the corpus, for the message.
        genders: Gender of each actor.
        num_actors: Number of actors who speak.
        seed: Seed of everything random.

    Raises:
        ValueError: The corpus has fewer actors.
    """
    if num_actors > len(genders):
        raise ValueError(f"{title} has {len(genders)} actors, got num_speakers={num_actors}")
    cast = Cast(2 * num_actors, seed)
    voices = {gender: iter(cast.of(gender)) for gender in ("female", "male")}
    return cast, {actor: next(voices[genders[actor]]) for actor in list(genders)[:num_actors]}


#: Valence, arousal and dominance of each emotion, from 0 to 1. They are invented.
_RATINGS = {
    "angry": (0.15, 0.9, 0.85),
    "happy": (0.9, 0.75, 0.6),
    "sad": (0.2, 0.15, 0.25),
    "excited": (0.85, 0.95, 0.65),
    "surprised": (0.65, 0.8, 0.45),
    "fearful": (0.2, 0.8, 0.15),
    "disgusted": (0.15, 0.5, 0.6),
}


def rated(emotion: str, highest: int) -> tuple[float, float, float]:
    """Return mean ratings of valence, arousal and dominance on a scale from 1."""
    valence, arousal, dominance = (
        round(1 + share * (highest - 1), 2) for share in _RATINGS.get(emotion, (0.5, 0.4, 0.5))
    )
    return valence, arousal, dominance


def write_audio(path: Path, samples: np.ndarray, sampling_rate: int = SAMPLING_RATE) -> None:
    """Write samples at 16 kHz as a 16-bit mono file, WAV or FLAC by its suffix, at any rate; make the folder."""
    content = encode_audio(resample(samples, sampling_rate), sampling_rate, path.suffix[1:])
    write_files(path.parent, {path.name: content})


def write_recording(path: Path, utterances: Sequence[Spoken], gap: float = 0.4) -> list[tuple[float, float]]:
    """Write utterances as one WAV file, with `gap` seconds before, between and after them.

    Returns:
        Start and end of each utterance in seconds.
    """
    silence = np.zeros(round(gap * SAMPLING_RATE), np.float32)
    times, pieces, now = [], [silence], len(silence)
    for utterance in utterances:
        times.append((now / SAMPLING_RATE, (now + len(utterance.samples)) / SAMPLING_RATE))
        pieces += [utterance.samples, silence]
        now += len(utterance.samples) + len(silence)
    write_audio(path, np.concatenate(pieces))
    return times


def write_video(path: Path, samples: np.ndarray, sampling_rate: int = 48000, channels: int = 2) -> None:
    """Write a video of a plain grey field with the sound, MPEG-4 with AAC (`.mp4`) or with PCM (`.avi`).

    Raises:
        ImportError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ImportError(f"{path.name}: writing video needs PyAV; run pip install av") from error

    path.parent.mkdir(parents=True, exist_ok=True)
    sound = resample(samples, sampling_rate)
    layout = "stereo" if channels == 2 else "mono"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=5)
        video.width = video.height = 32
        codec = "aac" if path.suffix == ".mp4" else "pcm_s16le"
        fast = {"aac_coder": "fast"} if codec == "aac" else {}
        audio = container.add_stream(codec, rate=sampling_rate, layout=layout, options=fast)
        grey = np.full((32, 32, 3), 128, np.uint8)
        for _ in range(max(1, int(len(sound) / sampling_rate * 5))):
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
    """Convert samples (samples,) at 16 kHz to another rate."""
    if sampling_rate == SAMPLING_RATE:
        return samples
    return soxr.resample(samples, SAMPLING_RATE, sampling_rate).astype(np.float32)


def format_table(header: Sequence[str], rows: Iterable[Sequence]) -> bytes:
    """Format a table as CSV in UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, and make the folders that they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file, and make its folder."""
    write_files(path.parent, {path.name: text.encode()})
