"""The paper's figures stand beside scores of the paper's task, and speakers in training and test are counted."""

import json
import re
import shutil

import pytest
from tones import FLAGS, write_lssed

from lssed_hf import cli
from lssed_hf.corpora.synthetic_mark import SYNTHETIC_MARK
from lssed_hf.experiments.papers_task import corpus_source, table5_difference, table6_difference


FOUR = {"labels": ["angry", "neutral", "happy", "sad"], "num_utterances": 21_206}


def prepared(folder, corpus, schemes=("speaker", "paper")):
    folder.mkdir(parents=True)
    shard = {"path": "data/a.parquet", "sha256": "", "bytes": 0, "rows": 0, "configs": ["default"]}
    shard["splits"] = dict.fromkeys(schemes, "test")
    manifest = {"corpus": corpus, "config": "default", "split_schemes": list(schemes), "shards": [shard]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return {"dataset_name": str(folder)}


def test_the_manifest_tells_the_corpus_and_not_the_name_of_the_folder(tmp_path):
    mine = prepared(tmp_path / "mine", "lssed")
    assert table5_difference({**mine, "split_scheme": "paper"}, FOUR) == ""
    assert "the split scheme is speaker" in table5_difference(mine, FOUR)
    assert table5_difference(prepared(tmp_path / "lssed", "ravdess"), FOUR) is None
    assert table5_difference({**mine, "split_scheme": "paper"}, {**FOUR, "labels": ["angry", "sad"]}) is None
    few = table5_difference({**mine, "split_scheme": "paper"}, {**FOUR, "num_utterances": 10})
    assert few == "there are 10 test clips, and the paper has 21,206"
    assert table5_difference({"dataset_name": "lssed", "data_dir": str(tmp_path / "gone")}, FOUR) is not None
    assert corpus_source({"dataset_name": str(tmp_path / "gone too")}).corpus is None


def test_table_6_is_on_35_people_of_daic_woz(tmp_path):
    settings = {**prepared(tmp_path / "a", "daic_woz"), "test_split_name": "validation"}
    assert table6_difference(settings, {"num_participants": 35, "num_depressed": 12}) == ""
    assert "here are 34, 12" in table6_difference(settings, {"num_participants": 34, "num_depressed": 12})
    assert "here are 47, 14" in table6_difference(
        {**settings, "test_split_name": "test"}, {"num_participants": 47, "num_depressed": 14}
    )
    other = {**prepared(tmp_path / "b", "e_daic"), "test_split_name": "validation"}
    assert table6_difference(other, {"num_participants": 35, "num_depressed": 12}) is None


@pytest.fixture(scope="module")
def schemes(tmp_path_factory):
    corpus = write_lssed(tmp_path_factory.mktemp("lssed"))
    out = tmp_path_factory.mktemp("schemes") / "out"
    argv = ["--corpus", "lssed", "--data_dir", str(corpus), "--models", "pyresnet50", "--output_dir", str(out), *FLAGS]
    return out, ["benchmark", *argv, "--split_schemes", "paper", "speaker"]


def test_split_schemes_stand_side_by_side_with_the_speakers_that_they_share(schemes, capsys):
    out, argv = schemes
    assert cli.main(argv) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^system +WA, paper +UA, paper +WA, speaker +UA, speaker$", printed, re.MULTILINE)
    # The sets are counted once more, in what the two trainings were tested on.
    runs = {name: out / name / "runs" / "pyresnet50" / "seed_0" for name in ("paper", "speaker")}
    tested = {
        name: {line.split(",")[1] for line in (folder / "predictions.csv").read_text().splitlines()[1:]}
        for name, folder in runs.items()
    }
    assert all((folder / "report.md").is_file() for folder in runs.values())
    sentences = {
        # One of the six is held out for the choice of an epoch, and tested all the same.
        "paper": f"5 of the {len(tested['paper'])} test speakers (83 %) are in the training set too",
        "speaker": f"None of the {len(tested['speaker'])} test speakers is in the training set.",
    }
    if len(tested["speaker"]) == 1:
        sentences["speaker"] = "The only test speaker is not in the training set."
    for name, sentence in sentences.items():
        assert f"{name}: {sentence}" in printed
        for path in (out / "report.md", out / name / "report.md", runs[name] / "report.md"):
            assert sentence in path.read_text(encoding="utf-8"), path
        for path in (out / "table.tex", out / name / "table.tex"):
            assert sentence.replace("%", r"\%") in path.read_text(encoding="utf-8"), path
    assert "the split scheme is speaker" in (out / "speaker" / "report.md").read_text(encoding="utf-8")
    assert "there are 24 test clips" in (out / "paper" / "table.tex").read_text(encoding="utf-8")
    majority = " & ".join(
        f"{json.loads((out / name / 'results.json').read_text())['majority'][score]:.3f}"
        for name in sentences
        for score in ("weighted_accuracy", "unweighted_accuracy")
    )
    assert f"majority & {majority}" in (out / "table.tex").read_text(encoding="utf-8")


def test_synthetic_speech_is_called_so_in_reports_tables_and_terminals(schemes, tmp_path, capsys):
    out, argv = schemes
    shutil.copytree(argv[argv.index("--data_dir") + 1], tmp_path / "lssed")
    (tmp_path / "lssed" / "README.txt").write_text(f"{SYNTHETIC_MARK}LSSED", encoding="utf-8")
    shutil.copytree(out / "paper", tmp_path / "out")
    for path in (tmp_path / "out").rglob("settings.json"):
        path.write_text(path.read_text().replace(argv[argv.index("--data_dir") + 1], str(tmp_path / "lssed")))
    argv = [*argv[: argv.index("--split_schemes")], "--split_scheme", "paper", "--data_dir", str(tmp_path / "lssed")]
    assert cli.main([*argv, "--output_dir", str(tmp_path / "out")]) == 0
    assert "Corpus: lssed (synthetic speech).\n" in capsys.readouterr().out
    report, table = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.md", "table.tex"))
    assert report.startswith("# 1 system on lssed (synthetic speech)\n") and "the speech is synthetic;" in report
    assert "The performance of different methods on lssed (synthetic speech)" in table
    assert table6_difference(
        {"dataset_name": "daic_woz", "data_dir": str(tmp_path / "lssed"), "test_split_name": "validation"},
        {"num_participants": 35, "num_depressed": 12},
    ).endswith("here are 35, 12 of them depressed, of synthetic speech")


def test_schemes_and_a_scheme_are_refused(schemes, capsys):
    _, argv = schemes
    for more in (["--split_scheme", "paper"], ["--protocol", "leave-one-speaker-out"]):
        with pytest.raises(SystemExit):
            cli.main([*argv, *more])
    assert "leave out --split_schemes" in capsys.readouterr().err
