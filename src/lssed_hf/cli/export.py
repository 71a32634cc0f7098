"""`lssed-hf export`: write a model for ONNX Runtime or OpenVINO."""

from collections.abc import Sequence
from pathlib import Path

from .parser import CommandParser


DESCRIPTION = """Write an audio classifier for ONNX Runtime or OpenVINO, in floating point or quantised to 8 bits. The
result is compared with PyTorch before it is kept, and `lssed-hf predict` and `evaluate` take its folder as a model."""
EXAMPLE = "outputs/pyresnet50 outputs/pyresnet50_int8 --format openvino --int8 --calibration_data recordings/"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = CommandParser("export", DESCRIPTION, EXAMPLE)
    parser.add_argument("model", help="folder or Hub name of an audio classifier")
    parser.add_argument("output_dir", type=Path, help="folder to write, new or empty")
    parser.add_argument("--format", choices=("onnx", "openvino"), default="onnx", help="default: onnx")
    parser.add_argument("--int8", action="store_true", help="quantise to 8 bits; needs --calibration_data")
    parser.add_argument(
        "--calibration_data", nargs="+", type=Path, default=[], help="audio files like those to come, or folders"
    )
    parser.add_argument("--num_calibration_clips", type=int, default=128, help="drawn from them (default: 128)")
    parser.add_argument("--trust_remote_code", action="store_true", help="allow code from the model's repository")
    args = parser.parse_args(argv)

    from ..hub.export import export_model

    facts = export_model(
        args.model,
        args.output_dir,
        args.format,
        int8=args.int8,
        calibration_data=args.calibration_data,
        num_calibration_clips=args.num_calibration_clips,
        trust_remote_code=args.trust_remote_code,
    )
    parity = facts["float32_parity"]
    print(
        f"float32: logits differ from PyTorch's by at most {parity['max_logit_difference']:.2g} "
        f"({parity['batches']} batches of {parity['shortest']} to {parity['longest']} frames)"
    )
    if args.int8:
        agreement = facts["int8_agreement"]
        parts = [
            f"{words} differ by at most {agreement[f'max_{kind}_difference']:.4f}, on average "
            f"{agreement[f'mean_{kind}_difference']:.4f}"
            for kind, words in (("probability", "probabilities"), ("value", "values"))
            if f"max_{kind}_difference" in agreement
        ]
        same = f"same label for {agreement['same_label']:.1%} of " if "same_label" in agreement else ""
        print(f"int8: {'; '.join(parts)}; {same}{agreement['clips']} calibration clips")
    print(f"{args.model} -> {args.output_dir}")
    return 0
