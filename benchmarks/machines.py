"""Whole commands on this machine, alone and as a Ray cluster of one machine: the start, and every second of audio.

    python benchmarks/machines.py --output outputs/bench/machines.json

Each command runs in a process of its own on a few clips and on many. The difference is the cost of the audio, and what
is left is the start. The cluster runs already, as `ray start` leaves it.

With Ray, some work stays with the command's own process, however many machines there are. For `prepare` (the plan, the
merge) it is the CPU time of that process. For `predict` (finding files, handing out batches, the table) it is the time
of the command with workers that compute nothing.

Clips are synthetic speech of 5 s. Recordings of `timeline` are those of `timeline.py`.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from corpora_at_scale import write_release
from lssed_hf.cli import main as main_of_commands
from lssed_hf.inference import predict_ray
from lssed_hf.inference.predict import Prediction
from lssed_hf.testing.releases.lssed import write_synthetic_lssed
from start import run
from timeline import write_noise


LSSED_HF = [sys.executable, "-m", "lssed_hf"]
EMOTIONS = ("angry", "neutral", "happy", "sad")
#: Command -> its numbers of clips, of minutes for `timeline`.
SIZES = {
    "prepare": (1000, 8000),
    "predict encoder-small": (40, 240),
    "predict pyresnet-small": (200, 1600),
    "timeline": (2, 10),
}


def main() -> None:
    """Measure, print a table, and write JSON for `projection.py`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="JSON file")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the sizes (default: 1)")
    args = parser.parse_args()

    from ray.cluster_utils import Cluster

    cores = os.cpu_count()
    node = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": 1 << 27}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    commands: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as work:
        clips = speech(Path(work))
        for what, sizes in SIZES.items():
            for engine in ("local",) if what == "timeline" else ("local", "ray"):
                ray = ["--engine", "ray", "--ray_address", cluster.address] if engine == "ray" else []
                rows = [timed(what, args.scale * size, ray, clips, cores) for size in sizes]
                commands[f"{what}, {engine}"] = cost(*rows)
        own = idle_predict(cluster.address, clips)
    cluster.shutdown()
    for what in commands:
        if what.startswith("predict") and what.endswith("ray"):
            commands[what]["own"] = own
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({"cores": cores, "commands": commands}, indent=2) + "\n", encoding="utf-8")
    print(f"| command, engine, {cores} cores | start, s | × real time | own work, s per 1,000 h of audio |")
    print("|---|---|---|---|")
    for what, row in commands.items():
        own_work = f"{3.6e6 * row['own']:.0f}" if what.endswith("ray") else ""
        print(f"| {what} | {row['start']:.1f} | {1 / row['seconds']:.0f} | {own_work} |")


def speech(work: Path) -> list[Path]:
    """Write clips of spoken sentences of about 5 s, two of a synthetic release in each."""
    release = write_synthetic_lssed(work / "speech", num_speakers=20, utterances_per_speaker=25)
    sentences = [soundfile.read(path, dtype="int16") for path in sorted((release / "wav_all").glob("*.wav"))]
    paths = []
    for number, ((first, rate), (second, _)) in enumerate(zip(sentences, sentences[::-1])):
        paths.append(work / f"{number}.wav")
        soundfile.write(paths[-1], np.concatenate([first, second]), rate)
    return paths


def timed(what: str, size: float, ray: list[str], clips: list[Path], cores: int) -> tuple[float, float, float]:
    """Run a command in a new folder, and return its seconds of audio, its seconds and its CPU seconds.

    Args:
        what: Key of `SIZES`.
        size: Number of clips or of minutes.
        ray: Flags of the cluster.
        clips: Files that the clips are links to.
        cores: Number of threads of the process.
    """
    with tempfile.TemporaryDirectory(dir=clips[0].parent) as folder:
        raw, out = Path(folder, "raw"), str(Path(folder, "out"))
        if what == "timeline":
            raw.mkdir()
            write_noise(raw / "recording.wav", size)
            flags = ["timeline", str(raw / "recording.wav"), "--no-vad", "--csv", out]
            seconds_of_audio = 60.0 * size
        else:
            seconds_of_audio = link(raw, clips, round(size))
            command, *model = what.split()
            flags = [command, *model, str(raw / "wav_all"), "--csv", out]
            if command == "prepare":
                flags = [command, "lssed", str(raw), out, "--utterances_per_shard", "250"]
        cpu, seconds, _ = run([*LSSED_HF, *flags, *ray], cores)
    return seconds_of_audio, seconds, cpu


def cost(few: tuple[float, float, float], many: tuple[float, float, float]) -> dict[str, float]:
    """Return the seconds of the start, and those of a second of audio: elapsed, and CPU of the command's process."""
    (audio, seconds, cpu), (more_audio, more_seconds, more_cpu) = few, many
    slope = (more_seconds - seconds) / (more_audio - audio)
    own = max(0.0, (more_cpu - cpu) / (more_audio - audio))
    return {"start": max(0.0, seconds - slope * audio), "seconds": slope, "own": own}


class Idle:
    """Worker of `predict` that computes nothing."""

    def __init__(self, *_):
        pass

    def labels(self) -> list[str]:
        """Return the classes."""
        return list(EMOTIONS)

    def predict(self, paths: list[tuple[Path, bool]]) -> list[Prediction]:
        """Return a prediction for each path."""
        return [Prediction(str(path), "sad", dict.fromkeys(EMOTIONS, 0.25), seconds=5.0) for path, _ in paths]


def idle_predict(address: str, clips: list[Path], sizes: tuple[int, int] = (1000, 8000)) -> float:
    """Return the seconds that `predict` with idle workers takes for a second of audio."""
    predict_ray.ModelWorker = Idle
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=clips[0].parent) as folder:
            audio = link(Path(folder, "raw"), clips, size)
            begin = time.perf_counter()
            flags = ["--csv", f"{folder}/out.csv", "--engine", "ray", "--ray_address", address]
            if main_of_commands(["predict", f"{folder}/raw/wav_all", *flags]):
                raise SystemExit("predict with idle workers failed")
            rows.append((audio, time.perf_counter() - begin, 0.0))
    return cost(*rows)["seconds"]


def link(raw: Path, clips: list[Path], size: int) -> float:
    """Write a release of links to clips, and return its seconds of audio."""
    write_release(raw, clips, [EMOTIONS[number % 4] for number in range(size)])
    return sum(soundfile.info(path).duration for path in (raw / "wav_all").iterdir())


if __name__ == "__main__":
    main()
