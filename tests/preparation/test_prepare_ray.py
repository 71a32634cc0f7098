"""`prepare` on Ray: the bytes of the local engine, whichever process is killed."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from test_prepare import contents, killed_child


pytest.importorskip("ray")

from lssed_hf import ray_cluster
from lssed_hf.cli import main as cli
from lssed_hf.preparation import engines
from lssed_hf.preparation.engines import write_in_task
from lssed_hf.preparation.prepare import prepare
from lssed_hf.preparation.shards import AudioOptions, ShardWriter


@pytest.fixture
def whole(raw, tmp_path):
    """Return a corpus with utterances to reject, and the checksums of its preparation by the local engine."""
    folder = raw(extra=("E0001_gone,sad", "E0001_text,sad"))
    (folder / "wav_all" / "E0001_text.wav").write_text("no sound at all")
    prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=5)
    return folder, contents(tmp_path / "whole")


def killing(after: int, marker=None, name=None):
    """Return a task that kills its worker at the n-th clip of a shard (or of one shard), once if there is a marker."""

    def write(call):
        from lssed_hf.preparation import shards

        calls, original = iter(range(after, -1000, -1)), shards.encode_audio

        def encode(*args):
            if next(calls) == 0 and name in (None, call[0].name) and not (marker and marker.exists()):
                if marker:
                    marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args)

        shards.encode_audio = encode
        try:
            return write_in_task(call)
        finally:
            shards.encode_audio = original

    return write


def dying_with(machine: str, file: Path, finished: Path):
    """Return a task that, on a machine, has it killed in the middle of the second shard.

    The others wait for that. All note what they finish.
    """

    def write(call):
        import ray

        from lssed_hf.preparation import shards

        doomed = ray.get_runtime_context().get_node_id() == machine
        second = doomed and finished.with_suffix(".first").exists()
        calls, original, deadline = iter(range(3, -1000, -1)), shards.encode_audio, time.monotonic() + 300

        def encode(*args):
            if next(calls) == 0:
                if second:
                    file.touch()
                while (second or not (doomed or file.exists())) and time.monotonic() < deadline:
                    time.sleep(0.05)
            return original(*args)

        shards.encode_audio = encode
        try:
            report = write_in_task(call)
        finally:
            shards.encode_audio = original
        if doomed:
            finished.with_suffix(".first").touch()
        with finished.open("a", encoding="utf-8") as log:
            log.write(f"{report.name}\n")
        return report

    return write


@pytest.mark.slow
def test_same_bytes_on_a_cluster_of_its_own(whole, tmp_path, capsys):
    folder, expected = whole
    arguments = [str(folder), str(tmp_path / "out"), "--utterances_per_shard", "5", "--engine", "ray"]
    assert cli(["prepare", "lssed", *arguments, "--num_proc", "2"]) == 0
    assert contents(tmp_path / "out") == expected
    assert "60 of 62 utterances" in capsys.readouterr().out
    import ray

    assert not ray.is_initialized()


def test_a_python_that_leaves_a_cluster_is_terminated_as_before(ray_address):
    def terminate(*_):
        raise AssertionError("nothing sends the signal")

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with ray_cluster.ray_cluster(ray_address):
            assert signal.getsignal(signal.SIGTERM) != terminate, "Ray's own"
        assert signal.getsignal(signal.SIGTERM) == terminate
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_killed_worker_costs_nothing_and_leaves_nothing(whole, tmp_path, monkeypatch, ray_address):
    folder, expected = whole
    monkeypatch.setattr(engines, "write_in_task", killing(3, tmp_path / "killed"))
    prepare("lssed", folder, tmp_path / "out", utterances_per_shard=5, engine="ray", ray_address=ray_address)
    assert (tmp_path / "killed").exists()
    assert contents(tmp_path / "out") == expected


def test_shards_of_a_machine_that_dies_move_to_the_others(whole, tmp_path, monkeypatch, doomed_machine, ray_address):
    folder, expected = whole
    out, finished = tmp_path / "out", tmp_path / "finished"
    monkeypatch.setattr(engines, "write_in_task", dying_with(*doomed_machine(1), finished))
    flags = {"utterances_per_shard": 5, "num_proc": None, "engine": "ray", "ray_address": ray_address}
    prepare("lssed", folder, out, **flags)
    assert (tmp_path / "kill").exists()
    assert contents(out) == expected
    assert sorted(finished.read_text().split()) == sorted(path.name for path in (out / "data").iterdir())


def test_a_shard_that_kills_every_worker_is_named_and_the_local_engine_goes_on(
    whole, tmp_path, monkeypatch, ray_address
):
    folder, expected = whole
    out = tmp_path / "out"
    last = json.loads((tmp_path / "whole" / "manifest.json").read_text())["shards"][-1]["path"].removeprefix("data/")
    monkeypatch.setattr(engines, "write_in_task", killing(2, name=last))
    monkeypatch.setattr(ray_cluster, "RETRIES", 1)
    with pytest.raises(OSError, match=f"{last}: given up"):
        prepare("lssed", folder, out, utterances_per_shard=5, engine="ray", ray_address=ray_address)
    assert {path.name for path in out.iterdir()} == {".partial"}
    assert any((out / ".partial" / "reports").iterdir())
    prepare("lssed", folder, out, utterances_per_shard=5)
    assert contents(out) == expected


def test_ray_goes_on_where_the_local_engine_was_killed(whole, tmp_path, ray_address):
    folder, expected = whole
    out = tmp_path / "out"

    def patch():
        write = ShardWriter.write
        calls = iter(range(3, -1, -1))

        def call(*args):
            if next(calls) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*args)

        ShardWriter.write = call

    assert killed_child(("lssed", folder, out), {"utterances_per_shard": 5}, patch) == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in (out / ".partial" / "data").iterdir()}
    assert len(kept) == 3
    prepare("lssed", folder, out, utterances_per_shard=5, engine="ray", ray_address=ray_address)
    assert contents(out) == expected
    assert {out / "data" / path.name: time for path, time in kept.items()}.items() <= {
        path: path.stat().st_mtime_ns for path in (out / "data").iterdir()
    }.items()


def test_a_finished_folder_is_checked_without_a_cluster(whole, tmp_path):
    folder, expected = whole
    manifest = prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=5, engine="ray", ray_address="gone:1")
    assert manifest == json.loads((tmp_path / "whole" / "manifest.json").read_text())
    assert contents(tmp_path / "whole") == expected


class TestRefusals:
    def test_a_machine_without_the_corpus_rejects_nothing(self, tmp_path):
        call = (None, ShardWriter(tmp_path, "lssed", {}, AudioOptions()), [tmp_path / "gone"])
        with pytest.raises(
            FileNotFoundError, match=r"gone is not there on .*; all machines of the cluster must share"
        ):
            write_in_task(call)

    def test_an_address_where_nothing_listens(self, whole, tmp_path):
        folder, _ = whole
        with pytest.raises(OSError, match="no Ray cluster answers at localhost:1 "):
            prepare("lssed", folder, tmp_path / "out", engine="ray", ray_address="localhost:1")
        assert not (tmp_path / "out" / "manifest.json").exists()

    def test_another_engine(self, whole, tmp_path):
        with pytest.raises(ValueError, match="engine='spark'; known are local, ray"):
            prepare("lssed", whole[0], tmp_path / "out", engine="spark")
