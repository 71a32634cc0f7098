"""Emotion vocabulary: LSSED's eleven classes, the four of the benchmark, and what other corpora call them."""

#: LSSED's classes. The first four, in this order, are the benchmark and the order of the released checkpoints.
EMOTIONS = (
    "angry",
    "neutral",
    "happy",
    "sad",
    "disappointed",
    "bored",
    "disgusted",
    "excited",
    "surprised",
    "fearful",
    "other",
)
BENCHMARK_EMOTIONS = EMOTIONS[:4]
GENDERS = ("female", "male")
AGE_GROUPS = ("young", "middle_aged", "old")

#: Spellings found in LSSED's paper and metadata and in other corpora. RAVDESS's "calm", a second resting state that
#: its authors recorded beside "neutral", counts as neutral: so the 4-class benchmark on RAVDESS is defined here.
ALIASES = {
    "anger": "angry",
    "ang": "angry",
    "normal": "neutral",
    "neutrality": "neutral",
    "neu": "neutral",
    "calm": "neutral",
    "happiness": "happy",
    "hap": "happy",
    "joy": "happy",
    "sadness": "sad",
    "disappointment": "disappointed",
    "boredom": "bored",
    "boring": "bored",
    "disgust": "disgusted",
    "disgusting": "disgusted",
    "excitement": "excited",
    "exc": "excited",
    "surprise": "surprised",
    "fear": "fearful",
    "anxiety": "fearful",
    "others": "other",
}


def normalize_emotion(label: str) -> str:
    """The name in `EMOTIONS` for any known spelling of an emotion.

    Raises:
        ValueError: the label is unknown; the message lists what is known.
    """
    key = label.strip().lower()
    key = ALIASES.get(key, key)
    if key not in EMOTIONS:
        raise ValueError(f"unknown emotion {label!r}; known are {', '.join(EMOTIONS)} and {', '.join(ALIASES)}")
    return key
