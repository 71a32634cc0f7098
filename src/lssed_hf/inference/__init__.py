"""Inference on recordings, clips and data sets, by PyTorch or by an exported network."""

from .classifiers.exported import ExportedClassifier
from .classifiers.loading import default_model, load_classifier
from .classifiers.network import AudioClassifier


__all__ = ["AudioClassifier", "ExportedClassifier", "default_model", "load_classifier"]
