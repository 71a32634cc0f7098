"""`lssed-hf predict --engine ray`: the rows of the local engine, whoever is killed."""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_classifier import write_classifier


pytest.importorskip("ray")

from lssed_hf import cli, ray_cluster
from lssed_hf.inference import predict_ray
from lssed_hf.inference.predict_ray import ModelWorker


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _restored_threads(monkeypatch):
    """Undo what a worker sets, whose process is this one in some tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a model, and with clips of which two cannot be read."""
    folder = tmp_path_factory.mktemp("predict")
    write_classifier(folder / "model", ["angry", "sad"])
    rng = np.random.default_rng(0)
    (folder / "clips").mkdir()
    for number in range(12):
        samples = rng.uniform(-0.3, 0.3, 4000 + 1000 * (number % 4))
        soundfile.write(folder / "clips" / f"{number:02d}.wav", samples, 16000)
    (folder / "clips" / "03.wav").write_text("this is text")
    (folder / "clips" / "08.wav").write_bytes(b"")
    return folder


@pytest.fixture
def run(folder, monkeypatch, tmp_path, capsys):
    """Runs the command beside the clips: its status, the bytes of its CSV (None without one), and its messages."""
    monkeypatch.chdir(folder)

    def run(*flags: str, model: str = "model") -> tuple[int, bytes | None, list[str]]:
        out = tmp_path / "out.csv"
        out.unlink(missing_ok=True)
        status = cli.main(["predict", model, "clips", "nowhere.wav", "--batch_size", "3", "--csv", str(out), *flags])
        lines = capsys.readouterr().err.splitlines()
        return (
            status,
            out.read_bytes() if out.exists() else None,
            [line for line in lines if ".wav: " in line or "error: " in line],
        )

    return run


def killing(marker: Path | None, name: str) -> type[ModelWorker]:
    """Return a class of workers that kill themselves at a file of that name: once, if there is a marker to leave."""

    class KillingWorker(ModelWorker):
        def predict(self, paths):
            if any(path.name == name for path, _ in paths) and not (marker and marker.exists()):
                if marker:
                    marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().predict(paths)

    return KillingWorker


def test_same_rows_in_the_same_order_though_a_worker_is_killed(run, ray_address, monkeypatch, tmp_path):
    local = run()
    assert local[0] == 1 and local[1].count(b"\n") == 14 and len(local[2]) == 3
    monkeypatch.setattr(predict_ray, "ModelWorker", killing(tmp_path / "killed", "04.wav"))
    assert run("--engine", "ray", "--ray_address", ray_address) == local
    assert (tmp_path / "killed").exists()


def dying_with(machine: str, file: Path, finished: Path) -> type[ModelWorker]:
    """Return a class of workers of which those on a machine have it killed at their second batch.

    The others wait for that. All note what they finish.
    """

    class DyingWorker(ModelWorker):
        def predict(self, paths):
            import ray

            doomed = ray.get_runtime_context().get_node_id() == machine
            if doomed and self.__dict__.setdefault("batches", 0):
                file.touch()
            deadline = time.monotonic() + 300
            while (self.batches if doomed else not file.exists()) and time.monotonic() < deadline:
                time.sleep(0.05)
            predictions = super().predict(paths)
            if doomed:
                self.batches += 1
            with finished.open("a", encoding="utf-8") as log:
                log.write("".join(f"{path}\n" for path, _ in paths))
            return predictions

    return DyingWorker


def test_batches_of_a_machine_that_dies_move_to_the_others(run, doomed_machine, ray_address, monkeypatch, tmp_path):
    local = run()
    finished = tmp_path / "finished"
    monkeypatch.setattr(predict_ray, "ModelWorker", dying_with(*doomed_machine(1), finished))
    # Two models have room on the machine that stays.
    assert run("--engine", "ray", "--ray_address", ray_address, "--num_proc", "3") == local
    assert (tmp_path / "kill").exists()
    files = ["nowhere.wav", *(f"clips/{number:02d}.wav" for number in range(12))]
    assert sorted(finished.read_text().split()) == sorted(files)


def test_what_is_finished_is_kept_if_no_machine_is_left(run, doomed_machine, ray_address, monkeypatch, tmp_path):
    _, local, _ = run()
    finished = tmp_path / "finished"
    monkeypatch.setattr(predict_ray, "ModelWorker", dying_with(*doomed_machine(3), finished))
    monkeypatch.setattr(ray_cluster, "CHECK_INTERVAL", 1)
    # Only that machine has three CPUs.
    status, table, messages = run("--engine", "ray", "--ray_address", ray_address, "--cpus_per_proc", "3")
    assert status == 1 and len(finished.read_text().split()) == 3
    assert table.splitlines()[:4] == local.splitlines()[:4] and table.count(b"\n") == 14
    assert len(messages) == 10
    assert all("no machine of the Ray cluster is left" in message for message in messages)
    assert "clips/03.wav: " in messages[0] and "let one join (`ray start" in messages[0]


def test_a_file_that_kills_every_worker_costs_its_row(run, ray_address, monkeypatch):
    _, local, errors = run()
    monkeypatch.setattr(predict_ray, "ModelWorker", killing(None, "04.wav"))
    monkeypatch.setattr(ray_cluster, "RETRIES", 0)
    status, table, messages = run("--engine", "ray", "--ray_address", ray_address, "--num_proc", "1")
    assert status == 1
    [message] = set(messages) - set(errors)
    assert message.startswith("clips/04.wav: given up (")
    lines, expected = table.decode().splitlines(), local.decode().splitlines()
    assert [line for line in lines if "04.wav" not in line] == [line for line in expected if "04.wav" not in line]
    assert "given up" in lines[5] and len(lines) == len(expected)


def test_errors_of_workers_are_those_of_the_local_engine(folder, monkeypatch, capsys, ray_address):
    monkeypatch.chdir(folder)
    messages = []
    for flags in ([], ["--engine", "ray", "--ray_address", ray_address, "--num_proc", "1"]):
        assert cli.main(["predict", "./gone", "clips", *flags]) == 1
        messages.append([line for line in capsys.readouterr().err.splitlines() if "error: " in line])
    assert messages[0] == messages[1] and "gone" in messages[0][0]


def test_no_room_for_the_model(folder, capsys, ray_address):
    flags = ["--engine", "ray", "--ray_address", ray_address, "--cpus_per_proc", "64"]
    assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), *flags]) == 1
    assert "no machine of the Ray cluster has 64 CPUs" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_was_started_again_needs_no_call_before(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    worker = ModelWorker(("model", 8, "cpu", False), folder, 1)
    [prediction] = worker.predict([(Path("clips/00.wav"), True)])
    assert prediction.error is None and list(prediction.probabilities) == ["angry", "sad"]


class TestStorageThatIsNotShared:
    def test_files(self, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        worker = ModelWorker((folder / "model", 8, "cpu", False), folder, 1)
        with pytest.raises(FileNotFoundError, match=r"gone.wav is not there on .* storage that all machines"):
            worker.predict([(Path("gone.wav"), True)])

    def test_the_folder_that_names_are_relative_to(self, folder, tmp_path):
        worker = ModelWorker((folder / "model", 8, "cpu", False), tmp_path / "gone", 1)
        with pytest.raises(OSError, match=r"gone is not there on .* \(No such file"):
            worker.outputs()


class TestRefusals:
    @pytest.mark.parametrize("scheme", ["", "ray://"])
    def test_an_address_where_nothing_listens(self, folder, capsys, scheme):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = f"{scheme}127.0.0.1:{unused.getsockname()[1]}"
            flags = ["--engine", "ray", "--ray_address", address]
            assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), *flags]) == 1
        assert f"no Ray cluster answers at {address}" in capsys.readouterr().err

    @pytest.mark.parametrize("address", ["head", "head:", "head:port"])
    def test_what_is_no_address(self, folder, capsys, address):
        flags = ["--engine", "ray", "--ray_address", address]
        assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), *flags]) == 1
        assert f"'{address}' is not auto, host:port" in capsys.readouterr().err

    @pytest.mark.parametrize("flag", ["--batch_size", "--num_proc", "--cpus_per_proc"])
    def test_nothing_at_a_time(self, folder, capsys, flag):
        assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), flag, "0"]) == 1
        assert "must be 1 or more" in capsys.readouterr().err

    def test_a_gpu_by_number(self, folder, capsys):
        flags = ["--engine", "ray", "--device", "cuda:1"]
        assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), *flags]) == 1
        assert "Ray chooses the GPU" in capsys.readouterr().err

    def test_says_what_to_install(self, folder, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "ray", None)
        assert cli.main(["predict", str(folder / "model"), str(folder / "clips"), "--engine", "ray"]) == 1
        assert "pip install 'lssed-hf[ray]'" in capsys.readouterr().err
