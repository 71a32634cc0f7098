"""A small synthetic corpus in the layout of LSSED, spoken by eSpeak NG.

It is no part of LSSED and nobody's voice: a stand-in to try the tools on. Emotion is carried by rate, pitch, pitch
range and volume alone, far more cleanly than people do it, so scores on this corpus say nothing about real speech.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from lssed_hf.testing.espeak import speak


METADATA_NAME = "metadata_english_all.csv"
METADATA_COLUMNS = ("name", "faces", "gender", "age", "age_group", "start", "end", "transcript")

_README = """\
Synthetic speech, not LSSED.

Every clip here was spoken by the speech synthesiser eSpeak NG and written by lssed_hf.
Only the layout (the metadata's columns, wav_all/ and the names of the clips) is that of
the LSSED corpus, to try software on. Speakers, ages, genders and emotions are settings
of the synthesiser; no person was recorded.
"""


@dataclass(frozen=True)
class Prosody:
    """How an emotion departs from a speaker's own manner: factors, and for pitch steps of eSpeak's scale (50 = x2)."""

    rate: float
    pitch: float
    pitch_range: float
    volume: float


# In LSSED's order. After what is known of acted speech (high arousal: fast, high, wide and loud), then kept apart.
PROSODY = {
    "angry": Prosody(rate=1.25, pitch=8, pitch_range=1.3, volume=1.7),
    "neutral": Prosody(rate=1.0, pitch=0, pitch_range=1.0, volume=1.0),
    "happy": Prosody(rate=1.1, pitch=20, pitch_range=1.7, volume=1.2),
    "sad": Prosody(rate=0.78, pitch=-14, pitch_range=0.5, volume=0.55),
    "disappointed": Prosody(rate=0.88, pitch=-9, pitch_range=0.8, volume=0.75),
    "bored": Prosody(rate=0.74, pitch=-4, pitch_range=0.2, volume=0.85),
    "disgusted": Prosody(rate=0.84, pitch=-18, pitch_range=1.3, volume=1.2),
    "excited": Prosody(rate=1.35, pitch=28, pitch_range=1.9, volume=1.5),
    "surprised": Prosody(rate=0.98, pitch=32, pitch_range=2.0, volume=1.1),
    "fearful": Prosody(rate=1.4, pitch=24, pitch_range=0.5, volume=0.65),
    "other": Prosody(rate=1.15, pitch=-9, pitch_range=1.2, volume=0.9),
}
# The 4-class benchmark: every speaker has these. The rest is drawn with LSSED's kind of imbalance, neutral ahead.
_BENCHMARK = ("angry", "neutral", "happy", "sad")
_WEIGHTS = {"angry": 3, "neutral": 9, "happy": 5, "sad": 4}

# Variants that sound like ordinary people, by eSpeak's own statement of gender.
_VARIANTS = {
    "female": ("f1", "f2", "f3", "f4", "f5", "belinda", "steph", "aunty", "Annie", "linda"),
    "male": ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "miguel", "sandro"),
}
_AGES = {"young": (18, 35), "middle_aged": (36, 59), "old": (60, 85)}

# Neutral in content, so that only the manner tells the emotion.
SENTENCES = (
    "The train leaves the station at half past seven.",
    "She put the blue cup on the kitchen table.",
    "There are twelve chairs in the meeting room.",
    "He parked the car behind the old library.",
    "We usually have lunch at about one o'clock.",
    "The letter came in the post this morning.",
    "My brother works in an office near the river.",
    "They painted the front door green last summer.",
    "The shop on the corner sells bread and milk.",
    "I left my umbrella beside the window.",
    "The bus stops in front of the town hall.",
    "You can find the keys in the top drawer.",
    "The lesson begins at nine and ends at ten.",
    "Her sister lives on the third floor.",
    "The cat is sleeping under the garden bench.",
    "He reads the paper before he goes to work.",
    "It takes an hour to walk around the lake.",
    "The box is made of wood and a little metal.",
    "We moved the desk closer to the wall.",
    "The river runs under two stone bridges.",
    "She writes the date at the top of each page.",
    "The lights go on when it gets dark outside.",
    "There is a map of the city in the hall.",
    "I bought four apples and a bag of rice.",
    "The radio is on the shelf next to the clock.",
    "They will come back on Thursday afternoon.",
    "The road turns left after the second bridge.",
    "He folded the shirt and closed the suitcase.",
    "Our neighbour waters the plants on Sundays.",
    "The kettle is standing beside the stove.",
    "You told me about it yesterday evening.",
    "The ticket office is open until six.",
    "She carries her notebook in a brown bag.",
    "The children walk to school along this street.",
    "I will call you again tomorrow at noon.",
    "The picture hangs above the small piano.",
    "He ordered a glass of water and some soup.",
    "The new carpet is the same size as the old one.",
    "We saw the two of them at the market.",
    "The meeting has been moved to Monday.",
)


@dataclass(frozen=True)
class Speaker:
    """A synthetic speaker: an eSpeak NG variant with a manner of its own.

    Attributes:
        number: 1 to 9,999, the four digits in a clip's name.
        variant: eSpeak NG's voice variant.
        gender: "female" or "male", as the variant has it.
        age: in years; it slows the speech and narrows its range a little, no more.
        age_group: "young", "middle_aged" or "old".
        rate: words per minute when neutral.
        pitch: 0 to 100 when neutral.
        pitch_range: 0 to 100 when neutral.
        volume: 0 to 200 when neutral.
    """

    number: int
    variant: str
    gender: str
    age: int
    age_group: str
    rate: float
    pitch: float
    pitch_range: float
    volume: float


def make_speakers(num_speakers: int, *, seed: int = 0) -> list[Speaker]:
    """Invents synthetic speakers, as many women as men, of all age groups.

    Their numbers are spread over 1 to 1,000 or more, so that splitting at a speaker's number (LSSED's authors do it at
    883) works here too. From the 21st speaker on variants come again, with another pitch and rate.

    Raises:
        ValueError: `num_speakers` is not between 1 and 9,999.
    """
    if not 1 <= num_speakers <= 9999:
        raise ValueError(f"num_speakers must be between 1 and 9999, got {num_speakers}")
    numbers = np.linspace(1, max(1000, num_speakers), num_speakers).astype(int).tolist()
    speakers = []
    for index, number in enumerate(numbers):
        # Counted from 1: NumPy takes [seed, 0] for [seed].
        rng = np.random.default_rng([seed, 1 + index])
        gender = ("female", "male")[index % 2]
        variants = _VARIANTS[gender]
        age_group = list(_AGES)[index // 2 % len(_AGES)]
        low, high = _AGES[age_group]
        age = int(rng.integers(low, high + 1))
        speakers.append(
            Speaker(
                number=number,
                variant=variants[index // 2 % len(variants)],
                gender=gender,
                age=age,
                age_group=age_group,
                rate=rng.uniform(160, 190) - 0.3 * (age - 18),
                pitch=rng.uniform(38, 52),
                pitch_range=rng.uniform(42, 52) - 0.1 * (age - 18),
                volume=rng.uniform(60, 80),
            )
        )
    return speakers


def speak_as(
    speaker: Speaker, emotion: str, text: str, *, rng: np.random.Generator, sampling_rate: int = 16000
) -> np.ndarray:
    """Speaks `text` in a synthetic speaker's voice and an emotion's prosody, over a little background noise.

    Args:
        speaker: who.
        emotion: one of `PROSODY`.
        text: what.
        rng: draws the small variations of prosody, the pauses at both ends and the noise (-50 to -40 dBFS).
        sampling_rate: of the result, in Hz.

    Returns:
        Samples, float32 of shape (num_samples,) in [-1, 1].

    Raises:
        ImportError: `espeakng-loader` is not installed.
        KeyError: `emotion` is none of `PROSODY`.
    """
    prosody = PROSODY[emotion]
    jitter = rng.normal(size=4).clip(-2, 2)
    speech, espeak_rate = speak(
        text,
        variant=speaker.variant,
        rate=_setting(speaker.rate * prosody.rate * (1 + 0.04 * jitter[0]), 80, 450),
        pitch=_setting(speaker.pitch + prosody.pitch + 2 * jitter[1], 0, 100),
        pitch_range=_setting(speaker.pitch_range * prosody.pitch_range * (1 + 0.08 * jitter[2]), 0, 100),
        volume=_setting(speaker.volume * prosody.volume * (1 + 0.06 * jitter[3]), 0, 200),
    )
    speech = soxr.resample(speech, espeak_rate, sampling_rate)
    before, after = (rng.uniform(0.05, 0.3, size=2) * sampling_rate).astype(int)
    clip = np.pad(speech, (before, after))
    return (clip + _noise(len(clip), rng)).clip(-1, 1).astype(np.float32)


def write_synthetic_lssed(
    output_dir: str | os.PathLike[str],
    *,
    num_speakers: int = 12,
    utterances_per_speaker: int = 20,
    emotions: Sequence[str] | None = None,
    seed: int = 0,
    sampling_rate: int = 16000,
) -> Path:
    """Writes a corpus of synthetic speech in the layout of an LSSED release.

    The layout is `metadata_english_all.csv` (columns `name`, `faces` = the emotion, `gender`, `age`, `age_group`,
    `start`, `end`, `transcript`), `wav_all/<name>.wav` (16-bit PCM, mono) and a `README.txt` that calls it synthetic.
    In a name such as `E0091_0003`, `name[1:5]` is the speaker's number. `start` and `end` are seconds in the speaker's
    imagined recording. The metadata is written last, so a directory that has it is complete. The same arguments write
    the same bytes.

    Args:
        output_dir: made if need be; an earlier synthetic corpus there is written over.
        num_speakers: 1 to 9,999.
        utterances_per_speaker: 1 to 10,000, of 1 to 5 seconds each.
        emotions: which to use, all 11 by default. Every speaker has each of angry, neutral, happy and sad that is
            among them, as far as the utterances go; the rest follows fixed proportions over the whole corpus, so in
            a very small one a rare emotion may be absent.
        seed: for everything random, 0 or more.
        sampling_rate: in Hz.

    Returns:
        `output_dir` as a path.

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: an emotion is unknown, or a number out of range.
        FileExistsError: `output_dir` holds a corpus that is not ours.
    """
    emotions = list(PROSODY) if emotions is None else list(dict.fromkeys(emotions))
    if not emotions or (unknown := [emotion for emotion in emotions if emotion not in PROSODY]):
        raise ValueError(f"emotions must be among {', '.join(PROSODY)}; got {unknown if emotions else 'none'}")
    if not 1 <= utterances_per_speaker <= 10000:
        raise ValueError(f"utterances_per_speaker must be between 1 and 10000, got {utterances_per_speaker}")
    speakers = make_speakers(num_speakers, seed=seed)

    output_dir = Path(output_dir)
    metadata = output_dir / METADATA_NAME
    _claim(output_dir)

    rows = []
    assigned = _assign_emotions(emotions, num_speakers, utterances_per_speaker, np.random.default_rng(seed))
    for index, (speaker, speaker_emotions) in enumerate(zip(speakers, assigned, strict=True)):
        now = 0.0
        for utterance, emotion in enumerate(speaker_emotions):
            # One generator a clip: a clip stays as it is when others change their number of draws.
            rng = np.random.default_rng([seed, 1 + index, 1 + utterance])
            text = SENTENCES[rng.integers(len(SENTENCES))]
            clip = speak_as(speaker, emotion, text, rng=rng, sampling_rate=sampling_rate)
            name = f"E{speaker.number:04d}_{utterance:04d}"
            samples = (clip * 32767).round().astype(np.int16)
            soundfile.write(output_dir / "wav_all" / f"{name}.wav", samples, sampling_rate, subtype="PCM_16")
            start = now + rng.uniform(0.5, 5)
            now = start + len(clip) / sampling_rate
            rows.append(
                (name, emotion, speaker.gender, speaker.age, speaker.age_group, f"{start:.3f}", f"{now:.3f}", text)
            )

    partial = metadata.with_name(f".{METADATA_NAME}.partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(METADATA_COLUMNS)
        writer.writerows(rows)
    os.replace(partial, metadata)
    return output_dir


def _claim(output_dir: Path) -> None:
    """Makes the directories and marks them as synthetic; a real release must never be written over."""
    readme, metadata, wavs = (output_dir / name for name in ("README.txt", METADATA_NAME, "wav_all"))
    mark = _README.splitlines()[0]
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(mark)
    if not ours and (readme.exists() or metadata.exists() or wavs.exists()):
        raise FileExistsError(
            f"{output_dir} holds something that is not our synthetic corpus; choose another directory"
        )
    wavs.mkdir(parents=True, exist_ok=True)
    readme.write_text(_README, encoding="utf-8", newline="\n")
    # Incomplete from here on, and without clips that the new metadata would not name.
    metadata.unlink(missing_ok=True)
    for wav in wavs.glob("E????_????.wav"):
        wav.unlink()


def _assign_emotions(
    emotions: list[str], num_speakers: int, utterances_per_speaker: int, rng: np.random.Generator
) -> list[list[str]]:
    """Deals emotions to utterances: the benchmark's to every speaker, then the rest of the corpus by `_WEIGHTS`."""
    core = [emotion for emotion in _BENCHMARK if emotion in emotions][:utterances_per_speaker]
    num_dealt = utterances_per_speaker - len(core)
    weights = np.array([_WEIGHTS.get(emotion, 1) for emotion in emotions])
    shares = num_speakers * num_dealt * weights / weights.sum()
    counts = np.floor(shares).astype(int)
    # Largest remainders, the earlier emotion first.
    counts[np.argsort(counts - shares, kind="stable")[: num_speakers * num_dealt - counts.sum()]] += 1
    deck = rng.permutation(np.repeat(emotions, counts)).reshape(num_speakers, num_dealt)
    return [rng.permutation(core + hand.tolist()).tolist() for hand in deck]


def _setting(value: float, low: int, high: int) -> int:
    return int(np.clip(round(value), low, high))


def _noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """White or pink noise of -50 to -40 dBFS, shape (num_samples,)."""
    size = 1 << num_samples.bit_length()  # a length that the FFT is fast at
    spectrum = np.fft.rfft(rng.normal(size=size))
    if rng.random() < 0.5:
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))  # pink: power falls as 1 / frequency
    noise = np.fft.irfft(spectrum, size)[:num_samples]
    return noise / noise.std() * 10 ** (rng.uniform(-50, -40) / 20)
