r"""Training of the models that come with the package, and their scores on corpora that were left out.

    python scripts/train_pretrained.py --data_dirs ravdess=RAVDESS emodb=EMODB nemo=NEMO emovo=EMOVO \
        --whisper_base WHISPER_BASE --whisper_tiny WHISPER_TINY --output_dir outputs/pretrained --install

`outputs/pretrained/left_out` compares the systems by `lssed-hf cross-corpus --leave_one_out`. Each model of the
package is then trained on all corpora, into `outputs/pretrained/NAME`. `--install` puts the models into the package,
with cards that hold the scores and how often the models are wrong at each confidence. Finished trainings are not
repeated.
"""

import argparse
import shutil
from pathlib import Path

from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

from lssed_hf import list_pretrained
from lssed_hf.cli import main as lssed_hf_command
from lssed_hf.evaluation.left_out_corpora import UA
from lssed_hf.experiments.leave_one_out import BY_SPEAKER
from lssed_hf.files import read_json, write_json
from lssed_hf.hub.cards.model_card import write_model_card
from lssed_hf.hub.graph import write_graph
from lssed_hf.inference.classifiers.pretrained import pretrained_folder


PROBE = "--probe true --probe_pooling statistics --probe_C 1e-3 --validation_fraction 0 --speaker_normalization all"
#: Systems of the comparison: those of the package, whose recipes these are, and others beside them.
SYSTEMS = {
    "encoder-small": f"{{base}} {PROBE} --probe_layer 3 --probe_statistics mean --probe_range 40",
    "base-3": f"{{base}} {PROBE} --probe_layer 3",
    "tiny.en-2": f"{{tiny}} {PROBE} --probe_layer 2",
}
DESCRIPTIONS = {
    "encoder-small": "The first three layers of the encoder of Whisper base, as OpenAI trained it, with 8-bit "
    "weights. The mean of the third over frames of speech goes through a linear classifier.",
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

    systems = {
        name: text.format(base=args.whisper_base, tiny=args.whisper_tiny).split() for name, text in SYSTEMS.items()
    }
    corpora = dict(text.partition("=")[::2] for text in args.data_dirs)
    left_out = args.output_dir / "left_out"
    lssed_hf_command(
        [
            *("cross-corpus", "--leave_one_out", "--dataset_config_name", "benchmark", "--corpora", *corpora),
            *("--data_dirs", *args.data_dirs, "--output_dir", str(left_out)),
            *("--models", *(f"{name}={' '.join(flags)}" for name, flags in systems.items())),
        ]
    )
    (first, folder), *others = corpora.items()
    data = ["--dataset_name", first, "--dataset_config_name", "benchmark", "--data_dir", folder]
    data += ["--train_split_name", "all", "--extra_corpora", *(f"{name}={place}" for name, place in others)]
    for name in list_pretrained():
        trained = args.output_dir / name
        model, *flags = systems[name]
        if not (trained / "train_results.json").is_file():  # written last
            lssed_hf_command(["train", "--model_name_or_path", model, *data, *flags, "--output_dir", str(trained)])
        if args.install:
            install(name, trained, left_out, list(corpora))


def install(name: str, trained: Path, left_out: Path, corpora: list[str]) -> None:
    """Copy a model into the package, whose own code needs no copy beside it, and write its card there."""
    folder = pretrained_folder(name)
    model = AutoModelForAudioClassification.from_pretrained(trained)
    if hasattr(model, "quantize"):
        model = model.quantize().half()
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
        notes=[*NOTES, *left_out_notes(left_out, name)],
        corpora=[{"name": corpus, "corpus": corpus} for corpus in corpora],
        license="cc-by-nc-sa-4.0",
        remote_code=False,
    )
    shutil.copyfile(card, folder / "README.md")


def left_out_notes(left_out: Path, name: str) -> list[str]:
    """Return sentences on a model's scores by speaker, and on how often it is wrong by its confidence."""
    systems = {system["name"]: system for system in read_json(left_out / "results.json")["systems"]}
    plain, by_speaker = systems[name], systems[f"{name}, {BY_SPEAKER}"]
    scores = [f"{corpus} {row[UA]['mean']:.3f}" for corpus, row in by_speaker["corpora"].items()]
    means = [f"{system['mean'][UA]['value']:.3f}" for system in (plain, by_speaker)]
    sentences = [
        f"UA is {means[0]} on average over the corpora. With lssed-hf predict --speaker_from, which standardises by "
        f"all recordings of a speaker, without labels, it is {means[1]}: {', '.join(scores)}."
    ]
    for system, clips in ((plain, "clips"), (by_speaker, "clips by speaker")):
        found = system["calibration"]
        shares = [f"{row['low']:.0%} to {row['high']:.0%}: {1 - row['accuracy']:.0%}" for row in found["bins"]]
        sentences.append(
            f"Wrong on {1 - found['accuracy']:.0%} of {clips} of corpora that were left out. By the probability of "
            f"the answer, {', '.join(shares)}."
        )
    return sentences


if __name__ == "__main__":
    main()
