"""The three ways to `load_dataset("lssed")` give the same rows, in datasets 5 and (`make test-datasets36`) 3.6."""

import csv
import importlib.metadata
import importlib.util
import subprocess
import sys
from pathlib import Path

import datasets
import numpy as np
import pytest

import lssed_hf
from lssed_hf import load_audio
from lssed_hf.corpora import CorpusDataError, base, load_corpus
from lssed_hf.labels import AGE_GROUPS, EMOTIONS, GENDERS
from lssed_hf.preparation.prepare import prepare


SCRIPT = Path(__file__).parents[2] / "dataset_script" / "lssed"
RUNS_SCRIPTS = int(importlib.metadata.version("datasets").split(".")[0]) < 4
CONFIGS = ("default", "benchmark")
SCHEMES = ("speaker", "paper", "speaker_883")


@pytest.fixture(scope="module")
def raw(tmp_path_factory, write_clip) -> Path:
    """Write a release with everything: each column, several emotions, cut utterances, Chinese rows, other rates."""
    folder = tmp_path_factory.mktemp("routes") / "raw"
    write_clip(folder / "recordings" / "E0001.wav", seconds=3, rate=44100, channels=2)
    with folder.joinpath("metadata_english_all.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(
            "name faces gender age age_group session start end transcript is_Chinese recording".split()  # noqa: SIM905
        )
        for number in range(120):
            speaker = 1 + number // 6 * 100
            name, cut = f"E{speaker:04d}_{number:04d}", number % 6 == 5
            emotion = EMOTIONS[number % 11] + (";sad;other" if number % 7 == 0 else "")
            times = (0.01 * number, 0.01 * number + 0.5) if cut else (number, number + 2.25)
            # Loud noise shows a change of a single bit; silence or a tone would not.
            if not cut:
                write_clip(folder / "wav_all" / f"{name}.wav", seconds=0.05, frequency=300 + number)
            writer.writerow(
                [
                    name,
                    emotion,
                    GENDERS[speaker % 2],
                    20 + number,
                    AGE_GROUPS[number % 3] if number % 4 else "",
                    number // 10,
                    *times,
                    f'Said "{number}", twice; and ünïcödé.',
                    int(number % 20 == 3),
                    "E0001" if cut else "",
                ]
            )
    return folder


@pytest.fixture(scope="module")
def prepared(raw) -> Path:
    prepare("lssed", raw, raw.parent / "lssed", utterances_per_shard=7)
    return raw.parent / "lssed"


def registered(raw, config, scheme, tmp_path, **kwargs):
    return datasets.load_dataset("lssed", config, data_dir=str(raw), split_scheme=scheme, cache_dir=tmp_path, **kwargs)


def by_metadata(raw, config, scheme, tmp_path, **kwargs):
    return registered(raw, config, scheme, tmp_path, data_files=str(raw / "metadata_english_all.csv"), **kwargs)


def script(raw, config, scheme, tmp_path, **kwargs):
    if not RUNS_SCRIPTS:
        pytest.skip("this version of datasets runs no scripts; make test-datasets36 tests them")
    return datasets.load_dataset(
        str(SCRIPT),
        config,
        data_dir=str(raw),
        split_scheme=scheme,
        cache_dir=tmp_path,
        trust_remote_code=True,
        **kwargs,
    )


def rows_of(corpus, audio_too: bool = True) -> dict[str, dict[str, dict]]:
    """Return the rows by split and id, the audio as samples at 16 kHz."""
    found = {}
    for split, rows in corpus.items():
        plain = rows.cast_column("audio", datasets.Audio(decode=False))
        found[split] = {row["id"]: row for row in plain}
        for row in found[split].values():
            audio = row.pop("audio")
            if audio_too:
                row["audio"] = load_audio(audio)
    return found


def assert_equal(ours: dict, theirs: dict) -> None:
    assert {split: sorted(rows) for split, rows in ours.items()} == {s: sorted(rows) for s, rows in theirs.items()}
    for split, rows in ours.items():
        for name, row in rows.items():
            other = dict(theirs[split][name])
            mine = dict(row)
            np.testing.assert_allclose(mine.pop("audio"), other.pop("audio"), atol=0.5 / 32768)  # 16 bits
            assert mine == other


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("route", [registered, by_metadata, script])
@pytest.mark.parametrize("streaming", [False, True])
def test_every_route_gives_the_same_rows(raw, prepared, config, scheme, route, streaming, tmp_path):
    name = config if scheme == "speaker" else f"{config}_{scheme}"
    folder = datasets.load_dataset(str(prepared), name, cache_dir=tmp_path, streaming=streaming)
    other = route(raw, config, scheme, tmp_path / "other", streaming=streaming)
    for split in folder:
        assert folder[split].features == other[split].features
        assert list(folder[split].features) == list(other[split].features)
    assert_equal(rows_of(folder), rows_of(other))


def test_clips_at_16_kHz_are_stored_without_loss(raw, prepared, tmp_path):
    folder = rows_of(datasets.load_dataset(str(prepared), cache_dir=tmp_path))
    for rows in folder.values():
        for name, row in rows.items():
            if (raw / "wav_all" / f"{name}.wav").exists():
                np.testing.assert_array_equal(row["audio"], load_audio(raw / "wav_all" / f"{name}.wav"))


@pytest.mark.slow
def test_by_its_name_from_the_folder_beside_it(prepared, tmp_path):
    """Load it without our package, whose registered name would come first."""
    code = (
        "import datasets, sys\n"
        f"corpus = datasets.load_dataset('lssed', cache_dir={str(tmp_path)!r})\n"
        "print({split: len(rows) for split, rows in corpus.items()}, 'lssed_hf' in sys.modules)\n"
        "stream = datasets.load_dataset('lssed', 'benchmark', split='train', streaming=True)\n"
        "stream = stream.cast_column('audio', datasets.Audio(decode=False))\n"
        # To the end: a stream that is left earlier may abort Python at its exit (apache/arrow#45214).
        "print([row['audio']['bytes'][:4] for row in stream][0])\n"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=prepared.parent, capture_output=True, text=True, check=True
    ).stdout
    counts, magic = output.splitlines()
    assert counts.endswith("False") and "'train'" in counts and "'test'" in counts
    assert magic == "b'fLaC'"


def test_rows_left_out_are_listed(raw, prepared):
    with (prepared / "rejects.csv").open(newline="", encoding="utf-8") as file:
        rejects = list(csv.DictReader(file))
    assert len(rejects) == 6
    assert {(reject["kind"], reject["reason"]) for reject in rejects} == {
        ("rule", "is_Chinese is set (keep_chinese=True keeps these)")
    }
    assert rejects[0]["source"] == "metadata_english_all.csv, line 5"


def test_chinese_rows_on_request(raw, tmp_path):
    kept = registered(raw, "default", "speaker", tmp_path, keep_chinese=True)
    assert sum(map(len, kept.values())) == 120


def test_processes_and_slices(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "_ROWS_PER_BLOCK", 10)  # datasets divides blocks among processes
    whole = registered(raw, "default", "speaker", tmp_path / "1")
    divided = registered(raw, "default", "speaker", tmp_path / "2", num_proc=2)
    assert rows_of(whole, audio_too=False) == rows_of(divided, audio_too=False)
    half = registered(raw, "default", "speaker", tmp_path / "1", split="train[:50%]")
    assert list(half["id"]) == list(whole["train"]["id"])[: len(half)]
    assert len(half) == pytest.approx(len(whole["train"]) / 2, abs=1)


@pytest.mark.parametrize("route", [registered, by_metadata, script])
def test_edited_metadata_is_read_again(route, tmp_path, write_clip):
    folder = tmp_path / "raw"
    for number in range(6):
        write_clip(folder / "wav_all" / f"E{number:04d}_1.wav")
    metadata = folder / "metadata_english_all.csv"
    lines = ["name,faces", *(f"E{number:04d}_1,sad" for number in range(6))]
    metadata.write_text("\n".join(lines), encoding="utf-8")
    first = route(folder, "default", "speaker", tmp_path / "cache")
    metadata.write_text("\n".join(lines).replace("sad", "angry"), encoding="utf-8")
    second = route(folder, "default", "speaker", tmp_path / "cache")
    assert set(first["train"]["emotion"]) == {3} and set(second["train"]["emotion"]) == {0}


def test_prepared_folders_refuse_what_is_no_corpus(tmp_path):
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CorpusDataError, match="is not LSSED: looked for"):
        prepare("lssed", tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_neither_torch_nor_transformers_is_needed():
    assert importlib.util.find_spec("transformers") is None
    assert lssed_hf.load_corpus is load_corpus
