"""Checks that a run is resumed with the inputs that it began with."""

from __future__ import annotations

import hashlib
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from keras_hkd.data.classification import ClassificationDataset
from keras_hkd.data.dataset import Dataset
from keras_hkd.errors import InvalidValueError
from keras_hkd.training.settings import TrainingSettings

if TYPE_CHECKING:
    import keras

# Entries of a Distiller's config that have a hash of their own, or are what is trained.
_NETWORKS = ("name", "teacher", "student", "peers")
_COUNTER = re.compile(r"_\d+$")
_LONGEST_TABLE = 1000  # characters of JSON


class DifferentRunError(InvalidValueError):
    """What is to be resumed was begun with another teacher, student, data or settings."""


def require_same(saved: Mapping, current: Mapping, where: object) -> None:
    """Refuse to go on with a run whose inputs have changed, since other weights would come out.

    Args:
        saved: what was written when the run began: nested dicts of plain values.
        current: the same of this run.
        where: what holds the run, for the message.

    Raises:
        DifferentRunError: names every difference with both values.

    Example:

    >>> require_same({"settings": {"seed": 1}}, {"settings": {"seed": 2}}, where="runs/demo")
    Traceback (most recent call last):
    keras_hkd.training.identity.DifferentRunError: runs/demo holds a different run: settings.seed
    was 1 and is now 2. Give the same inputs as before to resume it, or choose another folder.
    """
    found = list(_differences(saved, current, prefix=""))
    if found:
        raise DifferentRunError(
            f"{where} holds a different run: {'; '.join(found)}. Give the same inputs as before to "
            "resume it, or choose another folder."
        )


def require_same_run(saved: Mapping, current: Mapping, where: object) -> None:
    """As `require_same`, but a run may be resumed for another number of epochs.

    Its learning rate then follows the schedule of the new length from the epoch that was reached,
    and so do weights of losses that are scheduled over the whole run.

    Args:
        saved: the identity that was written when the run began.
        current: that of this call.
        where: what holds the run, for the message.
    """
    epochs = [dict(one.get("settings") or {}).get("epochs") for one in (saved, current)]
    if None not in epochs and epochs[0] != epochs[1]:
        saved, current = (_of_any_length(one) for one in (saved, current))
    require_same(saved, current, where)


def _of_any_length(identity: Mapping) -> dict:
    settings = {key: one for key, one in identity["settings"].items() if key != "epochs"}
    shorter = {**identity, "settings": settings}
    if isinstance(identity.get("distillation"), Mapping):
        weights = "distillation_loss_weights"
        kept = {key: one for key, one in identity["distillation"].items() if key != weights}
        shorter["distillation"] = kept
    return shorter


def run_identity(
    model: keras.Model, dataset: Dataset | ClassificationDataset, settings: TrainingSettings
) -> dict[str, object]:
    """Collect, as plain values, what must be equal for a run to be resumed.

    Args:
        model: a `Detector`, or a `Distiller`, of which the teacher's hash and all of `get_config`
            but the networks count.
        dataset: the training images; their content hash counts.
        settings: `TrainingSettings`, of which those that change weights count.
    """
    cache = getattr(model, "teacher_cache", None)
    return {
        "settings": settings.must_match(),
        "data_hash": dataset.content_hash,
        "teacher_hash": getattr(model, "teacher_hash", None),
        "distillation": _distillation(model),
        **({} if cache is None else {"teacher_cache": cache.identity}),
    }


def _distillation(model: keras.Model) -> Any:
    """Return the config of a Distiller without its networks, as plain and short values."""
    if not hasattr(model, "distillation_losses"):
        return None
    import keras

    config = {key: value for key, value in model.get_config().items() if key not in _NETWORKS}
    return _short(json.loads(json.dumps(keras.saving.serialize_keras_object(config))))


def _short(value: Any) -> Any:
    """Remove the counters from names that Keras gave, and hash long tables of numbers."""
    if isinstance(value, dict):
        short = {key: _short(one) for key, one in value.items()}
        if isinstance(value.get("name"), str):
            short["name"] = _COUNTER.sub("", value["name"])
        return short
    if not isinstance(value, list):
        return value
    text = json.dumps(value)
    if len(text) > _LONGEST_TABLE and not re.search('["{]', text):
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return [_short(one) for one in value]


def _differences(saved: Any, current: Any, prefix: str) -> Iterator[str]:
    if isinstance(saved, Mapping) and isinstance(current, Mapping):
        keys = {*saved, *current}
        if saved.get("registered_name"):  # Keras knows the class by it, in whichever module it lies
            keys.discard("module")
        for key in sorted(keys):
            yield from _differences(saved.get(key), current.get(key), f"{prefix}.{key}")
    elif _hold_mappings(saved) and _hold_mappings(current) and len(saved) == len(current):
        for number, (before, now) in enumerate(zip(saved, current, strict=True)):
            yield from _differences(before, now, f"{prefix}[{number}]")
    elif saved != current:
        yield f"{prefix.removeprefix('.')} was {_shown(saved)} and is now {_shown(current)}"


def _hold_mappings(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(one, Mapping) for one in value)


def _shown(value: Any) -> str:
    return textwrap.shorten(repr(value), 200, placeholder=" ...")
