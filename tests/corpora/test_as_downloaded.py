"""Corpora as people have them: folders twice, pointers, damaged files, several encodings, cells of all kinds."""

import json
import shutil
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from helpers.releases import write_release

from lssed_hf import load_corpus
from lssed_hf.cli.prepare import main
from lssed_hf.corpora import CorpusDataError, base
from lssed_hf.corpora.prepared import load_prepared
from lssed_hf.preparation.prepare import prepare


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n".format("0" * 64)


@pytest.fixture
def release(request, tmp_path) -> Path:
    return write_release(request.param, tmp_path / request.param)


@pytest.fixture
def notes(monkeypatch) -> list[str]:
    warnings: list[str] = []
    monkeypatch.setattr(base.logger, "warning", warnings.append)
    return warnings


@pytest.fixture
def load(tmp_path):
    def load(name, folder, config="default", **kwargs) -> datasets.Dataset:
        if name == "iemocap":  # a small release lacks session 5
            kwargs["split_scheme"] = "session1"
        splits = load_corpus(name, folder, config, cache_dir=tmp_path / "cache", **kwargs)
        return datasets.concatenate_datasets(list(splits.values())).cast_column("audio", datasets.Audio(decode=False))

    return load


@pytest.fixture
def table(tmp_path, write_clip):
    """Write a folder with a table in the layout of LSSED that the reader of own recordings takes as well."""

    def table(header: str, *lines: str, name: str = "metadata.csv") -> Path:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return folder

    return table


def clips(folder: Path, write_clip, *names: str) -> None:
    for name in names:
        write_clip(folder / name)


class TestPointers:
    @pytest.mark.parametrize("release", ["crema_d"], indirect=True)
    def test_a_clone_without_lfs_is_one_line(self, release, load, tmp_path):
        files = list(release.rglob("*.wav"))
        for path in files:
            path.write_text(POINTER)
        with pytest.raises(CorpusDataError, match="Git LFS pointer") as loaded:
            load("crema_d", release)
        with pytest.raises(CorpusDataError, match="Git LFS pointer") as prepared:
            prepare("crema_d", release, tmp_path / "prepared")
        for error in (loaded, prepared):
            text = str(error.value)
            assert f"{len(files)} " in text and "git lfs pull" in text
            assert text.count("Git LFS pointer") == 1 and "\n" not in text

    @pytest.mark.parametrize("release", ["crema_d"], indirect=True)
    def test_pointers_among_clips(self, release, load, tmp_path):
        files = sorted(release.rglob("*.wav"))
        for path in files[:5]:
            path.write_text(POINTER)
        with pytest.raises(CorpusDataError, match=rf"5 of {len(files)} utterances") as error:
            load("crema_d", release)
        assert str(error.value).count("Git LFS pointer") == 1
        counts = prepare("crema_d", release, tmp_path / "prepared")["counts"]
        assert counts == {"read": len(files), "written": len(files) - 5, "rejected": 5}


@pytest.mark.parametrize("release", ["ravdess"], indirect=True)
def test_ravdess_twice(release, load, notes):
    number = load("ravdess", release).num_rows
    for folder in list(release.glob("Actor_*")):
        shutil.copytree(folder, release / "audio_speech_actors_01-24" / folder.name)
    assert load("ravdess", release).num_rows == number
    assert f"ravdess: {number} utterances are left out: an identical copy of another file" in notes


@pytest.mark.parametrize("release", ["emodb"], indirect=True)
def test_laryngograms_of_emodb_2(release, load, notes):
    rows = load("emodb", release)
    shutil.copytree(release / "wav", release / "laryngo")
    assert load("emodb", release)["id"] == rows["id"]
    assert f"emodb: {rows.num_rows} utterances are left out: a laryngogram, not speech" in notes


class TestText:
    @pytest.mark.parametrize("release", ["meld"], indirect=True)
    def test_controls_of_meld_are_quotes(self, release, load):
        path = next(release.rglob("train_sent_emo.csv"))
        lines = path.read_text(encoding="utf-8").splitlines()
        transcript = load("meld", release)["transcript"][0]
        path.write_text("\n".join(lines).replace(transcript, "It\x92s \x85 caf\xe9"), encoding="utf-8")
        assert "It’s … café" in load("meld", release)["transcript"]

    @pytest.mark.parametrize("release", ["meld"], indirect=True)
    def test_one_line_in_windows_1252(self, release, load):
        path = next(release.rglob("train_sent_emo.csv"))
        first, second = load("meld", release)["transcript"][:2]
        content = path.read_bytes().replace(first.encode(), "naïve “Löwe”".encode())
        path.write_bytes(content.replace(second.encode(), "It’s Müller".encode("cp1252")))
        assert {"naïve “Löwe”", "It’s Müller"} <= set(load("meld", release)["transcript"])


@pytest.mark.parametrize("release", ["iemocap"], indirect=True)
class TestIemocap:
    @pytest.mark.parametrize("damage", [b"\x81 caf\xe9", "“Löwe”".encode("cp1252"), b"\xff\xfe\x00\xd8"])
    def test_a_transcript_in_another_encoding(self, release, load, damage):
        whole = load("iemocap", release)
        path = min(release.rglob("transcriptions/*.txt"))
        path.write_bytes(path.read_bytes() + damage + b"\n")
        rows = load("iemocap", release)
        assert rows["id"] == whole["id"] and rows["transcript"] == whole["transcript"]

    @pytest.mark.parametrize("content", [b"", b"RIFF\x00\x00\x00\x00WAVE", b"no sound at all" * 50])
    def test_a_damaged_clip(self, release, load, content, notes):
        whole = load("iemocap", release)
        path = next(path for path in sorted(release.rglob("sentences/wav/*/*.wav")) if path.stem == whole["id"][3])
        path.write_bytes(content)
        rows = load("iemocap", release)
        assert set(whole["id"]) - set(rows["id"]) == {path.stem}
        [line] = [line for line in notes if path.name in line]
        assert line.startswith("iemocap: 1 utterance is left out: ")

    def test_a_damaged_dialog(self, release, load, notes):
        whole = load("iemocap", release)
        recording = min(release.rglob("dialog/wav/*.wav"))
        shutil.rmtree(release / "Session1" / "sentences" / "wav" / recording.stem)
        recording.write_bytes(recording.read_bytes()[:20])
        rows = load("iemocap", release)
        lost = {name for name in whole["id"] if name.startswith(recording.stem)}
        assert lost and set(whole["id"]) - set(rows["id"]) == lost
        [line] = [line for line in notes if recording.name in line]
        assert line.startswith(f"iemocap: {len(lost)} utterances")

    @pytest.mark.parametrize(("config", "part"), [("improvised", "impro"), ("scripted", "script")])
    def test_parts(self, release, load, config, part):
        whole, rows = load("iemocap", release, "benchmark"), load("iemocap", release, config)
        assert set(rows["id"]) == {name for name in whole["id"] if f"_{part}" in name}
        assert rows.features["emotion"].names == whole.features["emotion"].names

    def test_parts_are_prepared(self, release, load, tmp_path):
        manifest = prepare("iemocap", release, tmp_path / "prepared", config_name="improvised")
        assert manifest["counts"]["written"] == load("iemocap", release, "improvised").num_rows


class TestNothingLeft:
    @pytest.mark.parametrize("name", ["lssed", "folder"])
    def test_the_reason_is_given(self, name, table, tmp_path):
        folder = table("name,emotion,speaker", *(f"E000{i}_a.wav,sad,{i}" for i in range(4)))
        with pytest.raises(CorpusDataError, match=r"none of 4 utterances can be used: .*E0000_a"):
            prepare(name, folder, tmp_path / "prepared")

    def test_by_rule_and_by_fault(self, table, write_clip, tmp_path):
        folder = table("name,emotion,is_Chinese", "E0001_a.wav,sad,1", "E0002_a.wav,sad,0")
        clips(folder, write_clip, "E0001_a.wav")
        with pytest.raises(
            CorpusDataError, match=r"none of 2 utterances can be used: .*line 2.*is_Chinese.*line 3.*no audio"
        ):
            prepare("lssed", folder, tmp_path / "prepared")


class TestSubfolders:
    @pytest.mark.parametrize("name", ["lssed", "folder"])
    def test_equal_names(self, name, table, write_clip, load):
        paths = [f"wav/{day}/E000{i}_a.wav" for day in ("monday", "tuesday") for i in (1, 2, 3)]
        folder = table("name,emotion", *(f"{path},{'sad' if 'mon' in path else 'angry'}" for path in paths))
        clips(folder, write_clip, *paths)
        rows = load(name, folder, split_scheme="paper" if name == "lssed" else "random")
        assert len(set(rows["id"])) == 6
        for row in rows:
            day = "monday" if rows.features["emotion"].int2str(row["emotion"]) == "sad" else "tuesday"
            assert f"/{day}/" in row["audio"]["path"] and day in row["id"]

    def test_a_name_alone_is_still_ambiguous(self, table, write_clip, load):
        folder = table("name,emotion", "E0001_a.wav,sad")
        clips(folder, write_clip, "wav/a/E0001_a.wav", "wav/b/E0001_a.wav")
        with pytest.raises(CorpusDataError, match="several files of that name"):
            load("lssed", folder)


class TestOptionalColumns:
    @pytest.mark.parametrize("name", ["lssed", "folder"])
    def test_unknown_values_cost_the_value(self, name, table, write_clip, load, notes):
        folder = table(
            "name,emotion,speaker,gender,age,age_group",
            *("E0001_a.wav,sad,1,unknown,n/a,old", "E0002_a.wav,sad,2,f,forty,ancient", "E0003_a.wav,sad,3,nb,31,"),
        )
        clips(folder, write_clip, *(f"E000{i}_a.wav" for i in (1, 2, 3)))
        rows = {row["speaker_id"]: row for row in load(name, folder)}
        assert [rows[i]["gender"] for i in "123"] == [-1, 0, -1]
        assert [rows[i]["age"] for i in "123"] == [None, None, 31]
        assert [rows[i]["age_group"] for i in "123"] == [2, -1, -1]
        line = f"{name}: 2 values of gender cannot be read and are left empty: 'unknown' (1), 'nb' (1)"
        assert line in notes and any("2 values of age " in note for note in notes)

    @pytest.mark.parametrize(
        ("value", "kept"),
        [
            *((text, False) for text in ("yes", "YES", "是", "true", "1", "y")),
            *((text, True) for text in ("no", "否", "0", "")),
        ],
    )
    def test_is_chinese(self, table, write_clip, load, value, kept):
        names = [f"E000{i}_a.wav" for i in range(1, 5)]
        folder = table("name,emotion,is_Chinese", f"{names[0]},sad,{value}", *(f"{name},sad,0" for name in names[1:]))
        clips(folder, write_clip, *names)
        assert ("0001" in load("lssed", folder)["speaker_id"]) is kept

    @pytest.mark.parametrize("value", ["maybe", "2", "zh"])
    def test_unknown_is_chinese(self, table, write_clip, load, value):
        folder = table("name,emotion,is_Chinese", f"E0001_a.wav,sad,{value}")
        clips(folder, write_clip, "E0001_a.wav")
        with pytest.raises(CorpusDataError, match=rf"is_Chinese '{value}' is none of"):
            load("lssed", folder)


class TestSplitSchemes:
    def test_a_scheme_beside_a_split_column_is_noted(self, table, write_clip, load, notes):
        names = [f"E000{i}_a.wav" for i in range(1, 5)]
        folder = table(
            "name,emotion,split", *(f"{name},sad,{'train' if i else 'test'}" for i, name in enumerate(names))
        )
        clips(folder, write_clip, *names)
        load("lssed", folder)
        assert not notes
        load("lssed", folder, split_scheme="paper")
        assert notes == ["lssed: --split_scheme paper has no effect: the clips have splits of their own"]

    def test_prepare_takes_the_scheme_as_an_option(self, table, write_clip, tmp_path):
        names = [f"{letter * 4}.wav" for letter in "abcdefghij"]  # no speakers
        folder = table("name,emotion", *(f"{name},sad" for name in names))
        clips(folder, write_clip, *names)
        with pytest.raises(CorpusDataError, match="--split_schemes paper"):
            prepare("lssed", folder, tmp_path / "speaker")
        manifest = prepare("lssed", folder, tmp_path / "paper", split_scheme="paper")
        assert manifest["split_schemes"] == ["paper"]


class TestClipped:
    """Each clip that is cut off is counted for the first step that took it over full scale."""

    @pytest.mark.parametrize(
        ("flags", "of_the_gain"),
        [([], 0), (["--denoise"], 0), (["--gain", "2"], 1), (["--denoise", "--gain", "2"], 1)],
    )
    def test_overshoot_of_resampling_is_called_so(self, tmp_path, capsys, flags, of_the_gain):
        noise = np.sign(np.random.default_rng(0).standard_normal(8000))
        (tmp_path / "raw").mkdir()
        for i in range(3):
            soundfile.write(tmp_path / "raw" / f"03a0{i}Fa.wav", noise * 0.999, 44100)
        soundfile.write(tmp_path / "raw" / "03a04Fa.wav", noise * 0.7, 16000)
        soundfile.write(tmp_path / "raw" / "03a05Fa.wav", noise * 1.5, 16000, subtype="FLOAT")
        soundfile.write(tmp_path / "raw" / "03a06Fa.wav", noise * 1.5, 44100, subtype="FLOAT")
        arguments = [str(tmp_path / "raw"), str(tmp_path / "prepared"), "--num_proc", "1", *flags]
        assert main(["emodb", *arguments]) == 0
        lines = [line for line in capsys.readouterr().err.splitlines() if "full scale" in line]
        rest = "over full scale, where samples are cut off"
        expected = [
            f"the overshoot of resampling took 3 clips {rest}",
            f"float samples or a lossy codec took 2 clips {rest}",
        ]
        assert lines == expected + [f"the gain took 1 clip {rest}"] * of_the_gain


def test_links_of_a_hub_snapshot(tmp_path, write_clip, load):
    blob = write_clip(tmp_path / "cache" / "blobs" / "clip.wav").rename(tmp_path / "cache" / "blobs" / "0a1b")
    snapshot = tmp_path / "cache" / "snapshots" / "1234"
    for i in range(3):
        path = snapshot / "wav" / f"03a0{i}Fa.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(blob)
    assert load("emodb", snapshot).num_rows == 3


NAMES = [f"E000{i}_a.wav" for i in range(1, 5)]


@pytest.mark.parametrize("reader", ["lssed", "folder"])
class TestTables:
    @pytest.mark.parametrize(
        "given", [["name=clip", "emotion=mood", "speaker=who"], {"path": "Clip", "emotion": "mood"}]
    )
    def test_columns(self, reader, given, table, write_clip, load):
        lines = (f"{name},wut,other,{index}" for index, name in enumerate(NAMES))
        folder = table("Clip,mood,emotion,who", *lines)
        clips(folder, write_clip, *NAMES)
        scheme = {"split_scheme": "random" if reader == "folder" else "paper"}
        rows = load(reader, folder, columns=given, label_map={"wut": "angry"}, **scheme)
        assert {rows.features["emotion"].int2str(label) for label in rows["emotion"]} == {"angry"}
        if "speaker=who" in given:
            assert set(rows["speaker_id"]) == set("0123")

    def test_unknown_fields_and_columns(self, reader, table, write_clip, load):
        folder = table("name,emotion", *(f"{name},sad" for name in NAMES))
        clips(folder, write_clip, *NAMES)
        with pytest.raises(ValueError, match=r"columns colour=x: give each field one column.* fields are "):
            load(reader, folder, columns=["colour=x"])
        with pytest.raises(CorpusDataError, match="has no age column: looked for years, found name, emotion"):
            load(reader, folder, columns=["age=years"])

    @pytest.mark.parametrize("column", ["path", "file_name"])
    @pytest.mark.parametrize("suffix", [".tsv", ".json", ".jsonl", ".csv"])
    def test_names_of_tables_and_columns(self, reader, column, suffix, table, write_clip, load):
        rows = [{column: name, "emotion": "sad", "speaker": str(i)} for i, name in enumerate(NAMES)]
        if suffix == ".json":
            folder = table(json.dumps(rows, indent=1), name="metadata.json")
        elif suffix == ".jsonl":
            folder = table(*map(json.dumps, rows), name="metadata.jsonl")
        else:
            cells = [list(rows[0]), *(row.values() for row in rows)]
            folder = table(*map({".csv": ",", ".tsv": "\t"}[suffix].join, cells), name=f"metadata{suffix}")
        clips(folder, write_clip, *NAMES)
        assert sorted(load(reader, folder)["speaker_id"]) == list("0123")

    def test_faulty_json(self, reader, table, load):
        for text, line in (('{"path": "a.wav"}', 1), ('[\n{"path": "a.wav"\n]', 2), ("[\n1]", 2)):
            with pytest.raises(CorpusDataError, match=rf"metadata\.json, line {line}: no "):
                load(reader, table(text, name="metadata.json"))

    def test_absolute_paths(self, reader, table, write_clip, load, tmp_path):
        folder = table("path,emotion,speaker", *(f"{tmp_path}/own/{name},sad,{name[4]}" for name in NAMES))
        clips(folder, write_clip, *NAMES)
        assert load(reader, folder).num_rows == 4
        table("path,emotion,speaker", *(f"{tmp_path}/{name},sad,{name[4]}" for name in NAMES))
        with pytest.raises(CorpusDataError, match="leads out of the data folder"):
            load(reader, folder)

    def test_spreadsheet(self, reader, tmp_path, write_clip, load):
        clips(tmp_path / "own", write_clip, *NAMES)
        (tmp_path / "own" / "labels.xlsx").write_bytes(b"PK")
        with pytest.raises(CorpusDataError, match=r"labels.xlsx is a spreadsheet, which is not read: save it as CSV"):
            load(reader, tmp_path / "own")
        with pytest.raises(CorpusDataError, match=r"labels.xlsx is a spreadsheet, which is not read: save it as CSV"):
            load(reader, tmp_path / "own", data_files=str(tmp_path / "own" / "labels.xlsx"))

    def test_prepare_takes_the_flags(self, reader, table, write_clip, tmp_path):
        folder = table("clip,mood,who", *(f"{name},wut,{name[4]}" for name in NAMES), name="labels.csv")
        clips(folder, write_clip, *NAMES)
        flags = [
            "--columns",
            "name=clip",
            "emotion=mood",
            "speaker=who",
            "--label_map",
            "wut=angry",
            "--num_proc",
            "1",
        ]
        if reader == "lssed":
            flags += ["--data_files", str(folder / "labels.csv")]
        assert main([reader, str(folder), str(tmp_path / "prepared"), *flags]) == 0


@pytest.mark.parametrize(
    ("release", "schemes"), [("lssed", ("speaker", "paper")), ("crema_d", ("speaker",))], indirect=["release"]
)
def test_the_prepared_corpus_has_the_order_of_the_raw_one(release, schemes, tmp_path):
    name = release.name
    victim = sorted(release.rglob("*.wav"))[7]
    folder = tmp_path / "prepared"
    manifest = prepare(name, release, folder, utterances_per_shard=7)
    victim.write_bytes(victim.read_bytes()[:50])
    damaged = prepare(name, release, tmp_path / "damaged", utterances_per_shard=7)
    assert damaged["counts"]["rejected"] == 1
    for config in ("default", "benchmark"):
        for scheme in schemes:
            raw = load_corpus(name, release, config, split_scheme=scheme, cache_dir=str(tmp_path / "cache"))
            whole = load_prepared(folder, manifest, config, scheme)
            rest = load_prepared(tmp_path / "damaged", damaged, config, scheme)
            for split, rows in raw.items():
                assert whole[split]["id"][:] == rows["id"][:]
                assert rest[split]["id"][:] == [name for name in rows["id"] if name != victim.stem]
    assert load_prepared(folder, manifest, f"default_{schemes[-1]}" if len(schemes) > 1 else "default")


def test_folders_of_older_versions_keep_their_order(tmp_path, write_clip):
    for i, code in enumerate("WTLNF"):
        write_clip(tmp_path / "raw" / f"03a0{i}{code}a.wav")
    manifest = prepare("emodb", tmp_path / "raw", tmp_path / "prepared")
    for shard in manifest["shards"]:
        del shard["positions"]
    assert load_prepared(tmp_path / "prepared", manifest, "default")["train"].num_rows == 5


@pytest.mark.parametrize("release", ["emodb"], indirect=True)
class TestAmbiguousUtterancesOfEmodb2:
    @pytest.mark.parametrize(
        ("name", "header", "line"),
        [
            ("erkennung.txt", "Satz erkannt nat\xfcrlich", "{}.wav {} 61,5"),
            ("db.emotion.csv", "file,emotion,emotion.confidence", "wav/{}.wav,x,0.{}"),
        ],
    )
    def test_option(self, release, load, notes, name, header, line):
        rows = load("emodb", release)
        shutil.copytree(release / "wav", release / "laryngo")
        shares = dict.fromkeys(rows["id"], "80") | {rows["id"][0]: "79"}
        lines = [header, *(line.format(*share) for share in shares.items())]
        (release / name).write_text("\n".join(lines), encoding="latin-1")
        assert load("emodb", release)["id"] == rows["id"][1:]
        reason = "fewer than 80% recognised its emotion (keep_ambiguous=True keeps these)"
        assert f"emodb: 1 utterance is left out: {reason}" in notes
        assert load("emodb", release, keep_ambiguous=True)["id"] == rows["id"][:]
        shutil.rmtree(release / "laryngo")  # version 1 keeps all of its utterances
        assert load("emodb", release)["id"] == rows["id"][:]

    def test_without_a_table(self, release, load, notes):
        shutil.copytree(release / "wav", release / "laryngo")
        number = load("emodb", release).num_rows
        assert number == len(list(release.glob("wav/*")))
        assert any("ambiguous utterances are kept" in note for note in notes)
