"""`lssed-hf serve`: a page to try models on, by upload or microphone, and a JSON endpoint for programs."""

import signal
import sys
import threading
from collections.abc import Sequence

from ..signals import restoring_sigterm
from .parser import CommandParser, add_engine_arguments, engine_of


DESCRIPTION = """Open a page to try models on, by upload or microphone. Programs send recordings to
/api/classify and get JSON. The server listens on this machine alone, and recordings are deleted after use."""


def parser() -> CommandParser:
    """Return the parser of the command."""
    parser = CommandParser("serve", DESCRIPTION, "outputs/pyresnet50 outputs/vgg16")
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="folders or Hub names of models, for a picker (default: the built-in one)",
    )
    network = parser.add_argument_group("network")
    network.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 lets other machines in")
    network.add_argument("--port", type=int, help="port (default: the first free one from 7860 on)")
    network.add_argument("--inbrowser", action="store_true", help="open the page in a browser")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max_seconds", type=float, default=600, help="longest recording in seconds")
    limits.add_argument("--max_file_mb", type=float, default=120, help="largest file in MiB")
    hardware = parser.add_argument_group("model and hardware")
    hardware.add_argument("--device", help="such as cpu or cuda:0 (default: the GPU if there is one)")
    add_engine_arguments(hardware, "local", "torch")
    hardware.add_argument("--trust_remote_code", action="store_true", help="allow code from the models' repositories")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    terminated = threading.Event()

    def terminate(*_) -> None:
        terminated.set()
        sys.exit(0)

    with restoring_sigterm():
        # So that recordings are deleted then too. Until then, the first process of a container ignores the signal.
        signal.signal(signal.SIGTERM, terminate)
        args = parser().parse_args(argv)
        from ..web.serve import serve

        serve(
            args.models,
            host=args.host,
            port=args.port,
            limits={"max_seconds": args.max_seconds, "max_file_mb": args.max_file_mb},
            inbrowser=args.inbrowser,
            device=args.device,
            trust_remote_code=args.trust_remote_code,
            engine=engine_of(args),
            terminated=terminated,
        )
    return 0
