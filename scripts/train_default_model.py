"""Training of the model that comes with the package, on RAVDESS and EMO-DB.

    python scripts/train_default_model.py --ravdess RAVDESS --emodb EMODB --output_dir outputs/default

It is `lssed-hf train --recipe small` on the training speakers of both, for a wider network and voices of any level.
`outputs/default/model` is the model with its scores on RAVDESS's test speakers, `outputs/default/emodb` holds those on
EMO-DB's. It was trained on none of them. `--install` puts it, and its card, into the package.
"""

import argparse
import json
import shutil
from pathlib import Path

from lssed_hf.cli import main as lssed_hf_command
from lssed_hf.hub.cards.model_card import write_model_card
from lssed_hf.inference.classifiers import loading


#: 1.1 million parameters and 128 mel bins: on the validation speakers of both corpora they do better than
#: `pyresnet-small` (UA 0.719 and 0.804 against 0.698 and 0.726).
NETWORK = {
    "depths": [1, 1, 1, 1],
    "embedding_size": 24,
    "hidden_sizes": [96, 192, 384, 768],
    "groups": [[1, 2, 3, 6], [1, 4, 8], [1, 4], [1]],
    "zero_init_residual": True,
}
MORE = (
    *("--config_overrides", json.dumps(NETWORK), "--feature_extractor_overrides", '{"num_mel_bins": 128}'),
    # Microphones and distances differ more than these corpora do.
    *("--gain_db", "10", "--seed", "42", "--report_to", "none"),
)


DEFAULT_MODEL = Path(loading.DEFAULT_MODEL)


def main() -> None:
    """Train and score the model, and put it into the package with --install."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ravdess", type=Path, required=True, help="folder of RAVDESS")
    parser.add_argument("--emodb", type=Path, required=True, help="folder of EMO-DB")
    parser.add_argument("--output_dir", type=Path, default=Path("outputs/default"), help="default: outputs/default")
    parser.add_argument("--install", action="store_true", help="put the model into the package")
    args = parser.parse_args()

    model = str(args.output_dir / "model")
    data = ["--dataset_name", "ravdess", "--data_dir", str(args.ravdess), "--extra_corpora", f"emodb={args.emodb}"]
    lssed_hf_command(["train", "--recipe", "small", *data, "--output_dir", model, *MORE])
    data = ["--dataset_name", "emodb", "--data_dir", str(args.emodb), "--output_dir", str(args.output_dir / "emodb")]
    lssed_hf_command(["evaluate", "--model_name_or_path", model, *data])
    if args.install:
        install(args.output_dir)


def install(folder: Path) -> None:
    """Copy the model into the package, whose own code needs no copy beside it, and write its card there."""
    trained = folder / "model"
    write_model_card(
        trained,
        results=[folder / "emodb"],
        name="The model that comes with lssed-hf",
        description="A small PyResNet for trying things out: one block a stage, three eighths of the channels.",
        notes=[
            "Both corpora are of actors who say a few fixed sentences, the same ones in training and test. On "
            "spontaneous speech, children, other languages and noisy recordings it has not been measured.",
            "Their licences rule out commercial use.",
        ],
        corpora=[{"name": name, "corpus": name} for name in ("ravdess", "emodb")],
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


if __name__ == "__main__":
    main()
