"""Memory and speed of `lssed-hf timeline` with the built-in models on long recordings, each in a process of its own.

    python benchmarks/timeline.py --minutes 10 60 180 --threads 2

The recordings are noise with the rhythm of syllables, 44.1 kHz mono, written to a temporary file in a stream. All
windows are scored. Silero VAD listens for the recording's own baseline, and finds no speech. CPU time and peak memory
are those of the whole process, with its start.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import lssed_hf
from start import run


RATE = 44100


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60, 180])
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the process (default: 1)")
    parser.add_argument("--models", nargs="+", default=lssed_hf.list_pretrained(), help="default: the built-in ones")
    args = parser.parse_args()

    print("| model | recording | windows | seconds | CPU, s | × real time | peak memory, MB |")
    print("|---|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as work:
        recording, table = Path(work, "recording.wav"), Path(work, "timeline.csv")
        for minutes in args.minutes:
            write_noise(recording, minutes)
            for model in args.models:
                command = [sys.executable, "-m", "lssed_hf", "timeline", model, recording, "--no-vad", "--csv", table]
                cpu, seconds, memory = run([*map(str, command)], args.threads)
                windows = len(table.read_text(encoding="utf-8").splitlines()) - 1
                cells = [model, f"{minutes:g} min", f"{windows:,}", f"{seconds:.0f}", f"{cpu:.0f}"]
                print("|", " | ".join([*cells, f"{60 * minutes / seconds:.0f}", f"{memory:.0f}"]), "|", flush=True)


def write_noise(path: Path, minutes: float) -> None:
    """Write noise with the rhythm of syllables as a WAV file, in a stream."""
    generator = np.random.default_rng(0)
    seconds = np.arange(RATE) / RATE
    rhythm = 0.15 * np.sin(np.pi * 4 * seconds) ** 2  # four syllables a second
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as file:
        for _ in range(round(60 * minutes)):
            noise = np.convolve(generator.normal(0, 1, RATE), np.ones(16) / 4, "same")  # darker than white
            file.write(np.clip(rhythm * noise, -1, 1))


if __name__ == "__main__":
    main()
