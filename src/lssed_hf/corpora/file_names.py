"""Base of corpora whose files tell speaker and emotion by their names."""

import re
from collections.abc import Iterator
from pathlib import Path

from .base import CorpusBuilder, Reject, Utterance
from .media import find_clips, wrong_folder


class FileNameCorpus(CorpusBuilder):
    """Base of corpora without a table. Clips may lie in any folder, and in any format of audio.

    If a clip is there in several formats, one of them is read, WAV first.
    """

    #: Name of the corpus, for messages.
    TITLE = ""
    #: Pattern of a whole name, which `clip_name` gives.
    NAME: re.Pattern[str]
    #: Path of a clip, for messages.
    EXAMPLE = ""

    def clip_name(self, path: Path) -> str:
        """Return the name that `NAME` is about. Files with the same name are the same clip."""
        return path.stem

    def utterance(self, path: Path, match: re.Match[str]) -> Utterance | Reject:
        """Return the utterance of a clip whose name matches."""
        raise NotImplementedError

    def read_utterances(self, data_dir: Path) -> Iterator[Utterance | Reject]:
        clips, copies = find_clips(data_dir, key=self.clip_name)
        matches = [self.NAME.fullmatch(self.clip_name(path)) for path in clips]
        if not any(matches):
            raise wrong_folder(data_dir, self.TITLE, f"clips such as {self.EXAMPLE}")
        yield from copies
        for path, match in zip(clips, matches):
            if match is not None:
                yield self.utterance(path, match)
            else:
                reason = f"its name is not one of {self.TITLE}'s ({Path(self.EXAMPLE).stem}); move the file elsewhere"
                yield Reject(path.stem, str(path), reason)
