"""Several processes of a script that find each other as those of `torchrun`, without a start of Python for each."""

import os
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Sequence


def launch(count: int, argv: Sequence[str]) -> None:
    """Run a script with its arguments in forks, and leave with a status if one of them fails."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    children = [_fork(rank, count, port, argv) for rank in range(count)]
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(statuses):
        raise SystemExit(f"exit statuses {statuses}")


def _fork(rank: int, count: int, port: int, argv: Sequence[str]) -> int:
    child = os.fork()
    if child:
        return child
    signal.alarm(300)  # the others wait for one that has failed
    status = 1
    try:
        import torch

        torch.set_num_threads(1)
        ranks = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
        os.environ |= {**{name: str(value) for name, value in ranks.items()}, "MASTER_ADDR": "127.0.0.1"}
        os.environ["MASTER_PORT"] = str(port)
        sys.argv[:] = argv
        runpy.run_path(argv[0], run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
