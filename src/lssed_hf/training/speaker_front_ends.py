"""Front ends of speakers in training. Each normalises by the statistics of its speaker's clips."""

from collections.abc import Mapping, Sequence

import datasets
from transformers import SequenceFeatureExtractor

from ..inference.classifiers.speaker_statistics import (
    FrameStatistics,
    SpeakerStatistics,
    check_front_end,
    speaker_front_end,
    wants_speaker,
)
from ..inference.speaker_normalization import SpeakerArguments, speakers_of
from .arrays import frames_of
from .features import FrameExtractor


def set_speaker_normalization(feature_extractor: SequenceFeatureExtractor, args: SpeakerArguments) -> None:
    """Set whether a front end is for speakers' own statistics, which its `mean` and `std` stand in for.

    Raises:
        ValueError: The front end cannot take a speaker's statistics, or wants them and there are to be none.
    """
    if args.speaker_normalization != "none":
        check_front_end(feature_extractor)
        feature_extractor.normalization = "speaker"
    elif wants_speaker(feature_extractor):
        raise ValueError(
            "the model's front end wants each speaker's own statistics: give --speaker_normalization all or "
            'enrolment, or --feature_extractor_overrides \'{"normalization": "corpus"}\' to do without'
        )


def speaker_front_ends(
    features: datasets.Dataset, clips: Mapping[str, Sequence[int]], feature_extractor: FrameExtractor
) -> dict[str, FrameExtractor]:
    """Return a front end for each speaker, by name.

    Args:
        features: Rows of `compute_features` of unchanged clips.
        clips: Numbers of the rows that the statistics of each speaker are taken from (see `statistics_rows`).
        feature_extractor: Front end of the corpus.
    """
    front_ends = {}
    for speaker, rows in clips.items():
        frames = FrameStatistics()
        for values in frames_of(features.select(rows)):
            frames.add(values)
        seconds = frames.count * feature_extractor.hop_length / feature_extractor.sampling_rate
        statistics = SpeakerStatistics(tuple(frames.mean), tuple(frames.std), len(rows), seconds)
        front_ends[speaker] = speaker_front_end(feature_extractor, statistics)
    return front_ends


def front_ends_of(
    features: datasets.Dataset,
    front_ends: Mapping[str, FrameExtractor],
    speaker_column: str,
    feature_extractor: FrameExtractor,
) -> list[FrameExtractor] | None:
    """Return each row's front end: its speaker's, else the corpus's. Return None if no speaker has one."""
    if not front_ends:
        return None
    return [front_ends.get(speaker, feature_extractor) for speaker in speakers_of(features, speaker_column)]


__all__ = ["front_ends_of", "set_speaker_normalization", "speaker_front_ends"]
