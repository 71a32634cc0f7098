"""Memory and speed of `score_timeline` on long recordings, each in a process of its own.

    python benchmarks/timeline.py --minutes 10 60 180

The recordings are noise with the rhythm of syllables, 44.1 kHz mono, written to a temporary file in a stream; the
model is the small PyResNet of `lssed-hf demo` with random weights, on one thread. Peak memory is that of the whole
process, with Python and PyTorch. With --vad, Silero VAD listens as well, and all windows are still scored.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

import lssed_hf
from lssed_hf.inference.timeline.envelope import Envelope


RATE = 44100


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60, 180])
    parser.add_argument("--vad", action="store_true", help="with voice activity detection")
    parser.add_argument("--one", type=Path, nargs=2, help=argparse.SUPPRESS)  # what the process of its own does
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(*args.one, args.vad)))
        return

    print("| recording | voice activity | windows | seconds | × real time | peak memory, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as work:
        model, recording = Path(work, "model"), Path(work, "recording.wav")
        network = lssed_hf.create_model("pyresnet-small", num_labels=4)
        network.save_pretrained(model)
        lssed_hf.PyResNetFeatureExtractor(normalization="utterance").save_pretrained(model)
        for minutes in args.minutes:
            write_noise(recording, minutes)
            command = [sys.executable, __file__, "--one", model, recording, *(["--vad"] if args.vad else [])]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            cells = [f"{minutes:g} min", "Silero VAD" if args.vad else "", f"{found['windows']:,}"]
            cells += [f"{found['seconds']:.0f}", f"{60 * minutes / found['seconds']:.0f}", f"{found['memory']:.0f}"]
            print("|", " | ".join(cells), "|", flush=True)


def write_noise(path: Path, minutes: float) -> None:
    """Write noise with the rhythm of syllables as a WAV file, in a stream."""
    generator = np.random.default_rng(0)
    seconds = np.arange(RATE) / RATE
    rhythm = 0.15 * np.sin(np.pi * 4 * seconds) ** 2  # four syllables a second
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for _ in range(round(60 * minutes)):
            noise = np.convolve(generator.normal(0, 1, RATE), np.ones(16) / 4, "same")  # darker than white
            file.write(np.clip(rhythm * noise, -1, 1))


def measure(model: Path, recording: Path, vad: bool) -> dict:
    """Score a recording and return seconds, memory and the number of windows."""
    torch.set_num_threads(1)
    classifier = lssed_hf.load_classifier(model, device="cpu")
    start = time.perf_counter()
    segments = lssed_hf.score_timeline(classifier, recording, vad=vad, min_speech=0, envelope=Envelope())
    windows = sum(segment.skipped is None for segment in list(segments))
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
    return {"windows": windows, "seconds": seconds, "memory": memory}


if __name__ == "__main__":
    main()
