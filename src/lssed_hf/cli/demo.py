"""Command `lssed-hf demo`: train and serve a small PyResNet on synthetic speech."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """The main job in two minutes, on synthetic speech: eSpeak NG speaks a small LSSED-shaped corpus,
`load_dataset` reads it, a small PyResNet learns four emotions from it, and the saved folder serves clips through
`pipeline` in a fresh process. Synthetic emotions are easy: the scores show that everything works, and say nothing
about real speech."""

# Code as a user would type it. The process that runs it has nothing but the saved folder.
_SERVE = """
import sys

from transformers import pipeline

import lssed_hf

classifier = pipeline("audio-classification", model=sys.argv[1])
for path in sys.argv[2:]:
    clip = {"array": lssed_hf.load_audio(path), "sampling_rate": 16000}
    best = classifier(clip, top_k=2)
    print(path.rsplit("/", 1)[-1], "->", ", ".join(f"{row['label']} {row['score']:.2f}" for row in best))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("demo", DESCRIPTION, "--output_dir outputs/demo")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/demo"), metavar="DIR")
    parser.add_argument("--num_speakers", type=int, default=20, metavar="N", help="synthetic voices")
    parser.add_argument("--num_train_epochs", type=float, default=8, metavar="N", help="passes over the training set")
    args = parser.parse_args(argv)

    corpus, model = args.output_dir.resolve() / "synthetic_lssed", args.output_dir.resolve() / "model"
    test = _make_corpus(corpus, args.num_speakers)
    print("3. Train a small PyResNet and score it on speakers outside its training")
    from . import train

    status = train.main(
        [
            *("--dataset_name", "lssed", "--data_dir", str(corpus), "--output_dir", str(model), "--restart"),
            *("--model_name_or_path", "pyresnet-small", "--num_train_epochs", str(args.num_train_epochs)),
            *("--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1"),
            *("--lr_scheduler_type", "cosine", "--warmup_steps", "20", "--crop_seconds", "2"),
        ]
    )
    if status:
        return status
    _serve(model, test)
    print(f"\nModel and report: {model}\nConfusion picture: {model / 'confusion_matrix.png'}")
    command = Path(sys.argv[0])
    if command.is_relative_to(Path.cwd()):
        command = command.relative_to(Path.cwd())
    print(f"\nNow your own recordings:\n    {command} predict YOUR_FOLDER")
    return 0


def _make_corpus(corpus: Path, num_speakers: int):
    """Speak a corpus into a folder, load it, and return its test split."""
    import datasets

    from ..testing.releases.lssed import METADATA_NAME, write_synthetic_lssed

    print(f"1. eSpeak NG speaks a synthetic corpus into {corpus}")
    write_synthetic_lssed(corpus, num_speakers=num_speakers, utterances_per_speaker=30)
    print(f'2. load_dataset("lssed", "benchmark", data_files="{METADATA_NAME}", data_dir=...)')
    dataset = datasets.load_dataset("lssed", "benchmark", data_files=str(corpus / METADATA_NAME), data_dir=str(corpus))
    for split, rows in dataset.items():
        speakers = len(set(rows["speaker_id"]))
        print(f"   {split}: {len(rows)} utterances of {speakers} speakers")
    print(f"   columns: {', '.join(dataset['test'].column_names)}")
    return dataset["test"].cast_column("audio", datasets.Audio(decode=False))


def _serve(model: Path, test) -> None:
    """Classify some clips of the test split in a process that has only the saved model."""
    print("4. Serve the saved folder in a fresh process")
    names = test.features["emotion"].names
    clips = [test[index] for index in range(0, len(test), max(1, len(test) // 6))]
    for clip in clips:
        print(f"   {Path(clip['audio']['path']).name} was spoken {names[clip['emotion']]}")
    command = [sys.executable, "-c", _SERVE, str(model), *(clip["audio"]["path"] for clip in clips)]
    served = subprocess.run(command, cwd=model.parent, capture_output=True, text=True, check=False)
    if served.returncode:
        raise RuntimeError(f"serving failed:\n{served.stderr}")
    print("\n".join(f"   {line}" for line in served.stdout.splitlines()))
