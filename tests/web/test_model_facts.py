"""Facts on a model for the page."""

import json
import re

import pytest

from lssed_hf.inference.classifiers.loading import DEFAULT_MODEL
from lssed_hf.web.model_facts import NO_SCORE, ModelFacts, read_model_facts


CARD = """---
model-index:
- name: a model
  results:
  - task:
      type: audio-classification
    dataset:
      name: emodb
      type: emodb
      split: test
    metrics:
    - type: accuracy
      value: 0.8103
      name: WA (accuracy)
{more}
---
# A model
"""
UA = "    - type: recall\n      value: 0.84375\n      name: UA\n      args:\n        average: macro"


def test_the_built_in_model_says_what_its_card_says():
    with open(f"{DEFAULT_MODEL}/README.md", encoding="utf-8") as file:
        card = file.read()
    facts = read_model_facts()
    assert facts.score == "UA 0.70 on eight RAVDESS actors it had not heard" and facts.speech_only
    results = card[card.index("### `ravdess`, split `test`") :]
    assert re.search(r"288 utterances, 8 speakers", results) and "| 0.697 [" in results
    assert "No speaker is in two splits." in card
    assert "actors who say a few fixed sentences" in card and "acted speech" in facts.caveat


@pytest.mark.parametrize(
    "card, score",
    [
        (CARD.format(more=UA), "UA 0.84 on emodb, split test"),
        (CARD.format(more=""), "WA (accuracy) 0.81 on emodb, split test"),
        ("# A card without metadata\n", NO_SCORE),
        ("---\nlicense: mit\n---\n", NO_SCORE),
        ("---\nmodel-index: [1, 2\n---\n", NO_SCORE),
        ("---\nmodel-index: text\n---\n", NO_SCORE),
    ],
)
def test_a_card_gives_its_score(tmp_path, card, score):
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    assert read_model_facts(tmp_path).score == score


@pytest.mark.parametrize(
    "text, score",
    [
        (
            {"metrics": {"unweighted_accuracy": 0.5}, "context": {"dataset": "data/own", "split": "test"}},
            "UA 0.50 on own, split test",
        ),
        ({"metrics": {"wer": 0.1}}, NO_SCORE),
        ([], NO_SCORE),
    ],
)
def test_results_give_the_score_where_there_is_no_card(tmp_path, text, score):
    assert read_model_facts(tmp_path).score == NO_SCORE
    (tmp_path / "results.json").write_text(json.dumps(text), encoding="utf-8")
    assert read_model_facts(tmp_path).score == score


def test_a_name_on_the_hub_is_not_looked_up():
    assert read_model_facts("nobody/nothing") == ModelFacts()
