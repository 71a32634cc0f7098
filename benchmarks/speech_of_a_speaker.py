"""UA by the speech that a speaker's own statistics come from: none, 1 to 20 clips, all, and clips of one emotion.

    lssed-hf cross-corpus --leave_one_out --corpora ravdess emodb ... --output_dir outputs/left_out \
        --models "encoder-small=WHISPER --probe true --probe_pooling statistics ... --speaker_normalization all"
    python benchmarks/speech_of_a_speaker.py outputs/left_out encoder-small \
        --data_dirs ravdess=RAVDESS emodb=EMODB ... --output_dir outputs/speech_of_a_speaker

Each model is tested on the corpus that was left out of its training. Clips for the statistics are drawn without regard
to their labels; the other clips of the speaker are scored, or all of them where few are left. For `one emotion` each
speaker has the clips of one emotion alone, which are scored too, each emotion in turn; `one emotion, without` scores
the same clips without statistics of speakers, and `one emotion, plain mean` with their plain mean and deviation. With
`the clip itself`, each clip has its own statistics. The curve shows UA by the mean seconds of these clips.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from left_out_models import models_and_clips, parse_arguments
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.text_tables import markdown_table
from lssed_hf.files import write_json
from lssed_hf.inference.classifiers.statistics import LEAST_STD, StatisticsClassifier, measure_offset
from lssed_hf.training.statistics import Embeddings


AMOUNTS = (1, 2, 5, 20)
#: Draws of clips.
DRAWS = 4
#: Numbers of the clips that the statistics come from, and of those that are scored, for one speaker.
Draw = tuple[np.ndarray, np.ndarray]


class Corpus:
    """Embeddings of a corpus that a model was not trained on, and the model's head.

    Args:
        model: Model of `train --probe_pooling statistics`.
        clips: Embeddings of the clips.
        seconds: Length of each clip.
    """

    def __init__(self, model: StatisticsClassifier, clips: Embeddings, seconds: np.ndarray):
        self.seconds = seconds
        self.labels = clips.labels
        self.num_labels = len(model.labels)
        self.clips = clips.rows_of_speakers()
        self.head = model.head()
        mean, std = self.head.pop("mean"), self.head.pop("std")
        self.embeddings = (clips.values[:, 0] - mean) / std

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

    def single(self) -> Iterator[Draw]:
        """Yield each clip by itself."""
        for clip in np.arange(len(self.labels)):
            yield np.array([clip]), np.array([clip])

    def speech(self) -> dict[str, float]:
        """Return the mean seconds of a speaker's clips that statistics come from, by their number."""
        amounts = {f"{n} clips": [self.seconds[clips].sum() for clips, _ in self.amounts(n)] for n in AMOUNTS}
        every = {"all clips": [self.seconds[clips].sum() for clips in self.clips]}
        return {name: float(np.mean(sums)) for name, sums in {"none": [0.0], **amounts, **every}.items()}

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
            "the clip itself": self.unweighted_accuracy(self.single(), self.offset),
            **{f"{n} clips": self.unweighted_accuracy(self.amounts(n), self.offset) for n in AMOUNTS},
            "all clips": self.unweighted_accuracy(everything, self.offset),
            "all clips, plain mean": self.unweighted_accuracy(everything, self.plain),
            "one emotion, without": self.unweighted_accuracy(self.one_emotion(), None),
            "one emotion": self.unweighted_accuracy(self.one_emotion(), self.offset),
            "one emotion, plain mean": self.unweighted_accuracy(self.one_emotion(), self.plain),
        }


def main() -> None:
    """Score one system on every corpus that it was not trained on, and write the table."""
    args = parse_arguments(__doc__)
    by_corpus, speech = {}, {}
    for corpus, model, clips, seconds in models_and_clips(args):
        known = Corpus(model, clips, seconds)
        by_corpus[corpus], speech[corpus] = known.scores(), known.speech()
        print(corpus, by_corpus[corpus], flush=True)
    by_corpus["mean"] = {
        name: float(np.mean([scores[name] for scores in by_corpus.values()]))
        for name in next(iter(by_corpus.values()))
    }
    header = ["statistics from", *by_corpus]
    rows = [[name, *(f"{scores[name]:.3f}" for scores in by_corpus.values())] for name in by_corpus["mean"]]
    recorded = {"system": args.system, "unweighted_accuracy": by_corpus, "seconds": speech}
    write_json(args.output_dir / "results.json", recorded)
    draw_curve(args.output_dir / "curve.png", speech, by_corpus)
    table = markdown_table(header, rows)
    text = f"# Speech of a speaker: {args.system}\n\nUA on corpora that were left out.\n\n{table}\n"
    text += "\n![UA by the seconds of speech that a speaker's statistics come from](curve.png)\n"
    (args.output_dir / "report.md").write_text(text, encoding="utf-8")
    print(table)


def draw_curve(path: Path, speech: dict[str, dict[str, float]], by_corpus: dict[str, dict[str, float]]) -> None:
    """Draw UA on each corpus by the seconds of speech that statistics come from."""
    figure = Figure(figsize=(7.2, 4), dpi=150, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    for corpus, seconds in speech.items():
        axes.plot(list(seconds.values()), [by_corpus[corpus][name] for name in seconds], marker="o", label=corpus)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([0, 2, 5, 10, 20, 50, 100, 200, 500], ["none", 2, 5, 10, 20, 50, 100, 200, 500])
    axes.set_xlabel("seconds of a speaker's speech, without labels")
    axes.set_ylabel("UA, corpus left out")
    axes.set_ylim(0.25, 1)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
