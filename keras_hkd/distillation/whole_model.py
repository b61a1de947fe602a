"""Refuses to save a Distiller as one model, and says what to save instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import keras

from keras_hkd.errors import InvalidValueError


def refuse_saving_whole(callbacks: Iterable[keras.callbacks.Callback] | None) -> None:
    """Refuse, before the first step, callbacks that would save teacher and student as one model.

    Args:
        callbacks: the callbacks of `fit`.

    Raises:
        ValueError: a `ModelCheckpoint` of whole models, with what to use.
    """
    for callback in callbacks or ():
        if not isinstance(callback, keras.callbacks.ModelCheckpoint):
            continue
        if not (callback.save_weights_only or getattr(callback, "of_student", False)):
            path, monitor = str(callback.filepath), callback.monitor
            raise InvalidValueError(
                "A Distiller is not saved as a model, since that would ship the teacher. "
                f"keras_hkd.BestStudent({path!r}, monitor={monitor!r}) keeps the best student; "
                "ModelCheckpoint('NAME.weights.h5', save_weights_only=True) the weights of student "
                f"and hierarchies. Received: ModelCheckpoint({path!r})"
            )


def refuse_saving(filepath: Any) -> NoReturn:
    """Refuse to save a Distiller as a model.

    Args:
        filepath: path of the file that was to be.

    Raises:
        ValueError: always, with what to save instead.
    """
    raise InvalidValueError(
        "A Distiller is not saved as a model, since that would ship the teacher. Save the "
        "result with `distiller.student.save('student.keras')`; to resume training use "
        "`keras_hkd.training.Checkpoint`, or `distiller.save_weights('x.weights.h5')`, which "
        f"holds student, hierarchies and optimizer. Received: filepath={filepath!r}"
    )
