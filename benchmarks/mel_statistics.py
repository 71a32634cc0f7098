"""UA on corpora that were left out, by a linear head on statistics of mel bins: what a small network has to beat.

    python benchmarks/mel_statistics.py --data_dirs ravdess=RAVDESS emodb=EMODB ... --output_dir outputs/mel_statistics

Features are log-mel frames of speech (within 30 dB of the loudest), the clip's mean over frames and bins removed.
Statistics are the mean, the deviation, the 10th and 90th percentile of each bin over frames, and the deviation of the
difference between neighbouring frames. The head is that of `lssed-hf train --refit_head`. `by speaker` standardises by
all clips of the speaker, without labels.
"""

import argparse
from pathlib import Path

import datasets
import numpy as np

from lssed_hf import load_corpus
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.text_tables import markdown_table
from lssed_hf.files import write_json
from lssed_hf.inference.speaker_normalization import waveforms_of
from lssed_hf.models.registry import create_feature_extractor
from lssed_hf.training.statistics import Embeddings, fit_head


LABELS = ("angry", "neutral", "happy", "sad")
RANGE = 30  # dB
C = 1e-3


def main() -> None:
    """Score the front ends on every corpus, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dirs", nargs="+", required=True, metavar="CORPUS=DIR", help="where each corpus is")
    parser.add_argument("--output_dir", type=Path, required=True, help="where the table goes")
    args = parser.parse_args()
    front_ends = {
        name: create_feature_extractor("pyresnet-small", top_db=60, **settings)
        for name, settings in (
            ("spectral subtraction", {}),
            ("in the mel frames", {"resynthesize": False}),
            ("none", {"do_denoise": False}),
        )
    }
    clips: dict[str, list[Embeddings]] = {name: [] for name in front_ends}
    corpora = [text.partition("=")[0] for text in args.data_dirs]
    for corpus, folder in (text.split("=", 1) for text in args.data_dirs):
        rows = datasets.concatenate_datasets(list(load_corpus(corpus, folder, "benchmark").values()))
        names = rows.features["emotion"].names
        labels = np.array([LABELS.index(names[label]) for label in rows["emotion"]])
        speakers = [f"{corpus} {speaker}" for speaker in rows["speaker_id"]]
        values: dict[str, list[np.ndarray]] = {name: [] for name in front_ends}
        for waveform in waveforms_of(rows, "audio", 16000):
            for name, front_end in front_ends.items():
                values[name].append(statistics(front_end.extract(waveform)))
        for name, found in values.items():
            clips[name].append(Embeddings(np.stack(found)[:, None], labels, speakers, [corpus] * len(labels)))
    recorded, table = {}, []
    for name, parts in clips.items():
        scores = np.array([left_out(parts, number) for number in range(len(corpora))])
        for kind, row in zip(("", ", by speaker"), scores.T):
            recorded[name + kind] = {**dict(zip(corpora, row)), "mean": float(row.mean())}
            table.append([name + kind, *(f"{value:.3f}" for value in (*row, row.mean()))])
    write_json(args.output_dir / "results.json", {"unweighted_accuracy": recorded})
    text = markdown_table(["denoising", *corpora, "mean"], table)
    title = "# A linear head on statistics of mel bins\n\nUA on corpora that were left out.\n\n"
    (args.output_dir / "report.md").write_text(f"{title}{text}\n", encoding="utf-8")
    print(text)


def statistics(frames: np.ndarray) -> np.ndarray:
    """Return the statistics of a clip's log-mel frames (frames, bins), float64 (5 * bins,)."""
    level = frames.mean(axis=1)
    speech = frames[level >= level.max() - RANGE].astype(np.float64)
    speech -= speech.mean()
    steps = np.diff(speech, axis=0) if len(speech) > 1 else np.zeros((1, speech.shape[1]))
    percentiles = np.quantile(speech, (0.1, 0.9), axis=0)
    return np.concatenate([speech.mean(axis=0), speech.std(axis=0), steps.std(axis=0), *percentiles])


def left_out(parts: list[Embeddings], number: int) -> tuple[float, float]:
    """Return UA on one corpus of a head that was fitted to the others, without and by speaker."""
    others = [part for other, part in enumerate(parts) if other != number]
    train = Embeddings(
        np.concatenate([part.values for part in others]),
        np.concatenate([part.labels for part in others]),
        [name for part in others for name in part.speakers],
        [name for part in others for name in part.corpora],
    )
    head = fit_head(train, len(LABELS), 0, C, both=True)
    test = parts[number]
    plain, by_speaker = (
        score(test.labels, logits.argmax(axis=1), len(LABELS))["unweighted_accuracy"]
        for logits in head.logits(test, both=True)
    )
    return plain, by_speaker


if __name__ == "__main__":
    main()
