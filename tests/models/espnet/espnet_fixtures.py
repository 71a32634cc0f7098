"""ESPnet models to convert, of the fixtures that tests/espnet_parity/oracle.py wrote."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import torch
import yaml
from fixture_weights import make_weights

from lssed_hf import EspnetAsrFeatureExtractor


#: `make test-espnet` compares with what ESPnet computes now instead.
FIXTURES = Path(os.environ.get("LSSED_HF_ESPNET_FIXTURES", Path(__file__).with_name("fixtures")))
CASES = sorted(path.parent.name for path in FIXTURES.glob("*/config.yaml"))


def make_state_dict(case: str) -> dict[str, torch.Tensor]:
    """The weights of a case, as ESPnet saves them."""
    config = yaml.safe_load((FIXTURES / case / "config.yaml").read_text())["frontend_conf"]
    extractor = EspnetAsrFeatureExtractor(num_mel_bins=config["n_mels"], n_fft=config["n_fft"], win_length=None)
    shapes = json.loads((FIXTURES / case / "weights.json").read_text())
    weights = make_weights(shapes, extractor.mel_filters)
    return {name: torch.from_numpy(np.asarray(value)) for name, value in weights.items()}


def write_espnet_model(case: str, folder: Path, state: dict | None = None, config: dict | None = None) -> Path:
    """A model as a training leaves it in `exp/`, with changes to its weights and its config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / case / "config.yaml", folder)
    if config is not None:
        written = {**yaml.safe_load((folder / "config.yaml").read_text()), **config}
        (folder / "config.yaml").write_text(yaml.safe_dump(written))
    torch.save(make_state_dict(case) if state is None else state, folder / "valid.acc.ave_10best.pth")
    return folder


def load_clips() -> list[np.ndarray]:
    """Three clips of 16-bit PCM as float32."""
    with np.load(FIXTURES / "clips.npz") as file:
        return [file[name].astype(np.float32) / 32768 for name in sorted(file)]


def load_labels() -> list[list[int]]:
    return json.loads((FIXTURES / "labels.json").read_text())
