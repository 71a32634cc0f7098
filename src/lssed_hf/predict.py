"""`lssed-hf predict`: classify audio files. Whatever cannot be read is listed with its reason and stops nothing."""

import argparse
import csv
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tqdm.auto import tqdm

from .audio import expand_paths
from .files import replacing
from .inference.base import score_cells, score_columns
from .inference.files import Prediction, predict_files
from .inference.loading import load_speaker_classifier, split_model
from .inference.speakers import add_speaker_arguments, check_speaker_arguments
from .ray_cluster import add_engine_arguments


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="lssed-hf predict",
        usage="%(prog)s [MODEL] INPUT [INPUT ...] [flags]",
        description=__doc__,
        epilog="example: lssed-hf predict outputs/pyresnet50 recordings/ --csv emotions.csv",
    )
    parser.add_argument(
        "arguments",
        nargs="+",
        metavar="INPUT",
        help="audio files of any rate, or folders that are searched for them; in front of them the folder or Hub name "
        "of an audio classifier, or an exported folder (default: the model that comes with the package)",
    )
    parser.add_argument("--csv", type=Path, help="write file, label, score, error and every probability here")
    parser.add_argument("--batch_size", type=int, default=8, help="clips per forward pass (default: 8)")
    parser.add_argument("--device", help="torch device, e.g. cuda:0 (default: the GPU if there is one)")
    parser.add_argument("--trust_remote_code", action="store_true", help="allow code from the model's repository")
    add_speaker_arguments(parser)
    add_engine_arguments(parser)
    parser.add_argument(
        "--num_proc",
        type=int,
        help="with --engine ray: models at work at once (default: as many as there is room for)",
    )
    parser.add_argument(
        "--cpus_per_proc", type=int, default=1, help="with --engine ray: CPUs, and threads, of each (default: 1)"
    )
    args = parser.parse_intermixed_args(argv)  # MODEL --csv FILE INPUT is as good as any order
    if min(args.batch_size, args.cpus_per_proc, 1 if args.num_proc is None else args.num_proc) < 1:
        raise ValueError("--batch_size, --num_proc and --cpus_per_proc must be 1 or more")
    check_speaker_arguments(args)

    model_name, inputs = split_model(args.arguments)
    paths = expand_paths(inputs)
    model = (model_name, args.batch_size, args.device, args.trust_remote_code)
    speaker = (args.speakers, args.speaker)
    with ExitStack() as stack:
        if args.engine == "ray":
            from .inference.files_ray import predict_on_ray

            labels, results = stack.enter_context(
                predict_on_ray(
                    paths,
                    *model,
                    address=args.ray_address,
                    speaker=speaker,
                    num_proc=args.num_proc,
                    cpus_per_proc=args.cpus_per_proc,
                )
            )
        else:
            classifier = load_speaker_classifier(model, speaker)
            labels, results = classifier.labels, predict_files(classifier, paths)
        predictions = list(tqdm(results, total=len(paths), desc="Classifying", unit="file"))
    if args.csv:
        with replacing(args.csv) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
            _write_csv(file, predictions, labels)
    else:
        _write_csv(sys.stdout, predictions, labels)

    failed = [prediction for prediction in predictions if prediction.error]
    for prediction in failed:
        print(prediction.error, file=sys.stderr)
    print(f"{len(paths) - len(failed)} of {len(paths)} files classified", file=sys.stderr)
    return 1 if failed else 0


def _write_csv(file, predictions: Sequence[Prediction], labels: Sequence[str]) -> None:
    writer = csv.writer(file)
    writer.writerow(["file", *score_columns(labels), "error"])
    for prediction in predictions:
        cells = score_cells(prediction.probabilities, labels)
        writer.writerow([prediction.path, *cells, prediction.error or ""])
