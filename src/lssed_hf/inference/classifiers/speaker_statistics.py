"""Statistics of speakers: mean and deviation of each mel bin over a speaker's clips, and the file that keeps them."""

import argparse
import copy
import json
import os
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Protocol

import filelock
import numpy as np

from ...files import replacing
from .pretrained import short_name


#: Parameters of an extractor that do not change the result of `extract`.
AFTER_EXTRACTION = (
    *("mean", "std", "normalization", "norm_vars", "padding_value", "padding_side", "pad_waveforms"),
    *("return_attention_mask", "auto_map", "processor_class"),
)
#: Parameters that came later, at values that change nothing. Files of speakers from before lack them.
_LATER = (("resynthesize", True),)
#: Normalisations by `mean` and `std`.
BY_STATISTICS = ("corpus", "global_mvn", "speaker")
#: Least deviation of a speaker, as a share of the model's own. A bin that hardly moves in a short enrolment, such as
#: one above a telephone's band, would otherwise be blown up in the next recording.
STD_SHARE = 0.1


@dataclass(frozen=True)
class SpeakerStatistics:
    """Mean and deviation of one speaker's features before normalisation.

    Attributes:
        mean: Mean of each bin over all frames of the clips, (num_mel_bins,).
        std: Deviation of each bin over all frames of the clips, (num_mel_bins,).
        num_clips: Number of clips.
        seconds: Length of the clips together.

    Raises:
        ValueError: The lists differ in length, or a value is no finite number of its range; the message names the
            field.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_clips: int
    seconds: float

    def __post_init__(self):
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not isinstance(values, (list, tuple)) or not values or not all(map(_is_finite, values)):
                raise ValueError(f"{name} must be a list of finite numbers")
            object.__setattr__(self, name, tuple(map(float, values)))
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} entries and std {len(self.std)}")
        if np.float32(min(self.std)) <= 0:
            raise ValueError("std must be above 0")
        if type(self.num_clips) is not int or self.num_clips < 1:
            raise ValueError(f"num_clips must be an integer above 0, not {self.num_clips!r}")
        if not _is_finite(self.seconds) or self.seconds <= 0:
            raise ValueError(f"seconds must be a finite number above 0, not {self.seconds!r}")


class NamedFrontEnd(Protocol):
    """Part of a `Classifier` that a file of speakers depends on."""

    name: str

    @property
    def front_end(self) -> dict[str, Any]:
        """Settings of the front end, as JSON."""


class FrameStatistics:
    """Mean and deviation per bin of a stream of frames, in constant memory."""

    def __init__(self):
        self.count, self._total, self._squares = 0, 0.0, 0.0

    def add(self, frames: np.ndarray) -> None:
        """Add the next (frames, bins)."""
        frames = frames.astype(np.float64)
        self.count += len(frames)
        self._total = self._total + frames.sum(axis=0)
        self._squares = self._squares + np.square(frames).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Mean (bins,), after at least one frame."""
        return self._total / self.count

    @property
    def std(self) -> np.ndarray:
        """Deviation (bins,), at least 1e-5."""
        return np.sqrt(np.maximum(self._squares / self.count - np.square(self.mean), 1e-10))


def measure_speaker(feature_extractor: Any, waveforms: Iterable[np.ndarray]) -> SpeakerStatistics:
    """Return the statistics of a speaker.

    Args:
        feature_extractor: Front end of the model.
        waveforms: Clips of the speaker, float32 (samples,), at the extractor's sampling rate; each is read once.

    Raises:
        ValueError: There are no clips, they are silent, the extractor refuses one, or see `check_front_end`.
    """
    check_front_end(feature_extractor)
    plain = copy.copy(feature_extractor)
    plain.normalization = "none"
    frames, num_clips, samples = FrameStatistics(), 0, 0
    for waveform in waveforms:
        frames.add(np.asarray(plain(waveform, sampling_rate=plain.sampling_rate)["input_features"][0]))
        num_clips, samples = num_clips + 1, samples + len(waveform)
    if not num_clips:
        raise ValueError("a speaker's baseline needs at least one recording")
    if frames.std.max() <= 1e-5:
        raise ValueError("a speaker's baseline needs speech, and these recordings are silent")
    return SpeakerStatistics(tuple(frames.mean), tuple(frames.std), num_clips, samples / plain.sampling_rate)


def speaker_front_end(feature_extractor: Any, statistics: SpeakerStatistics) -> Any:
    """Return the extractor with a speaker's `mean` and `std` in place of its own; the rest is shared.

    Deviations are at least `STD_SHARE` of the extractor's own, if it has some.

    Args:
        feature_extractor: Front end of the model.
        statistics: Statistics of the speaker, from `measure_speaker`.

    Raises:
        ValueError: The statistics have another number of bins, or see `check_front_end`.
    """
    check_front_end(feature_extractor)
    if len(statistics.mean) != feature_extractor.num_mel_bins:
        raise ValueError(
            f"the speaker's statistics are of {len(statistics.mean)} mel bins and the model has "
            f"{feature_extractor.num_mel_bins}: take those of this model, which lssed-hf enroll gives"
        )
    front_end = copy.copy(feature_extractor)
    floor = 0 if feature_extractor.std is None else STD_SHARE * np.asarray(feature_extractor.std)
    front_end.mean, front_end.std = list(statistics.mean), np.maximum(statistics.std, floor).tolist()
    return front_end


def check_front_end(feature_extractor: Any) -> None:
    """Check that an extractor normalises by a mean and a deviation per bin.

    Raises:
        ValueError: The extractor reads waveforms, or normalises otherwise.
    """
    name = type(feature_extractor).__name__
    if not all(hasattr(feature_extractor, part) for part in ("extract", "normalize", "mean", "std", "num_mel_bins")):
        raise ValueError(
            f"the model's {name} keeps no mean and deviation of mel bins, so it can take no speaker's own: choose a "
            "model with the front end of this package"
        )
    if feature_extractor.normalization not in BY_STATISTICS:
        raise ValueError(
            f"the model's {name} has normalization={feature_extractor.normalization!r}, under which a speaker's "
            "statistics would change nothing: train one with --speaker_normalization"
        )


def wants_speaker(feature_extractor: Any) -> bool:
    """Return whether a model was trained on clips that were normalised speaker by speaker."""
    return getattr(feature_extractor, "normalization", None) == "speaker"


def extraction_settings(feature_extractor: Any) -> dict[str, Any]:
    """Return the parameters of an extractor that its features before normalisation depend on, as JSON."""
    settings = {
        key: value
        for key, value in feature_extractor.to_dict().items()
        if key not in AFTER_EXTRACTION and (key, value) not in _LATER
    }
    return json.loads(json.dumps(settings, sort_keys=True))


def read_speakers(path: str | os.PathLike, classifier: NamedFrontEnd) -> dict[str, SpeakerStatistics]:
    """Read speakers by name from a file of `add_speaker`.

    Args:
        path: File of speakers.
        classifier: Classifier that the speakers are for.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has another format, or was made for another model.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of speakers; lssed-hf enroll makes one")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError is JSON's and Unicode's too
        raise ValueError(f"{path}: not JSON ({error}); enroll the speakers again") from error
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), dict) for key in ("features", "speakers")
    ):
        raise ValueError(f"{path}: holds no objects 'features' and 'speakers', as lssed-hf enroll writes them")
    front_end = classifier.front_end
    if content["features"] != front_end:
        asked, made = short_name(classifier.name), content.get("model")  # which older files lack
        other = path.with_stem(f"{path.stem}_{Path(asked).name}")
        command = shlex.join(["lssed-hf", "enroll", asked, "--speaker", "NAME", "--speakers", str(other)])
        origin = "another model"
        if isinstance(made, str) and made.isprintable():
            origin = f"{'an earlier version of ' if made == asked else ''}the model {made}"
        raise ValueError(
            f"{path} was made for {origin} and does not fit {asked}; make a file that does: {command} RECORDING ..."
        )
    return {name: _statistics(path, name, fields, front_end) for name, fields in content["speakers"].items()}


def _statistics(path: Path, name: str, fields: Any, front_end: Mapping[str, Any]) -> SpeakerStatistics:
    place = f"{path}: speakers: {name!r}"
    known = set(SpeakerStatistics.__dataclass_fields__)
    if not isinstance(fields, dict) or set(fields) != known:
        raise ValueError(f"{place}: must have {', '.join(sorted(known))} and nothing else; enroll the speaker again")
    try:
        statistics = SpeakerStatistics(**fields)
    except ValueError as error:
        raise ValueError(f"{place}: {error}; enroll the speaker again") from error
    if len(statistics.mean) != front_end.get("num_mel_bins", len(statistics.mean)):
        raise ValueError(f"{place}: mean has {len(statistics.mean)} entries, not {front_end['num_mel_bins']}")
    return statistics


def add_speaker(path: str | os.PathLike, name: str, statistics: SpeakerStatistics, classifier: NamedFrontEnd) -> bool:
    """Write a speaker into a file, which is made if need be. Other speakers of the file stay.

    The file is JSON: `model`, the name of the classifier, `features`, its `front_end`, and `speakers`, the fields of
    `SpeakerStatistics` by name. Several processes may add speakers at once.

    Args:
        path: File of speakers.
        name: Name of the speaker.
        statistics: Statistics of the speaker.
        classifier: Classifier that measured the speaker.

    Returns:
        True if a speaker of that name was replaced.

    Raises:
        ValueError: The file is there and has another format, or was made for another model.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.with_name(f".{path.name}.lock")):
        speakers = read_speakers(path, classifier) if path.exists() else {}
        replaced = name in speakers
        speakers[name] = statistics
        fields = {name: asdict(speakers[name]) for name in sorted(speakers)}
        content = {"model": short_name(classifier.name), "features": classifier.front_end, "speakers": fields}
        with replacing(path) as partial:
            partial.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return replaced


def check_speaker_arguments(args: argparse.Namespace) -> None:
    """Check that a file of speakers is named if a speaker is.

    Raises:
        ValueError: A speaker is named and no file.
    """
    if args.speaker is not None and args.speakers is None:
        raise ValueError(f"--speaker {args.speaker} goes with --speakers, the file that holds the speaker")


def choose_speaker(
    speakers: Mapping[str, SpeakerStatistics], name: str | None, path: str | os.PathLike
) -> SpeakerStatistics:
    """Return the speaker of a name, or the only one.

    Args:
        speakers: Speakers by name, from `read_speakers`.
        name: Name of a speaker; None for the only one.
        path: File of the speakers, for messages.

    Raises:
        ValueError: There is no such speaker, or there are several and no name.
    """
    present = ", ".join(speakers) or "nobody"
    if name is None and len(speakers) != 1:
        raise ValueError(f"{path} holds {present}: name one with --speaker")
    if name is not None and name not in speakers:
        raise ValueError(f"{path} lacks the speaker {name!r}; it holds {present}")
    return next(iter(speakers.values())) if name is None else speakers[name]


def _is_finite(value: Any) -> bool:
    # In float32; an integer may be too large for any float.
    return isinstance(value, Real) and not isinstance(value, bool) and -3e38 < value < 3e38


__all__ = [
    "AFTER_EXTRACTION",
    "FrameStatistics",
    "SpeakerStatistics",
    "add_speaker",
    "check_front_end",
    "check_speaker_arguments",
    "choose_speaker",
    "extraction_settings",
    "measure_speaker",
    "read_speakers",
    "speaker_front_end",
    "wants_speaker",
]
