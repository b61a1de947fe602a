"""All findings of an examination, as text, as JSON and as files."""

from __future__ import annotations

import dataclasses
import os
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

from keras_hkd.atomic_write import write_text
from keras_hkd.doctor.finding import SEVERITIES, Finding
from keras_hkd.json_files import write_json

_WIDTH = 100
_INDENT = " " * 9


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Args:
        findings: in the order of the checks.
        not_applied: names of checks that did not apply, such as one without test images.

    Example:

    >>> from keras_hkd.doctor.finding import fault, ok
    >>> diagnosis = Diagnosis((ok("All maps line up."), fault("No label.", "Label images.")))
    >>> diagnosis.is_healthy, diagnosis.verdict
    (False, '1 fault, 1 ok.')
    """

    findings: tuple[Finding, ...]
    not_applied: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong; there may be warnings."""
        return not any(one.severity == "fault" for one in self.findings)

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The warnings and faults."""
        return tuple(one for one in self.findings if one.is_alarm)

    @property
    def verdict(self) -> str:
        """How many findings there are of each severity, worst first, in a line."""
        counts = Counter(one.severity for one in self.findings)
        words = []
        for severity in reversed(SEVERITIES):
            count = counts[severity]
            plural = "s" if count > 1 and severity != "ok" else ""
            words += [f"{count} {severity}{plural}"] if count else []
        return (", ".join(words) or "Nothing was checked") + "."

    def __str__(self) -> str:
        lines = [text for one in self.findings for text in as_lines(one)]
        if self.not_applied:
            lines += [f"Did not apply: {', '.join(self.not_applied)}."]
        return "\n".join([*lines, self.verdict])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: `healthy`, `verdict`, `findings`, `not_applied`."""
        return {
            "healthy": self.is_healthy,
            "verdict": self.verdict,
            "findings": [one.to_dict() for one in self.findings],
            "not_applied": list(self.not_applied),
        }

    def save(self, folder: str | os.PathLike) -> None:
        """Write `doctor.txt` and `doctor.json`.

        Args:
            folder: made if need be; files of earlier examinations are replaced.
        """
        write_text(Path(folder) / "doctor.txt", f"{self}\n")
        write_json(Path(folder) / "doctor.json", self.to_dict())


def as_lines(finding: Finding) -> list[str]:
    """Lay a finding out for people: what was found, what to do, where pictures are.

    Args:
        finding: of a check.

    Example:

    >>> from keras_hkd.doctor.finding import fault
    >>> as_lines(fault("No person is labelled.", "Label images."))
    ['FAULT    No person is labelled.', '         -> Label images.']
    """
    mark = finding.severity.upper() if finding.is_alarm else finding.severity
    lines = textwrap.wrap(
        finding.text, _WIDTH, initial_indent=f"{mark:<9}", subsequent_indent=_INDENT
    )
    if finding.advice:
        after = f"{_INDENT}   "
        lines += textwrap.wrap(
            finding.advice, _WIDTH, initial_indent=f"{_INDENT}-> ", subsequent_indent=after
        )
    return [*lines, *(f"{_INDENT}see {path}" for path in finding.pictures)]
