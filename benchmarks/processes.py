"""Time of training PyResNet-50 with the same batches on one process or two, with one thread or two.

    python benchmarks/processes.py --work_dir /tmp/processes --max_steps 6

Times are the Trainer's own, without the start of Python; the synthetic release is that of `corpora_at_scale.py`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from corpora_at_scale import write_release
from lssed_hf.testing.releases.lssed import write_synthetic_lssed


BATCH = 16
SCRIPT = Path(__file__).parents[1] / "scripts" / "train_lssed.py"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work_dir", type=Path, required=True, help="a new folder")
    parser.add_argument("--model", default="pyresnet50", help="of the zoo (default: pyresnet50)")
    parser.add_argument("--max_steps", type=int, default=6)
    parser.add_argument("--turns", type=int, default=2)
    args = parser.parse_args()

    args.work_dir.mkdir(parents=True)
    speech = write_synthetic_lssed(args.work_dir / "speech", num_speakers=8, utterances_per_speaker=10)
    clips = sorted((speech / "wav_all").glob("*.wav"))
    raw = args.work_dir / "raw"
    write_release(raw, clips, [("angry", "neutral", "happy", "sad")[index % 4] for index in range(400)])
    print("| processes | threads each | turn | clips per second | peak memory of the first process, MB |")
    print("|---|---|---|---|---|", flush=True)
    for turn in range(args.turns):
        for processes, threads in ((1, 2), (2, 1), (1, 1)):
            out = args.work_dir / f"{processes}x{threads}_{turn}"
            metrics = train(args, raw, out, processes, threads)
            rate = args.max_steps * BATCH / metrics["train_runtime"]
            print(f"| {processes} | {threads} | {turn + 1} | {rate:.2f} | {metrics['peak_memory_mb']} |", flush=True)


def train(args: argparse.Namespace, raw: Path, out: Path, processes: int, threads: int) -> dict:
    """Train in new processes and return the metrics of the Trainer."""
    launch = [sys.executable]
    if processes > 1:
        launch += ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    flags = [
        *("--dataset_name", "lssed", "--data_dir", str(raw), "--test_split_name", "none", "--output_dir", str(out)),
        *(
            "--model_name_or_path",
            args.model,
            "--max_steps",
            str(args.max_steps),
            "--gradient_accumulation_steps",
            "1",
        ),
        *("--per_device_train_batch_size", str(BATCH // processes), "--eval_strategy", "no", "--save_strategy", "no"),
        *("--load_best_model_at_end", "false", "--report_to", "none", "--disable_tqdm", "true"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run([*launch, str(SCRIPT), *flags], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads((out / "train_results.json").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
