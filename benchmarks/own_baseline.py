"""Comparison of speaker normalizations: the same network behind front ends with different statistics.

Systems: the training corpus's statistics (`none`), each clip's (`utterance`), those of all clips of a speaker
(`all_clips`), and those of 1, 2 and 5 neutral clips of a speaker (`enrolment_1`, ...), in training as in test. The
models of `all_clips` are also tested with the corpus's statistics and with enrolments, as if they met a stranger
(`all_clips_with_corpus`, `all_clips_with_1`, ...). All are scored on the same test clips, which no enrolment took.
Stopped and started again, the command goes on where it was.

    python benchmarks/own_baseline.py --data_dir RAVDESS --output_dir outputs/own_baseline --seeds 0 1 2 --recipe small

All other flags are those of `lssed-hf train`, for all systems.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lssed_hf import BENCHMARK_EMOTIONS
from lssed_hf.evaluation.intervals import SCORES
from lssed_hf.evaluation.run_results import RunResults, read_run, score_runs
from lssed_hf.evaluation.significance import holm, paired_differences
from lssed_hf.evaluation.text_tables import markdown_table, score_cell
from lssed_hf.experiments.benchmark import Spec, make_run
from lssed_hf.experiments.runs import Run, check_runs, do_runs
from lssed_hf.experiments.settings import recipe, training_settings
from lssed_hf.files import replacing, write_json
from lssed_hf.training.output_folder import claimed


def main(argv: Sequence[str] | None = None) -> int:
    """Do all runs and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--dataset_name", default="ravdess", help="default: ravdess")
    parser.add_argument("--output_dir", type=Path, required=True, help="where trainings and the report go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    parser.add_argument("--enrolments", type=int, nargs="+", default=[1, 2, 5], help="clips (default: 1 2 5)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once (default: 1)")
    args, flags = parser.parse_known_args(argv)

    flags = ["--dataset_name", args.dataset_name, *flags]
    runs = make_runs(flags, args.seeds, args.enrolments, args.output_dir)
    every = [run for by_seed in runs.values() for run in by_seed.values()]
    with claimed(args.output_dir):
        check_runs(every)
        for work in ("train", "evaluate"):
            do_runs([run for run in every if run.work == work], args.jobs)
        failed = [run for run in every if run.problem]
        if not failed:
            write_report(runs, args.output_dir)
    for run in failed:
        print(f"{run.title}: {run.problem}")
    return 1 if failed else 0


def make_runs(
    flags: Sequence[str], seeds: Sequence[int], enrolments: Sequence[int], output_dir: Path
) -> dict[str, dict[int, Run]]:
    """Return runs by system and seed, trainings first, then other tests of the models of `all_clips`."""
    given = training_settings(flags)
    model = given.get("model_name_or_path", "pyresnet50")
    overrides = {**json.loads(given.get("feature_extractor_overrides", "{}")), "normalization": "utterance"}
    own = {
        "none": [],
        "utterance": ["--feature_extractor_overrides", json.dumps(overrides)],
        "all_clips": ["--speaker_normalization", "all"],
    }
    for number in enrolments:
        own[f"enrolment_{number}"] = ["--speaker_normalization", "enrolment", "--enrolment_clips", str(number)]
    runs: dict[str, dict[int, Run]] = {}
    for name, more in own.items():
        spec = Spec(name, model, tuple(more))
        runs[name] = {seed: make_run(spec, seed, flags, output_dir, keep_model=name == "all_clips") for seed in seeds}
    ways: dict[str, dict[str, Any]] = {"all_clips_with_corpus": {"speaker_normalization": "none"}}
    for number in enrolments:
        ways[f"all_clips_with_{number}"] = {"speaker_normalization": "enrolment", "enrolment_clips": number}
    for name, way in ways.items():
        runs[name] = {seed: _test(runs["all_clips"][seed], name, way) for seed in seeds}
    return runs


def _test(trained: Run, name: str, way: Mapping[str, Any]) -> Run:
    """Return a run that scores a trained model on its test split with other statistics."""
    kept = ("dataset_name", "data_dir", "split_scheme", "dataset_config_name", "dataset_options")
    settings = {key: trained.settings[key] for key in kept if key in trained.settings}
    settings |= {"splits": ["test"], "labels": list(BENCHMARK_EMOTIONS), "majority_label": "neutral", **way}
    return Run(f"{trained.title}, {name}", trained.folder / name, "evaluate", settings)


def write_report(runs: Mapping[str, Mapping[int, Run]], output_dir: Path) -> None:
    """Write `results.json` and `report.md`."""
    results = {name: {seed: read_run(run.folder) for seed, run in row.items()} for name, row in runs.items()}
    common = common_ids([scored for row in results.values() for scored in row.values()])
    total = max(len(scored.ids) for row in results.values() for scored in row.values())
    rows = compare({name: {seed: scored.on(common) for seed, scored in row.items()} for name, row in results.items()})
    write_json(
        output_dir / "results.json", {"num_utterances": len(common), "num_left_out": total - len(common), **rows}
    )
    first = {
        name: next(iter(row.values())).settings for name, row in runs.items() if not name.startswith("all_clips_with")
    }
    text = (
        f"# A person's own baseline\n\n{table(rows['systems'])}\n\n"
        f"{len(common)} test clips; {total - len(common)} that the largest enrolment took are left out everywhere. "
        "Means over seeds; brackets are 95 % bootstrap intervals that resample speakers. p: swapping the two for "
        "random speakers, two-sided; p, Holm: corrected for the number of rows.\n\n"
        "`all_clips` takes the statistics from all clips of a test speaker, those that are scored among them, without "
        "labels. `all_clips_with_corpus`, `all_clips_with_1` ... are its models, tested with those of the training "
        f"corpus and of neutral clips.\n\n## Recipe\n\n{recipe(first)}\n"
    )
    with replacing(output_dir / "report.md") as path:
        path.write_text(text, encoding="utf-8")
    print(text)


def common_ids(runs: Sequence[RunResults]) -> list[str]:
    """Return the ids of the utterances that all runs have, in the order of the first."""
    shared = set.intersection(*(set(run.ids) for run in runs))
    return [name for name in runs[0].ids if name in shared]


def compare(runs: Mapping[str, Mapping[int, RunResults]]) -> dict[str, Any]:
    """Return scores of systems on the same clips, and paired differences from the system `none`, JSON-ready."""
    baseline, rows = runs["none"], []
    for name, of_system in runs.items():
        scores, _, _ = score_runs(of_system)
        row = {"name": name, "seeds": list(of_system), **scores, "difference": None}
        if name != "none":
            first = next(iter(baseline.values()))
            row["difference"] = paired_differences(
                first.references,
                [run.predictions for run in of_system.values()],
                [run.predictions for run in baseline.values()],
                first.speakers,
                len(first.labels),
            )
        rows.append(row)
    p_values = [row["difference"] and row["difference"]["unweighted_accuracy"]["p"] for row in rows]
    for row, p in zip(rows, holm(p_values), strict=True):
        row["p_holm"] = p
    return {"systems": rows}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the report, Markdown."""
    lines = []
    for row in rows:
        scores = [score_cell(*(row[name][key] for key in ("mean", "low", "high", "std"))) for name in SCORES]
        gain = row["difference"] and row["difference"]["unweighted_accuracy"]
        if gain:
            scores.append(score_cell(gain["value"], gain["low"], gain["high"], form="+.3f"))
            scores += ["–" if p is None else f"{p:.3f}" for p in (gain["p"], row["p_holm"])]
        else:
            scores += ["", "", ""]
        lines.append([row["name"], *scores])
    return markdown_table(["statistics of", "WA", "UA", "UA against none", "p", "p, Holm"], lines)


if __name__ == "__main__":
    raise SystemExit(main())
