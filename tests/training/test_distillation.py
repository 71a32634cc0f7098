"""Distillation: losses, batches and labels, and training with a teacher from end to end."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
import soundfile
import torch
from interruption import stopped_at
from safetensors.torch import load_file
from tiny_training import network, speech_dataset
from tiny_training import trainer as make_trainer
from tones import FLAGS, write_ravdess
from torch import nn
from transformers import HfArgumentParser
from transformers.modeling_outputs import BaseModelOutput

from lssed_hf import PyResNetFeatureExtractor
from lssed_hf.cli import train as train_command
from lssed_hf.experiments.settings import recipe, training_settings
from lssed_hf.hub.cards.facts import read_recipe
from lssed_hf.training.arguments import RecipeArguments
from lssed_hf.training.classification_loss import ClassificationLoss, balanced_class_weights
from lssed_hf.training.data import Augmentation, ClipCollator
from lssed_hf.training.distillation import DistillationLoss, similarity_distance, soft_target_distance


BINS, CLASSES = 8, 3
trainer = partial(make_trainer, teacher=["somebody"])
pytestmark = pytest.mark.usefixtures("one_thread")
EXTRACTOR = PyResNetFeatureExtractor(num_mel_bins=BINS, normalization="none")


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def task(num_clips: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (num_clips, 12 frames, BINS) and classes: the bin of a class is loud."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(CLASSES, size=num_clips)
    features = rng.normal(0, 1, (num_clips, 12, BINS))
    features[np.arange(num_clips), :, 2 * classes] += 2
    return features.astype(np.float32), classes


class TestLosses:
    def test_soft_targets_are_those_a_hand_computes(self):
        rng = np.random.default_rng(0)
        student, first, second = rng.normal(0, 2, (3, 6, CLASSES))
        labels, temperature, weight = rng.integers(CLASSES, size=6), 3.0, 0.7
        teachers = [softmax(first / temperature), softmax(second / temperature)]

        targets = (teachers[0] + teachers[1]) / 2
        divergence = (targets * np.log(targets / softmax(student / temperature))).sum()
        cross_entropy = -np.log(softmax(student))[np.arange(6), labels].sum()
        expected = (0.3 * cross_entropy + 0.7 * 9 * divergence) / 6

        loss = DistillationLoss(ClassificationLoss(CLASSES), weight, temperature)
        outputs = {"logits": torch.tensor(student), "teachers": [torch.tensor(answers) for answers in teachers]}
        assert loss(outputs, torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-5)

    def test_similarities_are_those_a_hand_computes(self):
        rng = np.random.default_rng(1)
        student, first, second = rng.normal(size=(5, 4)), rng.normal(size=(5, 7)), rng.normal(size=(5, 2))
        logits, labels = rng.normal(size=(5, CLASSES)), rng.integers(CLASSES, size=5)

        def gram(embeddings):
            rows = [[float(np.dot(one, other)) for other in embeddings] for one in embeddings]
            return np.array([np.array(row) / np.sqrt(np.sum(np.square(row))) for row in rows])

        distance = np.square((gram(first) + gram(second)) / 2 - gram(student)).sum()
        cross_entropy = -np.log(softmax(logits))[np.arange(5), labels].sum()
        loss = DistillationLoss(ClassificationLoss(CLASSES), 0.9, 2.0)
        outputs = {
            "logits": torch.tensor(logits),
            "embeddings": torch.tensor(student),
            "teachers": [torch.tensor(first), torch.tensor(second)],
        }
        expected = (0.1 * cross_entropy + 0.9 * distance) / 5
        assert loss(outputs, torch.tensor(labels)).item() == pytest.approx(expected, rel=1e-5)

    def test_a_student_that_says_what_its_teachers_say_is_at_no_distance(self):
        logits, embeddings = torch.randn(4, CLASSES), torch.randn(4, 6)
        assert soft_target_distance(logits, [(logits / 5).softmax(dim=1)], 5.0).item() == pytest.approx(0, abs=1e-5)
        rotated = embeddings @ torch.linalg.qr(torch.randn(6, 6)).Q  # the same likeness, in other coordinates
        assert similarity_distance(3 * embeddings, [rotated]).item() == pytest.approx(0, abs=1e-5)

    def test_labels_keep_their_weights_and_smoothing_and_teachers_have_none(self):
        logits, labels = torch.randn(6, CLASSES), torch.tensor([0, 1, 2, 0, 1, 0])
        teacher = torch.randn(6, CLASSES).softmax(dim=1)
        classification = ClassificationLoss(CLASSES, [0.5, 1.0, 2.0], 0.1)
        both = DistillationLoss(classification, 0.4, 2.0)({"logits": logits, "teachers": [teacher]}, labels)
        distance = soft_target_distance(logits, [teacher], 2.0) / 6
        torch.testing.assert_close(both, 0.6 * classification({"logits": logits}, labels) + 0.4 * distance)

    @pytest.mark.parametrize("soft", [False, True])
    def test_soft_targets_do_not_depend_on_how_a_batch_is_divided(self, soft):
        logits, labels = torch.randn(8, CLASSES), torch.randint(CLASSES, (8,))
        teacher = torch.randn(8, CLASSES).softmax(dim=1)
        if soft:
            labels = nn.functional.one_hot(labels, CLASSES).float()
            labels[5] = 0
        loss = DistillationLoss(ClassificationLoss(CLASSES), 0.5, 2.0)
        items = labels.ne(-100).sum()  # as the Trainer counts
        parts = [
            loss({"logits": logits[i : i + 2], "teachers": [teacher[i : i + 2]]}, labels[i : i + 2], items)
            for i in range(0, 8, 2)
        ]
        torch.testing.assert_close(sum(parts), loss({"logits": logits, "teachers": [teacher]}, labels))

    def test_a_clip_without_label_has_its_teachers_alone(self):
        logits, teacher = torch.randn(2, CLASSES), torch.randn(2, CLASSES).softmax(dim=1)
        loss = DistillationLoss(ClassificationLoss(CLASSES, [0.5, 1.0, 2.0], 0.1), 0.25, 2.0)
        alone = loss({"logits": logits, "teachers": [teacher]}, torch.zeros(2, CLASSES))
        torch.testing.assert_close(alone, 0.25 * soft_target_distance(logits, [teacher], 2.0) / 2)


class TestClips:
    FEATURES, CLASSES_OF = task(6, 0)

    def test_mixup_mixes_teachers_as_it_mixes_labels(self):
        teachers = [np.eye(CLASSES, dtype=np.float32)[self.CLASSES_OF], np.arange(12, dtype=np.float32).reshape(6, 2)]
        clips = speech_dataset(
            self.FEATURES, self.CLASSES_OF, CLASSES, teachers=teachers, augmentation=Augmentation(mixup=1.0)
        )
        for index in range(6):
            clip = clips[index]
            np.testing.assert_allclose(clip["teachers"][0], clip["labels"], rtol=1e-6)
            assert clip["teachers"][1].dtype == np.float32 and np.diff(clip["teachers"][1]) == pytest.approx(1)
        batch = ClipCollator(EXTRACTOR)([clips[0], clips[1]])
        assert [tuple(answers.shape) for answers in batch["teachers"]] == [(2, CLASSES), (2, 2)]

    def test_a_missing_label_is_a_row_of_zeros(self):
        labels = [0, -1, 2, 1, -1, 0]
        teachers = [np.ones((6, CLASSES), np.float32)]
        clips = speech_dataset(self.FEATURES, labels, CLASSES, teachers=teachers)
        assert ClipCollator(EXTRACTOR)([clips[0], clips[1]])["labels"].tolist() == [[1, 0, 0], [0, 0, 0]]
        mixed = speech_dataset(self.FEATURES, labels, CLASSES, teachers=teachers, augmentation=Augmentation(mixup=1.0))
        sums = [mixed[index]["labels"].sum() for index in range(6)]
        assert all(0 <= total <= 1 + 1e-6 for total in sums) and min(sums) < 0.99
        np.testing.assert_allclose(
            balanced_class_weights(clips.labels, CLASSES), balanced_class_weights(np.array([0, 2, 1, 0]), CLASSES)
        )

    def test_missing_labels_without_a_teacher_are_an_error(self):
        with pytest.raises(ValueError, match="2 clips have no emotion, and nothing else to learn from"):
            speech_dataset(self.FEATURES, [0, -1, 2, 1, -1, 0], CLASSES)


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_updates_do_not_depend_on_gradient_accumulation(tmp_path, mixup):
    # Without batch norm, whose statistics do depend on the batch; one clip has no label.
    features, labels = task(16, 0)
    labels[3] = -1
    teacher = softmax(np.random.default_rng(0).normal(size=(16, CLASSES))).astype(np.float32)
    weights = {}
    for size, steps in ((8, 1), (2, 4)):
        run = trainer(
            tmp_path,
            network(CLASSES, batch_norm=False),
            speech_dataset(features, labels, CLASSES, teachers=[teacher], augmentation=Augmentation(mixup=mixup)),
            class_weighting="balanced",
            label_smoothing_factor=0.1,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            max_steps=3,
        )
        run.train()
        weights[size] = run.model.state_dict()
    start = network(CLASSES, batch_norm=False).state_dict()
    assert any((weights[8][name] - start[name]).abs().max() > 1e-3 for name in start)
    for name, value in weights[8].items():
        torch.testing.assert_close(weights[2][name], value, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("distill", ["logits", "features"])
def test_a_student_of_a_perfect_teacher_overcomes_wrong_labels(tmp_path, distill):
    features, classes = task(128, 0)
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(128) < 0.6, rng.integers(CLASSES, size=128), classes)
    answers = np.eye(CLASSES, dtype=np.float32)[classes]
    unseen, truth = map(torch.from_numpy, task(300, seed=100))
    accuracies = {}
    for weight in (0.0, 0.95):
        run = trainer(
            tmp_path,
            network(CLASSES),
            speech_dataset(features, labels, CLASSES, teachers=[answers]),
            distill=distill,
            distill_weight=weight,
            optim="adamw_torch",
            learning_rate=5e-3,
            per_device_train_batch_size=32,
            max_steps=25,
        )
        run.train()
        with torch.no_grad():
            predictions = run.model.eval()(unseen).logits.argmax(dim=1)
        accuracies[weight] = (predictions == truth).float().mean().item()
    assert accuracies[0.95] > 0.9
    assert accuracies[0.95] > accuracies[0.0] + 0.03, accuracies


def test_a_student_without_embeddings_is_named(tmp_path):
    features, labels = task(8, 0)
    model = network(CLASSES)
    model.pyresnet.register_forward_hook(lambda module, args, output: BaseModelOutput(output.last_hidden_state))
    run = trainer(
        tmp_path,
        model,
        speech_dataset(features, labels, CLASSES, teachers=[features[:, 0]]),
        distill="features",
        max_steps=1,
    )
    with pytest.raises(
        ValueError, match="no pooler_output, the embedding that --distill features compares; use --dis"
    ):
        run.train()


def test_the_flags(tmp_path, monkeypatch):
    def parse(*flags: str) -> RecipeArguments:
        parser = HfArgumentParser(RecipeArguments)
        return parser.parse_args_into_dataclasses(["--output_dir", str(tmp_path), *flags])[0]

    plain = parse()
    assert (plain.teacher, plain.distill, plain.distill_temperature, plain.distill_weight) == (None, "logits", 2, 0.5)
    assert parse("--teacher", "a", "b").teacher == ["a", "b"]
    for flags, message in (
        (("--distill_temperature", "0"), "--distill_temperature must be above 0, got 0"),
        (("--distill_temperature", "nan"), "--distill_temperature must be above 0"),
        (("--distill_weight", "1.1"), r"--distill_weight must be between 0 and 1, got 1\.1"),
        (("--distill_weight", "-0.1"), "--distill_weight must be between 0 and 1"),
        (("--teacher", "a", "--adversarial", "vanilla"), "--teacher and --adversarial are two losses"),
        (("--unlabelled_dir", "a"), "--unlabelled_dir needs a --teacher"),
        (("--teacher", "a", "--unlabelled_dir", "b", "--sampling", "balanced"), "--sampling balanced goes by labels"),
    ):
        with pytest.raises(ValueError, match=message):
            parse(*flags)
    monkeypatch.setattr(RecipeArguments, "n_gpu", 2)
    features, labels = task(4, 0)
    with pytest.raises(ValueError, match="one process per GPU"):
        trainer(
            tmp_path,
            network(CLASSES),
            speech_dataset(features, labels, CLASSES, teachers=[features[:, 0]]),
            distill="features",
        )


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory):
    return write_ravdess(tmp_path_factory.mktemp("ravdess"))


@pytest.fixture(scope="module")
def teacher(ravdess, tmp_path_factory):
    """Train a model that learns the tones a little."""
    folder = tmp_path_factory.mktemp("models") / "teacher"
    train_command.main(["--dataset_name", "ravdess", "--data_dir", str(ravdess), "--output_dir", str(folder), *FLAGS])
    return folder


@pytest.fixture
def flags(ravdess, teacher):
    return ["--dataset_name", "ravdess", "--data_dir", str(ravdess), *FLAGS, "--teacher", str(teacher)]


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same_weights(one, other) -> bool:
    one, other = weights(one), weights(other)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.parametrize("distill", ["logits", "features"])
def test_an_interrupted_run_ends_in_the_same_weights(flags, tmp_path, distill):
    flags += ["--distill", distill, "--mixup", "0.3", "--save_strategy", "steps", "--save_steps", "3"]
    flags += ["--eval_strategy", "steps", "--eval_steps", "3", "--load_best_model_at_end", "false"]
    train_command.main([*flags, "--output_dir", str(tmp_path / "whole")])

    own = [*flags, "--output_dir", str(tmp_path / "interrupted")]
    with stopped_at(5), pytest.raises(KeyboardInterrupt):
        train_command.main(own)
    assert (tmp_path / "interrupted" / "checkpoint-3").is_dir()
    assert not (tmp_path / "interrupted" / "model.safetensors").exists()
    other = shutil.copytree(tmp_path / "whole", tmp_path / "other")
    with pytest.raises(ValueError, match="was begun with other teachers, or they have changed since"):
        train_command.main([*own, "--teacher", str(other)])
    train_command.main(own)
    assert same_weights(tmp_path / "whole", tmp_path / "interrupted")


@pytest.mark.slow
def test_records_and_cards_name_the_teacher_and_no_folder(flags, teacher, tmp_path):
    train_command.main([*flags, "--output_dir", str(tmp_path / "whole"), "--distill_weight", "0.75"])
    record = json.loads((tmp_path / "whole" / "training.json").read_text())
    (facts,) = record["teachers"]
    assert facts["name"] == "teacher" and facts["local"] and len(facts["digest"]) == 64
    assert [corpus["name"] for corpus in facts["corpora"]] == ["ravdess"]
    settings = {name: value for name, value in record["settings"].items() if name.startswith("distill")}
    assert settings == {"distill": "logits", "distill_temperature": 2.0, "distill_weight": 0.75}
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "It also learnt from the answers of `teacher`, which had been trained on `ravdess`." in card
    assert "Whether the teachers have met speakers of the test split is unknown." in card
    for text in (json.dumps(record), card):
        assert str(teacher.parent) not in text
    alone = json.loads((teacher / "training.json").read_text())
    assert alone["teachers"] == [] and not [name for name in alone["settings"] if name.startswith("distill")]


@pytest.mark.slow
def test_clips_without_labels_are_learnt_from(flags, tmp_path, caplog):
    more = tmp_path / "more"
    more.mkdir()
    for number in range(5):
        soundfile.write(more / f"{number}.wav", 0.1 * np.random.default_rng(number).normal(size=8000), 16000)
    with caplog.at_level("INFO"):
        train_command.main([*flags, "--output_dir", str(tmp_path / "with"), "--unlabelled_dir", str(more)])
    assert "37 training and 16 validation clips" in caplog.text
    assert json.loads((tmp_path / "with" / "training.json").read_text())["num_unlabelled"] == 5
    assert "Of 5 more clips, whose source is not recorded" in (tmp_path / "with" / "README.md").read_text()

    (more / "3.wav").write_bytes(b"not audio")
    with pytest.raises(ValueError, match=r"3\.wav: .*not an audio file"):
        train_command.main([*flags, "--output_dir", str(tmp_path / "broken"), "--unlabelled_dir", str(more)])


def test_the_teachers_folder_is_no_place_for_the_student(flags, teacher):
    before = weights(teacher)
    with pytest.raises(ValueError, match="is the teacher's folder"):
        train_command.main([*flags, "--output_dir", f"{teacher}/", "--restart", "true"])
    assert before.keys() == weights(teacher).keys()


def test_runs_find_their_teachers_from_anywhere_and_reports_name_no_folder(teacher, tmp_path, monkeypatch):
    monkeypatch.chdir(teacher.parent)
    given = ["--dataset_name", "ravdess", "--teacher", "teacher", "somebody/else", "--unlabelled_dir", "."]
    settings = training_settings(given)
    assert settings["teacher"] == [str(teacher), "somebody/else"] and settings["unlabelled_dir"] == [
        str(teacher.parent)
    ]
    text = recipe({"student": settings})
    assert "teacher `teacher somebody/else`" in text and str(teacher.parent) not in text
    assert read_recipe(f"\n## Recipe\n\n{text}")["student"]["teacher"] == "teacher somebody/else"
