"""Server of the page and the JSON endpoint, on this machine unless told otherwise."""

import os
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..environment import environment_variable
from ..inference.classifiers.loading import load_speaker_classifier
from ..inference.classifiers.pretrained import list_pretrained
from .model_facts import read_model_facts


BUILT_IN = "built-in model"
_EVERYWHERE = ("0.0.0.0", "::")
_PORTS = range(7860, 7960)
_LAST_PORT = 65535


def serve(
    models: Sequence[str | os.PathLike] = (),
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    limits: Mapping[str, float] | None = None,
    inbrowser: bool = False,
    device: str | None = None,
    trust_remote_code: bool = False,
    engine: str | None = None,
    terminated: threading.Event | None = None,
) -> None:
    """Serve the page and the endpoint until the process is interrupted.

    Uploads are kept in a temporary folder, which is deleted at the end.

    Args:
        models: Model folders or names on the Hub (default: the built-in model).
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: Port (default: the first free one from 7860 on).
        limits: `max_seconds`, `max_file_mb` and `long_seconds` of `build_app`.
        inbrowser: Whether to open the page in a browser.
        device: Device of torch (default: the GPU if there is one).
        trust_remote_code: Whether code from the models' repositories may run.
        engine: "torch" or "onnx", see `lssed_hf.predict`.
        terminated: Event that is set if the process was asked to end while it started, for libraries that swallow the
            exception of a handler.

    Raises:
        ImportError: Gradio is not installed.
        FileNotFoundError: A model is not there.
        ValueError: A model cannot be opened, or is given twice, or there is no such port.
        OSError: The port is taken.
    """
    if port is not None and not 0 <= port <= _LAST_PORT:
        raise ValueError(f"--port {port}: ports are from 0 to {_LAST_PORT}")
    with (
        tempfile.TemporaryDirectory(prefix="lssed_hf_serve_") as folder,
        environment_variable("GRADIO_TEMP_DIR", folder),  # read when Gradio is imported, and later
        suppress(KeyboardInterrupt),
    ):
        from .app import LOCAL_HOSTS, build_app

        paths = dict(zip(_short_names(models), models)) if models else {BUILT_IN: list_pretrained()[0]}
        classifiers = {
            name: load_speaker_classifier((path, 8, device, trust_remote_code), engine=engine)
            for name, path in paths.items()
        }
        facts = {name: read_model_facts(path) for name, path in paths.items()}
        name = f"[{host}]" if ":" in host else host
        hosts = LOCAL_HOSTS if name in LOCAL_HOSTS else ["*"]
        app = build_app(classifiers, facts=facts, allowed_hosts=hosts, **(limits or {}))
        with _listen(host, port) as listener:
            address = f"http://{'localhost' if host in _EVERYWHERE else name}:{listener.getsockname()[1]}"
            print(f"{address} serves {', '.join(classifiers)}; Ctrl-C stops it", flush=True)
            if inbrowser:
                webbrowser.open(address)
            _run(app, listener, terminated or threading.Event())


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a listening socket on a port, or on the first free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in _PORTS if port is None else [port]:
        with suppress(OSError):
            return socket.create_server((host, candidate), family=family)
    tried = f"ports {_PORTS[0]} to {_PORTS[-1]} of {host} are" if port is None else f"port {port} of {host} is"
    raise OSError(f"{tried} taken or not allowed; choose another one with --port")


def _run(app, listener: socket.socket, terminated: threading.Event) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """Server that ends although pages are open, and at once if the process was asked to end before."""

        async def startup(self, sockets=None):
            await super().startup(sockets)
            self.should_exit |= terminated.is_set()

        async def shutdown(self, sockets=None):
            app.state.close_streams()
            await super().shutdown(sockets)

    Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)).run(sockets=[listener])


def _short_names(paths: Sequence[str | os.PathLike]) -> list[str]:
    """Return the shortest ends of paths that tell them apart."""
    parts = [Path(path).resolve().parts if Path(path).exists() else Path(path).parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"the same model is given twice: {', '.join(map(str, paths))}")
