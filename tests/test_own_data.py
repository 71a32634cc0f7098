"""People's own recordings by the commands of the documentation: train, evaluate and predict, in every layout."""

import csv
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pictures import without_pictures

from lssed_hf import cli


TINY = {"depths": [1], "embedding_size": 4, "hidden_sizes": [8], "kernel_sizes": [[3]], "groups": [[1]]}
TRAIN = [
    *("--recipe", "small", "--num_train_epochs", "1", "--config_overrides", json.dumps(TINY)),
    *("--feature_extractor_overrides", '{"do_denoise": false}', "--disable_tqdm", "true", "--report_to", "none"),
]
SPEAKERS = ("anna", "ben", "carla", "dora")
LABELS = ("wut", "freude", "neutral")


class Clips:
    """Writer of tones, one pitch for each label."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.written: list[str] = []

    def write(self, name: str, label: str) -> str:
        rng = np.random.default_rng(len(self.written))
        pitch = 250.0 * (1 + sum(label.encode()) % 11)
        tone = 0.3 * np.sin(2 * np.pi * pitch * np.arange(4800) / 16000) + 0.02 * rng.normal(size=4800)
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone, 16000)
        self.written.append(name)
        return name

    def rows(self, folder: str = "clips") -> Iterator[dict[str, str]]:
        """Two clips of each speaker and label."""
        for speaker in SPEAKERS:
            for label in LABELS:
                for take in (1, 2):
                    path = self.write(f"{folder}/{speaker}_{label}_{take}.wav", label)
                    yield {"path": path, "label": label, "speaker": speaker}


def class_folders(clips: Clips) -> list[str]:
    for label in LABELS:
        for take in range(6):
            clips.write(f"{label}/{take}.wav", label)
    return []


def table(name: str, separator: str = ",") -> Callable[[Clips], list[str]]:
    def write(clips: Clips) -> list[str]:
        rows = list(clips.rows())
        with (clips.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
            writer.writeheader()
            writer.writerows(rows)
        return []

    return write


def json_lines(clips: Clips) -> list[str]:
    lines = [json.dumps({"audio": row["path"], "label": row["label"], "who": row["speaker"]}) for row in clips.rows()]
    (clips.folder / "metadata.jsonl").write_text("\n".join(lines))
    return ["--speaker_column_name", "who"]


def excel(clips: Clips) -> list[str]:
    lines = ["sep=;", "Datei;Stimmung;Person;Start;Ende"]
    lines += [f"{row['path']};{row['label']};{row['speaker']};;" for row in clips.rows()]
    (clips.folder / "Liste.csv").write_bytes("\r\n".join(lines).replace("wut", "müde").encode("cp1252"))
    for name in clips.written:
        (clips.folder / name).rename(clips.folder / name.replace("wut", "mu\u0308de"))
    columns = {"audio": "Datei", "label": "Stimmung", "speaker": "Person"}
    return [word for field, name in columns.items() for word in (f"--{field}_column_name", name)]


def audio_folder(clips: Clips) -> list[str]:
    for split in ("train", "test"):
        rows = list(clips.rows(f"{split}/data"))
        lines = ["file_name,label", *(f"{row['path'].removeprefix(f'{split}/')},{row['label']}" for row in rows)]
        (clips.folder / split / "metadata.csv").write_text("\n".join(lines))
    return []


def nested(order: str) -> Callable[[Clips], list[str]]:
    def write(clips: Clips) -> list[str]:
        for number in range(1, 5):
            for label in LABELS:
                for take in (1, 2):
                    names = {"speaker": f"speaker{number:02}", "label": label}
                    clips.write("/".join([*(names[level] for level in order.split("/")), f"{take}.wav"]), label)
        return []

    return write


def german(clips: Clips) -> list[str]:
    for label in ("Ärger", "fröhlich", "Überraschung"):
        for take in range(6):
            clips.write(f"{unicodedata.normalize('NFD' if take % 2 else 'NFC', label)}/{take}.wav", label)
    return []


def one_class_with_one_clip(clips: Clips) -> list[str]:
    clips.write("scham/1.wav", "scham")
    return class_folders(clips)


LAYOUTS = {
    "class folders": class_folders,
    "CSV": table("metadata.csv"),
    "TSV": table("liste.tsv", "\t"),
    "JSONL": json_lines,
    "CSV of Excel": excel,
    "AudioFolder": audio_folder,
    "speaker/label": nested("speaker/label"),
    "label/speaker": nested("label/speaker"),
    "German": german,
    "one class with one clip": one_class_with_one_clip,
}


@pytest.fixture(autouse=True)
def quick(monkeypatch, one_thread):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with without_pictures():
        yield


@pytest.mark.parametrize(
    "layout",
    [name if name in ("CSV", "class folders") else pytest.param(name, marks=pytest.mark.slow) for name in LAYOUTS],
)
def test_train_evaluate_and_predict(tmp_path, layout, capfd, caplog):
    clips = Clips(tmp_path / "own")
    flags = ["--data_dir", str(clips.folder), *LAYOUTS[layout](clips)]
    model = str(tmp_path / "model")
    assert cli.main(["train", *flags, *TRAIN, "--output_dir", model]) == 0
    said = caplog.text

    record = json.loads((tmp_path / "model" / "training.json").read_text(encoding="utf-8"))
    counts = [facts["labels"] for facts in record["splits"].values()]
    assert sum(sum(labels.values()) for labels in counts) == len(clips.written)  # every clip is kept
    labels = set().union(*counts)
    id2label = json.loads((tmp_path / "model" / "config.json").read_text(encoding="utf-8"))["id2label"]
    assert set(id2label.values()) == labels and len(labels) == (4 if layout == "one class with one clip" else 3)
    if layout == "German":
        assert labels == {"Ärger", "fröhlich", "Überraschung"}
    if layout == "one class with one clip":
        assert "classes of one or two clips cannot be in every split: scham (1)" in said
        assert counts[0]["scham"] == 1
    with_speakers = layout not in ("class folders", "German", "one class with one clip", "AudioFolder")
    draws = not with_speakers and layout != "AudioFolder"
    assert ("the same voices may be on both sides" in said) == draws
    if with_speakers:
        assert record["shared_speakers"]["train, test"] == 0

    assert cli.main(["evaluate", "--model_name_or_path", model, *flags, "--output_dir", f"{model}/again"]) == 0
    first, again = (
        json.loads((tmp_path / "model" / place / "results.json").read_text(encoding="utf-8"))
        for place in (".", "again")
    )
    assert again["metrics"] == first["metrics"] and again["labels"] == first["labels"]

    files = sorted(str(path) for path in clips.folder.rglob("*.wav"))
    capfd.readouterr()
    assert cli.main(["predict", model, *files]) == 0
    rows = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert [row["file"] for row in rows] == files and {row["label"] for row in rows} <= labels


@pytest.mark.slow
def test_a_damaged_clip_is_named_with_the_way_on(tmp_path, capfd):
    clips = Clips(tmp_path / "own")
    class_folders(clips)
    (clips.folder / "wut" / "broken.wav").write_bytes(b"no sound")
    command = ["train", *TRAIN, "--output_dir", str(tmp_path / "model"), "--data_dir"]
    assert cli.main([*command, str(clips.folder)]) == 1
    said = capfd.readouterr().err
    prepared = str(tmp_path / "prepared")
    assert f"{clips.folder}/wut/broken.wav: " in said
    assert (
        f"`lssed-hf prepare folder {clips.folder} OUT`, which lists them in OUT/rejects.csv, and give --data_dir OUT"
        in said
    )
    assert cli.main(["prepare", "folder", str(clips.folder), prepared, "--num_proc", "1"]) == 0
    assert "wut/broken" in (tmp_path / "prepared" / "rejects.csv").read_text()
    assert cli.main([*command, prepared]) == 0
    record = json.loads((tmp_path / "model" / "training.json").read_text(encoding="utf-8"))
    assert record["corpora"][0]["corpus"] == "folder" and record["corpora"][0]["config"] == "default"


def test_flags_that_do_not_fit(tmp_path, capfd):
    clips = Clips(tmp_path / "own")
    class_folders(clips)

    def refused(*flags: str) -> str:
        capfd.readouterr()
        assert cli.main(["train", *TRAIN, "--output_dir", str(tmp_path / "model"), *flags]) == 1
        (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("lssed-hf train: error: ")]
        return line

    own = ("--data_dir", str(clips.folder))
    assert "names a column, and" in refused(*own, "--label_column_name", "mood")
    assert "--label_map freude=happy wut=angry" in refused(*own, "--label_set", "lssed")
    assert "there is no folder" in refused("--data_dir", str(tmp_path / "gone"))
    assert "speaker needs 3 speakers" in refused(*own, "--split_scheme", "speaker")
    assert "no data: give --data_dir" in refused()


@pytest.mark.slow
def test_names_of_lssed(tmp_path, capfd):
    clips = Clips(tmp_path / "own")
    class_folders(clips)
    flags = ["--data_dir", str(clips.folder), "--label_set", "lssed", "--label_map", "wut=angry", "freude=happy"]
    model = tmp_path / "model"
    assert cli.main(["train", *flags, *TRAIN, "--output_dir", str(model)]) == 0
    assert list(json.loads((model / "config.json").read_text())["id2label"].values()) == ["angry", "neutral", "happy"]
