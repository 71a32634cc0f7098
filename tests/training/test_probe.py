"""Tiny random encoders, opened, frozen, shortened, probed and fine-tuned."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from tiny_whisper import write_whisper
from tones import write_ravdess
from transformers import (
    AutoModelForAudioClassification,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WhisperForConditionalGeneration,
    pipeline,
)

from lssed_hf import PyResNetFeatureExtractor, create_model, load_audio
from lssed_hf.cli import main
from lssed_hf.cli import train as train_command
from lssed_hf.corpora import corpus_arguments as corpus_flags
from lssed_hf.inference import load_classifier
from lssed_hf.inference.classifiers.inputs import model_inputs
from lssed_hf.inference.classifiers.probe import pooled_states
from lssed_hf.models.encoders import encoder_of
from lssed_hf.training import probe as module
from lssed_hf.training import train
from lssed_hf.training.arguments import ModelArguments
from lssed_hf.training.freezing import freeze
from lssed_hf.training.pretrained import load_pretrained
from lssed_hf.training.probe import fit_probe
from lssed_hf.training.trainer import set_head_learning_rate


LABELS = ["angry", "neutral", "happy", "sad"]
MAPS = {"id2label": dict(enumerate(LABELS)), "label2id": {label: index for index, label in enumerate(LABELS)}}
FLAGS = ["--report_to", "none", "--disable_tqdm", "true"]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wav2vec2")
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=10,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[8, 8],
        conv_stride=[10, 8],
        conv_kernel=[10, 8],
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


def arguments(folder, **settings) -> ModelArguments:
    return ModelArguments(model_name_or_path=str(folder), **settings)


def test_an_encoder_is_taken_from_a_recogniser_in_single_precision(whisper):
    model, _ = load_pretrained(arguments(whisper), MAPS)
    recogniser = WhisperForConditionalGeneration.from_pretrained(whisper, dtype=torch.float32)
    for name, weight in recogniser.model.encoder.state_dict().items():
        assert model.encoder.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(model.encoder.state_dict()[name], weight)
    assert model.config.num_labels == 4


def test_a_folder_without_the_encoder_s_weights_is_refused(whisper, tmp_path):
    for path in whisper.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    weights = {name: weight for name, weight in weights.items() if "encoder.layers.1" not in name}
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"no weights for .* parameters of the encoder, such as encoder\.layers\.1"):
        load_pretrained(arguments(tmp_path), MAPS)


def test_shorter_positions_are_the_first_ones(whisper, tmp_path):
    long, _ = load_pretrained(arguments(whisper), MAPS)
    short, extractor = load_pretrained(arguments(whisper, chunk_length=2), MAPS)
    assert short.config.max_source_positions == 100 and extractor.n_samples == 32000
    torch.testing.assert_close(short.encoder.embed_positions.weight, long.encoder.embed_positions.weight[:100])
    short.save_pretrained(tmp_path)
    extractor.save_pretrained(tmp_path)
    clip = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    answers = pipeline("audio-classification", model=str(tmp_path))(clip, top_k=None)
    with torch.no_grad():
        expected = short.eval()(**model_inputs(extractor, [clip])).logits.softmax(-1)[0]
    scores = {answer["label"]: answer["score"] for answer in answers}
    np.testing.assert_allclose([scores[label] for label in LABELS], expected, atol=1e-5)


@pytest.mark.parametrize("seconds", [0, 31])
def test_lengths_out_of_range_are_refused(whisper, seconds):
    with pytest.raises(ValueError, match=f"--chunk_length {seconds}: it must be from 1 to 30 s"):
        load_pretrained(arguments(whisper, chunk_length=seconds), MAPS)


def test_models_of_any_length_have_none_to_shorten(wav2vec2):
    with pytest.raises(ValueError, match="--chunk_length is for models that pad every clip"):
        load_pretrained(arguments(wav2vec2, chunk_length=2), MAPS)


def test_whisper_is_frozen_stage_by_stage(whisper):
    model, _ = load_pretrained(arguments(whisper), MAPS)
    trained = freeze(model, 1)
    assert "encoder.layers.1.fc1.weight" in trained and "projector.weight" in trained
    assert not any(name.startswith(("encoder.layers.0", "encoder.conv")) for name in trained)
    assert freeze(model, 0) == ["projector.weight", "projector.bias", "classifier.weight", "classifier.bias"]


def test_the_head_learns_at_a_rate_of_its_own(whisper):
    model, _ = load_pretrained(arguments(whisper), MAPS)
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5)
    set_head_learning_rate(optimizer, model, 1e-2)
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    assert len(rates) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        rate = 1e-5 if name.startswith("encoder.") else 1e-2
        assert rates[id(parameter)] == (rate, 0.1 if parameter.dim() > 1 else 0.0)


def states(seed: int, layers: int = 3, informative: int = 1, count: int = 120):
    """Return random hidden states, of which one layer knows the class."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=count)
    values = rng.normal(size=(count, layers, 8)).astype(np.float32)
    values[np.arange(count), informative, labels] += 3
    return values, labels


def test_the_layer_is_chosen_that_knows_most():
    probe = fit_probe(states(0), states(1), 4)
    assert probe.layer == 1 and probe.validation[1] > 0.8 > max(probe.validation[0], probe.validation[2])
    fixed = fit_probe(states(0), states(1), 4, layer=2, grid=[0.3])
    assert (fixed.layer, fixed.C) == (2, 0.3)
    with pytest.raises(ValueError, match="--probe_layer 3: the encoder has layers 0 to 2"):
        fit_probe(states(0), states(1), 4, layer=3)


@pytest.mark.parametrize("num_labels", [2, 4])
def test_the_regression_is_that_of_scikit_learn_on_standardised_states(num_labels):
    values, labels = states(0)
    labels = labels % num_labels
    probe = fit_probe((values, labels), (values, labels), num_labels, layer=1)
    layer = values[:, 1].astype(np.float64)
    standardised = (layer - layer.mean(axis=0)) / layer.std(axis=0)
    reference = LogisticRegression(C=probe.C, max_iter=1000).fit(standardised, labels)
    logits = layer @ probe.weight.T + probe.bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, reference.predict_proba(standardised), atol=1e-6)


def test_a_class_without_clips_is_never_the_answer():
    values, labels = states(0)
    probe = fit_probe((values, np.minimum(labels, 2)), (values, labels), 4)
    assert (values[:, probe.layer] @ probe.weight.T + probe.bias).argmax(axis=1).max() == 2


@pytest.mark.parametrize("model", ["whisper", "wav2vec2"])
def test_a_saved_probe_gives_what_was_fitted(model, ravdess, tmp_path, request):
    folder = request.getfixturevalue(model)
    short = ["--chunk_length", "1"] if model == "whisper" else []
    flags = ["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--model_name_or_path", str(folder), *short]
    train_command.main([*flags, "--probe", "true", "--output_dir", str(tmp_path), *FLAGS])
    chosen = json.loads((tmp_path / "probe.json").read_text())
    assert set(chosen["validation_unweighted_accuracy"]) == {"0", "1", "2"}
    assert (tmp_path / "README.md").is_file() and (tmp_path / "report.md").is_file()

    # Logits are those of the regression on the states of a clip's own frames.
    splits = corpus_flags.load_splits("ravdess", "benchmark", ravdess)
    args = arguments(folder, chunk_length=1 if short else None)
    train_states, validation_states = (
        (module.cached_states(splits[name], args, "audio", module._mean_states), np.asarray(splits[name]["emotion"]))
        for name in ("train", "validation")
    )
    probe = fit_probe(train_states, validation_states, 4)
    assert (probe.layer, probe.C) == (chosen["layer"], chosen["C"])
    classifier = load_classifier(tmp_path)
    clip = splits["validation"].cast_column("audio", train.datasets.Audio(decode=False))[0]["audio"]
    waveform = load_audio(clip, 16000)
    logits = classifier.logits([waveform, waveform[:4000]])
    expected = probe.weight @ validation_states[0][0, probe.layer] + probe.bias
    np.testing.assert_allclose(logits[0], expected, atol=2e-3)
    assert classifier.labels == LABELS and json.loads((tmp_path / "training.json").read_text())["num_parameters"] > 100
    assert main(["predict", str(tmp_path), str(ravdess / "03-01-01-01-01-01-17.wav")]) == 0
    card = (tmp_path / "README.md").read_text()
    assert "lssed_hf.load_classifier" in card and "pipeline(" not in card


def test_what_lies_behind_a_clip_does_not_count(whisper):
    model, extractor = load_pretrained(arguments(whisper, chunk_length=2), MAPS)
    clip = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    with torch.no_grad():
        states = model.encoder.eval()(**model_inputs(extractor, [clip]), output_hidden_states=True).hidden_states
    pooled = pooled_states(model.encoder, extractor, clip)
    assert pooled.shape == (3, 16)
    for layer, state in enumerate(states):
        torch.testing.assert_close(pooled[layer], state[0, :25].mean(dim=0))  # 0.5 of 2 s, 100 positions


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("probe.json", b"{", "no readable probe"),
        ("probe.json", b'{"layer": "x"}', "no readable probe"),
        ("probe.safetensors", b"no tensors", "no readable probe"),
        ("probe.safetensors", None, "probe.safetensors is missing"),
    ],
)
def test_damaged_folders_are_named(name, content, message, whisper, tmp_path):
    model, extractor = load_pretrained(arguments(whisper, chunk_length=1), MAPS)
    model.save_pretrained(tmp_path / "encoder")
    extractor.save_pretrained(tmp_path / "encoder")
    (tmp_path / "probe.json").write_text('{"layer": 1}')
    save_file({"weight": torch.zeros(4, 16), "bias": torch.zeros(4)}, tmp_path / "probe.safetensors")
    load_classifier(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_classifier(tmp_path)
    save_file({"weight": torch.zeros(3, 16), "bias": torch.zeros(3)}, tmp_path / "probe.safetensors")
    (tmp_path / "probe.json").write_text('{"layer": 1}')
    with pytest.raises(ValueError, match=r"shape \(3, 16\), but the encoder has 4 labels"):
        load_classifier(tmp_path)


def test_test_labels_change_no_choice(whisper, ravdess, tmp_path, monkeypatch):
    flags = ["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--model_name_or_path", str(whisper)]
    flags += ["--chunk_length", "1", "--probe", "true", *FLAGS]
    train_command.main([*flags, "--output_dir", str(tmp_path / "as_it_is")])
    original = corpus_flags.load_splits

    def shuffled(*args, **kwargs):
        dataset = original(*args, **kwargs)
        labels = np.random.default_rng(0).permutation(dataset["test"]["emotion"])
        features = dataset["test"].features
        rows = dataset["test"].remove_columns("emotion").add_column("emotion", labels)
        return train.datasets.DatasetDict({**dataset, "test": rows.cast(train.datasets.Features(features))})

    monkeypatch.setattr(corpus_flags, "load_splits", shuffled)
    train_command.main([*flags, "--output_dir", str(tmp_path / "shuffled")])
    for name in ("probe.json", "probe.safetensors"):
        assert (tmp_path / "as_it_is" / name).read_bytes() == (tmp_path / "shuffled" / name).read_bytes()
    scores = [(tmp_path / name / "results.json").read_text() for name in ("as_it_is", "shuffled")]
    assert scores[0] != scores[1]


def test_networks_without_sequences_of_states_are_pointed_elsewhere(ravdess, tmp_path):
    flags = ["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--output_dir", str(tmp_path / "out")]
    network = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}
    model = create_model("pyresnet50", num_labels=4, **network)
    model.save_pretrained(tmp_path / "model")
    PyResNetFeatureExtractor(normalization="none").save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="for a probe: use --num_trainable_stages 0"):
        train_command.main([*flags, "--probe", "true", "--model_name_or_path", str(tmp_path / "model"), *FLAGS])


@pytest.mark.slow
def test_learned_layer_weights_and_fine_tuning(whisper, ravdess, tmp_path):
    flags = ["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--model_name_or_path", str(whisper)]
    flags += [
        "--chunk_length",
        "1",
        "--config_overrides",
        '{"use_weighted_layer_sum": true}',
        "--optim",
        "adamw_torch",
    ]
    flags += ["--learning_rate", "1e-4", "--head_learning_rate", "1e-2", "--num_train_epochs", "1", *FLAGS]
    flags += ["--per_device_train_batch_size", "8", "--gradient_accumulation_steps", "1", "--crop_seconds", "0"]
    before, _ = load_pretrained(arguments(whisper, config_overrides='{"use_weighted_layer_sum": true}'), MAPS)
    for name, stages in (("weights", ["--num_trainable_stages", "0"]), ("all", [])):
        train_command.main([*flags, *stages, "--output_dir", str(tmp_path / name)])
        after = AutoModelForAudioClassification.from_pretrained(tmp_path / name)
        assert (after.layer_weights != before.layer_weights).all()
        same = torch.equal(encoder_of(after).layers[0].fc1.weight, encoder_of(before).layers[0].fc1.weight)
        assert same == (name == "weights")
