"""Example clips for the page, spoken by eSpeak NG (the package espeakng-loader)."""

import logging

import numpy as np

from ..testing.voices import SENTENCES, make_speakers, speak_as


logger = logging.getLogger(__name__)

# Button -> index of the speaker, emotion of the prosody, index of the sentence.
_EXAMPLES = {"Agitated voice": (0, "angry", 2), "Subdued voice": (4, "sad", 1)}
_SAMPLING_RATE = 16000


def example_clips() -> dict[str, tuple[int, np.ndarray]]:
    """Synthesise the example clips; there are none if eSpeak NG is missing or fails.

    Returns:
        Name of each clip -> sampling rate in Hz and int16 samples (num_samples,).
    """
    speakers = make_speakers(8)
    clips = {}
    try:
        for name, (speaker, emotion, sentence) in _EXAMPLES.items():
            rng = np.random.default_rng(0)
            samples = speak_as(speakers[speaker], emotion, SENTENCES[sentence], rng=rng, sampling_rate=_SAMPLING_RATE)
            clips[name] = _SAMPLING_RATE, (samples * 32767).round().astype(np.int16)
    except (ImportError, OSError, RuntimeError) as error:
        logger.info(f"the page has no example clips: {error}")
        return {}
    return clips
