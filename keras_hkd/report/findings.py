"""What the detectors of runs find on labelled images, measured once for all sections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from keras_hkd.data.dataset import Dataset
from keras_hkd.metrics import MissRateCurve
from keras_hkd.report.detection_curves import People
from keras_hkd.report.page_blocks import Shot
from keras_hkd.report.run_records import RunGroup


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What one detector found on the images of the report.

    Attributes:
        people: its detections, matched.
        miss_rate: its curve by CityPersons' rule "reasonable".
        scores: figures by name: AP, AP50, MR2, AP_small, ...
        attention: by position in the dataset the spatial attention of its pyramid, level -> map;
            {} for models whose maps were not looked at.
    """

    people: People
    miss_rate: MissRateCurve
    scores: Mapping[str, float]
    attention: Mapping[int, Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, eq=False)
class Findings:
    """Everything that was measured on the images of the report.

    Attributes:
        dataset: the images.
        students: path of a run -> what its student found.
        teacher: what the teacher found, or None.
        seen: name of a group -> what the losses of its first student see, as pictures.
    """

    dataset: Dataset
    students: Mapping[str, Measured]
    teacher: Measured | None
    seen: Mapping[str, Sequence[Shot]] = dataclasses.field(default_factory=dict)

    def of(self, group: RunGroup) -> list[tuple[str, Measured]]:
        """Return pairs of a seed, as words, and what was measured, for the runs of a group."""
        rows = [(f"seed {run.seed}", self.students.get(str(run.path))) for run in group.runs]
        return [(seed, one) for seed, one in rows if one is not None]
