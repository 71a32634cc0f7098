r"""Comparison of all systems: UA on two corpora and across them, against milliseconds per clip and size.

    python benchmarks/which_one.py --ravdess RAVDESS --emodb EMODB --encoder WHISPER \\
        --output_dir outputs/which_one --jobs 2

Every system is trained on each corpus and tested on both, as by `lssed-hf cross-corpus`. Then all are timed side by
side on one clip. Stopped and started again, the command goes on where it was. `--systems` leaves some out. Systems
whose extras or weights are missing are listed with what to install or pass.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lssed_hf.evaluation.corpus_losses import compare_corpora
from lssed_hf.evaluation.plots import plot_trade_off
from lssed_hf.evaluation.run_results import RunResults, read_run
from lssed_hf.evaluation.significance import paired_differences
from lssed_hf.evaluation.text_tables import markdown_table, score_cell
from lssed_hf.experiments.cross_corpus import PairRuns, make_runs
from lssed_hf.experiments.runs import Run, check_runs, do_runs
from lssed_hf.experiments.settings import recipe
from lssed_hf.files import replacing, write_json
from lssed_hf.hub.run_folders import runs_folder
from lssed_hf.inference import load_classifier
from lssed_hf.training.output_folder import claimed
from timing import Case, machine, measure


CORPORA = ("ravdess", "emodb")
CLIP_SECONDS = {"ravdess": 3.7, "emodb": 2.0}  # mean lengths, about
#: Flags of `lssed-hf train` by system. {encoder} and {teacher} are folders, {seconds} those of `CHUNK`; {other} is the
#: other corpus.
SYSTEMS = {
    "egemaps-svm": "--model_name_or_path egemaps-svm",
    "compare-svm": "--model_name_or_path compare-svm",
    "compare-svm, own baseline": "--model_name_or_path compare-svm --speaker_normalization all",
    "Whisper tiny, frozen": "--model_name_or_path {encoder} --probe true",
    "Whisper tiny, frozen, short": "--model_name_or_path {encoder} --probe true --chunk_length {seconds}",
    "Whisper tiny, fine-tuned": (
        "--model_name_or_path {encoder} --chunk_length {seconds} --num_train_epochs 5 --optim adamw_torch_fused "
        "--learning_rate 5e-5 --head_learning_rate 1e-3 --lr_scheduler_type cosine --warmup_steps 0.1 "
        "--max_grad_norm 1 --per_device_train_batch_size 8 --gradient_accumulation_steps 1 --eval_strategy no "
        "--load_best_model_at_end false --save_total_limit 1"
    ),
    "PyResNet small": "--recipe small",
    "PyResNet small, own baseline": "--recipe small --speaker_normalization all",
    "PyResNet small, student": "--recipe small --teacher {teacher}",
    "PyResNet small, both corpora": "--recipe small --extra_corpora {other}",
    "PyResNet small, both corpora, own baseline": (
        "--recipe small --extra_corpora {other} --speaker_normalization all"
    ),
}
CHUNK = {"ravdess": 6, "emodb": 2}
TEACHER = "Whisper tiny, frozen"
#: System that the others are tested against.
BASE = "PyResNet small"
DIFFERENCES = (
    "Means over seeds, with 95 % intervals of a paired bootstrap that resamples test speakers. Two speakers, as "
    "EMO-DB has, bear no interval that could be believed."
)


def main() -> None:
    """Do all runs and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, required=True, help="folder of RAVDESS")
    parser.add_argument("--emodb", type=Path, required=True, help="folder of EMO-DB")
    parser.add_argument("--encoder", default="openai/whisper-tiny.en", help="folder or Hub name of the encoder")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("outputs/which_one"), help="default: outputs/which_one"
    )
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once (default: 1)")
    parser.add_argument("--report_only", action="store_true", help="time and draw what is finished")
    args = parser.parse_args()

    encoder = str(Path(args.encoder).absolute()) if Path(args.encoder).is_dir() else args.encoder
    data_dirs = {"ravdess": args.ravdess, "emodb": args.emodb}
    systems = {name: runs_of(name, args.output_dir, data_dirs, encoder, args.seeds) for name in args.systems}
    with claimed(args.output_dir):
        if not args.report_only:
            check_runs([run for runs in systems.values() for run in runs.values()])
            # Students need teachers, and tests what is tested.
            trainings = {name: [runs[key] for key in runs if key[1] is None] for name, runs in systems.items()}
            do_runs(trainings.pop(TEACHER, []), args.jobs)
            do_runs([run for runs in trainings.values() for run in runs], args.jobs)
            do_runs([runs[key] for runs in systems.values() for key in runs if key[1]], args.jobs)
        print(f"Report: {write_report(systems, args.output_dir)}")


def runs_of(
    name: str, output_dir: Path, data_dirs: Mapping[str, Path], encoder: str, seeds: Sequence[int]
) -> dict[tuple[str, str | None, int], Run]:
    """Return the runs of a system (see `make_runs`). The teacher of a student has its corpus and the first seed."""
    flags_of = {}
    for corpus in CORPORA:
        teacher = runs_folder(folder_of(TEACHER, output_dir)) / corpus / f"seed_{seeds[0]}"
        (other,) = {*CORPORA} - {corpus}
        places = {
            "{encoder}": encoder,
            "{seconds}": str(CHUNK[corpus]),
            "{teacher}": str(teacher.absolute()),
            "{other}": f"{other}={data_dirs[other]}",
        }
        flags = [places.get(part, part) for part in SYSTEMS[name].split()]
        flags_of[corpus] = [*flags, "--dataset_name", corpus, "--data_dir", str(data_dirs[corpus])]
    # Systems without random draws are the same for every seed.
    seeds = seeds[:1] if "--probe" in SYSTEMS[name] or "-svm" in SYSTEMS[name] else seeds
    runs = make_runs(flags_of, CORPORA, CORPORA, seeds, folder_of(name, output_dir))
    if "{other}" in SYSTEMS[name]:
        runs = {key: run for key, run in runs.items() if key[1] in (None, key[0])}
    return runs


def folder_of(name: str, output_dir: Path) -> Path:
    """Return the output folder of a system."""
    return output_dir / "systems" / "".join(letter if letter.isalnum() else "_" for letter in name).lower()


def write_report(systems: Mapping[str, PairRuns], output_dir: Path) -> Path:
    """Write `results.json`, `which_one.png` and `report.md` from the finished runs."""
    compared, failures, all_results = {}, {}, {}
    for name, runs in systems.items():
        results: dict[tuple[str, str], dict[int, RunResults]] = {}
        for (source, target, seed), run in runs.items():
            if run.problem:
                failures[f"{name}, {run.title}"] = run.problem
            elif target is not None:
                results.setdefault((source, target), {})[seed] = read_run(run.folder)
        if results:
            labels = next(run.settings["labels"] for run in runs.values() if run.work == "evaluate")
            compared[name], all_results[name] = compare_corpora(results, labels), results
    against = differences(all_results)
    (times, sizes), where = cost(systems), machine()
    costs = {"milliseconds": times, "megabytes": sizes, "machine": where}
    write_json(output_dir / "results.json", {"systems": compared, "against": against, **costs, "failures": failures})
    panels = {}
    for source in CORPORA:
        for target in CORPORA:
            panels[source if source == target else f"{source} to {target}"] = {
                name: pair["unweighted_accuracy"]
                for name, comparison in compared.items()
                for pair in comparison["pairs"]
                if (pair["source"], pair["target"]) == (source, target)
            }
    with replacing(output_dir / "which_one.png") as path:
        threads = f"{where['threads']} thread{'s' * (where['threads'] > 1)}"
        plot_trade_off(panels, {f"milliseconds per clip, {threads}": times, "megabytes": sizes}, path)
    with replacing(output_dir / "report.md") as path:
        text = "# Which one to pick\n\n" + table(panels, times, sizes) + "\n\n![UA against cost](which_one.png)\n"
        if against:
            text += f"\n## Against {BASE}\n\n{differences_table(against)}\n\n{DIFFERENCES}\n"
        if failures:
            text += "\n## Missing\n\n" + "".join(f"- {title}: {problem}\n" for title, problem in failures.items())
        trained = {
            name: runs["ravdess", None, min(seed for *_, seed in runs)].settings for name, runs in systems.items()
        }
        path.write_text(f"{text}\n## Recipe\n\n{recipe(trained)}\n", encoding="utf-8")
    return output_dir / "report.md"


def differences(
    runs: Mapping[str, Mapping[tuple[str, str], Mapping[int, RunResults]]],
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return the UA of each system minus that of `BASE` on its own corpus, paired speaker by speaker."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    base = runs.get(BASE, {})
    for name, pairs in runs.items():
        for corpus in CORPORA:
            own = (corpus, corpus)
            if name != BASE and own in pairs and own in base:
                one = next(iter(pairs[own].values()))
                predictions = [np.stack([run.predictions for run in seeds[own].values()]) for seeds in (pairs, base)]
                scores = paired_differences(one.references, *predictions, one.speakers, len(one.labels))
                found.setdefault(name, {})[corpus] = scores["unweighted_accuracy"]
    return found


def differences_table(against: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> str:
    """Return the table of differences, Markdown."""
    rows = []
    for name, scores in against.items():
        cells = []
        for score in map(scores.get, CORPORA):
            cells.append(score_cell(*(score[key] for key in ("value", "low", "high")), form="+.3f") if score else "–")
        rows.append([name, *cells])
    return markdown_table(["system", *(f"UA, {corpus}" for corpus in CORPORA)], rows)


def table(panels: Mapping[str, Mapping], times: Mapping[str, float], sizes: Mapping[str, float]) -> str:
    """Return the table of all systems, Markdown."""
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    rows = []
    for name in names:
        cells = []
        for panel in panels.values():
            score = panel.get(name)
            cells.append("–" if score is None else score_cell(*(score[key] for key in ("mean", "low", "high", "std"))))
        known = [f"{values[name]:.1f}" if name in values else "–" for values in (times, sizes)]
        rows.append([name, *cells, *known])
    return markdown_table(["system", *(f"UA, {title}" for title in panels), "ms per clip", "MB"], rows)


def cost(
    systems: Mapping[str, PairRuns],
) -> tuple[dict[str, float], dict[str, float]]:
    """Return milliseconds per clip of RAVDESS's length (median, with front end) and megabytes of weights by system."""
    contestants: dict[str, Callable[[], object]] = {}
    sizes = {}
    clip = np.random.default_rng(0).normal(0, 0.05, round(CLIP_SECONDS["ravdess"] * 16000)).astype(np.float32)
    for name, runs in systems.items():
        for (source, target, _), run in runs.items():
            # A probe's encoder has a folder of its own; published runs have no weights.
            weights = [*run.folder.rglob("*.safetensors")]
            if (source, target) == ("ravdess", None) and not run.problem and weights:
                classifier = load_classifier(run.folder, batch_size=1)
                contestants[name] = lambda classifier=classifier: classifier.logits([clip])
                sizes[name] = sum(path.stat().st_size for path in weights) / 1e6
                break
    timings = measure(Case("a clip", contestants, {}, repeats=15)) if contestants else []
    return {timing.contestant: timing.median for timing in timings}, sizes


if __name__ == "__main__":
    main()
