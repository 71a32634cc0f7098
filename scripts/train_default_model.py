"""Train the model that comes with the package, on RAVDESS and EMO-DB.

    python scripts/train_default_model.py --ravdess RAVDESS --emodb EMODB --output_dir outputs/default

Both corpora keep their own speaker-disjoint splits. `outputs/default/model` is the model, scored on the test speakers
of both; `outputs/default/ravdess` and `emodb` hold its scores on those of each. The shipped weights are those of
`model`: no test speaker was trained on. `--install` puts them, and their card, into the package.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

import datasets

import lssed_hf
from lssed_hf.cli import main as lssed_hf_command
from lssed_hf.hub.card import write_model_card
from lssed_hf.inference.loading import DEFAULT_MODEL


#: 1.1 million parameters: PyResNet with one block a stage and three eighths of its channels.
NETWORK = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 24,
    "hidden_sizes": [96, 192, 384, 768],
    "groups": [[1, 2, 3, 6], [1, 4, 8], [1, 4], [1]],
    "zero_init_residual": True,
}
RECIPE = (
    *("--optim", "adamw_torch_fused", "--learning_rate", "1e-3", "--weight_decay", "0.05"),
    *("--decay_norm_and_bias", "false", "--lr_scheduler_type", "cosine", "--warmup_steps", "100"),
    *("--max_grad_norm", "1", "--per_device_train_batch_size", "16", "--gradient_accumulation_steps", "1"),
    *("--eval_strategy", "no", "--load_best_model_at_end", "false"),
    *("--num_train_epochs", "60", "--crop_seconds", "2.5", "--report_to", "none", "--save_total_limit", "1"),
    # Microphones and distances differ more than these corpora do.
    *("--freq_mask", "16", "--time_mask", "12", "--mixup", "0.2", "--gain_db", "10"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, required=True, help="folder of RAVDESS")
    parser.add_argument("--emodb", type=Path, required=True, help="folder of EMO-DB")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/default"), help="default: outputs/default")
    parser.add_argument("--install", action="store_true", help="put the model into the package")
    args = parser.parse_args()

    corpora = {"ravdess": args.ravdess, "emodb": args.emodb}
    splits = {name: lssed_hf.load_corpus(name, folder, "benchmark") for name, folder in corpora.items()}
    write_folder(args.output_dir / "data", splits)
    model = str(args.output_dir / "model")
    data = ["--dataset_name", "folder", "--data_dir", str(args.output_dir / "data")]
    lssed_hf_command(["train", *data, "--output_dir", model, "--config_overrides", json.dumps(NETWORK), *RECIPE])
    for name, folder in corpora.items():
        data = ["--dataset_name", name, "--data_dir", str(folder), "--output_dir", str(args.output_dir / name)]
        lssed_hf_command(["evaluate", "--model_name_or_path", model, *data])
    if args.install:
        install(args.output_dir, list(corpora))


def install(folder: Path, corpora: list[str]) -> None:
    """Copy the model into the package, whose own code needs no copy beside it, and write its card there."""
    trained = folder / "model"
    write_model_card(
        trained,
        results=[folder / name for name in corpora],
        name="The model that comes with lssed-hf",
        description="A small PyResNet for trying things out: one block a stage, three eighths of the channels.",
        notes=[
            "Both corpora are of actors who say a few fixed sentences, the same ones in training and test. On "
            "spontaneous speech, children, other languages and noisy recordings it has not been measured.",
            "Their licences rule out commercial use.",
            "In the results, folder is the test speakers of both together.",
        ],
        corpora=[{"name": name, "corpus": name} for name in corpora],
        license="cc-by-nc-sa-4.0",
        remote_code=False,
    )
    DEFAULT_MODEL.mkdir(exist_ok=True)
    for name in ("model.safetensors", "README.md"):
        shutil.copyfile(trained / name, DEFAULT_MODEL / name)
    for name in ("config.json", "preprocessor_config.json"):
        settings = json.loads((trained / name).read_text(encoding="utf-8"))
        settings.pop("auto_map", None)
        (DEFAULT_MODEL / name).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def write_folder(folder: Path, corpora: dict[str, datasets.DatasetDict]) -> None:
    """Copies of the clips, with a `metadata.csv` for the corpus `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "emotion", "speaker", "gender", "split"])
        for corpus, splits in corpora.items():
            (folder / corpus).mkdir(exist_ok=True)
            for split, rows in splits.items():
                emotions, genders = rows.features["emotion"].names, rows.features["gender"].names
                for row in rows.cast_column("audio", datasets.Audio(decode=False)):
                    path = Path(row["audio"]["path"])
                    shutil.copyfile(path, folder / corpus / path.name)
                    speaker = f"{corpus}_{row['speaker_id']}"
                    names = emotions[row["emotion"]], speaker, genders[row["gender"]], split
                    writer.writerow([f"{corpus}/{path.name}", *names])


if __name__ == "__main__":
    main()
