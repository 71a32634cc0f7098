"""`lssed-hf train --probe_pooling statistics`: heads on made-up embeddings, and trainings on tones."""

import dataclasses
import json
import logging

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from tiny_classifier import write_classifier
from tiny_whisper import write_whisper
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification

from lssed_hf import load_audio
from lssed_hf.cli import train as train_command
from lssed_hf.corpora import corpus_arguments
from lssed_hf.inference import load_classifier
from lssed_hf.inference.classifiers.network import NetworkStatisticsClassifier
from lssed_hf.training import statistics as module
from lssed_hf.training.arguments import DataArguments, ModelArguments
from lssed_hf.training.selection import training_splits
from lssed_hf.training.statistics import Embeddings, fit_head, truncated_whisper


pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["angry", "neutral", "happy", "sad"]
FLAGS = ["--report_to", "none", "--disable_tqdm", "true", "--probe", "true", "--probe_pooling", "statistics"]
FIXED = ["--probe_layer", "1", "--probe_C", "0.1"]


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return write_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def flags(whisper, corpora):
    data = ["--dataset_name", "ravdess", "--data_dir", str(corpora["ravdess"])]
    return [*data, "--model_name_or_path", str(whisper), *FLAGS]


def made_up(seed: int, shift: float = 0.0, num_labels: int = 3, count: int = 120) -> Embeddings:
    """Return embeddings of three layers, of which the second knows the class, of speakers at their own offsets."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % num_labels
    speakers = np.arange(count) // 12
    values = rng.normal(size=(count, 3, 8))
    values[np.arange(count), 1, labels] += 3
    values += shift * rng.normal(size=(speakers.max() + 1, 1, 8))[speakers]
    return Embeddings(values.astype(np.float32), labels, [f"s{speaker}" for speaker in speakers], [""] * count)


def predictions(head, values):
    return ((values[:, head.layer] - head.mean) / head.std @ head.weight.T + head.bias).argmax(axis=1)


class TestHead:
    def test_learns(self):
        test = made_up(1)
        accuracies = [
            (predictions(fit_head(made_up(0), 3, layer, 0.1, both=False), test.values) == test.labels).mean()
            for layer in range(3)
        ]
        assert accuracies[1] > 0.9 > 0.6 > max(accuracies[0], accuracies[2])

    @pytest.mark.parametrize("num_labels", [2, 3])
    def test_is_scikit_learns_regression_with_weights(self, num_labels):
        train = made_up(0, num_labels=num_labels)
        head = fit_head(train, num_labels, 1, 0.3, both=False)
        layer = train.values[:, 1].astype(np.float64)
        inputs = (layer - layer.mean(axis=0)) / layer.std(axis=0)
        reference = LogisticRegression(C=0.3, max_iter=1000)
        reference.fit(inputs, train.labels, sample_weight=train.weights(num_labels))
        shares = softmax(inputs @ head.weight.T + head.bias, axis=1)
        np.testing.assert_allclose(shares, reference.predict_proba(inputs), atol=1e-5)

    def test_a_class_without_clips_is_never_the_answer(self):
        head = fit_head(made_up(0), 4, 1, 0.1, both=True)
        assert predictions(head, 100 * made_up(1).values).max() == 2
        assert (head.class_means[3] == 0).all() and np.abs(head.class_means[:3]).max() > 0.5

    def test_a_speaker_called_none_is_not_an_unknown_one(self):
        values = np.random.default_rng(0).normal(size=(6, 1, 3))
        clips = Embeddings(values, np.zeros(6, int), [None, "None", None, "a", "None", "a"], [""] * 6)
        assert [rows.tolist() for rows in clips.rows_of_speakers()] == [[0, 2], [1, 4], [3, 5]]
        own = clips.by_speaker(0, np.zeros(3), np.ones(3))
        np.testing.assert_array_equal(own[[0, 2]], values[[0, 2], 0])
        np.testing.assert_allclose(own[[1, 4]].mean(axis=0), 0, atol=1e-12)

    def test_two_of_three_classes(self):
        train = made_up(0, num_labels=2)
        moved = Embeddings(train.values, train.labels * 2, train.speakers, train.corpora)  # classes 0 and 2
        head = fit_head(moved, 3, 1, 0.1, both=False)
        assert set(predictions(head, moved.values)) == {0, 2}
        assert (predictions(head, moved.values) == moved.labels).mean() > 0.9

    def test_corpora_count_by_the_root_of_their_size_and_classes_alike(self):
        labels = np.array([0, 0, 0, 1] * 4 + [0, 0, 0, 1])  # 16 clips and 4, of the same shares
        corpora = ["large"] * 16 + ["small"] * 4
        weights = Embeddings(np.zeros((20, 1, 2)), labels, [None] * 20, corpora).weights(2)
        assert weights.mean() == pytest.approx(1)
        assert weights[:16].sum() == pytest.approx(2 * weights[16:].sum())
        assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum())

    def test_weights_count(self):
        """A corpus of the opposite labels wins only by its size."""
        one, other = made_up(0, count=60), made_up(1, count=12)
        labels = np.concatenate([one.labels, (other.labels + 1) % 3])
        values, speakers = np.concatenate([one.values, other.values]), [*one.speakers, *other.speakers]
        split = Embeddings(values, labels, speakers, ["a"] * 60 + ["b"] * 12)
        joined = Embeddings(values, labels, speakers, ["a"] * 72)
        heads = [fit_head(train, 3, 1, 0.1, both=False) for train in (split, joined)]
        inputs = [(values[60:, 1] - head.mean) / head.std @ head.weight.T + head.bias for head in heads]
        shares = [softmax(logits, axis=1) for logits in inputs]
        own = [row[np.arange(12), labels[60:]].mean() for row in shares]
        assert own[0] > own[1] + 0.02

    def test_a_speakers_own_clips_standardise_them(self):
        train = made_up(0, shift=5.0)
        train.speakers[:2] = [None, None]
        values = train.by_speaker(1, np.zeros(8), np.ones(8))
        for speaker in set(train.speakers) - {None}:
            own = values[np.array([name == speaker for name in train.speakers])]
            np.testing.assert_allclose([own.mean(axis=0), own.std(axis=0)], [np.zeros(8), np.ones(8)], atol=1e-5)
        np.testing.assert_allclose(values[:2], train.values[:2, 1], atol=1e-6)  # unknown: the corpus's

    def test_learning_both_ways_serves_both(self):
        train, test = made_up(0, shift=2.0), made_up(1, shift=2.0)
        accuracies = {}
        for both in (False, True):
            head = fit_head(train, 3, 1, 0.1, both)
            own = test.by_speaker(1, head.mean, head.std)
            accuracies[both] = ((own @ head.weight.T + head.bias).argmax(axis=1) == test.labels).mean()
        assert accuracies[True] > 0.9 and accuracies[True] > accuracies[False]

    def test_class_means_are_free_of_speakers_offsets(self):
        plain, shifted = (fit_head(made_up(0, shift=shift), 3, 1, 0.1, both=False) for shift in (0.0, 20.0))
        np.testing.assert_allclose(plain.class_means.sum(axis=0), 0, atol=1e-9)
        # In units of each head's deviation, which an offset makes larger.
        np.testing.assert_allclose(shifted.class_means * shifted.std, plain.class_means * plain.std, atol=1e-4)


class TestCalibration:
    def test_a_temperature_changes_no_answer_and_fits_speakers_that_were_left_out(self):
        train, test = made_up(0, shift=2.0), made_up(1, shift=2.0)
        head = fit_head(train, 3, 1, 10.0, both=False)  # sure of itself
        softer = module.calibrated(head, train, 3, both=False)
        temperature = np.linalg.norm(head.weight) / np.linalg.norm(softer.weight)
        assert temperature > 1.2
        np.testing.assert_allclose(softer.bias * temperature, head.bias, rtol=1e-9)
        assert softer.within_variance * temperature**2 == pytest.approx(head.within_variance)
        assert (predictions(head, test.values) == predictions(softer, test.values)).all()

        def log_loss(head):
            logits = (test.values[:, 1] - head.mean) / head.std @ head.weight.T + head.bias
            return -np.log(softmax(logits, axis=1)[np.arange(len(logits)), test.labels]).mean()

        assert log_loss(softer) < log_loss(head)

    def test_clips_of_known_speakers_have_a_temperature_of_their_own(self):
        train, test = made_up(0, shift=2.0, count=960), made_up(1, shift=2.0, count=960)
        head = module.calibrated(fit_head(train, 3, 1, 1.0, both=True), train, 3, both=True)
        assert head.speaker_temperature < 0.8  # what is known of speakers makes sure

        def log_loss(logits):
            return -np.log(softmax(logits, axis=1)[np.arange(len(logits)), test.labels]).mean()

        _, by_speaker = head.logits(test, both=True)
        assert log_loss(by_speaker / head.speaker_temperature) < log_loss(by_speaker)
        unknown = dataclasses.replace(train, speakers=[None] * 960)
        assert module.calibrated(fit_head(unknown, 3, 1, 1.0, both=False), unknown, 3, False).speaker_temperature == 1

    def test_corpora_are_left_out_where_there_are_several(self):
        """The clips of one corpus have labels of their own, so nothing that is learnt elsewhere is right there."""
        train = made_up(0)
        odd = Embeddings(
            train.values,
            np.where(np.arange(120) < 60, train.labels, (train.labels + 1) % 3),
            train.speakers,
            train.corpora,
        )
        head = fit_head(odd, 3, 1, 1.0, both=False)
        by_speaker = module.calibrated(head, odd, 3, both=False)
        by_corpus = module.calibrated(head, dataclasses.replace(odd, corpora=["a"] * 60 + ["b"] * 60), 3, both=False)
        assert np.abs(by_corpus.weight).max() < 0.5 * np.abs(by_speaker.weight).max()

    def test_a_lone_speaker_is_not_calibrated(self):
        train = dataclasses.replace(made_up(0), speakers=["a"] * 120)
        head = fit_head(train, 3, 1, 1.0, both=False)
        assert module.calibrated(head, train, 3, both=False) is head

    @pytest.mark.parametrize("both", [False, True])
    def test_speakers_of_one_class_and_classes_of_one_speaker_do_no_harm(self, both):
        train = made_up(0, num_labels=2, count=24)  # two speakers, each with one class
        train = dataclasses.replace(train, speakers=[f"s{label}" for label in train.labels])
        head = fit_head(train, 2, 1, 1.0, both)
        assert module.calibrated(head, train, 2, both) is head
        train = made_up(0)  # the first speaker alone has the third class
        labels = np.where(np.arange(120) < 12, train.labels, train.labels % 2)
        train = dataclasses.replace(train, labels=labels)
        head = fit_head(train, 3, 1, 1.0, both)
        temperature = np.linalg.norm(head.weight) / np.linalg.norm(module.calibrated(head, train, 3, both).weight)
        assert temperature < 5


class TestTruncatedWhisper:
    def test_pools_all_layers_that_are_kept(self, whisper):
        encoder = module.encoder_of(module.load_pretrained(ModelArguments(model_name_or_path=str(whisper)), {})[0])
        whole, one = truncated_whisper(encoder), truncated_whisper(encoder, 1)
        assert (whole.config.pooled_layers, one.config.pooled_layers) == ([0, 1, 2], [0, 1])
        assert whole.config.max_frames == 3000
        for name, value in one.state_dict().items():
            assert torch.equal(value, encoder.state_dict()[name]), name
        features = torch.randn(1, 50, 8)
        with torch.no_grad():
            torch.testing.assert_close(one(features).pooler_output, whole(features).pooler_output[:, :64])

    @pytest.mark.parametrize("number", [-1, 3])
    def test_layers_that_are_not_there_are_refused(self, whisper, number):
        encoder = module.encoder_of(module.load_pretrained(ModelArguments(model_name_or_path=str(whisper)), {})[0])
        with pytest.raises(ValueError, match=f"--probe_layer {number}: the encoder has layers 0 to 2"):
            truncated_whisper(encoder, number)


@pytest.fixture(scope="module")
def finished(whisper, corpora, tmp_path_factory):
    """A training whose layer and C are chosen, with speakers."""
    output_dir = tmp_path_factory.mktemp("chosen")
    data = ["--dataset_name", "ravdess", "--data_dir", str(corpora["ravdess"])]
    flags = [*data, "--model_name_or_path", str(whisper), *FLAGS, "--speaker_normalization", "all"]
    train_command.main([*flags, "--output_dir", str(output_dir)])
    return output_dir


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_training_on_tones_learns_and_leaves_all_files(finished):
    results = read(finished / "results.json")
    assert results["labels"] == LABELS and results["metrics"]["unweighted_accuracy"] > 0.4
    assert results["speaker_normalization"]["statistics"] == "all"
    config = read(finished / "config.json")
    assert config["pooled_layers"] == [config["num_hidden_layers"]] and config["hidden_size"] == 16
    names = {"README.md", "report.md", "training.json", "model.safetensors", "preprocessor_config.json"}
    assert names <= {path.name for path in finished.iterdir()}
    assert "modeling_whisper_statistics.py" in {path.name for path in finished.iterdir()}
    assert 0 < read(finished / "eval_results.json")["eval_unweighted_accuracy"] <= 1
    classifier = load_classifier(finished)
    assert type(classifier) is NetworkStatisticsClassifier and not classifier.wants_speaker
    assert read(finished / "training.json")["num_parameters"] == classifier.model.num_parameters()


def test_the_saved_model_is_the_best_head_of_all(finished, whisper, corpora):
    splits = corpus_arguments.load_splits("ravdess", "benchmark", corpora["ravdess"])
    data_args = DataArguments("ravdess", data_dir=str(corpora["ravdess"]))
    model_args = ModelArguments(
        model_name_or_path=str(whisper), probe=True, probe_pooling="statistics", speaker_normalization="all"
    )
    train, validation = (module._embeddings(splits[name], data_args, model_args) for name in ("train", "validation"))
    heads = [fit_head(train, 4, layer, C, both=True) for layer in range(3) for C in module.GRID]
    scores = [module._validation_score(head, validation, 4, both=True) for head in heads]
    best = module.calibrated(heads[int(np.argmax(scores))], train, 4, both=True)
    assert read(finished / "eval_results.json")["eval_unweighted_accuracy"] == pytest.approx(max(scores))
    state = load_file(finished / "model.safetensors")
    np.testing.assert_allclose(state["classifier.weight"], best.weight, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(state["class_means"], best.class_means, rtol=1e-6, atol=1e-7)
    assert read(finished / "config.json")["pooled_layers"] == [best.layer]

    classifier = load_classifier(finished)
    clip = splits["validation"].cast_column("audio", datasets.Audio(decode=False))[0]["audio"]
    expected = (validation.values[0, best.layer] - best.mean) / best.std @ best.weight.T + best.bias
    np.testing.assert_allclose(classifier.logits([load_audio(clip, 16000)])[0], expected, atol=1e-3)


def test_test_labels_change_nothing_and_a_second_run_is_the_same_to_the_bit(finished, flags, tmp_path, monkeypatch):
    original = corpus_arguments.load_splits

    def shuffled(*args, **kwargs):
        dataset = original(*args, **kwargs)
        labels = np.random.default_rng(0).permutation(dataset["test"]["emotion"])
        features = dataset["test"].features
        rows = dataset["test"].remove_columns("emotion").add_column("emotion", labels)
        return datasets.DatasetDict({**dataset, "test": rows.cast(datasets.Features(features))})

    monkeypatch.setattr(corpus_arguments, "load_splits", shuffled)
    datasets.disable_caching()
    try:
        train_command.main([*flags, "--speaker_normalization", "all", "--output_dir", str(tmp_path)])
    finally:
        datasets.enable_caching()
    for path in finished.iterdir():
        if path.name in ("model.safetensors", "config.json", "preprocessor_config.json", "eval_results.json"):
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name
    assert read(finished / "results.json")["metrics"] != read(tmp_path / "results.json")["metrics"]


@pytest.mark.slow
def test_all_clips_of_several_corpora(flags, corpora, tmp_path):
    extra = ["--train_split_name", "all", "--extra_corpora", f"emodb={corpora['emodb']}"]
    train_command.main([*flags, *extra, *FIXED, "--validation_fraction", "0", "--output_dir", str(tmp_path)])
    assert not (tmp_path / "results.json").exists() and read(tmp_path / "eval_results.json") == {}
    facts = read(tmp_path / "training.json")["splits"]
    assert set(facts) == {"train"} and facts["train"]["num_utterances"] == 96 + 72
    assert facts["train"]["num_speakers"] == 12
    assert load_classifier(tmp_path).model.config.num_hidden_layers == 1
    assert (tmp_path / "README.md").is_file()


def test_splits_of_all_clips(corpora):
    def splits(**fields):
        folder = str(corpora["ravdess"])
        args = DataArguments("ravdess", data_dir=folder, train_split_name="all", **fields)
        args.dataset_config_name = "benchmark"
        return training_splits(args, 0)

    held_out = splits()
    assert set(held_out) == {"all", "validation"} and len(held_out["all"]) + len(held_out["validation"]) == 96
    assert not set(held_out["all"]["speaker_id"]) & set(held_out["validation"]["speaker_id"])
    whole = splits(validation_fraction=0, extra_corpora=[f"emodb={corpora['emodb']}"])
    assert set(whole) == {"all"} and len(whole["all"]) == 96 + 72
    assert list(whole["all"]["corpus"]) == ["ravdess"] * 96 + ["emodb"] * 72
    few = splits(max_train_speakers=2)
    assert len(set(few["all"]["speaker_id"])) == 2
    with pytest.raises(ValueError, match="--max_train_speakers 9: ravdess has 5 training speakers"):
        splits(max_train_speakers=9)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "--validation_fraction 0 leaves no clips to choose a model by"),
        (["--probe_layer", "1"], "--validation_fraction 0 leaves no clips to choose a model by"),
        ([*FIXED, "--probe_pooling", "mean"], "--validation_fraction 0 leaves no clips to choose a model by"),
    ],
)
def test_what_cannot_be_trained_is_named(flags, tmp_path, more, message):
    flags = [*flags, "--train_split_name", "all", "--validation_fraction", "0", "--output_dir", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=message):
        train_command.main([*flags, *more])
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_speakers_are_needed_where_clips_are_normalised_by_them(whisper, corpora):
    rows = corpus_arguments.load_splits("ravdess", "benchmark", corpora["ravdess"])["test"]
    rows = rows.remove_columns("speaker_id")
    fields = {"model_name_or_path": str(whisper), "probe": True, "probe_pooling": "statistics", "probe_layer": 0}
    model_args = ModelArguments(**fields, speaker_normalization="all")
    with pytest.raises(ValueError, match="there is no 'speaker_id' among"):
        module._embeddings(rows, DataArguments("ravdess"), model_args)
    unknown = module._embeddings(rows, DataArguments("ravdess"), ModelArguments(**fields))
    assert unknown.speakers == [None] * 48 and unknown.values.shape == (48, 1, 32)


def test_networks_need_a_validation_split(corpora, tmp_path):
    flags = ["--dataset_name", "ravdess", "--data_dir", str(corpora["ravdess"]), "--output_dir", str(tmp_path)]
    with pytest.raises(ValueError, match="--validation_fraction 0 leaves no clips"):
        train_command.main([*flags, "--train_split_name", "all", "--validation_fraction", "0", *FLAGS[:4]])


def write_wav2vec2(folder):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    convolutions = {"conv_dim": [8], "conv_stride": [80], "conv_kernel": [80], "num_feat_extract_layers": 1}
    positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
    Wav2Vec2ForSequenceClassification(Wav2Vec2Config(**sizes, **convolutions, **positions)).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_wav2vec2, "Wav2Vec2Model"), (lambda folder: write_classifier(folder, LABELS), "PyResNetModel")],
)
def test_encoders_of_other_models_are_refused(flags, tmp_path, write, name):
    model = write(tmp_path / "model")
    with pytest.raises(ValueError, match=f"takes the first layers of a Whisper encoder, not of {name}"):
        train_command.main([*flags, "--model_name_or_path", str(model), "--output_dir", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"probe_pooling": "statistics"}, "--probe_layer, --probe_C and --probe_pooling go with --probe true"),
        ({"probe": True, "probe_pooling": "statistics", "probe_C": 0}, "--probe_C must be above 0"),
        (
            {"probe": True, "probe_range": 30},
            "--probe_range and --probe_statistics go with --probe_pooling statistics",
        ),
        ({"probe": True, "probe_statistics": ["mean"]}, "go with --probe_pooling statistics"),
    ],
)
def test_flags_that_do_not_go_together(given, message):
    with pytest.raises(ValueError, match=message):
        ModelArguments(**given)


def test_the_choice_is_logged(flags, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        train_command.main([*flags, *FIXED, "--output_dir", str(tmp_path)])
    assert any(message.startswith("layer 1, C 0.1, validation UA ") for message in caplog.messages)
    assert read(tmp_path / "config.json")["pooled_layers"] == [1]
    assert read(tmp_path / "results.json").get("speaker_normalization") is None


def test_statistics_and_range_are_saved_with_the_model(flags, tmp_path):
    more = ["--probe_statistics", "std", "--probe_range", "30"]
    train_command.main([*flags, *FIXED, *more, "--output_dir", str(tmp_path)])
    config = read(tmp_path / "config.json")
    assert (config["pooled_statistics"], config["pooled_range"]) == (["std"], 30)
    assert load_file(tmp_path / "model.safetensors")["classifier.weight"].shape == (4, 16)
