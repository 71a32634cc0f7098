import re

import pytest

from lssed_hf.evaluation.text_tables import (
    best_cells,
    bracket_note,
    fixed,
    latex_table,
    latex_text,
    markdown_table,
    score_cell,
)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("50 % of a_b & c#1", r"50 \% of a\_b \& c\#1"),
        (r"a\b{c}$", r"a\textbackslash{}b\{c\}\$"),
        ("0.5 ± 0.1 [-0.2, 3]", r"0.5 $\pm$ 0.1 [$-$0.2, 3]"),
        ("mts-3 × 2021-03", "mts-3 × 2021-03"),
        ('always "angry" or "sad", 5"', "always ``angry'' or ``sad'', 5\""),
        ("a|b", r"a\textbar{}b"),
        ("≥ 3 † ~ ^ –", r"$\geq$ 3 $\dagger$ \textasciitilde{} \textasciicircum{} --"),
    ],
)
def test_what_latex_would_obey_is_escaped(text, escaped):
    assert latex_text(text) == escaped


def test_characters_that_pdflatex_lacks_are_named_above_a_table():
    text = latex_table(["a"], [["中性 😀 ± → é"]], "ž")
    assert text.startswith("% pdfLaTeX lacks 中 性 😀: use XeLaTeX or LuaLaTeX.\n\\begin{table}")
    assert latex_table(["a"], [["± → é ’"]], "ž").startswith(r"\begin{table}")


def test_a_latex_table_is_whole():
    text = latex_table(["a_1", "50 %"], [["x & y", "[1, 2]"], ["[z]", "{"]], "by_us", 1)
    check_latex(text, 2)
    assert r"\caption{by\_us}" in text and r"\begin{tabular}{lr}" in text
    assert "{}[z] & " in text, "a bracket after \\\\ would be its argument"


def check_latex(text: str, num_columns: int) -> None:
    """Environments are closed, braces match, rows have all their cells, and nothing special is left unescaped."""
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    bare = re.sub(r"\\[\\&%$#_{}]", "", text)
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert not re.search(r"[%#_]", bare)
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r" \\")]
    assert len(rows) > 1
    for row in rows:
        assert len(re.findall(r"(?<!\\)&", row)) == num_columns - 1, row


def test_a_markdown_table_keeps_its_bars():
    assert (
        markdown_table(["a", "b", "c"], [["x|y", "1", "2"]], 2)
        == "| a | b | c |\n| :-- | :-- | --: |\n| x\\|y | 1 | 2 |"
    )


@pytest.mark.parametrize(
    ("clusters", "speakers", "words"),
    [
        ("speaker", 24, "resample speakers."),
        ("speaker", 9, "resample speakers. With 9 speakers they are too narrow."),
        ("speaker", 1, "resample speakers; a single one gives none."),
        ("utterance", None, "resample utterances. Utterances of one speaker resemble each other, so"),
    ],
)
def test_the_note_on_intervals_says_where_they_are_too_narrow(clusters, speakers, words):
    assert words in bracket_note({"interval_clusters": clusters, "num_speakers": speakers})


@pytest.mark.parametrize(
    ("value", "form", "text"), [(-1e-17, ".3f", "0.000"), (-4e-4, "+.3f", "+0.000"), (-0.5, ".2f", "-0.50")]
)
def test_a_zero_has_no_minus_sign(value, form, text):
    assert fixed(value, form) == score_cell(value, form=form) == text


def test_all_of_the_best_scores_are_bold_that_tie_up_to_rounding():
    assert best_cells([[7 / 12], [(1 / 2 + 2 / 3) / 2], [None], [0.1]], [0.5], 1) == [(0, 1), (1, 1)]
