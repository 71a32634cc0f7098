"""Damaged and hostile folders of models: refused by name, in one line, before they take memory."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from tiny_classifier import write_classifier
from tiny_whisper import write_whisper
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from lssed_hf import cli, embed, list_pretrained, load_classifier
from lssed_hf.hub.export import open_source
from lssed_hf.inference.classifiers.network import open_encoder
from lssed_hf.inference.classifiers.pretrained import pretrained_folder
from lssed_hf.inference.classifiers.speaker_statistics import read_speakers


pytestmark = pytest.mark.usefixtures("one_thread")

WEIGHTS, CONFIG, FRONT_END = "model.safetensors", "config.json", "preprocessor_config.json"
LABELS = ["angry", "neutral", "sad"]
NAN, INFINITE = float("nan"), float("inf")


def weights(change):
    """Return a function that changes the tensors of a folder."""

    def apply(folder: Path) -> None:
        tensors = dict(load_file(folder / WEIGHTS))
        change(tensors)
        save_file(tensors, folder / WEIGHTS, {"format": "pt"})

    return apply


def put(name, value):
    return weights(lambda tensors: tensors.update({name: value}))


def fill(name, value):
    return weights(lambda tensors: tensors[name].fill_(value))


def content(name, change):
    """Return a function that changes the bytes of a file."""
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


def settings(name, **changes):
    """Return a function that changes the fields of a file of JSON."""
    return content(name, lambda old: json.dumps({**json.loads(old), **changes}).encode())


NORM = "pyresnet.embedder.normalization"
#: Damage -> words of the refusal, which names the file.
DAMAGE = {
    "missing": (weights(lambda tensors: tensors.pop("classifier.weight")), rf"{WEIGHTS} lacks 1 .*classifier\.weight"),
    "unexpected": (put("adapter.weight", torch.zeros(2)), rf"{WEIGHTS} holds 1 tensors .*adapter\.weight"),
    "shape": (put("classifier.bias", torch.zeros(5)), rf"{WEIGHTS}: classifier\.bias has the shape \(5,\).*\(3,\)"),
    "foreign": (
        lambda folder: save_file({"a": torch.zeros(3)}, folder / WEIGHTS),
        rf"{WEIGHTS} lacks 2\d .*such as a;",
    ),
    "truncated": (content(WEIGHTS, lambda old: old[:-100]), rf"{WEIGHTS}: .*no whole file"),
    "cut to its head": (content(WEIGHTS, lambda old: old[:5]), rf"{WEIGHTS}: .*no whole file"),
    "empty": (content(WEIGHTS, lambda old: b""), rf"{WEIGHTS}: .*no whole file"),
    "oversized": (content(WEIGHTS, lambda old: old + b"0" * 100), rf"{WEIGHTS}: .*no whole file"),
    "endless head": (content(WEIGHTS, lambda old: (2**62).to_bytes(8, "little")), rf"{WEIGHTS}: .*no whole file"),
    "nan": (fill("classifier.weight", NAN), rf"{WEIGHTS}: classifier\.weight holds nan"),
    "infinite": (fill(f"{NORM}.running_var", INFINITE), rf"{WEIGHTS}: {NORM}\.running_var holds inf"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), rf"holds no {WEIGHTS}"),
    "gaps": (settings(CONFIG, id2label={"0": "a", "2": "b", "5": "c"}), rf"{CONFIG}: id2label .*not 0, 2, 5"),
    "words": (settings(CONFIG, id2label={"a": "a", "b": "b", "c": "c"}), rf"{CONFIG}: id2label .*not a, b, c"),
    "twins": (settings(CONFIG, id2label={"0": "a", "1": "a", "2": "b"}), rf"{CONFIG}: id2label .*same name"),
    "twin dimensions": (settings(CONFIG, dimensions=["valence"] * 2), rf"{CONFIG}: two dimensions .*same name"),
    "list": (settings(CONFIG, id2label=["a", "b", "c"]), rf"{CONFIG}: id2label"),
    "nameless": (settings(CONFIG, id2label={"0": "a", "1": None, "2": "b"}), rf"{CONFIG}: id2label .*without a name"),
    "fewer labels": (settings(CONFIG, id2label={"0": "a", "1": "b"}), rf"{WEIGHTS}: classifier\.\w+ .*needs \(2,"),
    "other type": (settings(CONFIG, depths="many"), rf"{CONFIG}: .*depths"),
    "no json": (content(CONFIG, lambda old: old[:-9]), CONFIG),
    "deep json": (content(CONFIG, lambda old: b"[" * 200_000), rf"{CONFIG}.*recursion"),
    "mean": (settings(FRONT_END, mean=[NAN] * 128), rf"{FRONT_END}: mean holds nan"),
    "std": (settings(FRONT_END, std=[1.0] * 127 + [INFINITE]), rf"{FRONT_END}: std holds inf"),
    "std of 0": (settings(FRONT_END, std=[20.0] * 127 + [0]), rf"{FRONT_END}: std holds 0"),
    "negative std": (settings(FRONT_END, std=[-20.0] * 128), rf"{FRONT_END}: std holds -20"),
    "std below float32": (settings(FRONT_END, std=[1e-60] * 128), rf"{FRONT_END}: std holds 1e-60"),
    "mean beyond float32": (settings(FRONT_END, mean=[1e60] * 128), rf"{FRONT_END}: mean holds 1e\+60"),
    "words for numbers": (settings(FRONT_END, num_mel_bins="many"), FRONT_END),
    "gain": (settings(FRONT_END, gain=NAN), rf"{FRONT_END}: gain holds nan"),
}
#: Settings that ask for memory, and words of the refusal.
GREEDY = {
    "blocks": (settings(CONFIG, depths=[100_000]), rf"{CONFIG} asks for a larger network"),
    "channels": (settings(CONFIG, hidden_sizes=[10**9]), rf"{CONFIG} asks for a larger network"),
    "channels of channels": (settings(CONFIG, hidden_sizes=[2**62]), "overflowed"),
    "rows": (settings(CONFIG, num_frequency_rows=2**30), rf"{CONFIG} asks for a larger network"),
    "labels": (settings(CONFIG, id2label=None, num_labels=10**9), rf"{CONFIG}: num_labels=1000000000"),
    "transform": (settings(FRONT_END, n_fft=2**30), rf"{FRONT_END}: n_fft holds 1073741824"),
    "mel bins": (settings(FRONT_END, num_mel_bins=2**30, mean=None, std=None), rf"{FRONT_END}: num_mel_bins holds"),
    "denoising": (settings(FRONT_END, denoise_win_length=2**30), rf"{FRONT_END}: denoise_win_length holds"),
    "rate": (settings(FRONT_END, sampling_rate=2**30), rf"{FRONT_END}: sampling_rate holds"),
    "hop": (settings(FRONT_END, hop_length=1, n_fft=2**14), rf"{FRONT_END}: .*every hop_length=1 samples"),
    "no hop": (settings(FRONT_END, hop_length=0), rf"{FRONT_END}: hop_length=0"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), LABELS, "corpus")


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "model")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    return path


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_folders_are_refused_by_name(damage, copy, capfd):
    change, words = DAMAGE[damage]
    change(copy)
    for open_model in (load_classifier, lambda folder: open_source(folder, False)):
        with pytest.raises((ValueError, OSError), match=words) as caught:
            open_model(copy)
        assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
    assert "LOAD REPORT" not in capfd.readouterr().err


@pytest.mark.parametrize("command", ["predict", "timeline", "evaluate", "embed", "enroll", "export", "serve", "adapt"])
@pytest.mark.parametrize("damage", ["nan", "truncated", "std of 0"])
def test_commands_end_in_one_line(command, damage, copy, clip, tmp_path, capfd):
    DAMAGE[damage][0](copy)
    recordings = tmp_path / "recordings"
    for label in LABELS[:2]:
        for number in range(3):
            (recordings / label).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, recordings / label / f"{number}.wav")
    arguments = {
        "evaluate": ["--model_name_or_path", str(copy), "--data_dir", str(recordings), "--split", "all"],
        "enroll": [str(copy), str(clip), "--speaker", "me", "--speakers", str(tmp_path / "speakers.json")],
        "export": [str(copy), str(tmp_path / "exported")],
        "serve": [str(copy)],
        "adapt": [str(copy), str(recordings), "--output_dir", str(tmp_path / "adapted")],
        "embed": [str(copy), str(clip), "--out", str(tmp_path / "embeddings.npy")],
    }
    try:
        assert cli.main([command, *arguments.get(command, [str(copy), str(clip)])]) == 1
    except SystemExit as left:
        pytest.fail(f"{left}: {capfd.readouterr().err}")
    captured = capfd.readouterr()
    errors = [line for line in captured.err.splitlines() if "error:" in line]
    assert len(errors) == 1 and "Traceback" not in captured.err, captured.err
    assert str(copy) in errors[0]


MEMORY = """
import resource, sys
sys.path[:0] = {path!r}
from pathlib import Path
import lssed_hf.inference.classifiers.network, lssed_hf.models.pyresnet.modeling_pyresnet
from lssed_hf import load_classifier
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))
for folder in {folders!r}:
    try:
        load_classifier(folder, device="cpu")
        print("opened")
    except (ValueError, OSError) as error:
        print(str(error).replace(chr(10), " "))
"""


def test_greedy_settings_are_refused_before_they_take_memory(model, forking_python, tmp_path):
    folders = []
    for name, (change, _) in GREEDY.items():
        folders.append(str(shutil.copytree(model, tmp_path / name)))
        change(tmp_path / name)
    lines = forking_python.run(MEMORY.format(path=sys.path, folders=folders)).splitlines()
    for line, (name, (_, words)) in zip(lines, GREEDY.items(), strict=True):
        assert str(tmp_path / name) in line and re.search(words, line), (name, line)


class TestEncodersWithoutAHead:
    def test_they_are_no_classifiers(self, tmp_path):
        folder = write_whisper(tmp_path)
        with pytest.raises(ValueError, match=rf"{WEIGHTS} lacks 4 .*would be random.*train one from this encoder"):
            load_classifier(folder)
        assert type(open_encoder(folder)).__name__ == "WhisperForAudioClassification"
        soundfile.write(tmp_path / "clip.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
        [embedding] = embed(tmp_path / "clip.wav", folder)
        assert embedding.values.shape == (16,), "what enters a head depends on no head"

    def test_their_encoder_has_to_be_whole(self, tmp_path):
        folder = write_whisper(tmp_path)
        put("model.encoder.conv1.weight", torch.zeros(16, 9, 3))(folder)
        with pytest.raises(ValueError, match=r"no weights for 1 parameters of the encoder, such as .*conv1\.weight"):
            open_encoder(folder)
        fill("model.encoder.conv1.weight", NAN)(folder)
        with pytest.raises(
            ValueError, match=rf"{WEIGHTS}: encoder\.conv1\.weight holds nan|parameters of the encoder"
        ):
            open_encoder(folder)

    @pytest.mark.parametrize("probability", [0.0, 0.05])
    def test_weights_for_training_alone_may_be_missing_or_left(self, probability, tmp_path):
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        sizes |= {"conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (40, 8), "num_feat_extract_layers": 2}
        sizes |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "classifier_proj_size": 8}
        Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**sizes)).save_pretrained(tmp_path)
        Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
        settings(CONFIG, mask_time_prob=probability)(tmp_path)
        if probability:
            weights(lambda tensors: tensors.pop("wav2vec2.masked_spec_embed"))(tmp_path)
        assert load_classifier(tmp_path).labels == ["LABEL_0", "LABEL_1"]

    def test_endless_padding_is_refused(self, tmp_path):
        settings(FRONT_END, chunk_length=10**6)(write_whisper(tmp_path))
        with pytest.raises(ValueError, match=rf"{FRONT_END}: chunk_length holds 1000000"):
            load_classifier(tmp_path)


class TestStandardizedEmbeddings:
    """Models that come with the package, by PyTorch and by ONNX Runtime."""

    @pytest.mark.parametrize("engine", ["torch", "onnx"])
    @pytest.mark.parametrize("name", list_pretrained())
    @pytest.mark.parametrize(
        "change, words",
        [
            (fill("embedding_std", 0), "embedding_std holds 0, and must be above 0"),
            (fill("embedding_std", -1), "embedding_std holds -1, and must be above 0"),
            (fill("embedding_mean", NAN), "embedding_mean holds nan"),
            (fill("classifier.bias", INFINITE), r"classifier\.bias holds inf"),
            (fill("speaker_temperature", 0), "speaker_temperature is not above 0"),
            (content(WEIGHTS, lambda old: old[:-8]), "no whole file"),
            (settings(CONFIG, id2label={"0": "angry", "1": "sad"}), "shape|labels"),
            (settings(CONFIG, dimensions=["a", "a"]), "two dimensions have the same name"),
            (settings(CONFIG, dimensions=["angry"], problem_type="regression"), "two dimensions have the same name"),
        ],
    )
    def test_damage_is_refused(self, engine, name, change, words, tmp_path):
        folder = shutil.copytree(pretrained_folder(name), tmp_path / "model")
        load_classifier(folder, device="cpu", engine=engine)
        change(folder)
        with pytest.raises(ValueError, match=words) as caught:
            load_classifier(folder, device="cpu", engine=engine)
        assert "\n" not in str(caught.value) and str(folder) in str(caught.value)

    def test_a_damaged_graph_is_named(self, tmp_path):
        folder = shutil.copytree(pretrained_folder("encoder-small"), tmp_path / "model")
        whole = (folder / "model.onnx").read_bytes()
        for damaged in (b"", whole[:5000], whole.replace(b'"min_length": 1', b'"min_length": 0')):
            (folder / "model.onnx").write_bytes(damaged)
            with pytest.raises(ValueError, match=r"model\.onnx"):
                load_classifier(folder, device="cpu", engine="onnx")


def write_exported(folder: Path, scores: int = 3, value: float = 0.1, inputs: tuple[str, ...] = ("input_features",)):
    """Write an exported network: means over time and a linear layer."""
    onnx = pytest.importorskip("onnx")
    from lssed_hf import PyResNetFeatureExtractor

    tensor, node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    weight = onnx.numpy_helper.from_array(np.full((128, scores), value, np.float32), "weight")
    axes = onnx.numpy_helper.from_array(np.array([1]), "axes")
    graph = onnx.helper.make_graph(
        [
            node("ReduceMean", ["input_features", "axes"], ["mean"], keepdims=0),
            node("MatMul", ["mean", "weight"], ["logits"]),
        ],
        "network",
        [tensor("input_features", 1, ["batch", "length", 128])],
        [tensor("logits", 1, ["batch", scores])],
        [weight, axes],
    )
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx.save(model, folder / "model.onnx")
    facts = {"format": "onnx", "inputs": list(inputs), "min_length": 1, "by_length": False}
    (folder / "export.json").write_text(json.dumps(facts))
    (folder / CONFIG).write_text(
        json.dumps({"model_type": "pyresnet", "id2label": dict(zip("012", LABELS))}), encoding="utf-8"
    )
    PyResNetFeatureExtractor(mean=[-50.0] * 128, std=[20.0] * 128).save_pretrained(folder)
    return folder


class TestExports:
    @pytest.mark.parametrize(
        "change, words",
        [
            ({"scores": 4}, "the network gives 4 scores.*config.json names 3 labels"),
            ({"value": NAN}, "0 of them finite"),
            ({"value": 3e38}, "0 of them finite"),
            ({"inputs": ("input_values",)}, "no input_values, an input in export.json"),
            ({"inputs": ("input_features", "attention_mask")}, "do not fit each other"),
            (content("model.onnx", lambda old: old[: len(old) // 2]), r"model\.onnx cannot be read"),
            (settings("export.json", min_length=0), r"export\.json .*min_length=0"),
            (settings("export.json", min_length=2**40), r"export\.json .*min_length=1099511627776"),
            (settings("export.json", min_length=True), r"export\.json .*min_length=True"),
            (settings("export.json", by_length="false"), r"export\.json .*by_length='false'"),
            (settings("export.json", inputs="input_features"), r"export\.json .*inputs='input_features'"),
            (settings(CONFIG, id2label={"0": "a", "2": "b", "3": "c"}), rf"{CONFIG}: id2label"),
            (settings(FRONT_END, std=[0.0] * 128), rf"{FRONT_END}: std holds 0"),
            (settings(FRONT_END, num_mel_bins=64, mean=None, std=None), "do not fit each other"),
            (settings(FRONT_END, n_fft=2**30), rf"{FRONT_END}: n_fft holds"),
        ],
    )
    def test_damage_is_refused(self, change, words, tmp_path):
        load_classifier(write_exported(tmp_path))
        if isinstance(change, dict):
            write_exported(tmp_path, **change)
        else:
            change(tmp_path)
        with pytest.raises(ValueError, match=words) as caught:
            load_classifier(tmp_path)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


SPEAKER = {"mean": [0.0] * 128, "std": [1.0] * 128, "num_clips": 2, "seconds": 3.0}


@pytest.mark.parametrize(
    "change, words",
    [
        ({"mean": [NAN] * 128}, "mean must be a list of finite numbers"),
        ({"mean": [1e60] * 128}, "mean must be a list of finite numbers"),
        ({"std": [INFINITE] * 128}, "std must be a list of finite numbers"),
        ({"std": [0.0] * 128}, "std must be above 0"),
        ({"std": [1e-60] * 128}, "std must be above 0"),
        ({"std": [-1.0] * 128}, "std must be above 0"),
        ({"mean": [0.0] * 3}, "mean has 3 entries and std 128"),
    ],
)
def test_statistics_of_speakers_are_finite(change, words, model, tmp_path):
    classifier = load_classifier(model)
    path = tmp_path / "speakers.json"
    path.write_text(json.dumps({"features": classifier.front_end, "speakers": {"me": {**SPEAKER, **change}}}))
    with pytest.raises(ValueError, match=rf"speakers\.json: speakers: 'me': {words}"):
        read_speakers(path, classifier)
