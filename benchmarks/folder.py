"""Predictions for a folder of clips, against wav2vec 2.0 (base) in transformers' pipeline.

Weights are random and sounds are noise, which changes no time.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline

import lssed_hf
from lssed_hf.hub.export import export_model
from lssed_hf.inference import load_classifier
from lssed_hf.inference.predict import predict_files
from timing import Case


CLIPS, RATE = 32, 16000


def cases() -> Iterator[Case]:
    """Yield the comparisons of this file."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = [folder / f"{number}.wav" for number in range(CLIPS)]
        for path in paths:
            # LSSED's clips have 5.05 s on average.
            samples = rng.uniform(-0.3, 0.3, round(RATE * np.clip(rng.gamma(4, 5.05 / 4), 1, 15)))
            soundfile.write(path, samples, RATE)
        model = lssed_hf.create_model("pyresnet50", num_labels=4)
        model.save_pretrained(folder / "pyresnet50")
        lssed_hf.PyResNetFeatureExtractor(normalization="none").save_pretrained(folder / "pyresnet50")
        export_model(folder / "pyresnet50", folder / "openvino", "openvino")
        wav2vec2 = Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=4))
        theirs = pipeline("audio-classification", wav2vec2, feature_extractor=Wav2Vec2FeatureExtractor())
        ours = {"PyTorch": load_classifier(folder / "pyresnet50"), "OpenVINO": load_classifier(folder / "openvino")}

        def with_pipeline() -> list:
            with torch.inference_mode():
                return [
                    theirs({"raw": soundfile.read(path, dtype="float32")[0], "sampling_rate": RATE}) for path in paths
                ]

        contestants = {"wav2vec 2.0 base, pipeline": with_pipeline}
        for name, classifier in ours.items():
            contestants[f"PyResNet-50, predict, {name}"] = lambda each=classifier: list(predict_files(each, paths))
        targets = {"PyResNet-50, predict, PyTorch": 10, "PyResNet-50, predict, OpenVINO": 10}
        yield Case("a clip of a folder, end to end", contestants, targets, repeats=3, per=CLIPS)
