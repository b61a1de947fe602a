"""What a check of the doctor found: how bad it is, by which figures, and what to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEVERITIES = ("ok", "note", "warning", "fault")
"""In ascending order: nothing to do, for information, likely to cost quality, wrong."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One result of a check.

    Args:
        severity: one of `SEVERITIES`.
        text: what was found, one sentence with its figures.
        advice: what to do about it.
        figures: the evidence as numbers or texts, by name.
        pictures: files of pictures that show it.
        check: name of the check; set by the doctor.

    Example:

    >>> found = warning("31% of the people are tiny.", "Train at 480x480.", share=0.31)
    >>> found.severity, found.is_alarm, found.figures
    ('warning', True, {'share': 0.31})
    """

    severity: str
    text: str
    advice: str = ""
    figures: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: tuple[Path, ...] = ()
    check: str = ""

    @property
    def is_alarm(self) -> bool:
        """Whether something should be done."""
        return self.severity in ("warning", "fault")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            **values,
            "figures": dict(self.figures),
            "pictures": [str(path) for path in self.pictures],
        }


def ok(text: str, pictures: tuple[Path, ...] = (), /, **figures: Any) -> Finding:
    """Make a finding with which all is well.

    Args:
        text: what was found.
        pictures: as of `Finding`.
        **figures: as of `Finding`.
    """
    return Finding("ok", text, "", figures, pictures)


def note(
    text: str, advice: str = "", pictures: tuple[Path, ...] = (), /, **figures: Any
) -> Finding:
    """Make a finding for information, with nothing wrong.

    Args:
        text: what was found.
        advice: what may be done.
        pictures: as of `Finding`.
        **figures: as of `Finding`.
    """
    return Finding("note", text, advice, figures, pictures)


def warning(text: str, advice: str, pictures: tuple[Path, ...] = (), /, **figures: Any) -> Finding:
    """Make a finding that is likely to cost quality.

    Args:
        text: what was found.
        advice: what to do.
        pictures: as of `Finding`.
        **figures: as of `Finding`.
    """
    return Finding("warning", text, advice, figures, pictures)


def fault(text: str, advice: str, pictures: tuple[Path, ...] = (), /, **figures: Any) -> Finding:
    """Make a finding of a fault, with which a training would be useless or its result wrong.

    Args:
        text: what was found.
        advice: what to do.
        pictures: as of `Finding`.
        **figures: as of `Finding`.
    """
    return Finding("fault", text, advice, figures, pictures)
