"""Predictions of teachers: once, for whole clips, under the student's labels, and kept through a crash."""

import shutil
import signal

import datasets
import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file
from tiny_classifier import write_classifier
from tones import FLAGS, write_ravdess
from transformers import (
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForSequenceClassification,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForAudioClassification,
)

from lssed_hf import AudioError, load_audio, load_classifier
from lssed_hf.cli import train as train_command
from lssed_hf.inference import AudioClassifier
from lssed_hf.inference.classifiers.classifier import Classifier
from lssed_hf.inference.classifiers.hooks import head_inputs
from lssed_hf.training import prediction_cache
from lssed_hf.training import teachers as module
from lssed_hf.training.teachers import Teacher, predict_with_teachers, unlabelled_clips


pytestmark = pytest.mark.usefixtures("one_thread")

LABELS = ["angry", "neutral", "happy"]
NUM_CLIPS = 24

# Asks a teacher in shards of 12 clips, and dies in the second one. Prints the exit status.
KILLED = """
import datasets, os, signal

child = os.fork()
if child == 0:
    from lssed_hf.inference import AudioClassifier
    from lssed_hf.training import prediction_cache, teachers

    original, calls = AudioClassifier.logits, []

    def logits(self, batch):
        calls.append(len(batch))
        if calls == [8, 4, 8, 4]:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(self, batch)

    AudioClassifier.logits, prediction_cache.SHARD = logits, 12
    teachers.Teacher({teacher!r}).probabilities(datasets.load_from_disk({clips!r}), ["happy", "angry"])
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def clips(tmp_path) -> datasets.Dataset:
    """Write clips of noise of different lengths, as a Dataset on disk, which is cached."""
    paths = []
    for index in range(NUM_CLIPS):
        samples = np.random.default_rng(index).normal(0, 0.1, 1600 + 200 * (7 * index % NUM_CLIPS))
        paths.append(str(tmp_path / f"clip{index}.wav"))
        soundfile.write(paths[-1], samples, 16000)
    datasets.Dataset.from_dict({"audio": paths, "emotion": [0] * NUM_CLIPS}).save_to_disk(tmp_path / "clips")
    return datasets.load_from_disk(tmp_path / "clips")


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    return write_classifier(tmp_path / "teacher", LABELS)


@pytest.fixture
def heard(monkeypatch) -> list[int]:
    """Record the numbers of clips that classifiers hear, pass by pass."""
    original, calls = AudioClassifier.logits, []

    def logits(self, batch):
        calls.append(len(batch))
        return original(self, batch)

    monkeypatch.setattr(AudioClassifier, "logits", logits)
    return calls


def logits_of(folder, clips) -> np.ndarray:
    classifier = load_classifier(folder)
    return np.concatenate([classifier.logits([load_audio(path)]) for path in clips["audio"]])


def test_probabilities_are_those_of_whole_clips_at_the_temperature(folder, clips):
    scores = logits_of(folder, clips).astype(np.float64)
    for temperature in (1.0, 4.0):
        powers = np.exp(scores / temperature)
        answers = Teacher(str(folder)).probabilities(clips, LABELS, temperature)
        assert answers.dtype == np.float32
        np.testing.assert_allclose(answers, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)


def test_labels_are_matched_by_name_whatever_the_case(folder, clips):
    powers = np.exp(logits_of(folder, clips).astype(np.float64) / 2)[:, [2, 0]]
    answers = Teacher(str(folder)).probabilities(clips, ["Happy", "ANGRY"], 2.0)
    np.testing.assert_allclose(answers, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    for _ in range(2):  # before anything is computed, and afterwards
        with pytest.raises(ValueError, match="does not know sad, bored, only angry, neutral, happy: choose"):
            Teacher(str(folder)).probabilities(clips, ["angry", "sad", "bored"])


def test_a_killed_teacher_goes_on_with_the_unfinished_shard(
    folder, clips, tmp_path, heard, monkeypatch, forking_python
):
    code = KILLED.format(teacher=str(folder), clips=str(tmp_path / "clips"))
    assert int(forking_python.run(code).splitlines()[-1]) == -signal.SIGKILL

    monkeypatch.setattr(prediction_cache, "SHARD", 12)
    answers = Teacher(str(folder)).probabilities(clips, ["happy", "angry"])
    assert sum(heard) == 12
    monkeypatch.setattr(module, "load_classifier", None)  # nothing opens it any more
    np.testing.assert_array_equal(Teacher(str(folder)).probabilities(clips, ["happy", "angry"]), answers)
    shutil.copytree(folder, tmp_path / "elsewhere")
    np.testing.assert_array_equal(
        Teacher(str(tmp_path / "elsewhere")).probabilities(clips, ["happy", "angry"]), answers
    )
    heard.clear()
    np.testing.assert_allclose(
        answers, np.exp(logs := logits_of(folder, clips)[:, [2, 0]]) / np.exp(logs).sum(1)[:, None], rtol=1e-4
    )


def test_another_teacher_is_asked_anew_and_a_report_makes_no_other(folder, clips, heard):
    first = Teacher(str(folder))
    answers = first.probabilities(clips, LABELS)
    heard.clear()
    (folder / "results.json").write_text("{}")
    (folder / "README.md").write_text("# a card")
    (folder / "checkpoint-3").mkdir()
    assert Teacher(str(folder)).digest == first.digest

    torch.manual_seed(1)
    write_classifier(folder, LABELS)
    second = Teacher(str(folder))
    assert second.digest != first.digest
    assert np.abs(second.probabilities(clips, LABELS) - answers).max() > 1e-4
    assert sum(heard) == NUM_CLIPS


def test_another_version_of_the_code_asks_anew(folder, clips, heard, monkeypatch):
    Teacher(str(folder)).probabilities(clips, LABELS)
    monkeypatch.setattr(prediction_cache, "_code_digest", lambda predict: "changed")
    Teacher(str(folder)).probabilities(clips, LABELS)
    assert sum(heard) == 2 * NUM_CLIPS


def test_an_ensemble_answers_row_by_row(folder, clips):
    both = predict_with_teachers(
        [Teacher(str(folder))] * 2, [clips.select([3, 1]), clips.select([7])], "logits", LABELS, 2.0
    )
    expected = Teacher(str(folder)).probabilities(clips, LABELS, 2.0)[[3, 1, 7]]
    assert len(both) == 2
    for answers in both:
        np.testing.assert_allclose(answers, expected, rtol=1e-4)


def test_a_bad_clip_is_named(folder, clips, tmp_path):
    (tmp_path / "clip5.wav").write_bytes(b"not audio")
    with pytest.raises(AudioError, match=r"clip5\.wav: .*copy it again"):
        Teacher(str(folder)).probabilities(clips, LABELS)


def test_no_clips_and_no_teacher(folder, clips):
    with pytest.raises(ValueError, match="no clips"):
        Teacher(str(folder)).probabilities(clips.select([]), LABELS)
    with pytest.raises(ValueError, match="pyresnet50 has random weights"):
        Teacher("pyresnet50")
    with pytest.raises(OSError, match="nowhere/at/all"):
        Teacher("nowhere/at/all")


class Fixed(Classifier):
    """Classifier of scores without embeddings, as exported ones are."""

    def __init__(self, folder):
        self.config = load_classifier(folder).config
        self.feature_extractor = load_classifier(folder).feature_extractor
        self.batch_size = 5

    def logits(self, batch: list[np.ndarray]) -> np.ndarray:
        return np.array([[len(clip) / 1000, 0, -200] for clip in batch], dtype=np.float32)


def test_whatever_gives_scores_is_a_teacher_and_embeddings_take_a_network(folder, clips, monkeypatch):
    monkeypatch.setattr(module, "load_classifier", lambda name, **kwargs: Fixed(name))
    answers = Teacher(str(folder)).probabilities(clips, LABELS, 2.0)
    lengths = np.array([len(load_audio(path)) for path in clips["audio"]])
    np.testing.assert_allclose(answers[:, 0] / answers[:, 1], np.exp(lengths / 2000), rtol=1e-4)
    assert np.isfinite(answers).all() and (answers[:, 2] < 1e-15).all()
    with pytest.raises(ValueError, match="gives scores and no embeddings: use --distill logits"):
        Teacher(str(folder)).embeddings(clips)


def pretrained(tmp_path, kind: str):
    """Return the folder of a tiny classifier, and its embedding of a clip as a hand computes it."""
    torch.manual_seed(2)
    if kind == "whisper":
        sizes = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
        model = WhisperForAudioClassification(WhisperConfig(**sizes, num_mel_bins=80, vocab_size=8, pad_token_id=0))
        extractor, base = WhisperFeatureExtractor(), model.encoder
    elif kind == "wav2vec2":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        convolutions = {"conv_dim": (8, 8), "conv_kernel": (10, 8), "conv_stride": (40, 8)}
        positions = {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}
        model = Wav2Vec2ForSequenceClassification(
            Wav2Vec2Config(**sizes, **convolutions, **positions, classifier_proj_size=8)
        )
        extractor, base = Wav2Vec2FeatureExtractor(), model.wav2vec2
    else:
        folder = write_classifier(tmp_path / kind, LABELS)
        classifier = load_classifier(folder)
        return folder, lambda clip: classifier.model.base_model(**classifier.inputs([clip])).pooler_output
    model.eval().save_pretrained(tmp_path / kind)
    extractor.save_pretrained(tmp_path / kind)

    def by_hand(clip):
        inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
        return base(**inputs).last_hidden_state.mean(dim=1)

    return tmp_path / kind, by_hand


@pytest.mark.parametrize("kind", ["pyresnet", "whisper", "wav2vec2"])
def test_embeddings_are_what_enters_the_head(clips, tmp_path, kind):
    folder, by_hand = pretrained(tmp_path, kind)
    clips = clips.select(range(3))
    embeddings = Teacher(str(folder)).embeddings(clips)
    with torch.no_grad():
        expected = np.concatenate([by_hand(load_audio(path)).numpy() for path in clips["audio"]])
    np.testing.assert_allclose(embeddings, expected, rtol=1e-3, atol=1e-5)


def test_a_probe_is_a_teacher(clips, tmp_path):
    encoder, _ = pretrained(tmp_path, "wav2vec2")
    folder = tmp_path / "probe"
    shutil.copytree(encoder, folder / "encoder")
    (folder / "probe.json").write_text('{"layer": 0}')
    weight = torch.randn(2, 16)
    save_file({"weight": weight, "bias": torch.zeros(2)}, folder / "probe.safetensors")
    teacher, clips = Teacher(str(folder)), clips.select(range(3))

    model = Wav2Vec2ForSequenceClassification.from_pretrained(encoder).eval()
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(encoder)
    embeddings = []
    for path in clips["audio"]:
        inputs = extractor(load_audio(path), sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            states = model.wav2vec2(inputs.input_values, output_hidden_states=True).hidden_states
        embeddings.append(states[0][0].mean(dim=0))
    np.testing.assert_allclose(teacher.embeddings(clips), torch.stack(embeddings), rtol=1e-3, atol=1e-5)
    expected = (torch.stack(embeddings) @ weight.T / 2).softmax(dim=1)
    np.testing.assert_allclose(teacher.probabilities(clips, ["label_0", "label_1"], 2.0), expected, rtol=1e-3)

    torch.manual_seed(9)
    Wav2Vec2ForSequenceClassification(model.config).save_pretrained(folder / "encoder")
    assert Teacher(str(folder)).digest != teacher.digest

    flags = ["--dataset_name", "ravdess", "--output_dir", str(tmp_path / "out"), "--teacher", str(folder)]
    with pytest.raises(ValueError, match="--probe fits a regression, which learns from labels alone"):
        train_command.main([*flags, "--model_name_or_path", str(encoder), "--probe", "true"])


def test_a_network_without_a_head_is_named():
    class Bare(torch.nn.Module):
        pass

    class Maps(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.classifier = torch.nn.Flatten()

    with pytest.raises(ValueError, match="Bare has neither a projector nor a classifier"), head_inputs(Bare()):
        pass
    network = Maps()
    with pytest.raises(ValueError, match=r"enters the head of Maps has shape \(2, 3, 4, 5\)"), head_inputs(network):
        network.classifier(torch.zeros(2, 3, 4, 5))
    assert not network.classifier._forward_pre_hooks


def test_unlabelled_clips_are_all_files_below_folders(tmp_path):
    for name in ("a/one.wav", "a/deep/two.flac", "b/three.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, np.zeros(400), 16000)
    (tmp_path / "a" / "notes.txt").touch()
    folders = [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a")]
    rows = unlabelled_clips(folders, LABELS, "speech", "mood")
    assert [path.removeprefix(str(tmp_path)) for path in rows["speech"]] == [
        "/a/deep/two.flac",
        "/a/one.wav",
        "/b/three.wav",
    ]
    assert list(rows["mood"]) == [-1] * 3 and rows.features["mood"].names == LABELS

    assert unlabelled_clips(folders, LABELS, "speech", "mood")._fingerprint == rows._fingerprint
    soundfile.write(tmp_path / "b" / "three.wav", np.zeros(500), 16000)
    assert unlabelled_clips(folders, LABELS, "speech", "mood")._fingerprint != rows._fingerprint
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no audio file below"):
        unlabelled_clips([str(tmp_path / "empty")], LABELS)


@pytest.mark.slow
def test_neither_another_seed_nor_other_test_labels_ask_again(tmp_path, heard, monkeypatch):
    corpus = write_ravdess(tmp_path / "corpus")
    teacher = write_classifier(tmp_path / "teacher", ["angry", "neutral", "happy", "sad"])
    flags = ["--dataset_name", "ravdess", *FLAGS, "--max_steps", "2", "--teacher", str(teacher)]
    asked = []
    original = Teacher.probabilities

    def probabilities(self, *args):
        heard.clear()
        answers = original(self, *args)
        asked.append((sum(heard), answers))
        return answers

    monkeypatch.setattr(Teacher, "probabilities", probabilities)

    def weights(name: str, data_dir, seed: int) -> bytes:
        train_command.main(
            [*flags, "--data_dir", str(data_dir), "--seed", str(seed), "--output_dir", str(tmp_path / name)]
        )
        return (tmp_path / name / "model.safetensors").read_bytes()

    student = weights("first", corpus, 0)
    weights("second", corpus, 1)
    assert [number for number, _ in asked] == [len(asked[0][1]), 0]

    shutil.copytree(corpus, tmp_path / "shuffled")
    for path in sorted((tmp_path / "shuffled").glob("03-01-*-1[789].wav")):
        emotion = {"01": "03", "03": "04", "04": "05", "05": "01"}[path.name[6:8]]
        path.rename(path.with_name(f"new{path.name[:6]}{emotion}{path.name[8:]}"))
    for path in sorted((tmp_path / "shuffled").glob("new*")):
        path.rename(path.with_name(path.name.removeprefix("new")))
    assert weights("third", tmp_path / "shuffled", 0) == student
    np.testing.assert_array_equal(asked[2][1], asked[0][1])
    assert (tmp_path / "first" / "results.json").read_text() != (tmp_path / "third" / "results.json").read_text()
