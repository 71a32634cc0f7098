"""Named sets of flags."""

import pytest

from lssed_hf.cli import train as command
from lssed_hf.experiments.settings import training_settings
from lssed_hf.training import network, train
from lssed_hf.training.problem import Problem
from lssed_hf.training.recipes import RECIPES, with_recipe
from lssed_hf.training.train import parse_flags


def test_what_is_given_takes_the_place_of_the_recipe():
    flags = ["--dataset_name", "ravdess", "--num_train_epochs", "7", "--recipe", "small"]
    settings = training_settings(flags)
    assert settings["num_train_epochs"] == 7 and settings["recipe"] == "small"
    assert settings["model_name_or_path"] == "pyresnet-small"
    assert settings["optim"] == "adamw_torch_fused", "a run keeps what the name stood for when it was begun"


@pytest.mark.parametrize("flags", [[], ["--recipe", "paper"], ["--recipe=paper"]])
def test_the_paper_s_are_the_defaults(flags):
    assert with_recipe(flags) == flags
    assert training_settings(["--dataset_name", "x", *flags]) == {"dataset_name": "x"}


def test_an_unknown_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--dataset_name", "ravdess", "--recipe", "large"])
    assert "invalid choice: 'large'" in capsys.readouterr().err


def test_train_takes_it(monkeypatch):
    taken = []
    monkeypatch.setattr(train, "train_model", lambda *arguments: taken.extend(arguments))
    command.main(["--dataset_name", "ravdess", "--output_dir", "out", "--recipe", "small", "--mixup", "0.7"])
    _, model_args, args = taken
    assert model_args.model_name_or_path == "pyresnet-small"
    assert (args.mixup, args.recipe) == (0.7, "small")
    assert args.per_device_train_batch_size == int(
        dict(zip(RECIPES["small"][::2], RECIPES["small"][1::2]))["--per_device_train_batch_size"]
    )


def test_no_perturbed_copies_switches_off_those_of_a_recipe():
    flags = {"dataset_name": "ravdess", "output_dir": "out", "recipe": "small", "perturbed_copies": 0}
    assert parse_flags(flags)[2].perturbed_copies == 0
    assert parse_flags({**flags, "perturbed_copies": 2})[2].perturbed_copies == 2
    assert parse_flags({"dataset_name": "ravdess", "output_dir": "out"})[2].perturbed_copies == 0


def test_own_recordings_have_the_recipe_for_few_clips(tmp_path):
    own = ["--data_dir", str(tmp_path)]
    assert with_recipe(own)[:2] == ["--model_name_or_path", "pyresnet-small"] and with_recipe(own)[-2:] == own
    for others in (
        [*own, "--recipe", "paper"],
        [*own, "--dataset_name", "ravdess"],
        [*own, "--model_name_or_path", "openai/whisper-tiny.en"],
        ["--data_dir", str(tmp_path / "missing")],
    ):
        assert with_recipe(others) == others
    assert "small" in with_recipe([*own, "--model_name_or_path", "resnet18"])


def test_a_model_that_is_not_there_is_named_with_the_nearest(tmp_path):
    _, model_args, _ = parse_flags({"model_name_or_path": "resnet19", "output_dir": str(tmp_path)})
    with pytest.raises(ValueError, match="unknown model 'resnet19'; did you mean resnet18"):
        network.build_model(model_args, Problem(["a", "b"], "emotion"))
    _, model_args, _ = parse_flags({"model_name_or_path": "me/nothing", "output_dir": str(tmp_path)})
    with pytest.raises(OSError, match="no model 'me/nothing'"):
        network.build_model(model_args, Problem(["a", "b"], "emotion"))


def test_weights_of_8_bits_that_no_training_changes_are_told_of(tmp_path, caplog):
    for name, told in (("encoder-small", True), ("pyresnet-small", False)):
        _, model_args, _ = parse_flags({"model_name_or_path": name, "output_dir": str(tmp_path)})
        caplog.clear()
        network.build_model(model_args, Problem(["a", "b"], "emotion"))
        assert ("the 8-bit weights of encoder-small stay as they are" in caplog.text) == told
