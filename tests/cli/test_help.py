"""Help, suggestions and the dispatch of the command line."""

import importlib
import importlib.metadata
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lssed_hf import cli
from lssed_hf.cli.grouped_parser import RECORD
from lssed_hf.files import read_json
from lssed_hf.suggest import did_you_mean


#: Lines of two screens.
TWO_SCREENS = 110


def help_of(command, capsys, monkeypatch, flag="--help"):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, flag])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_command_has_help_of_two_screens_with_an_example(command, capsys, monkeypatch):
    text = help_of(command, capsys, monkeypatch)
    assert len(text.splitlines()) <= TWO_SCREENS
    assert f"example: lssed-hf {command} " in " ".join(text.split())
    assert not re.search(r"^ +--\w+-\w+|, --\w+-", text, re.MULTILINE), "each flag once"


def test_training_flags_come_in_groups_and_all_on_request(capsys, monkeypatch):
    short = help_of("train", capsys, monkeypatch)
    assert [line for line in short.splitlines() if re.fullmatch(r"[a-z]+:", line)] == [
        *("data:", "model:", "recipe:", "output:", "hardware:", "help:")
    ]
    everything = help_of("train", capsys, monkeypatch, "--help_all")
    assert "--adam_beta1" in everything and "--adam_beta1" not in short
    flags = set(re.findall(r"^  (--\w+)", short, re.MULTILINE))
    assert flags <= set(re.findall(r"^  (--\w+)", everything, re.MULTILINE))


def test_engines_read_alike_in_every_command():
    predict, timeline, serve = (
        importlib.import_module(f"lssed_hf.cli.{command}").parser()._option_string_actions["--engine"]
        for command in ("predict", "timeline", "serve")
    )
    assert predict.choices == ("local", "torch", "ray") and timeline.choices == serve.choices == ("local", "torch")
    assert predict.default == timeline.default == serve.default == "local"
    assert timeline.help == serve.help and predict.help.startswith(f"{timeline.help}; ray: ")


def test_the_list_of_commands(capsys):
    assert cli.main(["--help"]) == 0
    listed = re.findall(r"^  ([\w-]+)  ", capsys.readouterr().out, re.MULTILINE)
    assert sorted(listed) == sorted(cli.COMMANDS)
    assert cli.main([]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("argv", [["--help"], ["--version"], ["predict", "--help"], []])
def test_a_reader_that_is_gone_is_no_error_to_report(argv):
    """Close the pipe that the command prints to before it prints, as `lssed-hf --help | true` does."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as pipe:
        command = [sys.executable, "-m", "lssed_hf", *argv]
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "" and done.returncode in (0, 1, 2)  # argparse hides the error of a stream without buffer


def test_a_pipe_that_breaks_elsewhere_is_an_error_to_report(monkeypatch, capsys):
    def main(argv):
        raise BrokenPipeError(32, "Broken pipe", "worker")

    monkeypatch.setattr(cli, "_main_of", lambda module: main)
    assert cli.main(["corpora"]) == 1
    assert capsys.readouterr().err == "lssed-hf corpora: error: [Errno 32] Broken pipe: 'worker'\n"


@pytest.mark.parametrize(
    "argv, said",
    [
        (["pedict"], "unknown command 'pedict'; did you mean predict?"),
        (["finetune"], "unknown command 'finetune'; did you mean finetune-daic?"),
        (["xyzzy"], "unknown command 'xyzzy' ("),
        (["predict", "a.wav", "--chanel", "left"], "unknown flag --chanel; did you mean --channel?"),
        (["predict", "a.wav", "--batchsize=3"], "unknown flag --batchsize; did you mean --batch_size?"),
        (["train", "--epochs", "3"], "unknown flag --epochs; did you mean --num_train_epochs"),
        (["train", "--model", "pyresnet50"], "did you mean --model_name_or_path"),
        (["evaluate", "--data-directory", "x"], "did you mean --data_dir"),
        (["timeline", "a.wav", "--turn", "x"], "did you mean --turns"),
        (["embed", "a.wav"], "--out"),
        (
            ["train", "my_recordings"],
            "more than this command takes: my_recordings; did you mean --data_dir my_recordings?",
        ),
        (["train", "--device", "cuda:0"], "unknown flag --device; did you mean --use_cpu?"),
        (["train", "--lr", "1"], "unknown flag --lr; did you mean --learning_rate?"),
        (["predict", "a.wav", "--output", "x.csv"], "unknown flag --output; did you mean --csv?"),
        (["predict", "a.wav", "--json", "x"], "unknown flag --json; did you mean --format?"),
        (["predict"], "name at least one recording"),
    ],
)
def test_misspelt_commands_and_flags_get_a_suggestion_in_one_line(argv, said, capsys):
    try:
        status = cli.main(argv)
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2
    errors = capsys.readouterr().err
    assert said in errors and errors.count("\n") == 1


@pytest.mark.parametrize("text", ["{'depths': [1]}", "[1]"])
def test_flags_that_are_no_json_are_named(text, tmp_path, capsys):
    argv = ["train", "--dataset_name", "x", "--output_dir", str(tmp_path), "--config_overrides", text]
    assert cli.main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"lssed-hf train: error: --config_overrides {text!r} is no")


def test_suggestions():
    flags = ["--learning_rate", "--lr_scheduler_type", "--num_train_epochs", "--seed"]
    assert did_you_mean("--learn_rate", flags) == "; did you mean --learning_rate?"
    assert did_you_mean("--train-epochs", flags) == "; did you mean --num_train_epochs?"
    assert did_you_mean("--x", flags) == did_you_mean("--colour", flags) == ""


@pytest.mark.parametrize("command", ["train", "adapt", "evaluate"])
def test_the_recorded_help_is_that_of_the_live_parser(command, capsys, monkeypatch):
    recorded = help_of(command, capsys, monkeypatch)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "another version")
    assert help_of(command, capsys, monkeypatch) == recorded


of_recorded_version = pytest.mark.skipif(
    read_json(RECORD)["transformers"] != importlib.metadata.version("transformers"),
    reason="transformers of another version has other flags",
)


@of_recorded_version
def test_the_record_of_help_is_current():
    path = Path(__file__).parents[2] / "scripts/record_help.py"
    assert runpy.run_path(str(path))["recorded_help"]() == read_json(RECORD), "run scripts/record_help.py"


@of_recorded_version
def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom lssed_hf import cli\n"
        "for command in sys.argv[1:]:\n"
        "    try: cli.main([command, '--help'])\n    except SystemExit: pass\n"
        "    for name in sorted(set(HEAVY) & set(sys.modules)): print('HEAVY', command, name)"
    )
    heavy = ("torch", "transformers", "datasets", "sklearn", "matplotlib", "librosa", "scipy", "pandas", "numpy")
    code = f"HEAVY = {heavy}\n{code}"
    done = subprocess.run([sys.executable, "-c", code, *cli.COMMANDS], capture_output=True, text=True, check=True)
    assert "HEAVY" not in done.stdout and done.stdout.count("example:") == len(cli.COMMANDS)
