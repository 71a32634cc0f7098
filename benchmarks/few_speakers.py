r"""Comparison of starts when few speakers are labelled: UA on EMO-DB by number of training speakers.

Each start is fine-tuned on 1, 2, 4 and 8 speakers and tested on one who is left out, in ten folds, so that all ten
speakers are tested on. A seed draws the same speakers for every start. Scores are those of the ten folds together,
with intervals over the ten test speakers. Stopped and started again, the command goes on where it was.

    python benchmarks/few_speakers.py --data_dir EMODB --output_dir outputs/few_speakers \\
        --starts ser=outputs/ser asr=outputs/asr "scratch=pyresnet50 --config_overrides '{...}'" --num_train_epochs 20

All other flags are those of `lssed-hf train`. The others are compared with the start called `scratch`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lssed_hf.corpora.emodb import SPEAKERS
from lssed_hf.evaluation.few_shot import compare_few_shot, few_shot_markdown, few_shot_panels
from lssed_hf.evaluation.plots import plot_curves
from lssed_hf.evaluation.report import joined_runs
from lssed_hf.evaluation.run_results import RunResults, read_run
from lssed_hf.experiments import runs
from lssed_hf.experiments.benchmark import parse_systems
from lssed_hf.experiments.runs import Run, check_runs, do_runs
from lssed_hf.experiments.settings import recipe, training_settings
from lssed_hf.files import write_json
from lssed_hf.hub.run_folders import runs_folder
from lssed_hf.training.output_folder import claimed


SCRATCH = "scratch"
RECIPE = [
    *("--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1", "--num_train_epochs", "20"),
    *("--optim", "adamw_torch", "--learning_rate", "1e-3", "--weight_decay", "0.01", "--decay_norm_and_bias", "false"),
    *("--lr_scheduler_type", "cosine", "--warmup_steps", "0.1", "--max_grad_norm", "1", "--crop_seconds", "2"),
    # The last epoch: choosing one would take more labelled speakers than there are.
    *("--load_best_model_at_end", "false", "--eval_strategy", "no", "--save_strategy", "no", "--report_to", "none"),
    *("--disable_tqdm", "true"),
]


def main(argv: Sequence[str] | None = None) -> int:
    """Do all runs and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, help="the folder that holds EMO-DB")
    parser.add_argument("--output_dir", type=Path, required=True, help="where trainings and the report go")
    parser.add_argument("--starts", nargs="+", required=True, metavar="NAME=MODEL FLAGS", help="what to fine-tune")
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 2, 4, 8], help="default: 1 2 4 8")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    args, flags = parser.parse_known_args(argv)

    common = [*RECIPE, "--dataset_name", "emodb", "--data_dir", args.data_dir, *flags]
    # By start, number of speakers, seed and the speaker who is left out.
    made: dict[tuple[str, int, int, str], Run] = {}
    for start in parse_systems(args.starts):
        for number in args.speakers:
            for seed in args.seeds:
                for speaker in SPEAKERS:
                    folder = runs_folder(args.output_dir) / start.name / f"{number}_speakers_seed_{seed}" / speaker
                    own = ["--model_name_or_path", start.model, "--seed", str(seed), "--output_dir", str(folder)]
                    own += ["--split_scheme", f"speaker_{speaker}", "--max_train_speakers", str(number)]
                    settings = training_settings([*common, *start.flags, *own])
                    title = f"{start.name}, {number} speaker(s), seed {seed}, tested on {speaker}"
                    made[start.name, number, seed, speaker] = Run(title, folder, "train", settings, keep_model=False)
    # Trainings of seconds, less than a process takes.
    runs.run_in_process = lambda folder, threads: runs.main([str(folder)])
    with claimed(args.output_dir):
        check_runs(list(made.values()))
        do_runs(list(made.values()))
        failed = [run for run in made.values() if run.problem]
        if not failed:
            write_report(made, args.output_dir)
    for run in failed:
        print(f"{run.title}: {run.problem}")
    return 1 if failed else 0


def write_report(made: dict[tuple[str, int, int, str], Run], output_dir: Path) -> None:
    """Write `results.json`, `few_speakers.png` and `report.md`."""
    folds: dict[tuple[str | None, str, int], dict[int, list[RunResults]]] = {}
    for (start, number, seed, _), run in made.items():
        key = (None if start == SCRATCH else start), "emodb", number
        folds.setdefault(key, {}).setdefault(seed, []).append(read_run(run.folder))
    curves = {key: {seed: joined_runs(parts) for seed, parts in by_seed.items()} for key, by_seed in folds.items()}
    rows = compare_few_shot(curves)
    write_json(output_dir / "results.json", {"corpus": "emodb", "few_shot": rows})
    plot_curves(few_shot_panels(rows), output_dir / "few_speakers.png", xlabel="training speakers")
    first = {start: run.settings for (start, *_), run in reversed(made.items())}
    text = f"# EMO-DB with a few speakers\n\n{few_shot_markdown(rows, 'few_speakers.png')}\n\n"
    text += "Ten folds, each tested on one speaker, are scored together.\n\n"
    text += f"## Recipe\n\n{recipe(dict(reversed(first.items())))}\n"
    (output_dir / "report.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    raise SystemExit(main())
