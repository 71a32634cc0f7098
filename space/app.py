"""Hugging Face Space: the page and the endpoint of `lssed-hf serve`, with the models that lie beside it."""

import os
from pathlib import Path

from lssed_hf.web.serve import serve


# The variable MODELS of the Space (names on the Hub), else the folders in models/, else the built-in model.
folder = Path(__file__).parent / "models"
models = os.environ.get("MODELS", "").split() or sorted(path for path in folder.glob("*") if path.is_dir())
serve(models, host="0.0.0.0", limits={"max_seconds": 300, "max_file_mb": 60})
