"""LSSED, PyResNet and the systems of the LSSED paper for Hugging Face.

Importing this package registers PyResNet with transformers' Auto classes and the `lssed` corpus with `datasets`, so
that `pipeline("audio-classification", model=FOLDER)` and `load_dataset("lssed", data_dir=...)` work.
"""

import lazy_loader

from .registration import register


__version__ = "0.1.0"

# The names are those of __init__.pyi, loaded on first use, so that the corpora work without torch and the models
# without datasets.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register()
