"""Corpus in LSSED's layout, spoken by eSpeak NG, for the demo and the tests. It is not LSSED and nobody's voice."""

from pathlib import Path

from ..corpora.download import corpus_cache
from ..corpora.lssed import Lssed
from .releases.lssed import METADATA_NAME, write_synthetic_lssed


class Synthetic(Lssed):
    """Synthetic speech (eSpeak NG) in LSSED's layout: a stand-in to try the tools on."""

    FACTS = None
    HOMEPAGE = "https://github.com/espeak-ng/espeak-ng"
    LICENSE = "Apache-2.0"
    NO_REDISTRIBUTION = ""
    CITATION = ""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Return the folder of the default corpus in the `datasets` cache, where it is spoken once."""
        folder = corpus_cache("synthetic")
        if not (folder / METADATA_NAME).is_file():
            write_synthetic_lssed(folder)
        return folder
