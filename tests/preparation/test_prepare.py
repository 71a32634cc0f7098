"""Preparation: shards, rejects, and the same outcome after a kill or a full disk."""

import csv
import errno
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from filelock import FileLock
from huggingface_hub import DatasetCard
from recordings import sound_file, tone

from lssed_hf import list_corpora, load_audio, load_corpus
from lssed_hf.audio import encode_audio
from lssed_hf.cli import main as cli
from lssed_hf.corpora import CorpusDataError, corpus_builder
from lssed_hf.labels import EMOTIONS
from lssed_hf.preparation import prepare as module
from lssed_hf.preparation import shards
from lssed_hf.preparation.dataset_card import _LANGUAGE_CODES, HUB_LICENSES
from lssed_hf.preparation.prepare import damaged_shards, prepare
from lssed_hf.testing.releases.common import claim


def contents(folder: Path) -> dict[str, str]:
    """Return the checksum of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rejects(folder: Path) -> dict[str, dict]:
    with (folder / "rejects.csv").open(newline="", encoding="utf-8") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def load(folder: Path, tmp_path: Path, name: str | None = None) -> dict[str, list[dict]]:
    corpus = datasets.load_dataset(str(folder), name, cache_dir=tmp_path / "cache")
    return {split: list(rows.cast_column("audio", datasets.Audio(decode=False))) for split, rows in corpus.items()}


class TestResult:
    def test_manifest_and_files(self, raw, tmp_path):
        manifest = prepare("lssed", raw(), tmp_path / "out", utterances_per_shard=4)
        assert manifest["counts"] == {"read": 60, "written": 60, "rejected": 0}
        assert manifest["seconds"] == pytest.approx(60 * 0.02)
        assert manifest == json.loads((tmp_path / "out" / "manifest.json").read_text())
        files = contents(tmp_path / "out")
        assert {"README.md", "manifest.json", "rejects.csv"} == {name for name in files if not name.startswith("data")}
        assert {shard["path"]: shard["sha256"] for shard in manifest["shards"]} == {
            name: digest for name, digest in files.items() if name.startswith("data")
        }
        for shard in manifest["shards"]:
            path = tmp_path / "out" / shard["path"]
            assert (path.stat().st_size, pq.read_metadata(path).num_rows) == (shard["bytes"], shard["rows"])
            assert 1 <= shard["rows"] <= 4

    def test_each_utterance_once_in_each_configuration(self, raw, tmp_path):
        prepare("lssed", raw(), tmp_path / "out", utterances_per_shard=4)
        for scheme in ("", "_paper"):
            whole = load(tmp_path / "out", tmp_path, f"default{scheme}")
            four = load(tmp_path / "out", tmp_path, f"benchmark{scheme}")
            ids = [row["id"] for rows in whole.values() for row in rows]
            assert len(ids) == len(set(ids)) == 60
            for split, rows in whole.items():
                kept = [row for row in rows if row["emotion"] < 4]
                assert sorted(map(str, kept)) == sorted(map(str, four[split]))

    def test_processes_make_no_difference(self, raw, tmp_path):
        folder = raw()
        prepare("lssed", folder, tmp_path / "one", utterances_per_shard=4)
        prepare("lssed", folder, tmp_path / "two", utterances_per_shard=4, num_proc=2)
        assert contents(tmp_path / "one") == contents(tmp_path / "two")

    def test_chosen_schemes_and_configuration(self, raw, tmp_path):
        folder = raw()
        prepare("lssed", folder, tmp_path / "paper", split_schemes=["paper"])
        assert datasets.get_dataset_config_names(str(tmp_path / "paper")) == ["benchmark", "default"]
        assert set(load(tmp_path / "paper", tmp_path)) == {"train", "test"}
        prepare("lssed", folder, tmp_path / "four", config_name="benchmark", split_schemes=["speaker"])
        left_out = rejects(tmp_path / "four")
        rows = [row for split in load(tmp_path / "four", tmp_path).values() for row in split]
        assert {row["emotion"] for row in rows} == {0, 1, 2, 3}
        assert len(rows) + len(left_out) == 60
        assert {row["kind"] for row in left_out.values()} == {"rule"}

    def test_a_four_class_protocol_with_merged_labels(self, tmp_path):
        """Store a row for each configuration, as IEMOCAP counts excited as happy among four classes."""
        pytest.importorskip("espeakng_loader")
        from lssed_hf.testing.synthesize import synthesize

        raw = synthesize("iemocap", tmp_path / "raw", num_speakers=4)
        manifest = prepare("iemocap", raw, tmp_path / "out")
        schemes = manifest["split_schemes"]
        assert manifest["counts"]["read"] == manifest["counts"]["written"] + manifest["counts"]["rejected"]
        for scheme in schemes:
            suffix = "" if scheme == schemes[0] else f"_{scheme}"
            for config in ("default", "benchmark"):
                ours = load(tmp_path / "out", tmp_path, f"{config}{suffix}")
                theirs = load_corpus("iemocap", raw, config, split_scheme=scheme, cache_dir=tmp_path / "other")
                for split, rows in theirs.items():
                    assert dict(zip(rows["id"], rows["emotion"])) == {
                        row["id"]: row["emotion"] for row in ours.pop(split)
                    }
                assert not ours
        whole = {row["id"]: row["emotion"] for rows in load(tmp_path / "out", tmp_path).values() for row in rows}
        four = [row for rows in load(tmp_path / "out", tmp_path, "benchmark").values() for row in rows]
        excited = [row["id"] for row in four if whole[row["id"]] == EMOTIONS.index("excited")]
        assert excited and all(row["emotion"] == 2 for row in four if row["id"] in excited)

    def test_feature_sets(self, tmp_path):
        folder = tmp_path / "raw" / "vq-wav2vec"
        folder.mkdir(parents=True)
        values = {
            f"E{number:04d}_1": np.random.default_rng(number).normal(size=(number + 1, 5)) for number in range(6)
        }
        for name, array in values.items():
            np.save(folder / f"{name}.npy", array)
        lines = ["name,label", *(f"{name},1" for name in values), "E0009_1,1"]
        (tmp_path / "raw" / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
        manifest = prepare("lssed", tmp_path / "raw", tmp_path / "out", config_name="vq_wav2vec")
        assert manifest["counts"] == {"read": 7, "written": 6, "rejected": 1}
        assert "no vq_wav2vec file of that name" in rejects(tmp_path / "out")["E0009_1"]["reason"]
        rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=tmp_path / "cache")
        for split in rows.values():
            for row in split:
                np.testing.assert_array_equal(np.float32(values[row["id"]]), np.float32(row["features"]))

    def test_the_card(self, raw, tmp_path):
        prepare("lssed", raw(extra=("E0001_9999,sad",)), tmp_path / "out", denoise=True, gain=2.0)
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
        for part in (
            "60 of 61 utterances",
            "The other 1 are listed in `rejects.csv`",
            "LSSED EULA",
            "`do_denoise=False` and `gain=1`",
            "fan2021lssed",
            "| `benchmark_paper` | 4 | paper |",
        ):
            assert part in card
        assert str(tmp_path) not in card
        data = DatasetCard(card).data
        assert (data.license, data.license_name, data.language) == ("other", "lssed", ["en"])

    @pytest.mark.parametrize("corpus", ["lssed", "synthetic"])
    def test_the_card_of_synthetic_speech_says_so(self, raw, tmp_path, corpus):
        claim(tmp_path / "raw", "lssed", beside_others=True)
        folder = raw()
        prepare(corpus, folder, tmp_path / "out")
        card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
        layout = "Synthetic speech in the layout of lssed" if corpus == "lssed" else "synthetic"
        assert f"\n# {layout}\n" in card and "eSpeak NG" in card
        assert ("**Synthetic speech, not lssed.**" in card) == (corpus == "lssed")
        assert "LSSED EULA" not in card and "personal data" not in card and "fan2021lssed" not in card
        data = DatasetCard(card).data
        assert data.license == "apache-2.0" and "synthetic" in data.tags and data.pretty_name == layout

    @pytest.mark.parametrize("corpus", [name for name in list_corpora() if corpus_builder(name).FACTS])
    def test_the_hub_knows_the_languages_and_licences(self, corpus):
        builder = corpus_builder(corpus)
        assert {*builder.FACTS.languages} - {"others"} <= _LANGUAGE_CODES.keys()
        assert builder.LICENSE in HUB_LICENSES or not builder.LICENSE.startswith(("CC", "MIT", "Apache", "ODbL"))


class TestAudio:
    def test_formats(self, raw, tmp_path):
        folder = raw(3)
        for audio_format, magic in (("flac", b"fLaC"), ("wav", b"RIFF")):
            prepare("lssed", folder, tmp_path / audio_format, audio_format=audio_format)
            for rows in load(tmp_path / audio_format, tmp_path).values():
                for row in rows:
                    assert row["audio"]["bytes"][:4] == magic
                    expected = load_audio(folder / "wav_all" / f"{row['id']}.wav")
                    np.testing.assert_array_equal(load_audio(row["audio"]), expected)

    def test_full_scale_survives(self):
        pcm = np.array([-32768, -32767, -1, 0, 1, 32766, 32767], np.int16)
        for audio_format in ("flac", "wav"):
            samples = load_audio(encode_audio(pcm / np.float32(32768), 16000, audio_format))
            np.testing.assert_array_equal(samples * 32768, pcm)

    def test_the_papers_steps(self, raw, tmp_path):
        from lssed_hf import PyResNetFeatureExtractor

        folder = raw(3, seconds=0.3)
        manifest = prepare("lssed", folder, tmp_path / "out", denoise=True, gain=2.0)
        assert (manifest["denoise"], manifest["gain"], manifest["clipped"]) == (True, 2.0, 0)
        for rows in load(tmp_path / "out", tmp_path).values():
            for row in rows:
                clip = load_audio(folder / "wav_all" / f"{row['id']}.wav")
                expected = 2 * PyResNetFeatureExtractor().denoise(clip)
                np.testing.assert_allclose(load_audio(row["audio"]), expected, atol=0.51 / 32768)

    def test_clipping_is_counted(self, raw, tmp_path, capsys):
        folder = raw(3)
        assert cli(["prepare", "lssed", str(folder), str(tmp_path / "out"), "--gain", "10", "--num_proc", "1"]) == 0
        assert json.loads((tmp_path / "out" / "manifest.json").read_text())["clipped"] == 18
        assert "18 clips over full scale" in capsys.readouterr().err

    @pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp4", ".avi"])
    def test_parts_of_recordings(self, tmp_path, write_clip, suffix):
        folder = tmp_path / "raw"
        recording = folder / "recordings" / f"day{suffix}"
        if suffix in (".mp4", ".avi"):
            pytest.importorskip("av")
            from lssed_hf.testing.releases.common import write_video

            write_video(recording, np.random.default_rng(0).uniform(-0.5, 0.5, 80000).astype(np.float32))
        else:
            write_clip(recording, seconds=5, rate=48000, channels=2)
        times = {f"E{number:04d}_1": (0.7 * number, 0.7 * number + 0.5) for number in range(6)}
        lines = [f"{name},sad,day{suffix},{start},{end}" for name, (start, end) in times.items()]
        lines += ["E0007_1,sad,day,4.9,5.3", "E0008_1,sad,night,0,1", "E0009_1,sad,day,1,"]
        (folder / "metadata.csv").write_text("\n".join(["name,emotion,recording,start,end", *lines]))
        manifest = prepare("lssed", folder, tmp_path / "out")
        assert manifest["counts"] == {"read": 9, "written": 6, "rejected": 3}
        for rows in load(tmp_path / "out", tmp_path).values():
            for row in rows:
                start, end = times[row["id"]]
                samples = load_audio(row["audio"])
                assert len(samples) == 8000 and (row["start"], row["end"]) == (start, end)
                np.testing.assert_allclose(samples, load_audio(recording, start=start, end=end), atol=0.51 / 32768)
        reasons = {name: row["reason"] for name, row in rejects(tmp_path / "out").items()}
        assert "lasts 5.0" in reasons["E0007_1"] and f"day{suffix}" in reasons["E0007_1"]
        assert "no audio file" in reasons["E0008_1"]
        assert "start or end in the recording is missing" in reasons["E0009_1"]


class TestRejects:
    def test_every_one_is_listed_with_its_reason(self, raw, tmp_path, write_clip):
        names = ("empty", "cut", "text", "gone", "twice", "odd")
        folder = raw(
            extra=tuple(f"E0001_{name},{'confused' if name == 'odd' else 'sad'}" for name in (*names, "twice"))
        )
        clip = write_clip(folder / "wav_all" / "E0001_twice.wav")
        (folder / "wav_all" / "E0001_empty.wav").touch()
        (folder / "wav_all" / "E0001_cut.wav").write_bytes(clip.read_bytes()[:-300])
        (folder / "wav_all" / "E0001_text.wav").write_text("no sound at all")
        shutil.copy(clip, folder / "wav_all" / "E0001_odd.wav")
        manifest = prepare("lssed", folder, tmp_path / "out")
        assert manifest["counts"] == {"read": 67, "written": 61, "rejected": 6}
        found = rejects(tmp_path / "out")
        for name, part in {
            "empty": "the file is empty (0 bytes)",
            "cut": "truncated",
            "text": "not an audio file",
            "gone": "no audio file of that name",
            "twice": "the same id as",
            "odd": "unknown emotion 'confused'",
        }.items():
            assert part in found[f"E0001_{name}"]["reason"]
            assert found[f"E0001_{name}"]["kind"] == "fault"
        assert found["E0001_gone"]["source"] == "metadata.csv, line 65"
        assert found["E0001_cut"]["source"] == "wav_all/E0001_cut.wav"
        assert str(tmp_path) not in (tmp_path / "out" / "rejects.csv").read_text()

    def test_a_name_that_is_no_text(self, tmp_path, write_clip):
        clip = write_clip(tmp_path / "raw" / "03-01-01-01-01-01-01.wav")
        shutil.copy(clip, os.fsencode(tmp_path / "raw") + b"/holiday-\xff.wav")
        manifest = prepare("ravdess", tmp_path / "raw", tmp_path / "out")
        assert manifest["counts"] == {"read": 2, "written": 1, "rejected": 1}
        assert "its name is not one of RAVDESS's" in rejects(tmp_path / "out")["holiday-\\udcff"]["reason"]

    def test_nothing_usable(self, tmp_path):
        (tmp_path / "raw" / "wav_all").mkdir(parents=True)
        (tmp_path / "raw" / "wav_all" / "E0001_1.wav").touch()
        (tmp_path / "raw" / "metadata.csv").write_text("name,emotion,split\nE0001_1,sad,train\n")
        with pytest.raises(CorpusDataError, match=r"none of 1 utterances can be used.*0 bytes"):
            prepare("lssed", tmp_path / "raw", tmp_path / "out")
        assert not (tmp_path / "out" / "manifest.json").exists()

    def test_utterances_without_a_split(self, tmp_path, write_clip):
        for number in range(3):
            write_clip(tmp_path / "raw" / "wav_all" / f"E000{number}_1.wav")
        lines = ["name,emotion,split", "E0000_1,sad,train", "E0001_1,sad,test", "E0002_1,sad,"]
        (tmp_path / "raw" / "metadata.csv").write_text("\n".join(lines))
        manifest = prepare("lssed", tmp_path / "raw", tmp_path / "out")
        assert manifest["split_schemes"] == ["official"]
        assert rejects(tmp_path / "out")["E0002_1"]["reason"] == "its split is not given"


def killed_child(arguments: tuple, options: dict, patch) -> int:
    """Run `prepare` in a forked child after `patch()`, and return its exit code (negative: the signal)."""

    def run():
        patch()
        prepare(*arguments, **options)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    child.join()
    return child.exitcode


@pytest.mark.slow
class TestInterruptions:
    @pytest.fixture
    def whole(self, raw, tmp_path):
        folder = raw(extra=("E0001_gone,sad",))
        prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=5)
        return folder, contents(tmp_path / "whole")

    @pytest.mark.parametrize("function", ["encode_audio", "replace"])
    def test_killed_at_every_kind_of_moment(self, whole, tmp_path, function):
        """Kill at the n-th clip, or just before the n-th rename, including the renames that move the results."""
        folder, expected = whole
        out = tmp_path / "out"
        target = (shards, "encode_audio") if function == "encode_audio" else (os, "replace")
        original = getattr(*target)

        def patch(after: int):
            calls = iter(range(after, -1, -1))

            def call(*args, **kwargs):
                if next(calls) == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*args, **kwargs)

            setattr(*target, call)

        # Each run gets a little further, because it finds more of the work done.
        kills = 0
        for after in (3, 7, 2, 11, 6, 1, 13, 5, 3, 9, 4, 2, 1, 3, 2, 1, 2, 0, 0, 1, 0):
            options = {"utterances_per_shard": 5}
            status = killed_child(("lssed", folder, out), options, lambda after=after: patch(after))
            if status == 0:
                break
            assert status == -signal.SIGKILL
            kills += 1
            data = out / "data"
            if (out / ".partial").exists() and not (out / ".partial" / "complete").exists():
                assert not data.exists() and not (out / "README.md").exists()  # nothing that looks whole
        assert kills >= 5
        prepare("lssed", folder, out, utterances_per_shard=5)
        assert contents(out) == expected

    def test_killed_when_all_that_is_left_is_to_tidy_up(self, whole, tmp_path):
        folder, expected = whole
        out = tmp_path / "out"

        def patch():
            module.shutil.rmtree = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

        assert killed_child(("lssed", folder, out), {"utterances_per_shard": 5}, patch) == -signal.SIGKILL
        assert (out / "data").exists() and (out / ".partial").exists()
        prepare("lssed", folder, out, utterances_per_shard=5)
        assert contents(out) == expected

    def test_killed_at_five_random_moments(self, whole, tmp_path):
        """Kill a process by the clock."""
        folder, expected = whole
        out = tmp_path / "out"
        # Slow, so that there is something to interrupt; without torch, whose import takes longest.
        code = (
            "import sys, time\n"
            "sys.modules['torch'] = None\n"
            "from lssed_hf.preparation import shards\n"
            "from lssed_hf.preparation.prepare import prepare\n"
            "encode = shards.encode_audio\n"
            "shards.encode_audio = lambda *a: (time.sleep(0.02), encode(*a))[1]\n"
            "print('ready', flush=True)\n"
            f"prepare('lssed', {str(folder)!r}, {str(out)!r}, utterances_per_shard=5)\n"
        )
        moments = random.Random(0)
        for _ in range(5):
            process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            process.stdout.readline()
            time.sleep(moments.uniform(0.05, 0.35))
            process.kill()
            assert process.wait() == -signal.SIGKILL
            process.stdout.close()
        assert not (out / "manifest.json").exists()
        prepare("lssed", folder, out, utterances_per_shard=5)
        assert contents(out) == expected

    def test_workers_die_with_a_killed_parent(self, whole, tmp_path):
        folder, _ = whole
        out = tmp_path / "out"
        code = (
            "from lssed_hf.preparation.prepare import prepare\n"
            "if __name__ == '__main__':\n"
            f"    prepare('lssed', {str(folder)!r}, {str(out)!r}, utterances_per_shard=1, num_proc=2)\n"
        )
        script = tmp_path / "run.py"
        script.write_text(code)
        process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL, start_new_session=True)
        reports = out / ".partial" / "reports"
        deadline = time.monotonic() + 120
        while not (reports.is_dir() and any(reports.iterdir())) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.wait()
        while _session(process.pid):  # the workers, and the server that forks them
            assert time.monotonic() < deadline, "workers outlive their parent"
            time.sleep(0.05)
        prepare("lssed", folder, out, utterances_per_shard=1)
        shutil.rmtree(tmp_path / "whole")
        prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=1)
        assert contents(out) == contents(tmp_path / "whole")

    def test_a_damaged_shard_of_an_unfinished_run_is_written_again(self, whole, tmp_path):
        folder, expected = whole
        out = tmp_path / "out"

        def patch():
            module.write_card = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

        assert killed_child(("lssed", folder, out), {"utterances_per_shard": 5}, patch) == -signal.SIGKILL
        first, second = sorted((out / ".partial" / "data").iterdir())[:2]
        first.write_bytes(first.read_bytes()[:-1] + b"x")
        second.unlink()
        (out / ".partial" / "data" / ".junk.123").write_text("half a shard")
        prepare("lssed", folder, out, utterances_per_shard=5)
        assert contents(out) == expected

    def test_a_full_disk(self, whole, tmp_path, monkeypatch):
        folder, expected = whole
        out = tmp_path / "out"
        calls = iter(range(100))

        class FullDisk(pq.ParquetWriter):
            def write_table(self, *args, **kwargs):
                if next(calls) == 3:
                    raise OSError(errno.ENOSPC, "No space left on device")
                super().write_table(*args, **kwargs)

        monkeypatch.setattr(shards.pq, "ParquetWriter", FullDisk)
        with pytest.raises(OSError, match=r"no space left for .*out \(3 shards are finished and stay\)"):
            prepare("lssed", folder, out, utterances_per_shard=5)
        monkeypatch.undo()
        assert not any(path.name.startswith(".") for path in (out / ".partial" / "data").iterdir())
        prepare("lssed", folder, out, utterances_per_shard=5)
        assert contents(out) == expected

    def test_a_really_full_disk(self, raw, tmp_path):
        """Fill a small tmpfs, if one may be mounted."""
        folder = raw(60, seconds=0.5)
        mount = tmp_path / "small"
        mount.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(mount)]
        if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no right to mount a tmpfs")
        try:
            for num_proc in (1, 2):
                with pytest.raises(OSError, match="no space left for") as error:
                    prepare("lssed", folder, mount / "out", utterances_per_shard=20, num_proc=num_proc)
                assert error.value.errno == errno.ENOSPC
                assert not (mount / "out" / "manifest.json").exists()
            subprocess.run(["mount", "-o", "remount,size=20m", str(mount)], check=True)
            prepare("lssed", folder, mount / "out", utterances_per_shard=20)
            prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=20)
            assert contents(mount / "out") == contents(tmp_path / "whole")
        finally:
            subprocess.run(["umount", str(mount)], check=True)

    def test_again_checks_and_changes_nothing(self, whole, tmp_path):
        folder, expected = whole
        manifest = prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=5)
        assert contents(tmp_path / "whole") == expected
        assert damaged_shards(tmp_path / "whole") == []
        path = tmp_path / "whole" / manifest["shards"][1]["path"]
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert damaged_shards(tmp_path / "whole") == [manifest["shards"][1]["path"]]
        with pytest.raises(FileExistsError, match=f"1 shards .* missing or damaged .*{path.name}"):
            prepare("lssed", folder, tmp_path / "whole", utterances_per_shard=5)


def _session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


class TestRefusals:
    def test_a_folder_with_something_else(self, raw, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("...")
        with pytest.raises(FileExistsError, match=r"not empty \(it holds thesis.tex\)"):
            prepare("lssed", raw(), tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]

    def test_other_arguments(self, raw, tmp_path):
        folder, out = raw(), tmp_path / "out"
        prepare("lssed", folder, out)
        with pytest.raises(FileExistsError, match="prepared with other arguments"):
            prepare("lssed", folder, out, audio_format="wav")
        with (folder / "metadata.csv").open("a") as file:
            file.write("\nE0001_gone,sad")
        with pytest.raises(FileExistsError, match="files that changed since"):
            prepare("lssed", folder, out)

    def test_an_unfinished_run_with_other_arguments(self, raw, tmp_path):
        folder, out = raw(), tmp_path / "out"

        def patch():
            module.write_card = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

        assert killed_child(("lssed", folder, out), {}, patch) == -signal.SIGKILL
        with pytest.raises(FileExistsError, match=r"unfinished preparation with other arguments.*remove .*\.partial"):
            prepare("lssed", folder, out, gain=2.0)

    def test_two_at_once(self, raw, tmp_path):
        (tmp_path / "out" / ".partial").mkdir(parents=True)
        with FileLock(tmp_path / "out" / ".partial" / "lock"), pytest.raises(FileExistsError, match="another process"):
            prepare("lssed", raw(), tmp_path / "out")

    def test_into_the_corpus_itself(self, raw):
        folder = raw()
        for out in (folder, folder / "out"):
            with pytest.raises(ValueError, match="lies in the corpus itself"):
                prepare("lssed", folder, out)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"split_schemes": ["random"]}, "split scheme 'random'; this lssed has speaker, paper"),
            ({"audio_format": "mp3"}, "audio_format='mp3'; known are flac, wav"),
            ({"gain": 0}, "gain must be a positive number, got 0"),
            ({"gain": float("nan")}, "gain must be a positive number"),
            ({"utterances_per_shard": 0}, "must be 1 or more"),
            ({"config_name": "everything"}, "everything"),
            ({"keep_chinoise": True}, "keep_chinoise"),
        ],
    )
    def test_arguments(self, raw, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            prepare("lssed", raw(), tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    def test_a_folder_that_is_not_there(self, tmp_path, capsys):
        assert cli(["prepare", "ravdess", str(tmp_path / "gone"), str(tmp_path / "out")]) == 1
        assert "gone is not a folder" in capsys.readouterr().err
        assert cli(["prepare", "lsed", str(tmp_path / "gone"), str(tmp_path / "out")]) == 1
        assert "unknown corpus 'lsed'" in capsys.readouterr().err


class TestCommand:
    def test_from_end_to_end(self, raw, tmp_path, capsys):
        folder = raw(extra=("E0001_gone,sad",))
        (folder / "metadata.csv").rename(tmp_path / "my.csv")
        out = tmp_path / "out"
        arguments = [str(folder), str(out), "--data_files", str(tmp_path / "my.csv"), "--num_proc", "1"]
        assert cli(["prepare", "lssed", *arguments, "--options", "keep_chinese=true"]) == 0
        assert "60 of 61 utterances in " in capsys.readouterr().out
        assert rejects(out)["E0001_gone"]["source"].endswith("my.csv, line 62")

    def test_bad_option(self, raw, tmp_path, capsys):
        assert cli(["prepare", "lssed", str(raw()), str(tmp_path / "out"), "--options", "keep_chinese"]) == 1
        assert "'keep_chinese' is not NAME=VALUE" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_among_the_clips_is_rejected(tmp_path):
    for label, pitch in (("angry", 300), ("sad", 200)):
        (tmp_path / "raw" / label).mkdir(parents=True)
        for number in range(4):
            content = sound_file(tone(0.5, frequency=pitch + number))
            (tmp_path / "raw" / label / f"{number}.wav").write_bytes(content)
    os.mkfifo(tmp_path / "raw" / "sad" / "pipe.wav")  # nobody writes into it
    prepare("folder", tmp_path / "raw", tmp_path / "out")
    with (tmp_path / "out" / "rejects.csv").open(newline="", encoding="utf-8") as file:
        (reject,) = csv.DictReader(file)
    assert "pipe" in reject["id"] and "the file is empty" in reject["reason"]
