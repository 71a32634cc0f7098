"""UA by the speech that a speaker's own statistics come from: none, 1 to 20 clips, all, and clips of one emotion.

    lssed-hf cross-corpus --leave_one_out --corpora ravdess emodb ... --output_dir outputs/left_out \
        --models "encoder-small=WHISPER --probe true --probe_pooling statistics ... --speaker_normalization all"
    python benchmarks/speech_of_a_speaker.py outputs/left_out encoder-small \
        --data_dirs ravdess=RAVDESS emodb=EMODB ... --output_dir outputs/speech_of_a_speaker

Each model is tested on the corpus that was left out of its training. Clips for the statistics are drawn without regard
to their labels; the other clips of the speaker are scored, or all of them where few are left. For `one emotion` each
speaker has the clips of one emotion alone, which are scored too, each emotion in turn; `one emotion, without` scores
the same clips without statistics of speakers, and `one emotion, plain mean` with their plain mean and deviation.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import numpy as np

from lssed_hf import load_classifier, load_corpus
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.text_tables import markdown_table
from lssed_hf.files import write_json
from lssed_hf.inference.classifiers.statistics import LEAST_STD, StatisticsClassifier, measure_offset
from lssed_hf.inference.speaker_normalization import waveforms_of


AMOUNTS = (1, 2, 5, 20)
#: Draws of clips.
DRAWS = 4
#: Numbers of the clips that the statistics come from, and of those that are scored, for one speaker.
Draw = tuple[np.ndarray, np.ndarray]


class Corpus:
    """Embeddings of a corpus that a model was not trained on, and the model's head.

    Args:
        model: Model of `train --probe_pooling statistics`.
        rows: Clips with columns `audio`, `emotion` and `speaker_id`.
    """

    def __init__(self, model: StatisticsClassifier, rows):
        names = rows.features["emotion"].names
        self.labels = np.array([model.labels.index(names[label]) for label in rows["emotion"]])
        self.num_labels = len(model.labels)
        speakers = np.array(rows["speaker_id"])
        self.clips = [np.flatnonzero(speakers == speaker) for speaker in np.unique(speakers)]
        self.head = model.head()
        mean, std = self.head.pop("mean"), self.head.pop("std")
        waveforms = waveforms_of(rows, "audio", model.sampling_rate)
        self.embeddings = (np.array(list(model.embeddings(waveforms))) - mean) / std

    def offset(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the offset and deviation of a speaker from some clips."""
        return measure_offset(self.embeddings[clips], **self.head)

    def plain(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean and deviation of some clips."""
        chosen = self.embeddings[clips]
        return chosen.mean(axis=0), np.maximum(chosen.std(axis=0), LEAST_STD)

    def unweighted_accuracy(self, draws: Iterator[Draw], statistics: Callable | None) -> float:
        """Return UA over the clips that draws score, each normalised by its speaker's clips."""
        references, predictions = [], []
        for clips, scored in draws:
            offset, deviation = (0.0, 1.0) if statistics is None else statistics(clips)
            logits = (self.embeddings[scored] - offset) / deviation @ self.head["weight"].T + self.head["bias"]
            references.append(self.labels[scored])
            predictions.append(logits.argmax(axis=1))
        joined = np.concatenate(references), np.concatenate(predictions)
        return score(*joined, self.num_labels)["unweighted_accuracy"]

    def amounts(self, count: int) -> Iterator[Draw]:
        """Yield draws of some clips of each speaker, whatever their labels."""
        for seed in range(DRAWS):
            for number, clips in enumerate(self.clips):
                order = np.random.default_rng([seed, number]).permutation(clips)
                yield order[:count], order[count:] if count < 0.7 * len(clips) else order

    def one_emotion(self) -> Iterator[Draw]:
        """Yield the clips of each emotion of each speaker."""
        for clips in self.clips:
            for label in np.unique(self.labels[clips]):
                chosen = clips[self.labels[clips] == label]
                yield chosen, chosen

    def scores(self) -> dict[str, float]:
        """Return UA by the origin of the statistics."""
        everything = [(clips, clips) for clips in self.clips]
        return {
            "none": self.unweighted_accuracy(everything, None),
            **{f"{n} clips": self.unweighted_accuracy(self.amounts(n), self.offset) for n in AMOUNTS},
            "all clips": self.unweighted_accuracy(everything, self.offset),
            "all clips, plain mean": self.unweighted_accuracy(everything, self.plain),
            "one emotion, without": self.unweighted_accuracy(self.one_emotion(), None),
            "one emotion": self.unweighted_accuracy(self.one_emotion(), self.offset),
            "one emotion, plain mean": self.unweighted_accuracy(self.one_emotion(), self.plain),
        }


def main() -> None:
    """Score one system on every corpus that it was not trained on, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("left_out", type=Path, help="output folder of cross-corpus --leave_one_out")
    parser.add_argument("system", help="name of a system there")
    parser.add_argument("--data_dirs", nargs="+", required=True, metavar="CORPUS=DIR", help="where each corpus is")
    parser.add_argument("--config_name", default="benchmark", help="configuration of the corpora (default: benchmark)")
    parser.add_argument("--output_dir", type=Path, required=True, help="where the table goes")
    args = parser.parse_args()

    by_corpus = {}
    for text in args.data_dirs:
        corpus, _, folder = text.partition("=")
        splits = load_corpus(corpus, folder, args.config_name)
        model = load_classifier(args.left_out / "runs" / args.system / f"without_{corpus}" / "seed_0")
        by_corpus[corpus] = Corpus(model, datasets.concatenate_datasets(list(splits.values()))).scores()
        print(corpus, by_corpus[corpus], flush=True)
    by_corpus["mean"] = {
        name: float(np.mean([scores[name] for scores in by_corpus.values()]))
        for name in next(iter(by_corpus.values()))
    }
    header = ["statistics from", *by_corpus]
    rows = [[name, *(f"{scores[name]:.3f}" for scores in by_corpus.values())] for name in by_corpus["mean"]]
    write_json(args.output_dir / "results.json", {"system": args.system, "unweighted_accuracy": by_corpus})
    table = markdown_table(header, rows)
    text = f"# Speech of a speaker: {args.system}\n\nUA on corpora that were left out.\n\n{table}\n"
    (args.output_dir / "report.md").write_text(text, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
