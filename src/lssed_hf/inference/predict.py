"""`lssed_hf.predict`: recordings to predictions in one call."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..scan import expand_paths
from .classifiers.classifier import Classifier
from .classifiers.loading import load_speaker_classifier
from .files import CHANNELS, UNSCORED, Prediction, predict_files
from .quality import MIN_SPEECH, MOSTLY_NO_SPEECH, NO_SPEECH


def predict(
    inputs: str | os.PathLike | Sequence[str | os.PathLike],
    model: str | os.PathLike | Classifier | None = None,
    *,
    channel: str = "mix",
    vad: bool | None = None,
    min_speech: float = MIN_SPEECH,
    speakers: str | os.PathLike | None = None,
    speaker: str | None = None,
    batch_size: int = 8,
    device: str | None = None,
    trust_remote_code: bool = False,
) -> list[Prediction]:
    """Classify recordings, as `lssed-hf predict` does.

    ```python
    import lssed_hf

    for answer in lssed_hf.predict("recordings/"):
        print(answer.file, answer.label, answer.score, answer.notes)
    ```

    Args:
        inputs: Audio file, folder that is searched for them, pattern such as `"rec/*.wav"`, or a list of these.
        model: Folder or Hub name of a classifier, or one that is open; by default the built-in model.
        channel: Channel of stereo recordings: "mix" (their mean), "left", "right", or "each" for a prediction of each.
        vad: Whether recordings that are mostly no speech get no label. By default those without any speech get none
            from the built-in model, and others are only noted.
        min_speech: Share of a recording, 0 to 1, below which it counts as mostly no speech.
        speakers: File of `lssed-hf enroll`, to normalise by a speaker's own statistics.
        speaker: Name of the speaker in that file, by default the only one there.
        batch_size: Clips per forward pass.
        device: Device of torch, by default the GPU if there is one.
        trust_remote_code: Whether code from the model's repository may run.

    Returns:
        A `Prediction` for each recording, in order; one that cannot be read has an `error` in place of a label.

    Raises:
        FileNotFoundError: There is no such folder or model, or a folder or pattern without recordings.
        ValueError: A setting out of its range, or a device that is not there.
        TypeError: Recordings that are neither names nor paths.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel={channel!r} is none of {', '.join(CHANNELS)}")
    if not 0 <= min_speech <= 1:
        raise ValueError(f"min_speech={min_speech} must be between 0 and 1")
    if speaker is not None and (speakers is None or isinstance(model, Classifier)):
        raise ValueError("speaker names one in the file speakers, for a model by its name; give both, or neither")
    paths = expand_paths(named_inputs(inputs))
    built_in = model is None
    if not isinstance(model, Classifier):
        path = None if speakers is None else Path(speakers)
        model = load_speaker_classifier((model, batch_size, device, trust_remote_code), (path, speaker))
    return list(
        predict_files(model, paths, channel=channel, unscored=unscored_notes(vad, built_in), min_speech=min_speech)
    )


def named_inputs(inputs: str | os.PathLike | Sequence[str | os.PathLike]) -> list[str | os.PathLike]:
    """Return the files, folders and patterns of an argument as a list.

    Raises:
        TypeError: Something else is among them.
    """
    given = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    if not isinstance(given, Iterable) or isinstance(given, (bytes, Mapping)):
        raise TypeError(f"recordings are files, folders or patterns, or a list of these, not {type(inputs).__name__}")
    given = list(given)
    for one in given:
        if not isinstance(one, (str, os.PathLike)):
            raise TypeError(
                f"recordings are files, folders or patterns, not {type(one).__name__}; a classifier of "
                "load_classifier takes arrays and bytes"
            )
    return given


def unscored_notes(vad: bool | None, built_in: bool) -> tuple[str, ...]:
    """Return the notes with which a recording gets no label.

    Args:
        vad: As in `predict`.
        built_in: Whether the built-in model classifies, which knows speech alone.
    """
    if vad:
        return (*UNSCORED, NO_SPEECH, MOSTLY_NO_SPEECH)
    return (*UNSCORED, NO_SPEECH) if vad is None and built_in else UNSCORED


__all__ = ["named_inputs", "predict", "unscored_notes"]
