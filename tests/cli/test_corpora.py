"""`lssed-hf corpora`: every corpus with a reader, as docs/corpora.md shows it."""

import json
import re
from pathlib import Path

from lssed_hf import cli
from lssed_hf.corpora import corpus_builder, list_corpora
from lssed_hf.labels import EMOTIONS


PAGE = Path(__file__).parents[2] / "docs" / "corpora.md"


def test_the_page_shows_what_the_command_prints(capsys):
    assert cli.main(["corpora"]) == 0
    printed = capsys.readouterr().out
    assert f"```text\n{printed}```" in PAGE.read_text(encoding="utf-8"), "copy the output of `lssed-hf corpora`"
    assert [line.split()[0] for line in printed.splitlines()[1:]] == [
        name for name in list_corpora() if name not in ("folder", "synthetic")
    ]


def test_the_page_has_the_split_schemes_of_every_corpus():
    _, _, table = PAGE.read_text(encoding="utf-8").partition("| name | split schemes |")
    rows = {cells[1]: cells[2] for line in table.splitlines() if len(cells := line.split("|")) == 4}
    schemes = {name: text for names, text in rows.items() for name in re.findall(r"`(\w+)`", names)}
    assert sorted(schemes) == list_corpora()
    for name, text in schemes.items():
        assert re.findall(r"`(\w+)`", text)[0] == corpus_builder(name).SPLIT_SCHEMES[0], name


def test_json(capsys):
    assert cli.main(["corpora", "--json"]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["nemo"] == {
        "languages": ["Polish"],
        "utterances": 4481,
        "speakers": 9,
        "hours": 3.1,
        "classes": ["angry", "fearful", "happy", "neutral", "sad", "surprised"],
        "license": "CC BY-NC-SA 4.0",
        "homepage": "https://github.com/amu-cai/nEMO",
    }
    for name, facts in described.items():
        assert facts["languages"] and facts["license"] and facts["homepage"], name
        assert set(facts["classes"]) <= {*EMOTIONS, "depressed", "not_depressed"}
