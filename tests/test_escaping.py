"""Escaping of names for cells of CSV, tables of Markdown and terminals."""

import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from lssed_hf.escaping import code, context_list, csv_cell, csv_text, printable, printable_lines, table_cell


def is_number(text):
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


@given(st.text() | st.text("'=+-@\t\r1a", max_size=4))
@example("=HYPERLINK(0)")
@example("'=1")
@example("''-x")
def test_a_cell_is_no_formula_and_is_read_back(text):
    cell = csv_cell(text)
    assert csv_text(cell) == text
    assert cell[:1] not in {*"=+-@\t\r"} or cell == "-" or is_number(cell)


def test_what_is_no_formula_stays():
    for text in ("", "-", "-5", "+4.25", "-1,5", "a=b", "clip-1.wav", "'quoted'", "/home/me/-x.wav", "é"):
        assert csv_cell(text) == csv_text(text) == text
    for text in ("-5 dB", "--x", "+49 30", "=1", "@x", "\t=1", "\r=1", "'=1", "-1-cmd|' /C calc'!A0"):
        assert csv_cell(text) == f"'{text}"


@given(st.text())
@example("\x1b[2J\x07\x9b31m\u202e\ud800")
def test_a_terminal_gets_nothing_to_act_on(text):
    shown = printable(text)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u2066" for c in shown)
    shown.encode("utf-8")
    assert printable_lines(text).count("\n") == text.count("\n")


@given(st.lists(st.text(), min_size=1, max_size=3))
@example(["a|b", "<img src=x onerror=alert(1)>", "[x](http://example.org)\n\n# head"])
def test_a_table_keeps_its_columns(names):
    line = "| " + " | ".join(map(table_cell, names)) + " |"
    assert len(line.splitlines()) == 1
    assert line.replace("\\|", "").count("|") == len(names) + 1
    assert "](" not in line and "<img" not in line


def test_reports_hold_names_as_text():
    assert table_cell("<code>x</code> **y** 0.5 [0.4, 0.6] < 0.001") == "<code>x</code> **y** 0.5 [0.4, 0.6] < 0.001"
    listed = context_list({"model": "out/a b", "split": "test\n\n# head", "name": "a`<b>`"})
    assert listed.splitlines() == ["- model: `out/a b`", "- split: `test # head`", f"- name: {code('a`<b>`')}"]
    assert "<b>" not in listed


def test_a_csv_of_names_opens_without_formulas():
    file = io.StringIO()
    csv.writer(file).writerow(map(csv_cell, ('=HYPERLINK("http://example.org")', "plain")))
    assert file.getvalue().startswith("\"'=HYPERLINK")
