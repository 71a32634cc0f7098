"""Models of `lssed-hf cross-corpus --leave_one_out`, each with the corpus that was left out of its training."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np

from lssed_hf import load_classifier, load_corpus
from lssed_hf.inference.classifiers.statistics import StatisticsClassifier
from lssed_hf.inference.speaker_normalization import waveforms_of
from lssed_hf.training.statistics import Embeddings


def parse_arguments(description: str) -> argparse.Namespace:
    """Return the arguments of a benchmark of such models."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left_out", type=Path, help="output folder of cross-corpus --leave_one_out")
    parser.add_argument("system", help="name of a system there")
    parser.add_argument("--data_dirs", nargs="+", required=True, metavar="CORPUS=DIR", help="where each corpus is")
    parser.add_argument("--config_name", default="benchmark", help="configuration of the corpora (default: benchmark)")
    parser.add_argument("--output_dir", type=Path, required=True, help="where the table goes")
    return parser.parse_args()


def models_and_clips(
    args: argparse.Namespace,
) -> Iterator[tuple[str, StatisticsClassifier, Embeddings, np.ndarray]]:
    """Yield each corpus, the model trained without it, and the embeddings and seconds of its clips."""
    for text in args.data_dirs:
        corpus, _, folder = text.partition("=")
        rows = datasets.concatenate_datasets(list(load_corpus(corpus, folder, args.config_name).values()))
        model = load_classifier(args.left_out / "runs" / args.system / f"without_{corpus}" / "seed_0")
        names = rows.features["emotion"].names
        waveforms = list(waveforms_of(rows, "audio", model.sampling_rate))
        seconds = np.array([len(waveform) for waveform in waveforms]) / model.sampling_rate
        values = np.array(list(model.embeddings(waveforms)))
        labels = np.array([model.labels.index(names[label]) for label in rows["emotion"]])
        speakers = list(rows["speaker_id"])
        clips = Embeddings(values[:, None].astype(np.float64), labels, speakers, [""] * len(rows))
        yield corpus, model, clips, seconds
