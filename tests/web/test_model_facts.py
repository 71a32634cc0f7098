"""Facts on a model for the page."""

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

from lssed_hf.inference.classifiers.pretrained import DEFAULT_MODEL, pretrained_folder
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


@pytest.mark.parametrize("name", [None, "encoder-small", "pyresnet-small"])
def test_a_built_in_model_says_the_mean_of_its_card(name):
    card = ModelCard.load((pretrained_folder(name) if name else Path(DEFAULT_MODEL)) / "README.md")
    scores = [result.metric_value for result in card.data.eval_results if result.metric_type == "recall"]
    facts = read_model_facts(name)
    assert facts.score == f"UA {np.mean(scores):.2f} on corpora that were left out of the training"
    assert len(scores) == 4 and facts.speech_only and "acted speech" in facts.caveat


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
