import matplotlib
import numpy as np
import pytest
from matplotlib.image import imread

from lssed_hf.evaluation.calibration import calibration
from lssed_hf.evaluation.plots import plot_confusion_matrix, plot_reliability, plot_trade_off


@pytest.mark.slow
@pytest.mark.parametrize("num_labels", [2, 11])
def test_draws_a_png(tmp_path, num_labels):
    matrix = np.random.default_rng(0).integers(0, 20_000, (num_labels, num_labels))
    labels = [f"emotion {index}" for index in range(num_labels)]
    path = plot_confusion_matrix(matrix, labels, tmp_path / "matrix", title="A rather long title of a small picture")
    picture = imread(path, format="png")
    assert path == tmp_path / "matrix"
    assert min(picture.shape[:2]) > 300
    assert picture[..., :3].std() > 0.03


def test_colour_follows_the_share_of_the_row_and_leaves_empty_rows_grey(tmp_path):
    path = plot_confusion_matrix([[90, 10], [0, 0]], ["a", "b"], tmp_path / "matrix.png")
    colours = {tuple(colour) for colour in (imread(path)[..., :3].reshape(-1, 3) * 255).round().astype(int).tolist()}
    assert (241, 241, 241) in colours  # the empty row
    assert any(blue > red + 90 for red, _, blue in colours)  # 90 %


def test_global_matplotlib_state_is_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)  # the backend is among them
    plot_confusion_matrix([[1]], ["a"], tmp_path / "matrix.png")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(
    ("matrix", "labels", "message"),
    [
        ([[1, 2]], ["a"], r"1 labels need a square matrix of that size, got shape \(1, 2\)"),
        ([[1, 2], [3, 4]], ["a", "b", "c"], "3 labels need"),
        ([], [], "0 labels need"),
        ([[1, -2], [3, 4]], ["a", "b"], "negative"),
    ],
)
def test_bad_matrices_are_refused(tmp_path, matrix, labels, message):
    with pytest.raises(ValueError, match=message):
        plot_confusion_matrix(matrix, labels, tmp_path / "matrix.png")


@pytest.mark.slow
def test_trade_offs_have_a_column_per_test_set_and_a_row_per_cost(tmp_path):
    systems = [f"system {index}" for index in range(8)]
    score = {"mean": 0.6, "low": 0.5, "high": 0.7}
    scores = {"one": dict.fromkeys(systems, score), "other": {systems[0]: {**score, "low": None, "high": None}}}
    costs = {"milliseconds": {name: 2.0**index for index, name in enumerate(systems)}, "megabytes": {systems[0]: 4.0}}
    one = imread(plot_trade_off(scores, costs, tmp_path / "two.png"))
    flat = imread(plot_trade_off(scores, {"milliseconds": costs["milliseconds"]}, tmp_path / "one.png"))
    narrow = imread(plot_trade_off({"one": scores["one"]}, costs, tmp_path / "narrow.png"))
    assert one.shape[0] > 1.4 * flat.shape[0] and one.shape[1] > 1.4 * narrow.shape[1]


@pytest.mark.slow
def test_reliability_has_a_line_for_each_system(tmp_path):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5] * 3, size=200)
    one = calibration(probabilities, rng.integers(3, size=200))
    lone = calibration(np.array([[0.9, 0.1]]), [0])  # a point alone
    path = plot_reliability({"one": one, "other": lone}, tmp_path / "both.png")
    both, single = imread(path), imread(plot_reliability({"one": one}, tmp_path / "one.png"))
    assert path == tmp_path / "both.png" and min(both.shape[:2]) > 500

    def colours(picture):
        return {tuple(colour) for colour in (picture[..., :3].reshape(-1, 3) * 255).round().astype(int).tolist()}

    saturated = [{colour for colour in colours(x) if max(colour) - min(colour) > 90} for x in (both, single)]
    assert len(saturated[0]) > len(saturated[1]) > 0
