r"""Training of the models that come with the package, and their scores on corpora that were left out.

    python scripts/train_pretrained.py --data_dirs ravdess=RAVDESS emodb=EMODB nemo=NEMO emovo=EMOVO \
        --whisper_base WHISPER_BASE --whisper_tiny WHISPER_TINY --output_dir outputs/pretrained --install

`outputs/pretrained/left_out` and `left_out_small` compare the systems by `lssed-hf cross-corpus --leave_one_out`; the
second has networks that start at random, with three seeds. Each model of the package is then trained on all corpora,
into `outputs/pretrained/NAME`. `--install` puts the models into the package, with cards that hold the scores and how
often the models are wrong at each confidence. Finished trainings are not repeated.
"""

import argparse
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from lssed_hf import list_pretrained, load_classifier
from lssed_hf.cli import main as lssed_hf_command
from lssed_hf.evaluation.calibration import calibration, fit_temperature
from lssed_hf.evaluation.left_out_corpora import UA
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.experiments.leave_one_out import BY_SPEAKER
from lssed_hf.files import read_json, write_json
from lssed_hf.hub.cards.model_card import write_model_card
from lssed_hf.hub.graph import write_graph
from lssed_hf.inference.classifiers.pretrained import pretrained_folder
from lssed_hf.inference.trained_on import RECORD
from lssed_hf.training.adapt import statistics_head
from lssed_hf.training.statistics import set_head


PROBE = "--probe true --probe_pooling statistics --probe_C 1e-3 --validation_fraction 0 --speaker_normalization all"
ENCODER_SMALL = f"{{base}} {PROBE} --probe_layer 3 --probe_statistics mean --probe_range 40"
STUDENT = (
    "--recipe small --validation_fraction 0 --teacher encoder-small --distill_weight 0.7 --speaker_normalization all "
    "--refit_head true --speaker_share 0.5 --recording_share 0.25 --sampling corpora --eq_db 6 --freq_shift 2 "
    "--perturbed_copies 2 --speed 0.15 --pitch_shift 0 --reverberation 0.3 --noise_snr 20 "
    "--per_device_train_batch_size 16 --learning_rate 2e-3 --max_steps 2000 --bf16 true "
    '--feature_extractor_overrides {{\\"speech_range\\":30,\\"top_db\\":60}}'
)
#: Systems by comparison: those of the package, whose recipes these are, and others beside them.
SYSTEMS = {
    "left_out": {
        "encoder-small": ENCODER_SMALL,
        "base-3": f"{{base}} {PROBE} --probe_layer 3",
        "tiny.en-2": f"{{tiny}} {PROBE} --probe_layer 2",
    },
    "left_out_small": {"encoder-small": ENCODER_SMALL, "pyresnet-small": f"pyresnet-small {STUDENT}"},
}
#: Comparison that has the scores of each model of the package.
SCORES_IN = {"encoder-small": "left_out", "pyresnet-small": "left_out_small"}
SEEDS = {"left_out": "0", "left_out_small": "0 1 2"}
DESCRIPTIONS = {
    "encoder-small": "The first three layers of the encoder of Whisper base, as OpenAI trained it, with 8-bit "
    "weights. The mean of the third over frames of speech goes through a linear classifier.",
    "pyresnet-small": "A small PyResNet: one block a stage, a quarter of the channels, 64 mel bins. Its teacher was "
    "encoder-small. Its head was fitted anew on the embeddings of whole clips.",
}
NOTES = [
    "Each score below is of a model of the same recipe that was trained without the corpus of the score. The model in "
    "this folder was trained on all four, so its own scores on them would say nothing.",
    "All four corpora are of actors in studios. On spontaneous speech, children, other languages and noise it has not "
    "been measured. Test it on your own recordings first, with lssed-hf evaluate.",
    "Licences of the corpora rule out commercial use.",
]


def main() -> None:
    """Compare the systems, train the models, and put them into the package with --install."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dirs", nargs="+", required=True, metavar="CORPUS=DIR", help="where each corpus is")
    parser.add_argument("--whisper_base", required=True, help="encoder of openai/whisper-base: a folder or a Hub name")
    parser.add_argument("--whisper_tiny", required=True, help="openai/whisper-tiny.en: a folder or a Hub name")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/pretrained"))
    parser.add_argument("--install", action="store_true", help="put the models into the package")
    args = parser.parse_args()

    corpora = dict(text.partition("=")[::2] for text in args.data_dirs)
    systems = {
        comparison: {name: text.format(base=args.whisper_base, tiny=args.whisper_tiny) for name, text in known.items()}
        for comparison, known in SYSTEMS.items()
    }
    for comparison, known in systems.items():
        lssed_hf_command(
            [
                *("cross-corpus", "--leave_one_out", "--dataset_config_name", "benchmark", "--corpora", *corpora),
                *("--data_dirs", *args.data_dirs, "--output_dir", str(args.output_dir / comparison)),
                *("--models", *(f"{name}={flags}" for name, flags in known.items())),
                *("--seeds", *SEEDS[comparison].split()),
            ]
        )
    (first, folder), *others = corpora.items()
    data = ["--dataset_name", first, "--dataset_config_name", "benchmark", "--data_dir", folder]
    data += ["--train_split_name", "all", "--extra_corpora", *(f"{name}={place}" for name, place in others)]
    for name in list_pretrained():
        trained = args.output_dir / name
        model, *flags = shlex.split(systems[SCORES_IN[name]][name])
        flags = [str(args.output_dir / flag) if flag in SCORES_IN else flag for flag in flags]  # a teacher
        if not (trained / "train_results.json").is_file():  # written last
            lssed_hf_command(["train", "--model_name_or_path", model, *data, *flags, "--output_dir", str(trained)])
        if args.install:
            install(name, trained, args.output_dir / SCORES_IN[name], list(corpora))


def install(name: str, trained: Path, left_out: Path, corpora: list[str]) -> None:
    """Copy a model into the package, whose own code needs no copy beside it, and write its card there."""
    folder = pretrained_folder(name)
    model = AutoModelForAudioClassification.from_pretrained(trained)
    calibrations = left_out_calibrations(left_out, name)
    if hasattr(model, "quantize"):
        model = model.quantize().half()
    else:
        plain, by_speaker = (temperature for temperature, _ in calibrations)
        set_head(model, statistics_head(load_classifier(trained)).divided(plain, by_speaker))
    model.save_pretrained(folder)
    AutoFeatureExtractor.from_pretrained(trained).save_pretrained(folder)
    for path in folder.glob("*.py"):
        path.unlink()
    (folder / "model.safetensors").chmod(0o644)
    for path in folder.glob("*config.json"):
        settings = read_json(path)
        settings.pop("auto_map", None)
        if "dtype" in settings:
            settings["dtype"] = "float32"  # to compute in, whatever the weights are stored in
        write_json(path, settings)
    write_graph(folder)
    card = write_model_card(
        trained,
        results=[left_out / f"runs/{name}/without_{corpus}/seed_0/on_it_none" for corpus in corpora],
        name=name,
        description=DESCRIPTIONS[name],
        notes=[*NOTES, *left_out_notes(left_out, name, [found for _, found in calibrations])],
        corpora=[{"name": corpus, "corpus": corpus} for corpus in corpora],
        license="cc-by-nc-sa-4.0",
        remote_code=False,
    )
    shutil.copyfile(card, folder / "README.md")
    shutil.copyfile(trained / RECORD, folder / RECORD)


def left_out_calibrations(left_out: Path, name: str) -> list[tuple[float, dict[str, Any]]]:
    """Return a temperature and the calibration on corpora that were left out, without and by speaker.

    Encoders are calibrated in training, and their temperature is 1. That of other networks fits all corpora that were
    left out, each by the network trained without it. The calibration is of probabilities whose temperature was fitted
    to the other corpora.
    """
    results = read_json(left_out / "results.json")
    systems = {system["name"]: system for system in results["systems"]}
    if name.startswith("encoder"):
        return [(1.0, systems[system]["calibration"]) for system in (name, f"{name}, {BY_SPEAKER}")]
    return [_fitted_calibration(left_out / f"runs/{name}", kind, results) for kind in ("none", "all")]


def _fitted_calibration(runs: Path, kind: str, results: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    parts = []
    for corpus in results["corpora"]:
        folders = sorted((runs / f"without_{corpus}").glob(f"seed_*/on_it_{kind}"))
        tested = [read_run(folder).restricted(results["labels"]) for folder in folders]
        logits = np.log(np.maximum(np.concatenate([run.probabilities for run in tested]), 1e-30))
        references = np.concatenate([run.references for run in tested])
        parts.append((logits, references, np.full(len(references), 1 / len(references))))

    def temperature(without: int | None) -> float:
        chosen = [part for number, part in enumerate(parts) if number != without]
        return fit_temperature(*map(np.concatenate, zip(*chosen)))

    probabilities = [softmax(logits / temperature(number), axis=1) for number, (logits, *_) in enumerate(parts)]
    references = [references for _, references, _ in parts]
    return temperature(None), calibration(np.concatenate(probabilities), np.concatenate(references))


def left_out_notes(left_out: Path, name: str, calibrations: list[dict[str, Any]]) -> list[str]:
    """Return sentences on a model's scores by speaker, and on how often it is wrong by its confidence."""
    systems = {system["name"]: system for system in read_json(left_out / "results.json")["systems"]}
    plain, by_speaker = systems[name], systems[f"{name}, {BY_SPEAKER}"]
    scores = [f"{corpus} {row[UA]['mean']:.3f}" for corpus, row in by_speaker["corpora"].items()]
    means = [f"{system['mean'][UA]['value']:.3f}" for system in (plain, by_speaker)]
    sentences = [
        f"UA is {means[0]} on average over the corpora. With lssed-hf predict --speaker_from, which standardises by "
        f"all recordings of a speaker, without labels, it is {means[1]}: {', '.join(scores)}."
    ]
    if len(plain["seeds"]) > 1:
        sentences[0] += f" These are means of {len(plain['seeds'])} seeds; the tables below show seed 0."
    for found, clips in zip(calibrations, ("clips", "clips by speaker")):
        shares = [f"{row['low']:.0%} to {row['high']:.0%}: {1 - row['accuracy']:.0%}" for row in found["bins"]]
        sentences.append(
            f"Wrong on {1 - found['accuracy']:.0%} of {clips} of corpora that were left out. By the probability of "
            f"the answer, {', '.join(shares)}."
        )
    return sentences


if __name__ == "__main__":
    main()
