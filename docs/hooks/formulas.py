"""Turns the formulas of a page, written in LaTeX, into MathML, which browsers show unaided."""

import html
import re

from latex2mathml.converter import convert

# What pymdownx.arithmatex (generic) makes of $...$ and $$...$$.
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(content: str, **kwargs) -> str:
    """Replace every formula of one page; mkdocs calls this with the page's HTML."""
    return FORMULA.sub(as_mathml, content)


def as_mathml(formula: re.Match) -> str:
    """Give one formula as MathML, a block where it stood as a block."""
    display = "block" if formula["tag"] == "div" else "inline"
    return convert(html.unescape(formula["latex"]).strip(), display=display)
