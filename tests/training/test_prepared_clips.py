"""Clips that were denoised and made louder by `prepare` go through neither step again."""

import json

import numpy as np
import pytest
from tones import FLAGS, write_emodb

from lssed_hf import cli


NETWORK = [*FLAGS[:2], *FLAGS[4:]]  # with the front end's own denoising and gain


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Prepare a corpus as it is and with both steps, and train on each."""
    folder = tmp_path_factory.mktemp("steps")
    raw = write_emodb(folder / "raw")
    assert cli.main(["prepare", "emodb", str(raw), str(folder / "plain")]) == 0
    assert cli.main(["prepare", "emodb", str(raw), str(folder / "stored"), "--denoise", "--gain", "2"]) == 0
    for name in ("plain", "stored"):
        assert train(folder / name, folder / f"model_{name}") == 0
    return folder


def train(data, output_dir, *more):
    return cli.main(["train", "--dataset_name", str(data), "--output_dir", str(output_dir), *NETWORK, *more])


def front_end(folder):
    return json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))


def test_train_leaves_the_stored_steps_out(folders):
    plain, stored = front_end(folders / "model_plain"), front_end(folders / "model_stored")
    assert (plain["do_denoise"], plain["gain"]) == (True, 2.0)
    assert (stored["do_denoise"], stored["gain"]) == (False, 1.0)
    # Applied once each, so the statistics of the features agree up to the rounding of 16 bits.
    assert np.median(np.abs(np.array(plain["mean"]) - np.array(stored["mean"]))) < 1.0


def test_a_saved_front_end_is_changed_too_and_normalised_anew(folders, tmp_path, caplog):
    start = ["--model_name_or_path", str(folders / "model_plain")]
    argv = ["train", "--dataset_name", str(folders / "stored"), "--output_dir", str(tmp_path / "out"), *start]
    assert cli.main([*argv, *NETWORK[2:]]) == 0
    assert "was prepared with --denoise and --gain: the front end leaves that out" in caplog.text
    changed = front_end(tmp_path / "out")
    assert (changed["do_denoise"], changed["gain"]) == (False, 1.0)
    assert changed["mean"] == pytest.approx(front_end(folders / "model_stored")["mean"], abs=1e-3)


def test_a_step_that_is_asked_for_twice_is_refused(folders, tmp_path, capsys):
    overrides = ["--feature_extractor_overrides", '{"do_denoise": true}']
    assert train(folders / "stored", tmp_path / "out", *overrides) == 1
    assert "the step would be applied twice; leave it out" in capsys.readouterr().err


def test_corpora_that_were_prepared_differently_are_not_mixed(folders, tmp_path, capsys):
    extra = ["--extra_corpora", str(folders / "plain")]
    assert train(folders / "stored", tmp_path / "out", *extra) == 1
    assert "was prepared with another --denoise or --gain" in capsys.readouterr().err


def test_evaluate_warns_of_steps_that_are_repeated(folders, tmp_path):
    for name, warned in (("plain", True), ("stored", False)):
        argv = ["--model_name_or_path", str(folders / f"model_{name}"), "--dataset_name", str(folders / "stored")]
        assert cli.main(["evaluate", *argv, "--output_dir", str(tmp_path / name)]) == 0
        text = (tmp_path / name / "report.md").read_text(encoding="utf-8")
        assert ("scores are of clips that went through it twice" in text) == warned
