"""A folder with a model and its feature extractor, opened in another process, with and without this package."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_cnn import make_tiny_cnn
from tiny_pyresnet import make_tiny_config, randomise_batch_norm
from transformers import AutoModelForAudioClassification, PreTrainedModel, pipeline

from lssed_hf import (
    EspnetAsrConfig,
    EspnetAsrFeatureExtractor,
    EspnetAsrForAudioClassification,
    PyResNetFeatureExtractor,
    PyResNetForAudioClassification,
    create_model,
)


ID2LABEL = {0: "angry", 1: "neutral", 2: "happy", 3: "sad"}
AUTO_CLASSES = {"AutoConfig", "AutoFeatureExtractor", "AutoModel", "AutoModelForAudioClassification"}


def make_pyresnet() -> PyResNetForAudioClassification:
    torch.manual_seed(0)
    model = PyResNetForAudioClassification(make_tiny_config(id2label=ID2LABEL))
    randomise_batch_norm(model)
    return model


def make_espnet_asr() -> EspnetAsrForAudioClassification:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "intermediate_size": 24, "num_mel_bins": 32, "vocab_size": 9}
    return EspnetAsrForAudioClassification(EspnetAsrConfig(**sizes, id2label=ID2LABEL))


def make_whisper_statistics() -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"num_mel_bins": 32, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    model = create_model("whisper_statistics", labels=list(ID2LABEL.values()), **sizes)
    with torch.no_grad():
        model.embedding_std.fill_(0.01)  # or all clips would get almost the same scores
    return model


@dataclass(frozen=True)
class Family:
    """A model, the files that carry its code, and the names of its classes."""

    make: Callable[[], PreTrainedModel]
    code: list[str]
    prefix: str
    feature_extractor: type = PyResNetFeatureExtractor
    auto_classes: set[str] = field(default_factory=lambda: set(AUTO_CLASSES))


ESPNET_PARTS = [
    *("configuration", "decoder", "encoders", "generation", "layers", "losses", "modeling", "rnn_decoder", "specaug")
]
FAMILIES = {
    "pyresnet": Family(make_pyresnet, ["configuration_pyresnet.py", "modeling_pyresnet.py"], "PyResNet"),
    "cnn": Family(
        lambda: make_tiny_cnn("resnet18", id2label=ID2LABEL), ["configuration_cnn.py", "modeling_cnn.py"], "SerCnn"
    ),
    "cnn with fully connected layers": Family(
        lambda: make_tiny_cnn("vgg11", id2label=ID2LABEL), ["configuration_cnn.py", "modeling_cnn.py"], "SerCnn"
    ),
    "whisper_statistics": Family(
        make_whisper_statistics,
        ["configuration_whisper_statistics.py", "modeling_whisper_statistics.py"],
        "WhisperStatistics",
    ),
    "espnet": Family(
        make_espnet_asr,
        [f"{part}_espnet_asr.py" for part in ESPNET_PARTS],
        "EspnetAsr",
        EspnetAsrFeatureExtractor,
        AUTO_CLASSES | {"AutoModelForSpeechSeq2Seq"},
    ),
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request) -> Family:
    return FAMILIES[request.param]


@pytest.fixture(scope="module")
def code(family) -> list[str]:
    own = [f"{family.feature_extractor.__module__.rpartition('.')[2]}.py"]
    own += (
        ["front_end_pyresnet.py", "torch_front_end_pyresnet.py"]
        if family.feature_extractor is PyResNetFeatureExtractor
        else []
    )
    return sorted([*family.code, *own])


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    family.make().save_pretrained(folder)
    generator = np.random.default_rng(0)
    extractor = family.feature_extractor(
        num_mel_bins=32, mean=generator.normal(-20, 5, 32).tolist(), std=generator.uniform(5, 15, 32).tolist()
    )
    extractor.save_pretrained(folder)
    clips = {f"{n}": generator.normal(0, 0.1, int(16000 * n)).astype(np.float32) for n in (0.7, 1.5, 2.2)}
    np.savez(folder / "clips.npz", **clips)
    return folder


@pytest.fixture(scope="module")
def expected(folder, family) -> dict:
    """The same computed here."""
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = family.feature_extractor.from_pretrained(folder)
    with np.load(folder / "clips.npz") as file:
        clips = [file[name] for name in sorted(file)]
    inputs = extractor(clips, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        logits, pooled = model(**inputs).logits, model.base_model(**inputs).pooler_output
    classify = pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    return {
        "features": inputs["input_features"].numpy(),
        "logits": logits.numpy(),
        "pooled": pooled.numpy(),
        "pipeline": classify(clips, batch_size=2),
    }


@pytest.fixture(scope="module")
def installed(folder, forking_python) -> dict:
    return json.loads(forking_python.call("open_saved_folder", "main", "installed", str(folder)))


@pytest.fixture(scope="module")
def blocked(folder, forking_python) -> dict:
    return json.loads(forking_python.call("open_saved_folder", "main", "blocked", str(folder)))


def check(opened: dict, expected: dict) -> None:
    for name in ("features", "logits", "pooled"):
        np.testing.assert_allclose(opened[name], expected[name], atol=1e-6, rtol=1e-6, err_msg=name)
    for result, wanted in zip(opened["pipeline"], expected["pipeline"], strict=True):
        assert [entry["label"] for entry in result] == [entry["label"] for entry in wanted]
        np.testing.assert_allclose(
            [entry["score"] for entry in result], [entry["score"] for entry in wanted], atol=1e-6
        )


def test_folder_carries_its_code_and_names_all_classes(folder, family, code):
    assert sorted(path.name for path in folder.glob("*.py")) == code
    assert set(json.loads((folder / "config.json").read_text())["auto_map"]) == family.auto_classes
    assert "AutoFeatureExtractor" in json.loads((folder / "preprocessor_config.json").read_text())["auto_map"]


def test_a_bare_model_folder_names_all_classes_too(family, tmp_path):
    family.make().base_model.save_pretrained(tmp_path)
    assert set(json.loads((tmp_path / "config.json").read_text())["auto_map"]) == family.auto_classes


@pytest.mark.parametrize("opening", ["saved", "trusted"])
def test_opens_with_the_package(installed, expected, opening):
    check(installed[opening], expected)


@pytest.mark.parametrize("opening", ["saved", "trusted"])
def test_the_package_never_runs_the_code_of_a_folder(installed, opening):
    assert all(module.startswith("lssed_hf.") for module in installed[opening]["modules"].values())
    assert installed["imported"] == ["lssed_hf"]


def test_opens_without_the_package(family, blocked, expected):
    assert blocked["imported"] == ["transformers_modules"]
    assert set(blocked["saved"]["modules"]) == {
        f"{family.prefix}Config",
        family.feature_extractor.__name__,
        f"{family.prefix}Model",
        f"{family.prefix}ForAudioClassification",
    }
    assert all(module.startswith("transformers_modules.") for module in blocked["saved"]["modules"].values())
    check(blocked["saved"], expected)


def test_saving_again_without_the_package_keeps_the_code(folder, family, code, blocked, expected):
    check(blocked["again"], expected)
    assert sorted(path.name for path in (folder / "again").glob("*.py")) == code
    for name in code:
        assert (folder / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert set(json.loads((folder / "again" / "config.json").read_text())["auto_map"]) == family.auto_classes
