"""The paper's figures, against each other."""

import numpy as np
import pytest

from lssed_hf.evaluation.published import FIGURE_2, LSSED_MAJORITY, TABLE_5, find_published
from lssed_hf.evaluation.ser_metrics.ser_metrics import score
from lssed_hf.preparation.lssed_tables import PUBLISHED_EMOTIONS


# Table 3's test utterances of angry, neutral, happy and sad.
COUNTS = [PUBLISHED_EMOTIONS[emotion][1] for emotion in ("angry", "neutral", "happy", "sad")]


@pytest.mark.parametrize("model", list(FIGURE_2))
def test_figure_2_on_the_counts_of_table_3_gives_table_5(model):
    percent = np.array(FIGURE_2[model])
    assert percent.sum(axis=1) == pytest.approx(100, abs=0.02)  # four cells, each rounded to 0.01
    counts = np.rint(percent / 100 * np.array(COUNTS)[:, None]).astype(int)
    references, predictions = np.repeat(
        [(row, column) for row in range(4) for column in range(4)], counts.ravel(), 0
    ).T
    scores, published = score(references, predictions, 4), find_published(model)
    # Table 5 has three decimals; rounding cells to 0.01 % and to whole utterances moves WA and UA by less than 0.0003.
    assert scores["weighted_accuracy"] == pytest.approx(published.weighted_accuracy, abs=0.0005 + 0.0003)
    assert scores["unweighted_accuracy"] == pytest.approx(published.unweighted_accuracy, abs=0.0005 + 0.0003)


def test_the_majority_class_of_table_3_is_what_five_rows_of_table_5_report():
    assert COUNTS == [1298, 12092, 5406, 2410]
    assert (pytest.approx(12092 / 21206, abs=0.0005), 0.25) == LSSED_MAJORITY
    rows = [row for row in TABLE_5 if (row.weighted_accuracy, row.unweighted_accuracy) == LSSED_MAJORITY]
    assert len(rows) == 5


def test_rows_are_found_by_network_and_training():
    assert len(TABLE_5) == 21
    assert find_published("vgg16").weighted_accuracy == 0.585
    assert find_published("vgg16", "fake").algorithm == "ADV-Fake"
    assert find_published("adv-vgg16") is None, "the paper has it adversarially trained only"
    assert find_published("resnet152", "real").unweighted_accuracy == 0.381
    assert find_published("outputs/mine") is None
