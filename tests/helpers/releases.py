"""Synthetic releases that are as small as each layout allows."""

from pathlib import Path

from lssed_hf.testing.synthesize import synthesize


#: Fewest speakers of a layout that fill its splits. Default: 3.
FEWEST = {
    "crema_d": 4,
    "daic_woz": 8,
    "e_daic": 6,
    "enterface": 4,
    "fau_aibo": 4,
    "iemocap": 4,
    "lssed": 4,
    "msp_improv": 4,
    "msp_podcast": 4,
    "tess": 2,
}


def write_release(layout: str, folder: Path) -> Path:
    """Write a release with as few speakers as the layout allows."""
    return synthesize(layout, folder, num_speakers=FEWEST.get(layout, 3))
