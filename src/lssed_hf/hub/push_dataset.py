"""Choice of the files of a prepared corpus that `lssed-hf push` uploads, where the corpus's licence allows it."""

from pathlib import Path

from ..corpora.prepared import MANIFEST
from ..preparation.dataset_card import HUB_LICENSES, terms_of
from ..preparation.prepare import damaged_shards


def dataset_files(folder: Path, manifest: dict) -> dict[str, int]:
    """Return the sizes in bytes of the card, the manifest and the shards, by their paths within the folder.

    `rejects.csv` names files of the corpus's owner, and stays.

    Raises:
        FileNotFoundError: The folder has no card.
        ValueError: A shard is missing or differs from its checksum.
    """
    if damaged := damaged_shards(folder):
        raise ValueError(
            f"{len(damaged)} shards of {folder} are missing or damaged ({', '.join(damaged[:3])}): prepare it again"
        )
    if not (folder / "README.md").is_file():
        raise FileNotFoundError(
            f"{folder} has no README.md, the card that `lssed-hf prepare` writes: prepare it again"
        )
    names = ["README.md", MANIFEST, *(shard["path"] for shard in manifest["shards"])]
    return {name: (folder / name).stat().st_size for name in names}


def sharing_refusal(manifest: dict) -> str:
    """Return the reason why a prepared corpus may not be passed on, or "" for an open licence.

    Shards are resampled and may be denoised, so licences without derivatives count as closed.
    """
    corpus = terms_of(manifest)
    if corpus.LICENSE in HUB_LICENSES and "-nd-" not in HUB_LICENSES[corpus.LICENSE]:
        return ""
    terms = corpus.NO_REDISTRIBUTION or f"Its licence or access: {corpus.LICENSE.rstrip('.') or 'unknown'}."
    return f"this folder is a copy of the corpus {manifest['corpus']}. {terms}"
