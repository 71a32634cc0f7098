"""Synthetic speech from eSpeak NG, a rule-based formant synthesiser.

The PyPI package `espeakng-loader` brings the library and its voices.
"""

import _ctypes
import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np


# From espeak-ng's speak_lib.h. In synchronous mode the callback gets the samples before espeak_Synth returns.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_POSITION_CHARACTER = 1
_CHARS_UTF8 = 1
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "pitch_range": 4}
_LIMITS = {"rate": (80, 450), "volume": (0, 200), "pitch": (0, 100), "pitch_range": (0, 100)}

_SynthCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_unload = getattr(_ctypes, "dlclose", None) or _ctypes.FreeLibrary
# The library keeps everything in globals: one utterance at a time.
_lock = threading.Lock()


def speak(
    text: str,
    *,
    voice: str = "en-us",
    variant: str | None = None,
    rate: int = 175,
    pitch: int = 50,
    pitch_range: int = 50,
    volume: int = 100,
) -> tuple[np.ndarray, int]:
    """Speak a text with eSpeak NG.

    The same arguments give the same samples, whatever was spoken before. The function is thread-safe.

    Args:
        text: Text to speak.
        voice: Voice of eSpeak NG, such as "en-us", "en" (British) or "de".
        variant: Variant of the voice, i.e. the speaker, one of `list_variants()`, such as "f3"; by default none.
        rate: Words per minute, 80 to 450.
        pitch: Pitch, 0 to 100; 50 is the speaker's own pitch, and 50 more double it.
        pitch_range: Pitch range, 0 (monotone) to 100; 50 is the speaker's own.
        volume: Volume, 0 to 200, linear in amplitude; 100 is full volume, and louder speech may be compressed.

    Returns:
        Samples, float32 of shape (num_samples,) in [-1, 1], and their sampling rate in Hz (22,050).

    Raises:
        ImportError: `espeakng-loader` is not installed.
        ValueError: There is no such voice or variant, or a number is out of its range.
        RuntimeError: The synthesiser failed.
    """
    settings = {"rate": rate, "volume": volume, "pitch": pitch, "pitch_range": pitch_range}
    for name, value in settings.items():
        low, high = _LIMITS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must be between {low} and {high}, got {value}")
    # eSpeak itself would ignore an unknown variant and speak with the default one.
    if variant is not None and variant not in list_variants():
        raise ValueError(f"eSpeak NG has no voice variant {variant!r}; it has: {', '.join(list_variants())}")

    chunks: list[bytes] = []

    @_SynthCallback
    def collect(samples: int | None, num_samples: int, events: int | None) -> int:
        if samples and num_samples > 0:
            chunks.append(ctypes.string_at(samples, 2 * num_samples))
        return 0  # go on

    with _lock, _fresh_library() as (library, sampling_rate):
        library.espeak_SetSynthCallback(collect)
        name = voice if variant is None else f"{voice}+{variant}"
        # eSpeak takes the empty name for its default, and would ignore an unknown variant in `voice`.
        if not voice or "+" in voice or library.espeak_SetVoiceByName(name.encode()):
            raise ValueError(f"eSpeak NG has no voice {voice!r}")
        for name, value in settings.items():
            library.espeak_SetParameter(_PARAMETERS[name], round(value), 0)
        data = text.encode()
        size = ctypes.c_size_t(len(data) + 1)
        status = library.espeak_Synth(data, size, 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
    if status:
        raise RuntimeError(f"eSpeak NG could not speak {text!r} (error {status})")
    return np.frombuffer(b"".join(chunks), np.int16).astype(np.float32) / 32768, sampling_rate


@cache
def list_variants() -> tuple[str, ...]:
    """Return the names of eSpeak NG's voice variants (its synthetic speakers), sorted.

    Raises:
        ImportError: `espeakng-loader` is not installed.
    """
    return tuple(sorted(path.name for path in Path(_loader().get_data_path(), "voices", "!v").iterdir()))


def _loader() -> ModuleType:
    try:
        import espeakng_loader
    except ImportError as error:
        raise ImportError('Synthetic speech needs eSpeak NG: pip install "lssed-hf[synthetic]"') from error
    return espeakng_loader


@contextmanager
def _fresh_library() -> Iterator[tuple[ctypes.CDLL, int]]:
    """Load libespeak-ng for the duration of the block, and yield it with its sampling rate in Hz.

    Speech is repeatable because each utterance loads the library anew. The position in the table of pitch flutter, the
    glottal cycle count and the automatic gain are static variables that neither espeak_Terminate nor any setting
    resets. Loading takes about 0.3 ms, a tenth of the time of speaking, and leaves no state for a fork to inherit.
    """
    loader = _loader()
    library = ctypes.CDLL(loader.get_library_path())
    try:
        data_path = os.fsencode(loader.get_data_path())
        sampling_rate = library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data_path, _INITIALIZE_DONT_EXIT)
        if sampling_rate <= 0:
            raise RuntimeError(f"eSpeak NG did not start with the voices in {loader.get_data_path()}")
        # The breath noise is seeded by the clock, and the Klatt voices draw theirs from the C library.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        if os.name == "posix":
            ctypes.CDLL(None).srand(1)
        yield library, sampling_rate
        library.espeak_Synchronize()
    finally:
        library.espeak_Terminate()
        _unload(ctypes.c_void_p(library._handle).value)
