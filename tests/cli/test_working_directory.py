"""Commands import nothing from the working directory, which may be a corpus that strangers have packed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.recordings import sound_file, tone


MODULES = ("struct", "json", "random", "numpy", "soundfile", "torch", "multiprocess")


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    for label, frequency in (("angry", 300), ("sad", 200)):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            content = sound_file(0.3 * tone(1.0, 16000, frequency + number))
            (folder / label / f"{number}.wav").write_bytes(content)
    for name in MODULES:
        (folder / f"{name}.py").write_text(
            f"open({str(tmp_path / 'executed')!r}, 'a').write('{name} ')\nraise SystemExit"
        )
    return folder


def run(corpus: Path, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("lssed-hf")), *arguments]
    done = subprocess.run(command, cwd=corpus, capture_output=True, text=True, check=False)
    executed = corpus.parent / "executed"
    assert not executed.exists(), f"{arguments[0]} ran {executed.read_text()}"
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot leave the working directory out")
class TestWorkingDirectory:
    def test_workers_of_prepare(self, corpus):
        run(corpus, "prepare", "folder", ".", "../out", "--num_proc", "2")

    @pytest.mark.slow
    def test_processes_of_benchmark(self, corpus):
        settings = "--dataset_name folder --data_dir . --validation_fraction 0 --max_steps 1 --use_cpu --jobs 2"
        run(corpus, "benchmark", "--models", "pyresnet-small", "--output_dir", "../bench", *settings.split())

    def test_a_choice_of_the_user_stays(self, corpus):
        code = "import os; from lssed_hf import cli\nwith cli.as_command(): print(os.environ['PYTHONSAFEPATH'])"
        for environment, kept in (({}, "1"), ({"PYTHONSAFEPATH": ""}, "")):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=True,
            )
            assert done.stdout.splitlines()[-1] == kept
