"""Names of files, speakers and labels that are formulas, markup or commands to a terminal."""

import csv
import json
import logging

import datasets
import numpy as np
import pytest
import soundfile
from tiny_classifier import write_classifier

from lssed_hf import cli
from lssed_hf.evaluation.run_results import read_run
from lssed_hf.inference.evaluate import evaluate_model


pytestmark = pytest.mark.usefixtures("one_thread")

FORMULA, MARKUP, CONTROL = '=HYPERLINK("http:x")', "<img src=x>|[a](http:x)", "\x1b[2Jgone\x07"
RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("model"), [FORMULA, "@neutral", MARKUP])


@pytest.fixture(scope="module")
def sound():
    return np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def no_formulas(path):
    with open(path, newline="", encoding="utf-8") as file:
        return all(cell[:1] not in {*"=+-@\t\r"} for row in csv.reader(file) for cell in row)


def test_predict_writes_no_formulas(model, sound, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("=1+1.wav", "@sum.wav", "+x.wav", "-y.wav"):
        soundfile.write(tmp_path / name, sound, RATE)
    (tmp_path / "=bad.wav").write_text("text")
    names = ["=1+1.wav", "@sum.wav", "+x.wav", "=bad.wav", "--", "-y.wav"]
    assert cli.main(["predict", str(model), "--csv", "out.csv", *names]) == 1
    assert no_formulas("out.csv")
    found = rows_of("out.csv")
    assert {row["file"].removeprefix("'") for row in found} == {*names} - {"--"}
    assert {row["label"] for row in found} <= {"", f"'{FORMULA}", "'@neutral", MARKUP}
    assert cli.main(["embed", str(model), "--out", "out.embedded.csv", "=1+1.wav", "=bad.wav"]) == 1
    assert no_formulas("out.embedded.csv")


def test_timeline_writes_no_formulas(model, sound, tmp_path):
    soundfile.write(tmp_path / "talk.wav", sound, RATE)
    (tmp_path / "turns.csv").write_text(f"start,end,speaker\n0,1,=me\n1,2,{CONTROL}\n", encoding="utf-8")
    outputs = ["--csv", str(tmp_path / "out.csv"), "--json", str(tmp_path / "out.json")]
    assert (
        cli.main(
            ["timeline", str(model), str(tmp_path / "talk.wav"), "--turns", str(tmp_path / "turns.csv"), *outputs]
        )
        == 0
    )
    assert no_formulas(tmp_path / "out.csv")
    assert json.loads((tmp_path / "out.json").read_text())["segments"][0]["speaker"] == "=me", "JSON runs nothing"


def test_reports_hold_names_as_text_and_are_read_back(model, sound, tmp_path, capsys):
    labels = [FORMULA, "@neutral", MARKUP]
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", sound[number * 100 :], RATE)
    ids = ["=1", "+2 x", "-3 x", "@4", "5|<b>", "6\x1b[31m"]
    speakers = [FORMULA, FORMULA, MARKUP, MARKUP, CONTROL, CONTROL]
    rows = datasets.Dataset.from_dict(
        {
            "id": ids,
            "audio": [str(folder / f"{number}.wav") for number in range(6)],
            "emotion": [0, 1, 2, 0, 1, 2],
            "speaker_id": speakers,
            "gender": ["=f", "<m>"] * 3,
        }
    ).cast_column("emotion", datasets.ClassLabel(names=labels))
    rows = rows.cast_column("audio", datasets.Audio(decode=False))
    context = {"dataset": "`x` <script>", "warning": "Trained on <b>[this](http:x)</b>\n# too"}
    evaluate_model(model, rows, tmp_path / "report", context=context)
    report = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert not any(tag in report for tag in ("<img", "<script", "<b>", "<m>", "](http", "\x1b", "\x07", "\n# too"))
    assert "\x1b" not in capsys.readouterr().out
    assert no_formulas(tmp_path / "report" / "predictions.csv")
    run = read_run(tmp_path / "report")
    assert (run.ids, run.speakers, run.groups["gender"], run.labels) == (ids, speakers, ["=f", "<m>"] * 3, labels)
    assert run.references.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("command", [["predict"], ["timeline"], ["evaluate", "--data_dir"], ["train", "--data_dir"]])
def test_errors_and_logs_give_the_terminal_no_commands(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command, f"{CONTROL}\n.wav"]) == 1
    error = capsys.readouterr().err
    assert "\x1b" not in error and "\x07" not in error
    assert "\\x1b[2Jgone\\x07" in error.splitlines()[-1]


def test_messages_of_the_log_are_escaped(caplog):
    with cli.as_command():
        logging.getLogger("lssed_hf.test").warning("%s is left out", CONTROL)
    assert caplog.messages[-1] == "\\x1b[2Jgone\\x07 is left out"


def test_statistics_list_speakers_as_text(sound, tmp_path, capsys):
    for label in ("angry", "sad"):
        for number in range(2):
            path = tmp_path / "own" / label / f"<b>{CONTROL}_{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound, RATE)
    assert cli.main(["stats", str(tmp_path / "own"), "--output_dir", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err + (tmp_path / "out" / "stats.md").read_text()


class TestOutputsAreCheckedBeforeTheWork:
    @pytest.fixture
    def own(self, sound, tmp_path):
        for label in ("angry", "sad"):
            for number in range(3):
                (tmp_path / "own" / label).mkdir(parents=True, exist_ok=True)
                soundfile.write(tmp_path / "own" / label / f"{number}.wav", sound[number:], RATE)
        (tmp_path / "file").write_text("")
        return tmp_path

    @pytest.mark.parametrize(
        "command",
        [
            ["evaluate", "--data_dir", "own", "--split", "all", "--output_dir", "file"],
            ["evaluate", "--data_dir", "own", "--split", "all", "--output_dir", "file/deep"],
            ["adapt", "own", "--output_dir", "file"],
            ["embed", "own", "--out", "file/x.npy"],
            ["enroll", "own", "--speaker", "me", "--speakers", "file/x.json"],
            ["stats", "own", "--output_dir", "file"],
            ["predict", "own", "--csv", "file/x.csv"],
            ["timeline", "own/sad/0.wav", "--csv", "file/x.csv"],
            ["train", "--data_dir", "own", "--output_dir", "file"],
        ],
        ids=lambda command: " ".join(command[:1]),
    )
    def test_a_file_in_the_way_is_named(self, command, own, monkeypatch, capsys):
        from lssed_hf.inference.classifiers import classifier

        def work(*args, **kwargs):
            raise AssertionError("the work began")

        monkeypatch.setattr(classifier.Classifier, "probabilities", work)
        monkeypatch.setattr("lssed_hf.preparation.statistics.corpus_statistics", work)
        monkeypatch.chdir(own)
        assert cli.main(command) == 1
        assert "file" in capsys.readouterr().err.splitlines()[-1]


FULL = """
import resource, signal, sys
sys.path[:0] = {path!r}
from lssed_hf import cli
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))
sys.exit(cli.main({command!r}))
"""


@pytest.mark.parametrize(
    "command, size, name",
    [
        (
            ["evaluate", "--data_dir", "own", "--split", "all", "--output_dir", "out"],
            12_000,
            "out/confusion_matrix.png",
        ),
        (["train", "--data_dir", "own", "--output_dir", "out", "--num_train_epochs", "1"], 400_000, "out"),
    ],
    ids=["evaluate", "train"],
)
def test_a_full_disk_is_named(command, size, name, sound, tmp_path, forking_python):
    import sys

    for label in ("angry", "sad"):
        for number in range(4):
            (tmp_path / "own" / label).mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "own" / label / f"{number}.wav", sound[number:], RATE)
    with pytest.raises(AssertionError) as caught:
        forking_python.run(FULL.format(path=sys.path, size=size, command=command), cwd=tmp_path)
    if command[0] == "evaluate":
        assert list((tmp_path / "out").iterdir()) == [], "scores without their report"
    error = next(line for line in str(caught.value).splitlines() if "error:" in line)
    assert error.endswith(f"File too large: '{name}'") or error.endswith(f"File too large: '{tmp_path / name}'")


def test_a_full_device_is_named(model, sound, tmp_path, capsys):
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    assert cli.main(["predict", str(model), str(tmp_path / "a.wav"), "--csv", "/dev/full"]) == 1
    assert "No space left on device: '/dev/full'" in capsys.readouterr().err
