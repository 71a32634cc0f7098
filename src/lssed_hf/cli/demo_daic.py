"""Command `lssed-hf demo-daic`: the paper's Table 6 on synthetic interviews."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """The paper's Table 6 on synthetic interviews, in a few minutes. eSpeak NG speaks emotions, sentences
and interviews in the layout of DAIC-WOZ, defects included. A small PyResNet learns emotions and a small recogniser to
transcribe; both, and a PyResNet with random weights, are then fine-tuned for "depression", which here is slow, low
and quiet speech. The figures show that everything works, and say nothing about people."""
#: Configuration of a recogniser with a quarter of a million parameters.
SMALL_RECOGNISER = {
    "encoder_type": "transformer",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 256,
    "decoder_layers": 1,
    "decoder_intermediate_size": 256,
    "specaug": None,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("demo-daic", DESCRIPTION, "--output_dir outputs/demo_daic")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/demo_daic"), metavar="DIR")
    parser.add_argument("--num_participants", type=int, default=40, metavar="N", help="synthetic participants")
    parser.add_argument(
        "--num_train_epochs",
        type=float,
        default=5,
        metavar="N",
        help="passes of each training over its clips, four times as many of the recogniser (default: 5)",
    )
    args = parser.parse_args(argv)
    output_dir = args.output_dir.resolve()
    speech, interviews = output_dir / "synthetic_lssed", output_dir / "synthetic_daic_woz"
    ser, asr = output_dir / "ser", output_dir / "asr"
    _make_corpora(speech, interviews, args.num_participants)

    from . import finetune_daic, train, train_asr

    common = ["--restart", "--report_to", "none"]
    epochs = ["--num_train_epochs", str(args.num_train_epochs)]
    batches = ["--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1"]
    print("2. A small PyResNet learns emotions (SER)")
    train.main(
        [
            *("--dataset_name", "lssed", "--data_dir", str(speech), "--output_dir", str(ser)),
            *(*common, *epochs, *batches),
            *("--model_name_or_path", "pyresnet-small", "--crop_seconds", "2", "--warmup_steps", "10"),
        ]
    )
    print("3. A small recogniser learns to transcribe (ASR)")
    train_asr.main(
        [
            *("--dataset_name", "lssed", "--data_dir", str(speech), "--output_dir", str(asr), *common),
            *("--config_overrides", json.dumps(SMALL_RECOGNISER), "--generation_overrides", '{"ctc_greedy": true}'),
            *("--warmup_steps", "20", "--num_train_epochs", str(4 * args.num_train_epochs)),
        ]
    )
    shutil.rmtree(output_dir / "table6", ignore_errors=True)  # of an earlier start
    print("4. Both, and random weights, are fine-tuned on interviews (Table 6)")
    return finetune_daic.main(
        [
            *("--data_dir", str(interviews), "--output_dir", str(output_dir / "table6")),
            *(*common, *epochs, *batches),
            *("--models", f"ser={ser}", f"asr={asr}", "scratch=pyresnet-small"),
            *("--learning_rate", "1e-3", "--crop_seconds", "2"),
        ]
    )


def _make_corpora(speech: Path, interviews: Path, num_participants: int) -> None:
    """Speak emotions and interviews into folders, and print how much of the interviews is kept."""
    from ..corpora import corpus_builder
    from ..testing.releases.daic_woz import write_synthetic_daic_woz
    from ..testing.releases.lssed import write_synthetic_lssed

    print(f"1. eSpeak NG speaks emotions into {speech} and interviews into {interviews}")
    write_synthetic_lssed(speech, num_speakers=12, utterances_per_speaker=20)
    write_synthetic_daic_woz(interviews, num_participants=num_participants)
    account = corpus_builder("daic_woz")(data_dir=str(interviews)).account(interviews)
    for unit in ("participants", "rows", "segments"):
        counts = getattr(account, unit)
        print(f"   {unit}: {counts.total()}, of which {', '.join(f'{n} {reason}' for reason, n in counts.items())}")
