"""Seconds and memory of a command by the number of clips: 1, 4 and 16 times as many.

    python benchmarks/linear_cost.py --work_dir /tmp/linear --clips 250

The last column is (t16 - t4) / (t4 - t1), which is 4 if the cost is linear, for any time of the start. Memory and the
synthetic release are those of `corpora_at_scale.py`.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from corpora_at_scale import measured, write_release
from lssed_hf.testing.releases.lssed import write_synthetic_lssed


LSSED_HF = [sys.executable, "-m", "lssed_hf"]
EMOTIONS = ("angry", "neutral", "happy", "sad")
FRONT_END = """
import sys
import lssed_hf.scan
extractor = lssed_hf.PyResNetFeatureExtractor()
for path in lssed_hf.scan.find_audio_files(sys.argv[1]):
    extractor.extract(lssed_hf.load_audio(path))
print("done")
"""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="a new folder")
    parser.add_argument("--clips", type=int, default=250, help="of the smallest size (default: 250)")
    args = parser.parse_args()

    args.work_dir.mkdir(parents=True)
    speech = write_synthetic_lssed(args.work_dir / "speech", num_speakers=20, utterances_per_speaker=25)
    clips = sorted((speech / "wav_all").glob("*.wav"))
    sizes = [args.clips * factor for factor in (1, 4, 16)]
    for size in sizes:
        write_release(args.work_dir / str(size), clips, [EMOTIONS[index % 4] for index in range(size)])
    model = args.work_dir / "model_0"
    measured(train(args.work_dir / str(sizes[0]), model))

    commands: dict[str, Callable[[Path, Path], list[str]]] = {
        "decode and front end": lambda raw, _: [sys.executable, "-c", FRONT_END, str(raw / "wav_all")],
        "prepare": lambda raw, out: [*LSSED_HF, "prepare", "lssed", str(raw), str(out)],
        "predict, small PyResNet": lambda raw, out: [
            *LSSED_HF,
            "predict",
            str(model),
            str(raw),
            "--csv",
            f"{out}.csv",
        ],
        "train, small PyResNet, one epoch and all else": train,
    }
    header = " | ".join(f"{size:,} clips" for size in sizes)
    print(f"| what | {header} | peak memory, MB | added time |\n|---|---|---|---|---|---|", flush=True)
    for number, (what, command) in enumerate(commands.items()):
        seconds, memories = [], []
        for size in sizes:
            out = args.work_dir / f"out_{number}_{size}"
            start = time.perf_counter()
            _, memory = measured(command(args.work_dir / str(size), out))
            seconds.append(time.perf_counter() - start)
            memories.append(memory)
            shutil.rmtree(out, ignore_errors=True)
        growth = (seconds[2] - seconds[1]) / (seconds[1] - seconds[0])
        times = " | ".join(f"{value:.1f} s" for value in seconds)
        print(f"| {what} | {times} | {', '.join(f'{m:.0f}' for m in memories)} | {growth:.1f} |", flush=True)


def train(raw: Path, out: Path) -> list[str]:
    """Train for one epoch in a process of its own."""
    return [
        *(*LSSED_HF, "train", "--dataset_name", "lssed", "--data_dir", str(raw), "--output_dir", str(out)),
        *("--model_name_or_path", "pyresnet-small", "--feature_extractor_overrides", '{"num_mel_bins":128}'),
        *("--num_train_epochs", "1", "--crop_seconds", "2"),
        *("--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1", "--report_to", "none"),
    ]


if __name__ == "__main__":
    main()
