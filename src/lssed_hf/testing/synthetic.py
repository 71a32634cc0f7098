"""An LSSED-shaped corpus spoken by eSpeak NG, for the demo and the tests. It is not LSSED and nobody's voice."""

from pathlib import Path

from ..corpora.download import corpus_cache
from ..corpora.lssed import Lssed
from .synthetic_speech import write_synthetic_lssed


class Synthetic(Lssed):
    """Synthetic speech (eSpeak NG) in LSSED's layout: a stand-in to try the tools on."""

    HOMEPAGE = "https://github.com/espeak-ng/espeak-ng"
    LICENSE = "Apache-2.0"
    NO_REDISTRIBUTION = ""
    CITATION = ""

    @classmethod
    def default_data_dir(cls) -> Path:
        """Speaks the default corpus into the `datasets` cache, once."""
        folder = corpus_cache("synthetic")
        if not (folder / "metadata_english_all.csv").is_file():
            write_synthetic_lssed(folder)
        return folder
