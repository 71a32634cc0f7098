"""Time of batches of 16 clips as training reads them from cached features, and of computing features anew.

All of it happens in the training process itself.

Compare it with the time of a clip in a step of training.
"""

import io
import tempfile
from collections.abc import Callable, Iterator

import datasets
import numpy as np
import soundfile
from torch.utils.data import DataLoader

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.audio import load_audio
from lssed_hf.training.data import Augmentation, ClipCollator, SpeechDataset
from lssed_hf.training.features import compute_features
from timing import Case


CLIPS, RATE = 256, 16000
EVERYTHING = Augmentation(freq_mask=16, time_mask=24, freq_shift=4, time_stretch=0.1, gain_db=6.0, mixup=0.2)


def cases() -> Iterator[Case]:
    """Yield the comparisons of this file."""
    extractor = PyResNetFeatureExtractor(mean=[-40.0] * 128, std=[15.0] * 128)
    with tempfile.TemporaryDirectory() as folder:
        made = datasets.Dataset.from_generator(_clips, cache_dir=folder).cast_column("audio", datasets.Audio())
        features = compute_features(made, extractor)
        contestants = {
            "decoded and computed anew": _anew(made, extractor),
            "whole clips": _epoch(features, extractor),
            "crops of 2 s": _epoch(features, extractor, crop_seconds=2.0),
            "crops of 2 s, every augmentation": _epoch(
                features, extractor, crop_seconds=2.0, augmentation=EVERYTHING, num_labels=4
            ),
        }
        yield Case("a clip of a batch from cached features", contestants, {}, repeats=5, per=CLIPS)


def _clips() -> Iterator[dict]:
    rng = np.random.default_rng(0)
    for number in range(CLIPS):
        samples, file = rng.uniform(-0.3, 0.3, round(RATE * np.clip(rng.gamma(4, 5.05 / 4), 1, 15))), io.BytesIO()
        soundfile.write(file, samples, RATE, format="WAV")
        yield {"audio": {"bytes": file.getvalue(), "path": None}, "label": number % 4}


def _anew(rows: datasets.Dataset, extractor: PyResNetFeatureExtractor) -> Callable[[], int]:
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    return lambda: sum(len(extractor.normalize(extractor.extract(load_audio(row["audio"], RATE)))) for row in rows)


def _epoch(features: datasets.Dataset, extractor: PyResNetFeatureExtractor, **settings) -> Callable[[], int]:
    rows = SpeechDataset(features, extractor, "label", **settings)
    loader = DataLoader(rows, 16, shuffle=True, collate_fn=ClipCollator(extractor))
    return lambda: sum(len(batch["labels"]) for batch in loader)
