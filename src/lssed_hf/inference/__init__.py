"""Inference on recordings, clips and data sets, by PyTorch or by an exported network."""

import lazy_loader


# Loaded on first use: only AudioClassifier takes torch.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "classifiers.exported": ["ExportedClassifier"],
        "classifiers.loading": ["default_model", "load_classifier"],
        "classifiers.network": ["AudioClassifier"],
    },
)
