"""OSAKD: online self-distillation with soft labels from nearest neighbours.

The method is a Distiller without a teacher and with one term. Its parts are the soft labels,
`keras_hkd.hierarchies.NeighbourClasses` (for detectors `NeighbourCells`), and the loss
`keras_hkd.losses.SoftLabelDivergence`.
"""

from typing import Any

from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.schedules import LinearWarmUp
from keras_hkd.losses.soft_label_divergence import SoftLabelDivergence
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.osakd.neighbour_cells import NeighbourCells
from keras_hkd.methods.osakd.neighbour_classes import NeighbourClasses
from keras_hkd.methods.registry import method

__all__ = ["osakd"]

OWN_OPTIONS = ("weight", "num_steps", "form", "temperature", "student_loss_weight")
TARGET_WEIGHT, RAMP_SHARE, DEFAULT_RAMP_STEPS = 0.5, 0.1, 500


@method(teacher=None, facts=("num_steps",))
def osakd(
    student: Any,
    *,
    weight: Any = None,
    num_steps: int | None = None,
    form: str = "kl",
    temperature: float = 1.0,
    student_loss_weight: float = 1.0,
    **neighbour_options: Any,
) -> Distiller:
    """Make a Distiller with self-acquired soft labels: `L = L_task + lambda(step) D(s, p)`.

    It reads soft labels from the nearest neighbours: `s_c = k_c / k`, the share of class c among
    the k nearest neighbours in the space of the student's own logits, is the k-NN estimate of the
    posterior P(c | logits). There is no teacher, second network or augmentation.

    Published or reconstructed: the abstract describes k-NN density estimation in the output space
    and posterior soft labels. D, lambda and its ramp, k, the queue, the exclusion of a sample from
    its own neighbours, and the use for detectors (see `NeighbourCells`) are this project's.

    Args:
        student: a classifier, a functional model that ends in logits, or a detector of one class.
        weight: lambda, a number or a schedule. By default it rises from 0 to 0.5 over the first
            tenth of the training, as at first neighbours are random.
        num_steps: total number of training steps, for this ramp; if None it takes 500 steps.
        form: D, "kl" for the divergence KL(s || p), "mse" for the mean squared error.
        temperature: temperature of p.
        student_loss_weight: weight of the student's own loss.
        **neighbour_options: for a classifier `num_neighbours` and `queue_size`, see
            `keras_hkd.hierarchies.NeighbourClasses`; for a detector `num_neighbours` and
            `max_positives`, see `NeighbourCells`.

    Returns:
        A `Distiller`, to be compiled and fitted.

    Raises:
        TypeError: if an option is unknown.
        ValueError: if an option is out of its range, or a detector has several classes.

    Example:

    >>> from keras_hkd.classifiers import build
    >>> distiller = osakd(build("cnn_micro", class_names=("cat", "dog")), num_steps=1_000)
    >>> distiller.term_names, [float(distiller.distillation_loss_weights[0](t)) for t in (0, 100)]
    (('neighbours',), [0.0, 0.5])

    Reference:
        Tzelepi and Tefas, Efficient training of lightweight neural networks using Online
        Self-Acquired Knowledge Distillation, ICME 2021, https://arxiv.org/abs/2108.11798.
    """
    student = as_learner(student)
    if weight is None:
        ramp = DEFAULT_RAMP_STEPS if num_steps is None else max(1, round(RAMP_SHARE * num_steps))
        weight = LinearWarmUp(TARGET_WEIGHT, steps=ramp)
    detects = student.kind == "detector"
    hierarchy = NeighbourCells if detects else NeighbourClasses
    check_options("osakd", neighbour_options, hierarchy, own=OWN_OPTIONS)
    activation = "sigmoid" if detects else student.activation
    loss = SoftLabelDivergence(form=form, activation=activation, temperature=temperature)
    return Distiller(
        None,
        student,
        hierarchy(loss, **neighbour_options),
        weight,
        student_loss_weight=student_loss_weight,
    )
