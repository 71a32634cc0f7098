"""Time of PyResNet-50 on 5 s clips: eager, folded, compiled and exported."""

import copy
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

import lssed_hf
from lssed_hf.hub.export import export_model
from lssed_hf.inference import ExportedClassifier, load_classifier
from lssed_hf.inference.classifiers.exported import run_network
from lssed_hf.models.folding import fold_batch_norm
from timing import Case


FRAMES = 1 + 5 * 16000 // 512


def plain(model: torch.nn.Module) -> torch.nn.Module:
    """Return a copy with weights and maps in the order (batch, channels, mel, frames), as the authors' network has."""
    model = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    model.pyresnet.stages[0].register_forward_pre_hook(lambda module, args: (args[0].contiguous(), *args[1:]))
    return model


def cases() -> Iterator[Case]:
    """Yield the comparisons of this file."""
    model = lssed_hf.create_model("pyresnet50", num_labels=4).eval()
    folded = fold_batch_norm(model)
    compiled = torch.compile(fold_batch_norm(model), dynamic=False)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "model")
        model.save_pretrained(source)
        lssed_hf.PyResNetFeatureExtractor(normalization="none").save_pretrained(source)
        exported = {}
        for export_format in ("onnx", "openvino"):
            export_model(source, Path(folder, export_format), export_format)
            exported[export_format] = load_classifier(Path(folder, export_format))
        for batch, repeats in ((1, 20), (16, 5)):
            features = torch.randn(batch, FRAMES, 128)
            contestants = {
                "NCHW, as the authors'": run(plain(model), features),
                "as it comes": run(model, features),
                "batch norm folded": run(folded, features),
                "the same, torch.compile": run(compiled, features),
                "ONNX Runtime": run_exported(exported["onnx"], features),
                "OpenVINO": run_exported(exported["openvino"], features),
            }
            targets = (
                {"as it comes": 1.4, "batch norm folded": 1.4, "ONNX Runtime": 2.8, "OpenVINO": 2.8}
                if batch == 1
                else {}
            )
            yield Case(f"PyResNet-50, a clip, batch {batch}", contestants, targets, repeats, per=batch)


def run_exported(classifier: ExportedClassifier, features: torch.Tensor) -> Callable[[], np.ndarray]:
    """Return a function that runs an exported network on features."""
    inputs = {"input_features": features.numpy(), "attention_mask": np.ones(features.shape[:2], dtype=np.int64)}
    return lambda: run_network(classifier.network, classifier.settings, inputs)


def run(model: torch.nn.Module, features: torch.Tensor) -> Callable[[], torch.Tensor]:
    """Return a function that runs a network of PyTorch on features."""

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return model(features).logits

    return forward
