r"""Study of recipes for a small corpus: augmentation, normalisation, size, optimiser, distillation, one by one.

    python benchmarks/recipe_study.py --ravdess RAVDESS --emodb EMODB --encoder WHISPER \\
        --output_dir outputs/recipe_study --jobs 2

Every system sees the clips of RAVDESS equally often and differs from `base` in one thing. A seed holds out three of
actors 1 to 16 for validation, other ones than the next seed. Systems are chosen by that UA; actors 17 to 24 are only
reported. A student's teacher, a probe on the frozen encoder, was trained on the same actors and no other. Stopped and
started again, the command goes on where it was.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from lssed_hf.experiments.benchmark import Spec, make_run, write_benchmark
from lssed_hf.experiments.runs import Run, check_runs, do_runs
from lssed_hf.training.output_folder import claimed


#: `pyresnet-small`, half a million parameters.
NETWORK = (
    '{"depths":[1,1,1,1],"embedding_size":16,"hidden_sizes":[64,128,256,512],'
    '"groups":[[1,2,4,4],[1,4,8],[1,4],[1]],"zero_init_residual":true}'
)
#: 1.1 million.
WIDE = (
    '{"depths":[1,1,1,1],"embedding_size":24,"hidden_sizes":[96,192,384,768],'
    '"groups":[[1,2,3,6],[1,4,8],[1,4],[1]],"zero_init_residual":true}'
)
BASE = (
    *("--dataset_name", "ravdess", "--train_split_name", "train+validation", "--validation_split_name", "selection"),
    *("--validation_fraction", "0.2", "--num_train_epochs", "40", "--crop_seconds", "2.5"),
    *("--feature_extractor_overrides", '{"num_mel_bins":64}'),
    *("--optim", "adamw_torch_fused", "--learning_rate", "1e-3", "--weight_decay", "0.05"),
    *("--decay_norm_and_bias", "false", "--lr_scheduler_type", "cosine", "--warmup_steps", "0.05"),
    *("--max_grad_norm", "1", "--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1"),
    *("--eval_strategy", "no", "--load_best_model_at_end", "false", "--save_total_limit", "1", "--report_to", "none"),
)
MASKS = ("--freq_mask", "8", "--time_mask", "12")
COMBINED = (
    *("--mixup", "0.2", "--per_device_train_batch_size", "8"),
    *("--perturbed_copies", "4", "--speed", "0.1", "--pitch_shift", "2"),
)
LONG = ("--extra_corpora", "emodb={emodb}", "--num_train_epochs", "60")
#: Flags of `lssed-hf train` that take the place of those of `BASE`; {teacher} is the probe of the same seed.
SYSTEMS = {
    "base": (),
    "masks": MASKS,
    "mixup": ("--mixup", "0.2"),
    "gain": ("--gain_db", "10"),
    "speed-pitch": ("--perturbed_copies", "4", "--speed", "0.1", "--pitch_shift", "2"),
    "noise-rooms": ("--perturbed_copies", "4", "--noise_snr", "10", "--reverberation", "0.5"),
    "utterance-norm": ("--feature_extractor_overrides", '{"num_mel_bins":64,"normalization":"utterance"}'),
    "own-baseline": ("--speaker_normalization", "all"),
    "128-mels": ("--feature_extractor_overrides", "{}"),
    "wide": ("--config_overrides", WIDE),
    "deep": ("--config_overrides", NETWORK.replace("[1,1,1,1]", "[2,2,2,2]")),
    "sgd": ("--optim", "sgd", "--learning_rate", "0.02", "--weight_decay", "1e-4"),
    "batch-8": ("--per_device_train_batch_size", "8"),
    # As many clips as 40 epochs of RAVDESS alone.
    "two-corpora": ("--extra_corpora", "emodb={emodb}", "--num_train_epochs", "27"),
    "student-logits": ("--teacher", "{teacher}", "--distill_weight", "0.7", "--distill_temperature", "2"),
    "student-features": ("--teacher", "{teacher}", "--distill", "features", "--distill_weight", "0.5"),
    # The best of those above, together.
    "combined": COMBINED,
    "combined-masks": (*COMBINED, *MASKS),
    # With two corpora and more epochs; the last was the recipe before this study.
    "long": (*LONG, "--mixup", "0.2", *MASKS),
    "long-combined": (*LONG, *COMBINED),
    "long-combined-wide": (*LONG, *COMBINED, "--config_overrides", WIDE),
    "long-wide": (*LONG, "--mixup", "0.2", *MASKS, "--config_overrides", WIDE),
    "long-wide-128-mels": (
        *(*LONG, "--mixup", "0.2", "--freq_mask", "16", "--time_mask", "12"),
        *("--config_overrides", WIDE, "--feature_extractor_overrides", "{}"),
    ),
}
TEACHER = "whisper-probe"


def main() -> None:
    """Do all runs and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, required=True, help="folder of RAVDESS")
    parser.add_argument("--emodb", type=Path, required=True, help="folder of EMO-DB")
    parser.add_argument("--encoder", default="openai/whisper-tiny.en", help="folder or Hub name of the encoder")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/recipe_study"))
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS), metavar="SYSTEM")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at once (default: 1)")
    parser.add_argument("--report_only", action="store_true", help="write the report from what is finished")
    args = parser.parse_args()

    data = (*BASE, "--data_dir", str(args.ravdess))
    probe = Spec(TEACHER, args.encoder, ("--probe", "true", "--chunk_length", "6"))
    teachers = {seed: make_run(probe, seed, data, args.output_dir, keep_model=True) for seed in args.seeds}
    runs: dict[Spec, Mapping[int, Run]] = {probe: teachers}
    for name in args.systems:
        of_system = {}
        for seed in args.seeds:
            places = {"{teacher}": str(teachers[seed].folder.absolute()), "emodb={emodb}": f"emodb={args.emodb}"}
            flags = [places.get(flag, flag) for flag in SYSTEMS[name]]
            flags = ["--config_overrides", NETWORK, *flags]
            spec = Spec(name, "pyresnet50", tuple(flags))
            of_system[seed] = make_run(spec, seed, data, args.output_dir)
        runs[Spec(name, "pyresnet50", SYSTEMS[name])] = of_system

    with claimed(args.output_dir):
        if not args.report_only:
            # Seed by seed, so that systems can be compared early.
            rest = [row[seed] for seed in args.seeds for spec, row in runs.items() if spec is not probe]
            check_runs([*teachers.values(), *rest])
            do_runs(list(teachers.values()), args.jobs)
            do_runs(rest, args.jobs)
        folds = {spec: {seed: [run] for seed, run in by_seed.items()} for spec, by_seed in runs.items()}
        report = write_benchmark(folds, args.output_dir, "base")
        print(f"Report: {report and report.path}")


if __name__ == "__main__":
    main()
