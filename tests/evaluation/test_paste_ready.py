"""Tables 4, 5 and 6 as LaTeX: they fit the columns of a paper, and compile where pdflatex is installed."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from test_participants import make_run as make_people

from lssed_hf.evaluation.comparison import System, compare_systems, comparison_latex
from lssed_hf.evaluation.corpus_losses import compare_corpora, cross_corpus_latex
from lssed_hf.evaluation.depression_report import depression_latex
from lssed_hf.evaluation.participants import DepressionSystem, compare_depression
from lssed_hf.evaluation.report import evaluate_predictions
from lssed_hf.evaluation.run_results import RunResults
from lssed_hf.evaluation.text_tables import latex_table


LABELS = ["angry", "neutral", "happy", "sad"]
FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
NAMES = ["table4", "table5", "table6", "long", "narrow"]
COLUMN, PAGE = 244.7, 506.3  # points: 86 and 178 mm, ICASSP's
PDFLATEX = shutil.which("pdflatex")


def run(seed):
    rng = np.random.default_rng(seed)
    references, speakers = np.arange(80) % 4, [f"s{index % 8}" for index in range(80)]
    probabilities = rng.dirichlet(np.ones(4), 80)
    ids = [f"u{index}" for index in range(80)]
    results = evaluate_predictions(references, probabilities, LABELS, ids=ids, speakers=speakers)
    return RunResults(results, ids, references, probabilities.argmax(axis=1), probabilities, speakers)


@cache
def tables():
    """Return Tables 4, 5 and 6 with several seeds, one with names that are too long, and one that fits one column."""
    names = ["pyresnet152", "vgg16", "resnet152", "a_system_with_a_name_that_is_as_long_as_a_line & more of it, #1"]
    systems = [System(name, name, "", {0: run(index), 1: run(index + 9)}) for index, name in enumerate(names)]
    pairs = {(one, other): {0: run(len(other))} for one in ("iemocap", "lssed") for other in ("iemocap", "lssed")}
    people, header = np.array([0] * 23 + [1] * 12), ["Algorithm", "WA", "UA"]
    starts = {"ser": "SER: lssed", "asr": "ASR: librispeech_clean_and_other", "scratch": "scratch: pyresnet50"}
    depressed = [
        DepressionSystem(name, start, "all", {0: make_people(np.random.default_rng(9).random(35), people)})
        for name, start in starts.items()
    ]
    return {
        "table4": cross_corpus_latex(compare_corpora(pairs, LABELS)),
        "table5": comparison_latex(compare_systems(systems[:3]), "lssed", ""),
        "table6": depression_latex(compare_depression(depressed), "daic_woz", "development"),
        "long": comparison_latex(compare_systems(systems), "lssed", ""),
        "narrow": latex_table(
            header, [["PyResNet152 on LSSED-4", *2 * ["0.714 ± 0.012"]]], "x", bold=[(0, 1), (0, 2)]
        ),
    }


def width(text, font):
    plain = re.sub(r"\\textbf\{(.*)\}|\\(?=[&%$#_{}])|[{}$]", r"\1", text).replace(r"\pm", "±")
    if not plain.strip():
        return 0.0
    return TextPath((0, 0), plain.strip(), size=8, prop=FontProperties(fname=FONTS / font)).get_extents().width


def cells(latex):
    body = latex.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line.removesuffix(r" \\") for line in body.splitlines() if line.endswith(r" \\")]
    return [re.split(r"(?<!\\) & ", line) for line in lines]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_fits_one_column_or_two(name):
    latex = tables()[name]
    widths = [
        max(width(cell, "cmb10.ttf" if "textbf" in cell else "cmr10.ttf") for cell in column)
        for column in zip(*cells(latex), strict=True)
    ]
    if broken := re.search(r"\\begin\{tabular\}\{p\{(\d+)pt\}", latex):
        widths[0] = float(broken[1])
    assert bool(broken) == (name == "long") and (r"\begin{table}" in latex) == (name == "narrow")
    limit = PAGE if r"\begin{table*}" in latex else COLUMN
    assert sum(widths) + 6 * len(widths) <= limit


def test_the_columns_are_the_papers():
    headers = {name: cells(latex)[0] for name, latex in tables().items()}
    assert headers["table4"] == ["Source", "Target", "$-$WA", "$-$UA"]
    assert headers["table5"] == ["Algorithm", "Backbone", "WA", "UA", "paper WA", "paper UA"]
    assert headers["table6"] == ["Algorithm", "WA", "UA"]


@pytest.mark.skipif(PDFLATEX is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_a_table_compiles_without_overfull_lines(name, tmp_path):
    text = "\n".join(
        [
            r"\documentclass[twocolumn]{article}",
            r"\usepackage{booktabs}",
            rf"\setlength{{\columnwidth}}{{{COLUMN}pt}}\setlength{{\textwidth}}{{{PAGE}pt}}",
            r"\begin{document}",
            tables()[name],
            r"\end{document}",
        ]
    )
    (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
    argv = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "Overfull" not in done.stdout and (tmp_path / "paper.pdf").is_file()
