"""What makes two runs the same run, and the refusal to mix two different ones."""

import json
import re
from collections.abc import Iterator, Mapping

# Entries of a Distiller's config that have a hash of their own, or are what is trained.
_NETWORKS = ("name", "teacher", "student", "peers")


class DifferentRunError(ValueError):
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


def run_identity(model, dataset, settings) -> dict[str, object]:
    """What a resumed run must share with its beginning, as plain values.

    Args:
        model: a `Detector`, or a `Distiller`, of which the teacher's hash and all of `get_config`
            but the networks count.
        dataset: the training images; their content hash counts.
        settings: `TrainingSettings`, of which the decisive ones count.
    """
    cache = getattr(model, "teacher_cache", None)
    return {
        "settings": settings.decisive(),
        "data_hash": dataset.content_hash,
        "teacher_hash": getattr(model, "teacher_hash", None),
        "distillation": _distillation(model),
        **({} if cache is None else {"teacher_cache": cache.identity}),
    }


def _distillation(model):
    """A Distiller's config but for its networks, without the counters that Keras puts in names."""
    if not hasattr(model, "distillation_losses"):
        return None
    import keras

    config = {key: value for key, value in model.get_config().items() if key not in _NETWORKS}
    text = json.dumps(keras.saving.serialize_keras_object(config))
    return json.loads(re.sub(r'_\d+"', '"', text))


def _differences(saved, current, prefix) -> Iterator[str]:
    for key in sorted({*saved, *current}):
        before, now = saved.get(key), current.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield f"{prefix}{key} was {before!r} and is now {now!r}"
