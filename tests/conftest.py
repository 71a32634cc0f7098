"""What every test needs: caches away from the user's, no network, and the real speech where it is there."""

import atexit
import gc
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path


# Until all is imported, which takes a quarter longer with it.
gc.disable()

# Before anything imports datasets or huggingface_hub, which read these once.
_CACHE = tempfile.mkdtemp(prefix="lssed_hf_tests_")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
for _name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HF_MODULES_CACHE", "HF_EVALUATE_CACHE", "HF_METRICS_CACHE"):
    os.environ.pop(_name, None)
os.environ["HF_HOME"] = _CACHE
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Ray gives up on processes that do not answer within 5 to 60 s, as they may on busy cores: five minutes.
for _name, _value in {
    "agent_register_timeout_ms": 300_000,
    "gcs_rpc_server_connect_timeout_s": 300,
    "gcs_server_port_wait_time_s": 300,
    "gcs_server_request_timeout_seconds": 300,
    "health_check_timeout_ms": 300_000,
    "py_gcs_connect_timeout_s": 300,
    "raylet_start_wait_time_s": 300,
    "worker_register_timeout_seconds": 300,
}.items():
    os.environ[f"RAY_{_name}"] = str(_value)

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from forking_python import ForkingPython  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from hypothesis.database import DirectoryBasedExampleDatabase  # noqa: E402


# Times vary on shared machines; and a fixed seed, so that a run tells about the code alone.
settings.register_profile("all", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("fast", settings.get_profile("all"), max_examples=10)
# Of `make fuzz`: every run tries something else, and keeps what failed.
settings.register_profile(
    "fuzz",
    deadline=None,
    derandomize=False,
    max_examples=1000,
    print_blob=True,
    database=DirectoryBasedExampleDatabase(Path(__file__).parents[1] / "outputs" / "fuzz"),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "all"))

SHARED_DATA = Path(os.environ.get("LSSED_HF_SHARED", Path(__file__).parents[2] / "shared" / "data"))


#: Fixtures that start processes, or train or export a network.
SLOW_FIXTURES = {"forking_python", "ray_address", "finished", "onnx_folder", "trained"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their fixtures as slow, and run files with slow tests first."""
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Keep what is imported by now out of garbage collections, which take half of the time of a tiny training."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real speech (`ravdess/`, `emodb/`, ...), which LSSED_HF_SHARED may name. It is not in the repo."""
    if not (SHARED_DATA / "ravdess").is_dir():
        pytest.skip(f"no real speech in {SHARED_DATA}; set LSSED_HF_SHARED to a folder that holds ravdess/ and emodb/")
    return SHARED_DATA


@pytest.fixture(scope="session")
def real_clips(shared_data) -> list[np.ndarray]:
    """A few real clips, float32 (samples,) at 16 kHz, of both corpora."""
    import soundfile

    files = [*sorted((shared_data / "ravdess").rglob("*.flac"))[::240]]
    files += sorted((shared_data / "emodb").glob("*.flac"))[::200]
    return [soundfile.read(file, dtype="float32")[0] for file in files]


@pytest.fixture(scope="session")
def write_clip():
    """Writes a short tone to a path, whose suffix gives the format, and makes the folders that it needs."""
    import soundfile

    def write_clip(path: Path, seconds: float = 0.02, rate: int = 16000, channels: int = 1, frequency: float = 400.0):
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
        soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate)
        return path

    return write_clip


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> dict[str, Path]:
    """The folders of two corpora of tones, by the name of their reader."""
    from tones import write_emodb, write_ravdess

    folder = tmp_path_factory.mktemp("corpora")
    return {"ravdess": write_ravdess(folder / "ravdess"), "emodb": write_emodb(folder / "emodb")}


@pytest.fixture(scope="session")
def forking_python() -> Iterator[ForkingPython]:
    """A Python whose forks have torch and transformers, but no Auto class, no network, no datasets and no lssed_hf."""
    python = ForkingPython(
        *("torch", "torch._dynamo", "torch.distributed.tensor", "scipy.optimize", "timm.models.resnet"),
        "transformers.models",
    )
    yield python
    python.close()


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny networks are no faster on more threads, and many times slower beside another busy process.

    Whatever number of threads a test sets, those after the module have the one from before.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Each monitor takes a second of a core to start.
_RAY_NODE = {"include_log_monitor": False, "object_store_memory": 1 << 27}


@pytest.fixture(scope="session")
def ray_machines() -> Iterator:
    """A Ray cluster with a machine of two CPUs."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False, "no_monitor": True, **_RAY_NODE}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


@pytest.fixture(scope="session")
def ray_address(ray_machines) -> str:
    """The address of a Ray cluster with two CPUs."""
    return ray_machines.address


@pytest.fixture
def doomed_machine(ray_machines, ray_address, tmp_path) -> Iterator[Callable[[int], tuple[str, Path]]]:
    """Lets a machine of some CPUs join the cluster, and kills it when a file is there: its id, and the file."""
    file, ended = tmp_path / "kill", threading.Event()
    killers = []

    def join(num_cpus: int) -> tuple[str, Path]:
        machine = ray_machines.add_node(num_cpus=num_cpus, **_RAY_NODE)

        def kill() -> None:
            while not (file.exists() or ended.wait(0.05)):
                pass
            ray_machines.remove_node(machine, allow_graceful=False)

        killers.append(threading.Thread(target=kill))
        killers[-1].start()
        return machine.node_id, file

    yield join
    ended.set()
    for killer in killers:
        killer.join()
