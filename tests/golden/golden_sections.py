"""Sections of the golden file: what users see of the package, as JSON values, by public names and the command line."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import datasets
import evaluate
import numpy as np
import soundfile
import torch
import transformers

import lssed_hf
from lssed_hf import cli


GOLDEN = Path(__file__).with_name("golden.json")
RATE = 16000
#: Synthetic releases (`lssed_hf.testing.synthesize`), each with as few speakers as show every split scheme.
SPEAKERS = {
    "aesdd": 4,
    "afew": 3,
    "asvp_esd": 4,
    "cafe": 5,
    "cmu_mosei": 4,
    "crema_d": 5,
    "daic_woz": 8,
    "e_daic": 3,
    "emodb": 4,
    "emovo": 4,
    "enterface": 3,
    "esd": 9,
    "fau_aibo": 3,
    "folder": 4,
    "iemocap": 4,
    "jl_corpus": 3,
    "lssed": 4,
    "meld": 3,
    "msp_improv": 4,
    "msp_podcast": 6,
    "nemo": 5,
    "ravdess": 17,
    "rml": 3,
    "savee": 3,
    "shemo": 4,
    "subesco": 4,
    "tess": 2,
}
#: Layout of a corpus that has none of its own.
LAYOUTS = {"synthetic": "lssed"}


def run(*argv: str) -> tuple[int, str]:
    """Run a command of `lssed-hf` and return its exit status and what it printed to standard output."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
        try:
            status = cli.main(list(argv))
        except SystemExit as stopped:
            status = stopped.code
    return status, printed.getvalue()


def release(folder: Path, layout: str) -> Path:
    """Return a synthetic release, written the first time."""
    target = folder / "releases" / layout
    if not target.is_dir():
        status, _ = run("synthesize", layout, str(target), "--num_speakers", str(SPEAKERS[layout]))
        assert status == 0, f"lssed-hf synthesize {layout} ended with {status}"
    return target


def sha256(value: object) -> str:
    """Return the hash of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def numbers(array: np.ndarray) -> dict:
    """Return shape, mean, deviation and a few values of an array."""
    array = np.asarray(array)
    few = array.ravel()[:: max(1, array.size // 8)][:8].tolist()
    return {
        "shape": list(array.shape),
        "mean": float(array.mean(dtype=np.float64)),
        "std": float(array.std(dtype=np.float64)),
        "values": few,
    }


def make_clips() -> dict[str, np.ndarray]:
    """Return tones, noise and signals with the rhythm of speech, float32 at 16 kHz."""
    generator = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE

    def voice(pitch: float, rate: float, loudness: float) -> np.ndarray:
        """Return harmonics of a moving pitch, in syllables."""
        phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time))) / RATE
        harmonics = sum(np.sin(number * phase) / number for number in range(1, 12))
        return loudness * harmonics * np.clip(np.sin(2 * np.pi * rate * time), 0, None)

    clips = {
        "tone": 0.3 * np.sin(2 * np.pi * 440 * time),
        "sweep": 0.3 * np.sin(2 * np.pi * (200 * time + 400 * time**2)),
        "noise": 0.1 * generator.standard_normal(len(time)),
        "low_voice": voice(110, 2.5, 0.15),
        "high_voice": voice(260, 4.5, 0.3) + 0.003 * generator.standard_normal(len(time)),
        "clipped_voice": np.clip(voice(180, 3.5, 1.5), -1, 1),
        "short_voice": voice(180, 3.5, 0.2)[: RATE // 2],
        "very_short": voice(180, 3.5, 0.2)[:400],
        "silence": np.zeros(RATE),
    }
    return {name: clip.astype(np.float32) for name, clip in clips.items()}


def write_recordings(folder: Path) -> list[Path]:
    """Write the clips, a stereo recording at another rate, and a file without audio; add a few of eSpeak's."""
    target = folder / "recordings"
    target.mkdir(exist_ok=True)
    clips = make_clips()
    for name, clip in clips.items():
        soundfile.write(target / f"{name}.wav", clip, RATE, subtype="PCM_16")
    stereo = np.stack([clips["low_voice"], clips["high_voice"]], axis=1)
    soundfile.write(target / "stereo.flac", stereo, 44100)
    (target / "text.wav").write_text("no audio")
    spoken = sorted((release(folder, "lssed") / "wav_all").glob("*.wav"))[::10]
    return [*sorted(target.iterdir()), *spoken]


def describe(prediction: lssed_hf.Prediction) -> dict:
    """Return what a prediction says, without its folder."""
    return {
        "label": prediction.label,
        "probabilities": dict(prediction.probabilities),
        "seconds": prediction.seconds,
        "notes": list(prediction.notes),
        "error": prediction.error is not None,
        "channel": prediction.channel,
    }


def built_in_model(folder: Path) -> dict:
    """Return predictions, windows and embeddings of the built-in model."""
    files = write_recordings(folder)
    classifier = lssed_hf.load_classifier(None, device="cpu")
    stereo, long = folder / "recordings" / "stereo.flac", folder / "long.wav"
    spoken = [soundfile.read(file, dtype="float32")[0] for file in files[-8:]]
    pause = np.zeros(RATE, np.float32)
    soundfile.write(long, np.concatenate([part for clip in spoken for part in (clip, pause)]), RATE, subtype="PCM_16")
    options = {"window_seconds": 3.0, "hop_seconds": 1.5}
    embeddings = (
        list(lssed_hf.embed([files[-1]], classifier)),
        list(lssed_hf.embed([files[-1]], classifier, frames=True)),
    )
    return {
        "labels": list(classifier.labels),
        "predict": {Path(one.file).name: describe(one) for one in lssed_hf.predict(files, device="cpu")},
        "predict_all_sounds": {
            Path(one.file).name: describe(one) for one in lssed_hf.predict(files, vad=False, device="cpu")
        },
        "channels": [describe(one) for one in lssed_hf.predict(stereo, channel="each", device="cpu")],
        "long": [describe(one) for one in lssed_hf.predict(long, device="cpu")],
        "timeline": {
            str(vad): [
                {
                    "start": segment.start,
                    "end": segment.end,
                    "skipped": segment.skipped,
                    "probabilities": None if segment.skipped else segment.probabilities.tolist(),
                }
                for segment in lssed_hf.score_timeline(classifier, long, vad=vad, **options)
            ]
            for vad in (False, True)
        },
        "embedding": [
            {**numbers(one.values), "norm": float(np.linalg.norm(one.values)), "seconds": one.seconds}
            for kind in embeddings
            for one in kind
        ],
    }


def features(folder: Path) -> dict:
    """Return numbers of what each front end makes of fixed clips."""
    pyresnet = {
        "default": {},
        "no_denoising": {"do_denoise": False},
        "denoising": {
            "denoise_win_length": 512,
            "noise_fraction": 0.2,
            "over_subtraction": 1.0,
            "spectral_floor": 0.1,
        },
        "utterance": {"normalization": "utterance"},
        "corpus": {"normalization": "corpus", "mean": [-20.0] * 128, "std": [10.0] * 128},
        "speaker": {"normalization": "speaker", "mean": [-30.0] * 128, "std": [5.0] * 128},
        "paper": {"log_mel": False, "normalization": "none"},
        "small": {"num_mel_bins": 64, "n_fft": 512, "hop_length": 160, "f_min": 50.0, "top_db": None, "gain": 1.0},
    }
    espnet = {
        "default": {},
        "espnet": {"win_length": None, "hop_length": 128, "normalization": "utterance_mvn"},
        "norm_vars": {"normalization": "utterance_mvn", "norm_vars": True},
        "global": {"mean": [-10.0] * 80, "std": [3.0] * 80},
        "none": {"normalization": "none", "window_function": "hamming", "mel_scale": "htk", "num_mel_bins": 40},
        "padded": {"normalization": "utterance_mvn", "pad_waveforms": True},
    }
    clips = make_clips()
    batch = [clips[name] for name in ("low_voice", "short_voice", "noise")]
    found = {}
    for kind, variants in (
        (lssed_hf.PyResNetFeatureExtractor, pyresnet),
        (lssed_hf.EspnetAsrFeatureExtractor, espnet),
    ):
        for name, options in variants.items():
            extractor = kind(**options)
            outputs = extractor(batch, sampling_rate=RATE, return_tensors="np")
            found[f"{kind.__name__} {name}"] = {
                "outputs": {key: numbers(values) for key, values in outputs.items()},
                "one": numbers(extractor(clips["high_voice"], sampling_rate=RATE, return_tensors="np").input_features),
                "settings": sha256(sorted(extractor.to_dict())),
            }
    fitted = lssed_hf.fit_normalization(lssed_hf.PyResNetFeatureExtractor(), load("lssed", folder)["test"])
    found["fit_normalization"] = {"mean": numbers(np.array(fitted.mean)), "std": numbers(np.array(fitted.std))}
    found["denoise"] = numbers(lssed_hf.PyResNetFeatureExtractor().denoise(clips["high_voice"]))
    return found


def zoo(_: Path) -> dict:
    """Return sizes, weights by name and shape, and own configuration fields of each network of the zoo."""
    common = transformers.PreTrainedConfig().to_dict().keys() | {"transformers_version", "architectures", "dtype"}
    found = {}
    for name in lssed_hf.list_models():
        with torch.device("meta"):
            model = lssed_hf.create_model(name, num_labels=4)
        state = sorted((key, list(value.shape)) for key, value in model.state_dict().items())
        config = model.config.to_dict()
        found[name] = {
            "class": type(model).__name__,
            "model_type": model.config.model_type,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "state": len(state),
            "state_sha256": sha256(state),
            "config": {key: config[key] for key in sorted(config.keys() - common)},
        }
    return json.loads(json.dumps(found))


def networks(_: Path) -> dict:
    """Return outputs of networks of each family, whose weights are drawn in the order of their names."""
    small = {
        "pyresnet-small": {},
        "resnet18": {},
        "fcn-attention-alexnet": {},
        "espnet-conformer": {"num_hidden_layers": 1, "hidden_size": 16, "intermediate_size": 32, "decoder_layers": 1},
        "espnet-vgg-blstm": {"num_hidden_layers": 1, "hidden_size": 16, "rnn_hidden_size": 16},
    }
    bins = {"pyresnet-small": 64, "espnet-conformer": 80, "espnet-vgg-blstm": 80}
    found = {}
    for name, options in small.items():
        model = lssed_hf.create_model(name, labels=["angry", "neutral", "happy", "sad"], **options).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for key, value in sorted(model.state_dict().items()):
                if not value.is_floating_point():
                    continue
                drawn = torch.randn(value.shape, generator=generator)
                if key.endswith("running_var"):
                    value.copy_(drawn.abs() + 0.5)
                elif value.dim() < 2:
                    value.copy_(0.1 * drawn + (not key.endswith(("bias", "running_mean"))))
                else:
                    value.copy_(drawn / value[0].numel() ** 0.5)
            inputs = torch.randn((2, 96, bins.get(name, 128)), generator=generator)
            outputs = model(input_features=inputs, attention_mask=torch.ones(2, 96, dtype=torch.int32))
        found[name] = {"logits": numbers(outputs.logits.numpy()), "labels": model.config.id2label[0]}
    return found


def load(name: str, folder: Path, *args: str, **options: str) -> datasets.DatasetDict:
    """Load a corpus from its synthetic release."""
    data_dir = release(folder, LAYOUTS.get(name, name))
    return lssed_hf.load_corpus(name, data_dir, *args, cache_dir=folder / "cache", **options)


def choices(name: str, folder: Path) -> tuple[list[str], list[str]]:
    """Return the configurations and split schemes of a corpus, as its errors name them."""
    try:
        load(name, folder, "?")
    except ValueError as error:
        configs = re.findall(r"'(\w+)'", str(error).partition("Available:")[2])
    try:
        load(name, folder, split_scheme="?")
    except ValueError as error:
        schemes = re.search(rf"; {name} has ([\w, ]+)", str(error))[1].split(", ")
    return configs, schemes


def rows_of(splits: datasets.DatasetDict) -> dict:
    """Return number, hash and first rows of (id, label, speaker) in each split, and a hash of all other columns."""
    found = {}
    for split, rows in splits.items():
        label = next(name for name in ("emotion", "depression") if name in rows.column_names)
        names = rows.features[label]
        table = rows.select_columns(
            [name for name in rows.column_names if name not in ("audio", "features")]
        ).to_list()
        short = sorted([row["id"], names.int2str(row[label]), row["speaker_id"]] for row in table)
        found[split] = {
            "rows": len(rows),
            "sha256": sha256(short),
            "first": short[:3],
            "order_sha256": sha256([row["id"] for row in table]),
            "columns": rows.column_names,
            "columns_sha256": sha256([sorted((key, rounded(value)) for key, value in row.items()) for row in table]),
        }
    return found


def rounded(value: object) -> object:
    """Return a number of seconds or years to one decimal, which other versions of the synthesiser agree on."""
    return round(value, 1) if isinstance(value, float) else value


def corpora(folder: Path) -> dict:
    """Return the rows of every corpus with a synthetic release, in every configuration and split scheme."""
    found = {}
    for name in [name for name in lssed_hf.list_corpora() if LAYOUTS.get(name, name) in SPEAKERS]:
        configs, schemes = choices(name, folder)
        found[name] = {"configs": configs, "schemes": sorted(schemes)}
        for config in configs:
            for scheme in sorted(schemes):
                try:
                    rows = rows_of(load(name, folder, config, split_scheme=scheme))
                except (ValueError, FileNotFoundError) as error:
                    rows = type(error).__name__
                found[name][f"{config} {scheme}"] = rows
    by_datasets = datasets.load_dataset(
        "lssed", data_dir=str(release(folder, "lssed")), cache_dir=str(folder / "cache_of_datasets")
    )
    found["load_dataset lssed"] = rows_of(by_datasets)
    return found


def feature_sets(folder: Path) -> dict:
    """Return the values of LSSED's feature sets in place of audio."""
    target = folder / "feature_sets"
    for name in ("vq-wav2vec", "IS13-ComParE"):
        (target / name).mkdir(parents=True, exist_ok=True)
    lines, rows = ["name;f1;f2;f3"], ["name,label,is_Chinese"]
    for number in range(6):
        name, values = f"E{number:04d}_1", np.random.default_rng(number).integers(0, 256, (16, 9))
        np.save(target / "vq-wav2vec" / f"{name}.npy", values.astype(np.int16))
        lines.append(f"{name};{values[0, 0]};{values[0, 1]};{values[0, 2] / 3}")
        rows.append(f"{name},{number % 4},0")
    (target / "IS13-ComParE" / "is13_compare.csv").write_text("\n".join(lines), encoding="utf-8")
    (target / "metadata_4class.csv").write_text("\n".join(rows), encoding="utf-8")
    found = {}
    for config in ("is13_compare", "vq_wav2vec"):
        splits = lssed_hf.load_corpus("lssed", target, config, cache_dir=folder / "cache")
        found[config] = {
            split: {row["id"]: numbers(np.array(row["features"])) for row in rows} for split, rows in splits.items()
        }
    return found


def metric(_: Path) -> dict:
    """Return the scores of fixed predictions."""
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(0, 4, (2, 200))
    predictions = np.where(generator.random(200) < 0.4, references, predictions)
    loaded = evaluate.load(lssed_hf.metric_path())
    return loaded.compute(references=references.tolist(), predictions=predictions.tolist(), num_labels=5)


def report(folder: Path) -> dict:
    """Return the results of `lssed-hf evaluate`, and the lines of its report."""
    data_dir, output_dir = str(release(folder, "lssed")), folder / "report"
    flags = ["--dataset_name", "lssed", "--data_dir", data_dir, "--split", "all", "--output_dir", str(output_dir)]
    status, printed = run("evaluate", *flags)
    lines = (output_dir / "report.md").read_text(encoding="utf-8").splitlines()
    returned = lssed_hf.evaluate("lssed", data_dir=data_dir, split="test", device="cpu")
    return {
        "status": status,
        "files": sorted(path.name for path in output_dir.iterdir()),
        "results": json.loads((output_dir / "results.json").read_text(encoding="utf-8")),
        "report": [line for line in lines if line.startswith(("#", "|", "- "))],
        "printed": [line for line in printed.splitlines() if line.startswith("|")],
        "columns": (output_dir / "predictions.csv").read_text(encoding="utf-8").splitlines()[0],
        "metrics": returned["metrics"],
        "keys": sorted(returned),
    }


def command_line(_: Path) -> dict:
    """Return exit status and flags of every command; of those that transformers adds, which are missing."""
    status, usage = run("--help")
    commands = re.findall(r"^  ([\w-]+)  ", usage, re.MULTILINE)
    theirs = {f"--{field.name}" for field in dataclasses.fields(transformers.TrainingArguments)}
    found: dict = {"commands": commands, "status": status, "status of nothing": run()[0]}
    found["unknown command"], found["unknown flag"] = run("pedict")[0], run("predict", "a.wav", "--chanel", "left")[0]
    for command in commands:
        status, text = run(command, "--help")
        status_of_all, more = run(command, "--help_all")
        every = flags_of(more)
        found[command] = {"status": status, "flags": sorted(flags_of(text)), "status of --help_all": status_of_all}
        if every:
            found[command] |= {"own": sorted(every - theirs), "missing": sorted(theirs - every)}
    return found


def flags_of(text: str) -> set[str]:
    """Return the flags that a help text explains, in every spelling."""
    heads = re.findall(r"^ {1,4}(-\S.*?)(?:  |$)", text, re.MULTILINE)
    return {flag for head in heads for flag in re.findall(r"(?:^|(?<=, ))--?\w[\w-]*", head)}


def public_names(_: Path) -> dict:
    """Return the public names of the package with the kind of each, and the names of corpora."""
    names = sorted(lssed_hf.__all__)
    kinds = {name: type(getattr(lssed_hf, name)).__name__ for name in names}
    return {"names": names, "kinds": kinds, "corpora": lssed_hf.list_corpora()}


SECTIONS: Mapping[str, Callable[[Path], dict]] = {
    section.__name__: section
    for section in (
        built_in_model,
        features,
        zoo,
        networks,
        corpora,
        feature_sets,
        metric,
        report,
        command_line,
        public_names,
    )
}


def compute(name: str, folder: Path) -> dict:
    """Return a section as it is read from JSON, floats to 6 significant digits.

    Args:
        name: Name in `SECTIONS`.
        folder: Folder for recordings and corpora, the same for every section.
    """
    os.environ["COLUMNS"] = "100"
    return json.loads(json.dumps(shortened(SECTIONS[name](folder))))


def shortened(value: object) -> object:
    """Return a JSON value with its floats to 6 significant digits."""
    if isinstance(value, Mapping):
        return {str(key): shortened(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shortened(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def updated(recorded: object, found: object) -> object:
    """Return a JSON value that was found anew, with the recorded parts where they differ by rounding alone."""
    if not differences(recorded, found):
        return recorded
    if isinstance(recorded, dict) and isinstance(found, dict):
        return {key: updated(recorded.get(key), value) for key, value in found.items()}
    return found


def differences(expected: object, found: object, place: str = "") -> list[str]:
    """Return where two JSON values differ: floats beyond rounding, everything else at all."""
    if isinstance(expected, dict) and isinstance(found, dict):
        lines = [f"{place}/{key}: only in one" for key in sorted(expected.keys() ^ found.keys())]
        both = [key for key in expected if key in found]
        return lines + [line for key in both for line in differences(expected[key], found[key], f"{place}/{key}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found))
        return [line for number, pair in pairs for line in differences(*pair, f"{place}/{number}")]
    if isinstance(expected, float) and isinstance(found, (int, float)) and not isinstance(found, bool):
        return [] if abs(expected - found) <= 1e-5 + 1e-4 * abs(expected) else [f"{place}: {expected} is now {found}"]
    return (
        [] if expected == found and isinstance(found, type(expected)) else [f"{place}: {expected!r} is now {found!r}"]
    )
