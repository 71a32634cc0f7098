"""Configuration `ratings`: rated utterances stay where raters gave no common class."""

import json

import datasets
import pytest
from releases import write_release
from tones import FLAGS

from lssed_hf import cli, load_corpus
from lssed_hf.preparation.prepare import prepare


DIMENSIONS = ("valence", "arousal", "dominance")
SCHEMES = {"iemocap": "session1", "msp_improv": "session1", "msp_podcast": "official"}


@pytest.fixture(scope="module", params=SCHEMES)
def release(request, tmp_path_factory):
    return request.param, write_release(request.param, tmp_path_factory.mktemp("rated") / request.param)


def load(corpus, folder, config_name):
    return load_corpus(corpus, folder, config_name, split_scheme=SCHEMES[corpus])


def by_id(dataset):
    return {
        row["id"]: {**row, "split": split, "audio": None}
        for split, rows in dataset.items()
        for row in rows.remove_columns("audio")
    }


def test_utterances_without_a_class_join_those_with_one(release):
    corpus, folder = release
    plain, rated = (by_id(load(corpus, folder, name)) for name in ("default", "ratings"))
    assert {name: rated[name] for name in plain} == plain
    more = [row for name, row in rated.items() if name not in plain]
    assert more and all(row["emotion"] == -1 and None not in [row[name] for name in DIMENSIONS] for row in more)


def test_a_prepared_folder_has_the_same_rows(release, tmp_path):
    corpus, folder = release
    prepare(corpus, folder, tmp_path / "prepared", config_name="ratings", split_schemes=[SCHEMES[corpus]])
    raw, prepared = load(corpus, folder, "ratings"), datasets.load_dataset(str(tmp_path / "prepared"), "ratings")
    for split, rows in raw.items():
        assert rows["id"] == prepared[split]["id"] and rows["emotion"] == prepared[split]["emotion"]


@pytest.mark.parametrize(
    "config_name", [None, "default", "ratings"], ids=["raw", "classes prepared", "ratings prepared"]
)
def test_a_regression_learns_from_all_that_is_rated(config_name, release, tmp_path):
    corpus, folder = release
    expected = len(load(corpus, folder, config_name or "ratings")["test"])
    if config_name:
        prepare(corpus, folder, tmp_path / "prepared", config_name=config_name, split_schemes=[SCHEMES[corpus]])
        folder = tmp_path / "prepared"
    argv = ["--dataset_name", corpus, "--data_dir", str(folder), "--model_name_or_path", "pyresnet50", *FLAGS]
    argv += ["--problem_type", "regression", "--split_scheme", SCHEMES[corpus], "--output_dir", str(tmp_path / "out")]
    assert cli.main(["train", *argv]) == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["num_utterances"] == expected
