"""Corpora without an official split whose usual protocol leaves one speaker or session out."""

from collections.abc import Mapping, Sequence

from .base import CorpusBuilder, CorpusDataError, Utterance
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


class LeaveSessionOutCorpus(CorpusBuilder):
    """Base of corpora with a scheme for each session: `session2` tests on session "2" and trains on all others."""

    def split_schemes(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """Return the schemes of sessions that are there, if there are several."""
        present = {row.session_id for row in utterances}
        return [name for name in self.SPLIT_SCHEMES if _session_of(name) in present] if len(present) > 1 else []

    def assign_splits(self, utterances: Sequence[Utterance], scheme: str) -> list[str | None]:
        if scheme not in (possible := self.split_schemes(utterances)):
            present = ", ".join(sorted({row.session_id for row in utterances}))
            advice = f"choose {', '.join(possible)}" if possible else "add another session"
            raise CorpusDataError(
                f"split_scheme={scheme!r} tests on session {_session_of(scheme)} and trains on others, but there are "
                f"utterances of session {present} alone; {advice}"
            )
        return ["test" if row.session_id == _session_of(scheme) else "train" for row in utterances]


def _session_of(scheme: str) -> str:
    return scheme.removeprefix("session")
