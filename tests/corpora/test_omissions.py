"""Rows that loaders leave out are gathered, with their reasons and names."""

import csv

import datasets
import pytest
from tones import write_lssed

from lssed_hf.corpora.omissions import Omission, gathering, write_left_out
from lssed_hf.corpora.sources import encode_labels, load_splits
from lssed_hf.preparation.prepare import prepare


BORED = Omission("lssed", "bored is not in configuration 'benchmark'", 1, ("0001_bored",))


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Write tones, and rows of a bored clip and of one in Chinese."""
    folder = write_lssed(tmp_path_factory.mktemp("lssed"))
    table = folder / "metadata_english_all.csv"
    lines = [f"{line},0" for line in table.read_text(encoding="utf-8").splitlines()]
    lines[0] = "name,faces,speaker,is_Chinese"
    for name, emotion, chinese in (("0001_bored", "bored", 0), ("0001_chinese", "sad", 1)):
        (folder / "wav_all" / f"{name}.wav").write_bytes((folder / "wav_all" / "0001_angry_0.wav").read_bytes())
        lines.append(f"{name},{emotion},1,{chinese}")
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def omissions_of(*names, **options):
    with gathering() as omissions:
        load_splits(*names, **options)
    return omissions


def test_a_corpus_tells_them_when_it_is_built_and_when_it_is_cached(release):
    built, cached = (omissions_of("lssed", data_dir=release) for _ in range(2))
    assert built == cached and len(built) == 2 and BORED in built
    (chinese,) = (omission for omission in built if omission != BORED)
    assert chinese.ids == ("0001_chinese",) and "Chinese" in chinese.reason


@pytest.mark.parametrize("listed", [True, False])
def test_a_prepared_folder_tells_them_too(release, tmp_path, listed):
    prepare("lssed", release, tmp_path / "out")
    if not listed:
        (tmp_path / "out" / "rejects.csv").unlink()
    bored, rejected = omissions_of(str(tmp_path / "out"))
    assert bored == Omission("lssed", BORED.reason, 1)
    assert rejected.count == 1 and rejected.ids == (("0001_chinese",) if listed else ())


def test_rows_without_a_value():
    rows = datasets.Dataset.from_dict({"id": ["a", "b", "c"], "label": ["x", None, "y"]})
    with gathering() as omissions:
        encode_labels(datasets.DatasetDict(train=rows, test=rows.remove_columns("id")), "label")
    reason = "no value in column 'label'"
    assert omissions == [
        Omission(f"split {name!r}", reason, 1, (row,)) for name, row in (("train", "b"), ("test", "1"))
    ]


def test_the_file_lists_every_known_name_and_goes_with_the_last(tmp_path):
    write_left_out(tmp_path, [BORED, Omission("lssed", "without a split", 2)])
    with (tmp_path / "left_out.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{"source": "lssed", "id": "0001_bored", "reason": BORED.reason}]
    write_left_out(tmp_path, [])
    assert not (tmp_path / "left_out.csv").exists()
