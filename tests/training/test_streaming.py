"""Streams in place of data sets on disk: statistics, corpora, and trainings that take a number of clips."""

import json

import datasets
import numpy as np
import pytest
from tones import write_emodb

import lssed_hf
from lssed_hf import PyResNetFeatureExtractor, fit_normalization, load_corpus
from lssed_hf.cli import main
from lssed_hf.corpora.streamed import take_clips


TINY = json.dumps({"depths": [1], "embedding_size": 4, "hidden_sizes": [16], "kernel_sizes": [[3]], "groups": [[1]]})


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return write_emodb(tmp_path_factory.mktemp("emodb"))


@pytest.fixture(scope="module")
def prepared(emodb, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared") / "emodb"
    assert main(["prepare", "emodb", str(emodb), str(folder)]) == 0
    return folder


def test_a_corpus_is_streamed_row_by_row(emodb):
    whole, stream = load_corpus("emodb", emodb), load_corpus("emodb", emodb, streaming=True)
    assert isinstance(stream["train"], datasets.IterableDataset)
    undecoded = {split: rows.cast_column("audio", datasets.Audio(decode=False)) for split, rows in stream.items()}
    assert {split: len(list(rows)) for split, rows in undecoded.items()} == {s: len(rows) for s, rows in whole.items()}
    assert next(iter(undecoded["train"]))["id"] == whole["train"]["id"][0]


def test_statistics_of_a_stream_are_those_of_the_data_set(emodb, prepared):
    expected = fit_normalization(PyResNetFeatureExtractor(num_mel_bins=40), load_corpus("emodb", emodb)["train"])
    stream = load_corpus("emodb", emodb, streaming=True)["train"]
    found = fit_normalization(PyResNetFeatureExtractor(num_mel_bins=40), stream)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-6)
    of_shards = datasets.load_dataset(str(prepared), "default", split="train", streaming=True)
    found = fit_normalization(PyResNetFeatureExtractor(num_mel_bins=40), of_shards)
    np.testing.assert_allclose(found.mean, expected.mean, atol=0.05)
    with pytest.raises(ValueError, match="without rows"):
        fit_normalization(PyResNetFeatureExtractor(), of_shards.take(0))


def test_clips_are_taken_and_the_rest_is_not_read(prepared):
    stream = datasets.load_dataset(str(prepared), "default", streaming=True)
    taken = take_clips(stream, {"train": 5}, seed=0)
    assert len(taken["train"]) == 5 and len(taken["test"]) == len(list(stream["test"].select_columns(["id"])))
    assert taken["train"]["id"] == take_clips(stream, {"train": 5}, seed=0)["train"]["id"]
    assert taken["train"]["id"] != take_clips(stream, {"train": 5}, seed=1)["train"]["id"]


def flags(folder, output, *more):
    return [
        *("train", "--dataset_name", str(folder), "--output_dir", str(output), "--streaming", "true"),
        *("--config_overrides", TINY, "--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "1"),
        *("--report_to", "none", "--crop_seconds", "0.5", "--disable_tqdm", "true", *more),
    ]


def test_training_takes_as_many_clips_as_its_steps_need(prepared, tmp_path):
    steps = ("--max_steps", "3", "--eval_strategy", "steps", "--eval_steps", "3", "--save_strategy", "steps")
    assert main(flags(prepared, tmp_path, *steps, "--save_steps", "3")) == 0
    record = json.loads((tmp_path / "training.json").read_text(encoding="utf-8"))
    assert sum(record["splits"]["train"]["labels"].values()) == 12
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["num_utterances"] == len(lssed_hf.corpora.sources.load_splits(str(prepared))["test"])


def test_a_stream_without_a_number_of_steps_is_refused(prepared, tmp_path, capsys):
    assert main(flags(prepared, tmp_path)) == 1
    assert "--streaming needs --max_steps" in capsys.readouterr().err
