"""Emotion corpora under one schema, and corpora of depression. `load_corpus` gives any of them as a `DatasetDict`."""

import importlib.util
import os
from pathlib import Path

import datasets

from ..lookup import class_of_table, module_of_table
from ..suggest import did_you_mean
from .base import CorpusBuilder, CorpusConfig, CorpusDataError, CorpusFacts, Reject, Utterance, corpus_features


# Corpus -> module, relative to this package, and class.
_CORPORA = {
    "aesdd": (".aesdd", "Aesdd"),
    "afew": (".afew", "Afew"),
    "asvp_esd": (".asvp_esd", "AsvpEsd"),
    "cafe": (".cafe", "Cafe"),
    "cmu_mosei": (".cmu_mosei", "CmuMosei"),
    "crema_d": (".crema_d", "CremaD"),
    "daic_woz": (".daic.daic_woz", "DaicWoz"),
    "e_daic": (".daic.e_daic", "EDaic"),
    "emodb": (".emodb", "Emodb"),
    "emovo": (".emovo", "Emovo"),
    "enterface": (".enterface", "Enterface"),
    "esd": (".esd", "Esd"),
    "fau_aibo": (".fau_aibo", "FauAibo"),
    "folder": (".own.folder", "FolderCorpus"),
    "iemocap": (".iemocap", "Iemocap"),
    "jl_corpus": (".jl_corpus", "JlCorpus"),
    "lssed": (".lssed", "Lssed"),
    "meld": (".meld", "Meld"),
    "msp_improv": (".msp_improv", "MspImprov"),
    "msp_podcast": (".msp_podcast", "MspPodcast"),
    "nemo": (".nemo", "Nemo"),
    "ravdess": (".ravdess", "Ravdess"),
    "rml": (".rml", "Rml"),
    "savee": (".savee", "Savee"),
    "shemo": (".shemo", "Shemo"),
    "subesco": (".subesco", "Subesco"),
    "synthetic": ("..testing.synthetic", "Synthetic"),
    "tess": (".tess", "Tess"),
}


def list_corpora() -> list[str]:
    """Return the names that `load_corpus` knows."""
    return sorted(_CORPORA)


def corpus_builder(name: str) -> type[CorpusBuilder]:
    """Return the builder class of a corpus.

    Raises:
        ValueError: There is no corpus of that name.
    """
    if name not in _CORPORA:
        known = list_corpora()
        raise ValueError(f"unknown corpus {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")
    module, attribute = _CORPORA[name]
    entry = f"{__name__}._CORPORA[{name!r}]"
    return class_of_table(module_of_table(importlib.util.resolve_name(module, __name__), entry), attribute, entry)


def load_corpus(
    name: str,
    data_dir: str | os.PathLike | None = None,
    config_name: str = "default",
    *,
    split_scheme: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    num_proc: int | None = None,
    streaming: bool = False,
    **config_kwargs,
) -> datasets.DatasetDict | datasets.IterableDatasetDict:
    """Load a corpus from its folder as distributed, or your own recordings (`folder`).

    Args:
        name: Name in `list_corpora()`.
        data_dir: Folder that holds the corpus. Default: `emodb`, `ravdess` and `crema_d` are downloaded once, and
            `synthetic` makes its own.
        config_name: `default` for all classes, or `benchmark` for angry, neutral, happy and sad; corpora of depression
            have `default` alone. `ratings` of IEMOCAP, MSP-IMPROV and MSP-Podcast adds what has ratings and no class.
        split_scheme: Way to divide. Default: the corpus's first, with no speaker in two splits.
        cache_dir: Folder for the Arrow files. Default: the cache of `datasets`.
        num_proc: Number of processes to build with.
        streaming: Whether rows are made when they are asked for, and no Arrow files are written.
        config_kwargs: Switches of the corpus, such as LSSED's `keep_chinese`, or `label_map` of your own recordings.

    Returns:
        Splits with the columns of `corpus_features`; corpora of depression have their own. A folder is read again when
        its files changed.

    Raises:
        ValueError: The corpus, configuration or split scheme is unknown, or `data_dir` is needed.
        FileNotFoundError: `data_dir` is not a folder, or holds no audio.
        DownloadError: The corpus could not be downloaded.
        CorpusDataError: The folder is not that corpus, or some utterances cannot be used; the message says what was
            looked for and what was found.
    """
    builder_class = corpus_builder(name)
    data_dir = builder_class.default_data_dir() if data_dir is None else Path(data_dir).expanduser().resolve()
    if not data_dir.is_dir():
        raise FileNotFoundError(f"{name}: data_dir {data_dir} is not a folder")
    builder = builder_class(
        config_name=config_name,
        data_dir=str(data_dir),
        split_scheme=split_scheme,
        cache_dir=None if cache_dir is None else str(cache_dir),
        **config_kwargs,
    )
    if streaming:
        return builder.as_streaming_dataset()
    builder.download_and_prepare(num_proc=num_proc)
    return builder.as_dataset()


__all__ = [
    "CorpusBuilder",
    "CorpusConfig",
    "CorpusDataError",
    "CorpusFacts",
    "Reject",
    "Utterance",
    "corpus_builder",
    "corpus_features",
    "list_corpora",
    "load_corpus",
]
