import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ivcr_bench.errors import printable
from ivcr_bench.scoring.escaping import escape_csv, escape_latex, escape_markdown

NASTY = st.text(alphabet=st.sampled_from("a1 |\\`*_[](){}<>&~#!$:/.@=+-%^\"'x中\n\t\x1b"), max_size=30) | st.text(
    max_size=30
)


def cells(markdown):
    """Texts of the body cells of a Markdown table, and whether any of them holds more than text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    inline = [tokens[i + 1] for i, token in enumerate(tokens) if token.type == "td_open"]
    plain = all(child.type in ("text", "text_special") for token in inline for child in token.children)
    return ["".join(child.content for child in token.children) for token in inline], plain


@given(NASTY)
def test_markdown_shows_the_text_and_nothing_else(text):
    shown, plain = cells(f"| a | b |\n|---|---|\n| {escape_markdown(text)} | end |\n")
    assert plain
    assert shown == [printable(text).strip(), "end"]


@pytest.mark.parametrize("link", ["https://evil.example", "www.evil.example", "<b>", "![x](y)", "**x**"])
def test_markdown_makes_no_link_and_no_tag(link):
    html = MarkdownIt("commonmark").enable("table").render(f"| a |\n|---|\n| {escape_markdown(link)} |\n")
    assert not re.search(r"<(a|img|b|strong)\b", html)
    assert not re.search(r"(?<!\\)://|www\.", escape_markdown(link))  # what GitHub links without any markup


@given(NASTY)
def test_latex_has_no_special_character_left(text):
    without = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\{[\[\]*]\}", "", escape_latex(text))
    assert not set(without) & set('\\&%$#_{}~^<>|"[]*\n')


@given(NASTY)
def test_csv_survives_and_starts_no_formula(text):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([escape_csv(text), "end"])
    (row,) = csv.reader(io.StringIO(stream.getvalue()))
    assert row[0].removeprefix("'") == printable(text).removeprefix("'")
    assert not row[0].lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
