"""`lssed-hf serve`: a page to try models on, by upload or microphone."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..inference import load_classifier
from ..inference.base import Classifier


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="lssed-hf serve", description=__doc__, epilog="example: lssed-hf serve outputs/pyresnet50 outputs/vgg16"
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="folder or Hub name of an audio classifier, or an exported folder (default: the one in the package)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets others in (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="default: the first free one from 7860 on")
    parser.add_argument("--max_seconds", type=float, default=600, help="longest recording (default: 600)")
    parser.add_argument("--max_file_mb", type=float, default=120, help="largest upload in MiB (default: 120)")
    parser.add_argument("--inbrowser", action="store_true", help="open the page in a browser")
    parser.add_argument("--device", help="torch device, e.g. cuda:0 (default: the GPU if there is one)")
    parser.add_argument("--trust_remote_code", action="store_true", help="allow code from the models' repositories")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that uploads are removed then too
    serve(
        open_models(args.models, args.device, args.trust_remote_code),
        limits={"max_seconds": args.max_seconds, "max_file_mb": args.max_file_mb},
        server_name=args.host,
        server_port=args.port,
        inbrowser=args.inbrowser,
    )
    return 0


def open_models(
    paths: Sequence[str | os.PathLike], device: str | None = None, trust_remote_code: bool = False
) -> dict[str, Classifier]:
    """Classifiers by the shortest ends of their paths that tell them apart; without paths, the default model.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `load_classifier`; ValueError: a model twice.
    """
    if not paths:
        return {"default model": load_classifier(device=device)}
    return {
        name: load_classifier(path, device=device, trust_remote_code=trust_remote_code)
        for name, path in zip(_short_names(paths), paths)
    }


def serve(classifiers: Mapping[str, Classifier], *, limits: Mapping[str, float] | None = None, **settings) -> None:
    """Serve the page until the process is interrupted. Uploads live in a folder that goes with it.

    Args:
        classifiers, limits: as `build_app` takes them.
        settings: of Gradio's `launch`.

    Raises:
        ImportError: Gradio is not installed.
        OSError: the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="lssed_hf_serve_") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # read when Gradio is imported
        from .app import build_app

        app = build_app(classifiers, **(limits or {}))
        try:
            app.launch(**settings)
        finally:
            app.close(verbose=False)


def _short_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    parts = [Path(path).resolve().parts if Path(path).exists() else Path(path).parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"the same model is given twice: {', '.join(map(str, paths))}")
