"""UA on corpora that were left out, by the number of their clips that a model is adapted to: 0, 1, 5 and 20 a class.

    lssed-hf cross-corpus --leave_one_out --corpora ravdess emodb ... --output_dir outputs/left_out \
        --models "encoder-small=WHISPER --probe true --probe_pooling statistics ... --speaker_normalization all"
    python benchmarks/few_shot_left_out.py outputs/left_out encoder-small \
        --data_dirs ravdess=RAVDESS emodb=EMODB ... --output_dir outputs/few_shot_left_out

Each model is adapted to the corpus that was left out of its training, as `lssed-hf adapt` does it. A draw divides the
speakers into halves. Each half is tested by a model that is adapted to clips of the other half, so nobody is tested
whose clips have been labelled. Intervals hold 95 % of the draws. `strength chosen` chooses the strength of the prior
by cross-validation on the labelled clips; `new head` knows nothing but these clips.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from left_out_models import models_and_clips, parse_arguments
from lssed_hf.evaluation.plots import plot_curves
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.evaluation.text_tables import markdown_table, score_cell
from lssed_hf.files import write_json
from lssed_hf.training.adapt import statistics_head
from lssed_hf.training.head_adaptation import (
    BY_SPEAKER,
    TRUST,
    WITHOUT_SPEAKERS,
    Adapter,
    left_out_logits,
    make_folds,
)
from lssed_hf.training.statistics import Embeddings, Head


AMOUNTS = (1, 5, 20)
DRAWS = 10
ADAPTED, CHOSEN, NEW = "adapted", "strength chosen", "new head"
VIEWS = (WITHOUT_SPEAKERS, BY_SPEAKER)


def halves(clips: Embeddings, draw: int) -> Iterator[tuple[np.ndarray, Embeddings]]:
    """Yield numbers of clips of one half of the speakers, in random order, and the clips of the other half."""
    rng = np.random.default_rng(draw)
    speakers = rng.permutation(np.unique(clips.speakers))
    for own in (speakers[: len(speakers) // 2], speakers[len(speakers) // 2 :]):
        inside = np.isin(clips.speakers, own)
        yield rng.permutation(np.flatnonzero(inside)), clips.select(np.flatnonzero(~inside))


def chosen(adapter: Adapter, clips: Embeddings) -> Head:
    """Return the head whose strength is best by cross-validation on the clips."""
    _, folds = make_folds(dataclasses.replace(clips, speakers=[None] * len(clips.labels)))
    ways = [dataclasses.replace(adapter, trust=factor * TRUST) for factor in (0.1, 1, 10)]
    right = [np.mean(left_out_logits(way, clips, folds).argmax(axis=2) == clips.labels) for way in ways]
    return ways[int(np.argmax(right))].fit(clips)


def unweighted_accuracies(head: Head, clips: Embeddings) -> list[float]:
    """Return UA without speakers and by speaker."""
    found = head.logits(clips, both=True)
    size = len(head.bias)
    return [score(clips.labels, logits.argmax(axis=1), size)["unweighted_accuracy"] for logits in found]


def scores(head: Head, clips: Embeddings) -> dict[tuple[str, int], np.ndarray]:
    """Return UA of each draw and view, (draws, 2), by way of adapting and number of clips of each class."""
    adapter = Adapter(head, len(head.bias), True, VIEWS)
    new = dataclasses.replace(adapter, from_prior=False)
    ways: dict[str, Callable[[Embeddings], Head]] = {
        ADAPTED: adapter.fit,
        CHOSEN: lambda labelled: chosen(adapter, labelled),
        NEW: new.fit,
    }
    found: dict[tuple[str, int], list] = {}
    for draw in range(DRAWS):
        for order, test in halves(clips, draw):
            found.setdefault((ADAPTED, 0), []).append(unweighted_accuracies(head, test))
            for amount in AMOUNTS:
                labels = clips.labels[order]
                rows = np.concatenate([order[labels == label][:amount] for label in np.unique(labels)])
                for way, fit in ways.items():
                    if way != CHOSEN or amount > 1:  # one clip of each class cannot be divided into folds
                        fitted = fit(clips.select(rows))
                        found.setdefault((way, amount), []).append(unweighted_accuracies(fitted, test))
    return {key: np.reshape(values, (DRAWS, 2, 2)).mean(axis=1) for key, values in found.items()}


def summary(draws: np.ndarray) -> dict[str, dict[str, float]]:
    """Return mean, and the interval that holds 95 % of the draws, by view."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return {
        view: {"value": float(draws[:, number].mean()), "low": float(low[number]), "high": float(high[number])}
        for number, view in enumerate(VIEWS)
    }


def main() -> None:
    """Adapt one system to every corpus that it was not trained on, and write table and picture."""
    args = parse_arguments(__doc__)
    draws: dict[str, dict[tuple[str, int], np.ndarray]] = {}
    for corpus, model, clips, _ in models_and_clips(args):
        draws[corpus] = scores(statistics_head(model), clips)
        print(
            corpus, {key: values.mean(axis=0).round(3).tolist() for key, values in draws[corpus].items()}, flush=True
        )
    keys = sorted(next(iter(draws.values())), key=lambda key: ([ADAPTED, CHOSEN, NEW].index(key[0]), key[1]))
    draws["mean"] = {key: np.mean([by_key[key] for by_key in draws.values()], axis=0) for key in keys}
    write_report(
        args.system,
        {corpus: {key: summary(by_key[key]) for key in keys} for corpus, by_key in draws.items()},
        args.output_dir,
    )


def write_report(
    system: str, found: dict[str, dict[tuple[str, int], dict[str, dict[str, float]]]], output_dir: Path
) -> None:
    """Write `results.json`, `few_shot.png` and `report.md`."""
    output_dir.mkdir(parents=True, exist_ok=True)
    rows = [
        {"corpus": corpus, "way": way, "clips_of_each_class": amount, "unweighted_accuracy": by_view}
        for corpus, by_key in found.items()
        for (way, amount), by_view in by_key.items()
    ]
    write_json(output_dir / "results.json", {"system": system, "draws": DRAWS, "few_shot": rows})
    panels: dict[str, dict[str, list[dict]]] = {}
    for row in rows:
        if row["way"] != CHOSEN:
            for view, point in row["unweighted_accuracy"].items():
                curve = panels.setdefault(row["corpus"], {}).setdefault(f"{row['way']}, {view}", [])
                curve.append({"x": row["clips_of_each_class"], **point})
    plot_curves(panels, output_dir / "few_shot.png", xlabel="labelled clips of each class")
    sections = []
    for view in VIEWS:
        cells = [
            [way, str(amount), *(score_cell(**by_key[way, amount][view]) for by_key in found.values())]
            for way, amount in next(iter(found.values()))
        ]
        table = markdown_table(["head", "clips of each class", *found], cells, 2)
        sections.append(f"## {view.capitalize()}\n\n{table}")
    text = (
        f"# A few labelled clips of a corpus that was left out: {system}\n\nUA on speakers without labelled clips, "
        f"mean of {DRAWS} draws. Brackets hold 95 % of the draws. 0 clips: the model as it is.\n\n"
        + "\n\n".join(sections)
        + "\n\n![UA by labelled clips](few_shot.png)\n"
    )
    (output_dir / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
