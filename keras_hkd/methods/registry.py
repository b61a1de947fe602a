"""Methods by name, for the command line."""

import importlib
from typing import NamedTuple

from keras_hkd.suggestions import did_you_mean


class Method(NamedTuple):
    """Where a method lives, and what it is made from.

    Attributes:
        module: the module.
        function: its function `(teacher, student, **options)`, or `(student, **options)` for a
            method without a teacher; it gives a model that is ready to compile.
        teacher: `"frozen"`, a trained model that stays as it is; `"peer"`, a second student that
            learns along; None for a method without.
        unlabelled: whether images without labels take part.
        prepare: where the teacher needs a training of its own first, a function
            `(teacher, **options)` of the module, options beginning with `teacher_`; see `prepared`.
        facts: options of the function that a run gives unless its user does: `num_steps`, training
            steps in all; `folder`, where the run keeps its files; `seed`.
        several_teachers: whether a list of teachers is taken too.
    """

    module: str
    function: str
    teacher: str | None = "frozen"
    unlabelled: bool = False
    prepare: str | None = None
    facts: tuple[str, ...] = ()
    several_teachers: bool = False


METHODS = {
    "adl": Method("keras_hkd.methods.adl_sad", "adl", several_teachers=True),
    "hkd": Method("keras_hkd.methods.hkd", "hkd", several_teachers=True),
    "hsakd": Method("keras_hkd.methods.hsakd", "hsakd", prepare="prepared_teacher"),
    "hssakd": Method("keras_hkd.methods.hssakd", "hssakd", teacher="peer"),
    "kd": Method("keras_hkd.methods.logit_kd", "kd", several_teachers=True),
    "ld": Method("keras_hkd.methods.ld", "ld", several_teachers=True),
    "lw_kd": Method("keras_hkd.methods.lw_kd", "lw_kd", teacher=None, facts=("folder", "seed")),
    "mean_teacher": Method("keras_hkd.methods.self_teaching", "mean_teacher", teacher=None),
    "mutual": Method("keras_hkd.methods.mutual_learning", "mutual", teacher="peer"),
    "osakd": Method("keras_hkd.methods.osakd", "osakd", teacher=None, facts=("num_steps",)),
    "sad": Method("keras_hkd.methods.adl_sad", "sad", unlabelled=True),
}


def described(name):
    """The `Method` of a name.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:
    >>> described("hkd").teacher
    'frozen'
    """
    if name not in METHODS:
        hint = did_you_mean(name, METHODS, cutoff=0.3)
        raise ValueError(
            f"No method is called {name!r}.{hint} Methods: {', '.join(sorted(METHODS))}."
        )
    return METHODS[name]


def get(name):
    """The function that makes a named method; see `Method.function`.

    Raises:
        ValueError: unknown name; the nearest one is shown.

    Example:
    >>> get("hkd").__name__
    'hkd'
    """
    method = described(name)
    return getattr(importlib.import_module(method.module), method.function)


def prepared(name, teacher, options):
    """The teacher that a method takes, made from one that it is given.

    Args:
        name: of the method.
        teacher: a trained model, or None.
        options: of the method, by name.

    Returns:
        The teacher; `train(dataset, settings, run_folder, resume=False)`, which has to be called
        before the student learns, or None; and the options that are left for the method.

    Example:
    >>> prepared("hkd", None, {"top": 3})
    (None, None, {'top': 3})
    """
    method = described(name)
    if method.prepare is None or teacher is None:
        return teacher, None, options
    prepare = getattr(importlib.import_module(method.module), method.prepare)
    own = {key: value for key, value in options.items() if key.startswith("teacher_")}
    rest = {key: value for key, value in options.items() if key not in own}
    return *prepare(teacher, **own), rest
