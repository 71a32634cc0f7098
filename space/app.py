"""A Hugging Face Space that serves classifiers: what `lssed-hf serve` shows, with the models that lie beside it."""

import os
from pathlib import Path

from lssed_hf.web.serve import open_models, serve


# Names on the Hub, separated by spaces (a variable of the Space), or else the folders in models/, or else the default.
folder = Path(__file__).parent / "models"
models = os.environ.get("MODELS", "").split() or sorted(path for path in folder.glob("*") if path.is_dir())
serve(open_models(models), limits={"max_seconds": 300, "max_file_mb": 60}, server_name="0.0.0.0")
