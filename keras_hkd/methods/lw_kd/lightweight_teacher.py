"""Trains the teacher of LW-KD, a small network, on drawn glyphs and collects its logits."""

from __future__ import annotations

import json
import os
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import keras
import numpy as np

from keras_hkd.atomic_write import DAMAGE, replacing
from keras_hkd.data.drawn.glyphs import glyph_dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.methods.lw_kd.lenet import lenet
from keras_hkd.training.identity import require_same

if TYPE_CHECKING:
    from keras_hkd.classifiers.classifier import Classifier

FILE_NAME = "lightweight_teacher.npz"

LightweightTeacher = namedtuple("LightweightTeacher", "logits accuracy")
LightweightTeacher.__doc__ = """The logits of a teacher that was trained on drawings.

Attributes:
    logits: float32 `(classes, instances, classes)`, for drawings that are not in its training set.
    accuracy: accuracy on these drawings.
"""

_SETS = {"train": 0, "bank": 1}
_BATCH_SIZE = 64
_TARGET_ACCURACY = 0.99


def lightweight_teacher(
    num_classes: int,
    *,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    images_per_class: int | None = None,
    num_instances: int | None = None,
    max_steps: int | None = None,
) -> LightweightTeacher:
    """Draw a simple dataset, train a LeNet on it, and collect its logits class by class.

    For ten classes it takes 15 s of processor time and has 99 % accuracy on new drawings; more
    classes take longer (not measured). With `folder` the result is saved and loaded the next time,
    so that a resumed run has the same teacher.

    Args:
        num_classes: the student's number of classes.
        folder: folder of `lightweight_teacher.npz`; None not to save it.
        seed: seed of drawings and weights.
        images_per_class: number of training drawings of each class; by default about 3,000 in
            total, at least 60 of each.
        num_instances: number of further drawings of each class whose logits are collected; by
            default about 2,000 in total, 20 to 200 of each.
        max_steps: number of training steps of 64 drawings; training stops early at 99 % accuracy.

    Returns:
        A `LightweightTeacher`.

    Raises:
        DifferentRunError: if the folder holds a teacher of other classes, seed or numbers.
        ValueError: if a number is out of its range.

    Reference:
        Liu et al., https://arxiv.org/abs/2005.09163 (reconstruction: the paper's dataset and
        network are not known).
    """
    facts = {
        "num_classes": int(num_classes),
        "seed": int(seed),
        "images_per_class": int(images_per_class or max(60, 3000 // num_classes)),
        "num_instances": int(num_instances or min(200, max(20, 2000 // num_classes))),
        "max_steps": int(max_steps or min(4000, 300 + 30 * num_classes)),
    }
    path = None if folder is None else Path(folder) / FILE_NAME
    if path is not None and path.exists():
        return _read(path, facts)
    teacher = _trained(facts)
    if path is not None:
        _write(path, facts, teacher)
    return teacher


def _trained(facts: dict[str, Any]) -> LightweightTeacher:
    num_classes = facts["num_classes"]
    images, classes = _drawn(facts, "train", facts["images_per_class"])
    bank, bank_classes = _drawn(facts, "bank", facts["num_instances"])
    network = lenet([str(c) for c in range(num_classes)], seed=facts["seed"])
    network.compile(optimizer=keras.optimizers.Adam(1e-3))
    rng = np.random.default_rng(facts["seed"])
    for _ in range(max(1, facts["max_steps"] // 100)):
        steps = min(100, facts["max_steps"])
        batches = _Batches(images, classes, rng, steps)
        network.fit(batches, epochs=1, verbose=0, shuffle=False)
        logits = _logits(network, bank)
        accuracy = float(np.mean(logits.argmax(-1) == bank_classes))
        if accuracy >= _TARGET_ACCURACY:
            break
    # Drawing i is of class i % C, so that reshaping sorts by class.
    by_class = logits.reshape(-1, num_classes, num_classes).swapaxes(0, 1)
    return LightweightTeacher(np.ascontiguousarray(by_class), accuracy)


def _drawn(
    facts: dict[str, Any], name: str, images_per_class: int
) -> tuple[np.ndarray, np.ndarray]:
    seed = 2 * facts["seed"] + _SETS[name]
    dataset = glyph_dataset(facts["num_classes"], images_per_class, seed=seed)
    return np.stack(cast(tuple[np.ndarray, ...], dataset.images)).astype("float32"), dataset.classes


class _Batches(keras.utils.PyDataset):
    """Batches of drawings that are randomly shifted by up to two pixels."""

    def __init__(
        self, images: np.ndarray, classes: np.ndarray, rng: np.random.Generator, steps: int
    ) -> None:
        super().__init__()
        self.images, self.classes, self.steps = images, classes, steps
        self.rows = rng.integers(0, len(images), (steps, _BATCH_SIZE))
        self.shifts = rng.integers(-2, 3, (steps, 2))

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows = self.rows[index]
        images = np.roll(self.images[rows], tuple(self.shifts[index]), axis=(1, 2))
        return images, {"classes": self.classes[rows]}


def _logits(network: Classifier, images: np.ndarray) -> np.ndarray:
    parts = [
        keras.ops.convert_to_numpy(network(images[i : i + 500])["logits"])
        for i in range(0, len(images), 500)
    ]
    return np.concatenate(parts)


def _write(path: Path, facts: dict[str, Any], teacher: LightweightTeacher) -> None:
    text = json.dumps({**facts, "accuracy": teacher.accuracy}).encode()
    with replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, facts=np.frombuffer(text, np.uint8), logits=teacher.logits)


def _read(path: Path, facts: dict[str, Any]) -> LightweightTeacher:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as members:
            saved, logits = json.loads(members["facts"].tobytes()), members["logits"]
    except DAMAGE as error:
        raise InvalidValueError(
            f"{path} is damaged ({error}). Delete it: the lightweight teacher is trained again."
        ) from error
    accuracy = saved.pop("accuracy")
    require_same(saved, facts, path)
    return LightweightTeacher(logits, accuracy)
