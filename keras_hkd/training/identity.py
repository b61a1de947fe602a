"""What makes two runs the same run, and the refusal to mix two different ones."""

from collections.abc import Iterator, Mapping


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


def _differences(saved, current, prefix) -> Iterator[str]:
    for key in sorted({*saved, *current}):
        before, now = saved.get(key), current.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, f"{prefix}{key}.")
        elif before != now:
            yield f"{prefix}{key} was {before!r} and is now {now!r}"
