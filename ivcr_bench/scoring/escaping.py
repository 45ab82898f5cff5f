"""Text that strangers chose (names of systems, of datasets), made safe for the format that it is put into."""

from __future__ import annotations

import re

from ivcr_bench.errors import printable


def escape_markdown(text: str) -> str:
    r"""``text`` so that CommonMark and GitHub show it as it is, also inside a table.

    >>> print(escape_markdown("a|b_c <x> [y](z)"))
    a\|b\_c \<x\> \[y\](z)
    """
    escaped = re.sub(r"([\\`*_\[\]<>&|~#$!])", r"\\\1", printable(text))
    return re.sub(r"(?i)(:(?=//)|(?<=www)\.)", r"\\\1", escaped)  # GitHub would make these links


_LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    # At the start of a row these would be read as arguments of the line break above.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}


def escape_latex(text: str) -> str:
    r"""``text`` so that LaTeX prints it as it is.

    >>> print(escape_latex(r"100 % of x_pool \o/"))
    100 \% of x\_pool \textbackslash{}o/
    """
    return "".join(_LATEX.get(character, character) for character in printable(text))


def escape_csv(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula: one that looks like a formula gets a leading quote.

    >>> escape_csv("=HYPERLINK(1)"), escape_csv("x_pool")
    ("'=HYPERLINK(1)", 'x_pool')
    """
    text = printable(text)
    return f"'{text}" if text.lstrip()[:1] in tuple("=+-@＝＋－＠") else text
