"""Batched inference on waveforms, by PyTorch or by an exported network."""

from .classifier import AudioClassifier
from .exported import ExportedClassifier
from .loading import default_model, load_classifier


__all__ = ["AudioClassifier", "ExportedClassifier", "default_model", "load_classifier"]
