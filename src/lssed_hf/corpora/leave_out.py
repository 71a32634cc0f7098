"""Corpora without an official split whose usual protocol leaves one speaker out."""

from collections.abc import Mapping, Sequence

from .base import CorpusBuilder, Utterance
from .splits import leave_one_out


_LEAVE_OUT = "speaker_"  # a split scheme's name begins so and ends with a speaker


class LeaveOutCorpus(CorpusBuilder):
    """Base of corpora with a fixed split by speaker, and a scheme for each speaker that tests on this one alone."""

    #: Split of the speakers for validation and test in the scheme `speaker`. All others are for training.
    SPLIT_OF_SPEAKER: Mapping[str, str] = {}

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """Return the fixed split, and a scheme for each speaker that is there."""
        speakers = sorted({row.speaker_id for row in utterances})
        return (*self.SPLIT_SCHEMES, *(f"{_LEAVE_OUT}{speaker}" for speaker in speakers))

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        speakers = [row.speaker_id for row in utterances]
        if scheme.startswith(_LEAVE_OUT):
            return leave_one_out(speakers, scheme.removeprefix(_LEAVE_OUT))
        return [self.SPLIT_OF_SPEAKER.get(speaker, "train") for speaker in speakers]
