"""What a reader found besides the boxes: names in the file, what was left out, remarks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a reader found beside the boxes of a dataset, for the line that sums it up.

    Args:
        taken: for each class the names that its boxes have in the file, with their numbers.
        left_out: name of a class that was not wanted -> number of its boxes.
        notes: what the user should know of how the data were read.
    """

    taken: tuple[Mapping[str, int], ...] = ()
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()


def merged_findings(findings: Sequence[Findings]) -> Findings:
    """Join the findings of several datasets of the same classes.

    Args:
        findings: one for each dataset, in their order.
    """

    def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
        return dict(sum((Counter(one) for one in counts), Counter()))

    taken = [one.taken for one in findings if one.taken]
    return Findings(
        tuple(total(of_class) for of_class in zip(*taken, strict=True)),
        total(one.left_out for one in findings),
        tuple(dict.fromkeys(note for one in findings for note in one.notes)),
    )
