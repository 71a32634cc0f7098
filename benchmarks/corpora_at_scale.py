"""Time and memory of LSSED at its real size, with synthetic files.

It reads 147,025 rows, streams a prepared folder, and prepares clips.

    python benchmarks/corpora_at_scale.py --work_dir /tmp/scale --clips 2000 20000

Speech is eSpeak NG's: hundreds of utterances, linked under many names. Sizes and times matter, not sounds.
Memory is the largest sum of the proportional set sizes of all processes, sampled ten times a second (Linux).
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import soundfile

from lssed_hf.preparation.lssed_tables import PUBLISHED_EMOTIONS
from lssed_hf.testing.releases.lssed import write_synthetic_lssed


READ = """
import sys, time
import datasets, lssed_hf
start = time.perf_counter()
raw, cache = sys.argv[1:]
corpus = datasets.load_dataset("lssed", data_files=f"{raw}/metadata_english_all.csv", data_dir=raw, cache_dir=cache)
row = corpus["train"].cast_column("audio", datasets.Audio(decode=False))[0]
clip = lssed_hf.load_audio(row["audio"])
print(f"{time.perf_counter() - start:.2f}")
"""
STREAM = """
import sys, time
import datasets
start = time.perf_counter()
stream = datasets.load_dataset(sys.argv[1], split="train", streaming=True)
row = next(iter(stream.cast_column("audio", datasets.Audio(decode=False))))
print(f"{time.perf_counter() - start:.2f}")
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="a new folder; about 25 GB for 20,000 clips")
    parser.add_argument("--clips", type=int, nargs="*", default=[2000, 20000], help="sizes of corpora to prepare")
    parser.add_argument("--num_proc", type=int, default=os.cpu_count())
    args = parser.parse_args()

    args.work_dir.mkdir(parents=True)
    speech = write_synthetic_lssed(args.work_dir / "speech", num_speakers=20, utterances_per_speaker=25)
    clips = sorted((speech / "wav_all").glob("*.wav"))
    print(f"{os.cpu_count()} cores; mean clip {sum(map(_seconds, clips)) / len(clips):.2f} s\n")

    raw = args.work_dir / "lssed_full"
    write_release(
        raw, clips, [emotion for emotion, numbers in PUBLISHED_EMOTIONS.items() for _ in range(sum(numbers))]
    )
    seconds, memory = measured([sys.executable, "-c", READ, str(raw), str(args.work_dir / "cache")])
    print("| what | seconds | peak memory, MB |\n|---|---|---|")
    print(f"| 147,025 rows of metadata to the first decoded example | {seconds} | {memory:.0f} |")
    again, memory = measured([sys.executable, "-c", READ, str(raw), str(args.work_dir / "cache")])
    print(f"| the same again, from the cache | {again} | {memory:.0f} |")
    shutil.rmtree(raw)

    rows = []
    for number in args.clips:
        raw, out = args.work_dir / f"raw_{number}", args.work_dir / f"out_{number}"
        write_release(raw, clips, [list(PUBLISHED_EMOTIONS)[index % 11] for index in range(number)])
        command = [sys.executable, "-m", "lssed_hf", "prepare", "lssed", str(raw), str(out)]
        start = time.perf_counter()
        _, memory = measured([*command, "--num_proc", str(args.num_proc)])
        rows.append((number, time.perf_counter() - start, memory))
        shutil.rmtree(raw)
    if rows:
        first, _ = measured([sys.executable, "-c", STREAM, str(out)])
        print(f"| first example of a prepared folder of {number:,} clips, streamed | {first} | |\n")
    print("| prepare | seconds | clips per second | peak memory, MB |\n|---|---|---|---|")
    for number, taken, memory in rows:
        print(f"| {number:,} clips | {taken:.1f} | {number / taken:.0f} | {memory:.0f} |")


def write_release(folder: Path, clips: list[Path], emotions: list[str]) -> None:
    """Write a release whose clips are links to a few files."""
    (folder / "wav_all").mkdir(parents=True)
    with (folder / "metadata_english_all.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "faces", "gender", "age", "transcript"])
        for number, emotion in enumerate(emotions):
            name = f"E{1 + number % 820:04d}_{number:06d}"
            os.link(clips[number % len(clips)], folder / "wav_all" / f"{name}.wav")
            writer.writerow([name, emotion, ("female", "male")[number % 2], 20 + number % 60, "It was said just so."])


def measured(command: list[str]) -> tuple[str, float]:
    """Return the last line that a command printed, and the peak memory of it and its children in MB."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    )
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, _memory(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    ended.set()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return next(iter(output.strip().splitlines()[::-1]), ""), peak


def _memory(session: int) -> float:
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[3]) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it ended meanwhile
    return total / 1024


def _seconds(path: Path) -> float:
    return soundfile.info(path).duration


if __name__ == "__main__":
    main()
