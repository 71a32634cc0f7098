"""Conversion of PyResNets of the LSSED authors, in every form that torch.save gives them."""

import doctest
import json
import re
import sys

import numpy as np
import pytest
import torch
import yaml
from pyconvresnet import SMALL, PyConvBlock, PyConvResNet, make_network
from safetensors import safe_open
from torch import nn
from transformers import AutoFeatureExtractor, AutoModelForAudioClassification, pipeline

import lssed_hf
from lssed_hf import PyResNetFeatureExtractor, PyResNetForAudioClassification, cli
from lssed_hf.hub.cards.model_card import FORBIDDEN
from lssed_hf.hub.conversion import convert
from lssed_hf.hub.conversion.result import UnsupportedModelError


DEPTHS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}


@pytest.fixture(scope="module")
def small() -> PyConvResNet:
    return make_network([2, 1, 1, 1], **SMALL)


def logits_of_both(network: nn.Module, folder, frames: int = 70) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits (batch, labels) of the authors' network and of the folder, for the same features."""
    features = torch.randn(2, frames, 128, generator=torch.Generator().manual_seed(1))
    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return network(features.transpose(1, 2).unsqueeze(1)), model(features).logits


def assert_same_logits(network: nn.Module, folder) -> None:
    theirs, ours = logits_of_both(network, folder)
    assert theirs.std() > 1e-3, "logits that are all alike would compare nothing"
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


FORMS = {
    "module": lambda network: network,
    "state dict": lambda network: network.state_dict(),
    "wrapped state dict": lambda network: {"epoch": 3, "state_dict": network.state_dict(), "best": np.float64(0.5)},
    "wrapped module": lambda network: {"model": network},
    "DataParallel": lambda network: nn.DataParallel(network),
    "state dict of DataParallel": lambda network: nn.DataParallel(network).state_dict(),
    "with an optimiser": lambda network: {
        "model": network.state_dict(),
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9).state_dict(),
    },
    "double precision": lambda network: {
        name: value.double() if value.is_floating_point() else value for name, value in network.state_dict().items()
    },
}


class TestForms:
    @pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
    def test_logits_are_equal(self, small, tmp_path, form, legacy):
        torch.save(FORMS[form](small), tmp_path / "m.pth", _use_new_zipfile_serialization=not legacy)
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")

    @pytest.mark.slow
    def test_pyresnet50_in_full(self, tmp_path, capsys):
        network = make_network(DEPTHS[50])
        torch.save(network, tmp_path / "PyResNet50.pth")
        assert cli.main(["convert", str(tmp_path / "PyResNet50.pth"), str(tmp_path / "out")]) == 0
        assert "PyResNet-50, 4 labels: angry, neutral, happy, sad" in capsys.readouterr().out
        assert_same_logits(network, tmp_path / "out")
        model = AutoModelForAudioClassification.from_pretrained(tmp_path / "out")
        assert model.num_parameters() == 22_825_220
        assert model.config == PyResNetForAudioClassification(model.config).config
        assert model.config.groups == [[1, 4, 8, 16], [1, 4, 8], [1, 4], [1]]

    @pytest.mark.slow
    @pytest.mark.parametrize("depth", [101, 152])
    def test_deeper_ones(self, tmp_path, depth):
        network = make_network(DEPTHS[depth], **SMALL)
        torch.save(network, tmp_path / "m.pth")
        made = lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert made.model.startswith(f"PyResNet-{depth},")
        assert_same_logits(network, tmp_path / "out")

    def test_other_pickle_protocols(self, small, tmp_path):
        for protocol in (3, 4, 5):
            torch.save(small, tmp_path / f"{protocol}.pth", pickle_protocol=protocol)
            lssed_hf.convert_checkpoint(tmp_path / f"{protocol}.pth", tmp_path / f"out{protocol}")
            assert_same_logits(small, tmp_path / f"out{protocol}")

    def test_weights_that_share_one_storage(self, small, tmp_path):
        state = small.state_dict()
        floats = {name: value for name, value in state.items() if value.is_floating_point()}
        flat = torch.cat([value.flatten() for value in floats.values()])
        parts = flat.split([value.numel() for value in floats.values()])
        shared = {name: part.view(state[name].shape) for name, part in zip(floats, parts)}
        torch.save({**state, **shared}, tmp_path / "m.pth")
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")

    def test_channels_last_weights(self, small, tmp_path):
        network = make_network([2, 1, 1, 1], **SMALL).to(memory_format=torch.channels_last)
        torch.save(network, tmp_path / "m.pth")
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")

    def test_weights_of_torch_before_batch_counters(self, small, tmp_path):
        state = {name: value for name, value in small.state_dict().items() if "num_batches" not in name}
        torch.save(state, tmp_path / "m.pth")
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")

    def test_without_the_authors_code(self, small, tmp_path, monkeypatch):
        torch.save(small, tmp_path / "m.pth")
        monkeypatch.setitem(sys.modules, "pyconvresnet", None)  # cannot be imported
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")


class TestFolder:
    @pytest.fixture(scope="class")
    def folder(self, small, tmp_path_factory):
        folder = tmp_path_factory.mktemp("converted")
        torch.save(small, folder / "m.pth")
        lssed_hf.convert_checkpoint(folder / "m.pth", folder / "out")
        assert sorted(path.name for path in folder.iterdir()) == ["m.pth", "out"], "nothing temporary is left"
        return folder / "out"

    def test_pipeline(self, small, folder):
        classify = pipeline("audio-classification", model=str(folder), device="cpu")
        clip = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
        answers = classify({"array": clip, "sampling_rate": 16000}, top_k=None)
        features = AutoFeatureExtractor.from_pretrained(folder)(clip, sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            expected = small(features["input_features"].transpose(1, 2).unsqueeze(1)).softmax(-1)[0]
        for label, score in zip(("angry", "neutral", "happy", "sad"), expected.tolist()):
            (found,) = (answer["score"] for answer in answers if answer["label"] == label)
            assert found == pytest.approx(score, abs=1e-5)

    def test_files(self, folder):
        names = {path.name for path in folder.iterdir()}
        assert {"model.safetensors", "config.json", "preprocessor_config.json", "README.md"} <= names
        assert {"configuration_pyresnet.py", "modeling_pyresnet.py", "feature_extraction_pyresnet.py"} <= names
        config = json.loads((folder / "config.json").read_text())
        assert config["id2label"] == {"0": "angry", "1": "neutral", "2": "happy", "3": "sad"}
        assert config["architectures"] == ["PyResNetForAudioClassification"]
        assert "AutoFeatureExtractor" in config["auto_map"]
        with safe_open(folder / "model.safetensors", "pt") as file:
            assert file.metadata() == {"format": "pt"}
            assert file.get_tensor("classifier.weight").dtype == torch.float32

    def test_front_end_is_the_papers_to_the_letter(self, folder):
        extractor = PyResNetFeatureExtractor.from_pretrained(folder)
        assert (extractor.log_mel, extractor.normalization, extractor.gain) == (False, "none", 2.0)
        assert (extractor.n_fft, extractor.hop_length, extractor.num_mel_bins) == (1024, 512, 128)
        assert extractor.do_denoise and extractor.sampling_rate == 16000

    def test_card_names_what_is_unknown(self, folder):
        card = (folder / "README.md").read_text(encoding="utf-8")
        metadata = yaml.safe_load(card.split("---")[1])
        assert metadata["pipeline_tag"] == "audio-classification" and metadata["license"] == "unknown"
        saved = json.loads((folder / "preprocessor_config.json").read_text())
        assert metadata[FORBIDDEN] is True  # LSSED's agreement
        unknown = card.replace("\\", "").partition("Where it is silent")[2]
        named = set(re.findall(r"\w+", unknown)) & (saved.keys() | {"mean", "std"})
        assert {"over_subtraction", "f_min", "log_mel", "normalization"} <= named
        assert re.search(r"SHA-256 [0-9a-f]{64}", card)


class TestLabels:
    def test_may_be_given(self, small, tmp_path, capsys):
        torch.save(small, tmp_path / "m.pth")
        argv = ["convert", str(tmp_path / "m.pth"), str(tmp_path / "out"), "--labels", "A", "B", "C", "D"]
        assert cli.main(argv) == 0
        model = PyResNetForAudioClassification.from_pretrained(tmp_path / "out")
        assert model.config.id2label == dict(enumerate("ABCD"))
        assert model.config.label2id == {label: index for index, label in enumerate("ABCD")}

    @pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "b", "c", "a"], ["a", "b", "c", " "]])
    def test_have_to_fit(self, small, tmp_path, labels):
        torch.save(small, tmp_path / "m.pth")
        with pytest.raises(ValueError, match="4 different names are needed"):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out", labels=labels)

    def test_other_numbers_have_no_default(self, tmp_path):
        torch.save(make_network([1, 1, 1, 1], num_classes=2, **SMALL), tmp_path / "m.pth")
        with pytest.raises(ValueError, match="has 2 outputs; name them, in their order, with --labels"):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        made = lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out", labels=["calm", "tense"])
        assert "2 labels: calm, tense" in made.model


class TestOtherNetworks:
    def refuse(self, tmp_path, content, match: str) -> None:
        torch.save(content, tmp_path / "m.pth")
        with pytest.raises(UnsupportedModelError, match=match) as caught:
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert str(caught.value).startswith("m.pth: ")
        assert [path.name for path in tmp_path.iterdir()] == ["m.pth"], "nothing is written"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda s: s.pop("layer1.1.bn2.weight"), "layer1.1.bn2.weight is missing"),
            (lambda s: s.pop("conv1.weight"), "conv1.weight is missing, so this is no PyResNet"),
            (lambda s: s.pop("layer3.0.conv3.weight"), "layer3.0.conv3.weight is missing"),
            (lambda s: s.pop("fc.bias"), "fc.bias is missing"),
            (lambda s: s.update({"layer1.9.bn1.bias": torch.ones(1)}), "layer1.2 is missing, though there are 3"),
            (lambda s: s.update({"attention.weight": torch.ones(1)}), "attention.weight has no place"),
            (lambda s: s.update({"bn1.bias": torch.ones(3)}), "bn1.bias has the shape (3,) instead of (16,)"),
            (
                lambda s: s.update({"conv1.weight": torch.ones(16, 3, 7, 7)}),
                "takes 3 channels: a network for pictures",
            ),
            (lambda s: s.update({"fc.weight": torch.ones(4)}), "fc.weight has the shape (4,) instead of 2 axes"),
            (lambda s: s.update({"fc.weight": torch.ones(4, 5)}), "no PyResNet has weights of these shapes"),
            (lambda s: s.update({"layer1.0.conv1.weight": torch.ones(18, 16, 1, 1)}), "(18, 16, 1, 1) instead of"),
            (lambda s: s["layer2.0.bn1.weight"][3:4].fill_(torch.nan), "layer2.0.bn1.weight has values that are NaN"),
            (lambda s: s["bn1.running_mean"][1:2].fill_(torch.inf), "bn1.running_mean has values that are NaN or inf"),
            (lambda s: s["bn1.running_var"][1:2].fill_(-0.1), "bn1.running_var has negative values"),
            (lambda s: s.update({"fc.bias": torch.ones(4).int()}), "fc.bias has the type torch.int32"),
            (lambda s: s.update({"epoch": 3}), "'epoch' among the weights is no tensor"),
            (lambda s: s.clear(), "holds neither a module nor weights"),
        ],
    )
    def test_weights(self, small, tmp_path, change, message):
        state = {name: value.clone() for name, value in small.state_dict().items()}
        change(state)
        self.refuse(tmp_path, state, re.escape(message))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda n: setattr(n.layer1[0].conv2.conv2_1, "stride", (1, 1)), r"conv2_1 has stride=\(1, 1\)"),
            (lambda n: setattr(n.layer2[0].bn1, "eps", 1e-3), r"layer2\.0\.bn1 has eps=0\.001 instead of 1e-05"),
            (lambda n: setattr(n, "avgpool", nn.AdaptiveAvgPool2d((1, 4))), r"avgpool has output_size=\(1, 4\)"),
            (lambda n: setattr(n, "avgpool", nn.MaxPool2d(2)), r"avgpool is a '.*MaxPool2d' instead of a AdaptiveAvg"),
            (lambda n: n.layer2.append(nn.ReLU()), r"module 'layer2\.1', a .*ReLU', is in no PyResNet"),
            (lambda n: setattr(n, "maxpool", nn.MaxPool2d(2)), r"module 'maxpool', a .*, is in no PyResNet"),
            (lambda n: setattr(n.layer1[0].downsample[0], "kernel_size", 2), r"downsample\.0 has kernel_size=2"),
            (lambda n: setattr(n.layer1, "1", n.layer1[0]), r"module '.*' occurs twice"),
            (lambda n: n._modules.update(fc=3), r"'fc' is no module"),
            (lambda n: n.__dict__.pop("_buffers"), r"is no module of torch: it has no _buffers"),
        ],
    )  # fmt: skip
    def test_settings_of_modules(self, tmp_path, change, message):
        network = make_network([2, 1, 1, 1], **SMALL)
        change(network)
        self.refuse(tmp_path, network, message)

    def test_dropout_is_taken_over(self, tmp_path):
        torch.save(make_network([1, 1, 1, 1], dropout=0.3, **SMALL), tmp_path / "m.pth")
        lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert PyResNetForAudioClassification.from_pretrained(tmp_path / "out").config.classifier_dropout == 0.3

    def test_a_part_of_one(self, tmp_path):
        self.refuse(tmp_path, PyConvBlock(16, 16, 2, (1,)), r"conv1\.weight takes 16 channels|is missing")

    @pytest.mark.parametrize("content", [3, [1, 2], {"state_dict": None}, {"model": {"state_dict": {}}}])
    def test_no_weights_at_all(self, tmp_path, content):
        self.refuse(tmp_path, content, "holds neither a module nor weights by name")


class TestCommand:
    def test_example(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        results = doctest.testmod(convert)
        assert results.attempted and not results.failed

    def test_arguments_for_the_other_kind(self, small, tmp_path, capsys):
        torch.save(small, tmp_path / "m.pth")
        argv = ["convert", str(tmp_path / "m.pth"), str(tmp_path / "out"), "--config_file", "config.yaml"]
        assert cli.main(argv) == 1
        assert "--config_file is for ESPnet2 models" in capsys.readouterr().err
        with pytest.raises(ValueError, match="--labels is for PyResNets"):
            lssed_hf.convert_checkpoint(tmp_path, tmp_path / "out", labels=["a"])
        assert not (tmp_path / "out").exists()

    def test_a_checkpoint_called_zip_is_known_by_what_it_is(self, small, tmp_path):
        torch.save(small, tmp_path / "m.zip")
        lssed_hf.convert_checkpoint(tmp_path / "m.zip", tmp_path / "out")
        assert_same_logits(small, tmp_path / "out")

    def test_files_missing_or_in_the_way(self, small, tmp_path, capsys):
        assert cli.main(["convert", str(tmp_path / "nowhere.pth"), str(tmp_path / "out")]) == 1
        assert "nowhere.pth: no such folder or file" in capsys.readouterr().err
        torch.save(small, tmp_path / "m.pth")
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "precious").touch()
        with pytest.raises(FileExistsError, match="not empty"):
            lssed_hf.convert_checkpoint(tmp_path / "m.pth", tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["precious"]
