"""Synthetic speakers: eSpeak NG's voices, with manners of their own and a prosody for each emotion.

Emotion is carried by rate, pitch, pitch range and volume alone, far more cleanly than people do it. Scores on this
speech say nothing about real speech.
"""

from dataclasses import dataclass

import numpy as np
import soxr

from .espeak import speak


@dataclass(frozen=True)
class Prosody:
    """Difference of an emotion from a speaker's neutral manner.

    Attributes:
        rate: Factor on the rate.
        pitch: Steps of eSpeak's scale; 50 double the pitch.
        pitch_range: Factor on the pitch range.
        volume: Factor on the volume.
    """

    rate: float
    pitch: float
    pitch_range: float
    volume: float


# In LSSED's order, and modelled on acted speech (high arousal: fast, high, wide and loud), then moved apart.
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

# Variants that sound like ordinary people, by the gender that eSpeak states.
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
    """Synthetic speaker: a voice variant of eSpeak NG with a manner of its own.

    Attributes:
        number: Number of the speaker, 1 to 9,999; LSSED has it as four digits in a clip's name.
        variant: Voice variant of eSpeak NG.
        gender: Gender of the variant, "female" or "male".
        age: Age in years; it only slows the speech and narrows its range a little.
        age_group: "young", "middle_aged" or "old".
        rate: Words per minute when neutral.
        pitch: Pitch when neutral, 0 to 100.
        pitch_range: Pitch range when neutral, 0 to 100.
        volume: Volume when neutral, 0 to 200.
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
    """Invent synthetic speakers, as many women as men, of all age groups.

    Their numbers are spread over 1 to 1,000 or more, so that a split at a speaker's number (LSSED's authors split at
    883) works here too. From the 21st speaker on variants recur, with another pitch and rate.

    Args:
        num_speakers: Number of speakers, 1 to 9,999.
        seed: Seed of everything random.

    Raises:
        ValueError: `num_speakers` is out of its range.
    """
    if not 1 <= num_speakers <= 9999:
        raise ValueError(f"num_speakers must be between 1 and 9999, got {num_speakers}")
    numbers = np.linspace(1, max(1000, num_speakers), num_speakers).astype(int).tolist()
    speakers = []
    for index, number in enumerate(numbers):
        # Counted from 1, because NumPy takes [seed, 0] for [seed].
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
    """Speak a text with a speaker's voice and an emotion's prosody, over a little background noise.

    Args:
        speaker: Speaker.
        emotion: Emotion, one of `PROSODY`.
        text: Text to speak.
        rng: Generator of the small variations of prosody, the pauses at both ends and the noise (-50 to -40 dBFS).
        sampling_rate: Sampling rate of the result in Hz.

    Returns:
        Samples, float32 of shape (num_samples,) in [-1, 1].

    Raises:
        ImportError: `espeakng-loader` is not installed.
        KeyError: The emotion is unknown.
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


def _setting(value: float, low: int, high: int) -> int:
    return int(np.clip(round(value), low, high))


def _noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return white or pink noise of -50 to -40 dBFS, shape (num_samples,)."""
    size = 1 << num_samples.bit_length()  # the FFT is fast at powers of two
    spectrum = np.fft.rfft(rng.normal(size=size))
    if rng.random() < 0.5:
        spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))  # pink: power falls as 1 / frequency
    noise = np.fft.irfft(spectrum, size)[:num_samples]
    return noise / noise.std() * 10 ** (rng.uniform(-50, -40) / 20)
