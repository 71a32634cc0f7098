"""Every corpus of emotions with a synthetic release: all routes give the same rows, and a killed `prepare` resumes."""

import hashlib
import itertools
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets
import pytest
from releases import write_release

from lssed_hf import load_audio, load_corpus
from lssed_hf.cli import main as cli
from lssed_hf.corpora import corpus_builder
from lssed_hf.corpora.sources import load_splits
from lssed_hf.preparation import shards
from lssed_hf.preparation.prepare import prepare
from lssed_hf.testing.synthesize import list_layouts


pytest.importorskip("espeakng_loader")
pytest.importorskip("av")
# Those of depression have other columns, and `folder` other classes; see their own tests.
AUDIO = datasets.Audio(decode=False)
NAMES = [name for name in list_layouts() if corpus_builder(name).FACTS and corpus_builder(name).READER_EMOTIONS]
pytestmark = [pytest.mark.slow, pytest.mark.parametrize("release", NAMES, indirect=True)]


class Release(NamedTuple):
    """Synthetic release, the schemes that divide it, and the folder that `prepare` makes of it."""

    name: str
    raw: Path
    schemes: Sequence[str]
    prepared: Path


@pytest.fixture(scope="module")
def release(request, tmp_path_factory) -> Release:
    folder = tmp_path_factory.mktemp(request.param)
    raw = write_release(request.param, folder / "raw")
    manifest = prepare(request.param, raw, folder / "prepared", utterances_per_shard=4, num_proc=1)
    return Release(request.param, raw, manifest["split_schemes"], folder / "prepared")


def rows_of(splits) -> dict[str, dict[str, dict]]:
    """Return the rows by split and id, without the audio."""
    return {
        split: {row["id"]: {**row, "audio": None} for row in rows.cast_column("audio", AUDIO)}
        for split, rows in splits.items()
    }


def test_every_route_gives_the_same_rows(release, tmp_path):
    """Load from the raw files by Python, as the commands do, and from the prepared folder, streamed or not."""
    name, raw, schemes, prepared = release
    for scheme, config in itertools.product([schemes[0], schemes[-1]], ["default", "benchmark"]):
        ours = load_corpus(name, raw, config, split_scheme=scheme, cache_dir=tmp_path / "cache")
        assert rows_of(ours) == rows_of(load_splits(name, config, raw, scheme))
        stored = config if scheme == schemes[0] else f"{config}_{scheme}"
        for streaming in (False, True):
            theirs = datasets.load_dataset(str(prepared), stored, cache_dir=tmp_path / "cache", streaming=streaming)
            assert rows_of(ours) == rows_of(theirs)
            assert all(ours[split].features == theirs[split].features for split in theirs)


def test_prepared_audio_is_that_of_the_release(release, tmp_path):
    name, raw, schemes, prepared = release
    ours = load_corpus(name, raw, split_scheme=schemes[0], cache_dir=tmp_path / "cache")
    theirs = datasets.load_dataset(str(prepared), cache_dir=tmp_path / "cache")
    for split, rows in ours.items():
        stored = {row["id"]: row["audio"] for row in theirs[split].cast_column("audio", AUDIO)}
        for row in rows.cast_column("audio", AUDIO).select(range(0, len(rows), 5)):
            original, copy = load_audio(row["audio"]), load_audio(stored[row["id"]])
            assert len(original) == len(copy) and abs(original - copy).max() < 2**-15


def test_facts(release, tmp_path):
    """Each fact is there, and the classes are those of the release."""
    builder = corpus_builder(release.name)(cache_dir=str(tmp_path / "cache"))
    utterances, _ = builder.read(release.raw)
    assert {row.emotion for row in utterances} == set(builder.FACTS.emotions)
    assert builder.LICENSE and builder.HOMEPAGE.startswith("http") and builder.FACTS.languages
    speakers = {row.speaker_id for row in utterances} - {None}
    assert not builder.FACTS.speakers or len(speakers) <= builder.FACTS.speakers


def test_statistics(release, capsys):
    """Compare the counts of speakers, utterances and classes."""
    name, raw, schemes, prepared = release
    assert cli(["stats", name, "--data_dir", str(raw), "--split_scheme", schemes[0]]) == 0
    printed = capsys.readouterr().out
    assert cli(["stats", str(prepared)]) == 0
    cells = [[text.split("|")[column] for column in (1, 3, 4)] for text in _totals(printed, capsys.readouterr().out)]
    assert cells[0] == cells[1]


def _totals(*printed: str) -> list[str]:
    """Return the line of Table 1 in each text."""
    return [next(line for line in text.splitlines() if line.endswith(" s |")) for text in printed]


def test_a_killed_preparation_resumes(release, tmp_path):
    """Kill before the third clip is stored, then before the results are moved."""
    name, raw, _, prepared = release
    out = tmp_path / "out"

    def killed(target: object, function: str, after: int) -> int:
        original, calls = getattr(target, function), itertools.count()

        def call(*args, **kwargs):
            if next(calls) == after:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        def run():
            setattr(target, function, call)
            prepare(name, raw, out, utterances_per_shard=4, num_proc=1)

        child = multiprocessing.get_context("fork").Process(target=run)
        child.start()
        child.join()
        return child.exitcode

    assert killed(shards, "encode_audio", 2) == -signal.SIGKILL
    assert killed(os, "replace", 3) == -signal.SIGKILL
    assert not (out / "README.md").exists()
    prepare(name, raw, out, utterances_per_shard=4, num_proc=1)
    assert contents(out) == contents(prepared)


def contents(folder: Path) -> dict[str, str]:
    """Return the checksum of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
