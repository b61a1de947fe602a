"""Lets griffe read the sections of our docstrings: `Example:` becomes its section of examples."""

import re
import textwrap

import griffe

SECTION = re.compile(r"^Example:\n+(?P<body>.*?)(?=^\w[\w ]*:|\Z)", re.MULTILINE | re.DOTALL)


class Examples(griffe.Extension):
    """Rewrites `Example:`, indented or not, as the indented `Examples:` that griffe knows."""

    def on_object(self, *, obj: griffe.Object, **kwargs) -> None:
        """Rewrite one docstring; griffe calls this for every object that it has read."""
        if obj.docstring:
            obj.docstring.value = SECTION.sub(as_examples, obj.docstring.value)


def as_examples(section: re.Match) -> str:
    r"""Give a section of examples with its body indented by four spaces.

    >>> SECTION.sub(as_examples, "Adds.\n\nExample:\n\n>>> 1 + 1\n2\n\nPaper: none.")
    'Adds.\n\nExamples:\n    >>> 1 + 1\n    2\n\nPaper: none.'
    """
    return "Examples:\n" + textwrap.indent(textwrap.dedent(section["body"]), "    ")
