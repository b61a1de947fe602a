"""LW-KD: distillation from a lightweight teacher that is trained on a simple dataset.

Its parts are the teacher, `keras_hkd.methods.lw_kd.lightweight_teacher` on the drawings of
`keras_hkd.data.glyph_dataset`; targets drawn by class, `hierarchies.DrawnLogits` from a
`ClassBank`; and the adversarial term, `hierarchies.Adversarial` in an `AdversarialDistiller`. The
loss is `keras_hkd.losses.LogitDistillation`.
"""

import os
from typing import Any

from keras_hkd.checks import in_range
from keras_hkd.distillation.distiller import Distiller
from keras_hkd.distillation.learners import as_learner
from keras_hkd.errors import InvalidTypeError, InvalidValueError
from keras_hkd.losses.logit_distillation import LogitDistillation
from keras_hkd.methods.lw_kd.class_bank import ClassBank
from keras_hkd.methods.lw_kd.drawn_logits import DrawnLogits
from keras_hkd.methods.lw_kd.lightweight_teacher import lightweight_teacher
from keras_hkd.methods.method_options import check_options
from keras_hkd.methods.registry import method

__all__ = ["lw_kd"]

OWN_OPTIONS = (
    *("alpha", "beta", "temperature", "folder", "seed", "bank", "adversarial_temperature"),
    *("real_label", "discriminator_learning_rate"),
)


@method(teacher=None, facts=("folder", "seed"))
def lw_kd(
    student: Any,
    *,
    alpha: float = 0.5,
    beta: float = 0.1,
    temperature: float = 4.0,
    folder: str | os.PathLike | None = None,
    seed: int = 0,
    bank: Any = None,
    adversarial_temperature: float = 1.0,
    real_label: float = 0.9,
    discriminator_learning_rate: float = 1e-4,
    **teacher_options: Any,
) -> Distiller:
    """Make a Distiller with a lightweight teacher that does not see the student's images (LW-KD).

    `L = (1 - alpha) CE(p, y) + alpha t^2 KL(q^t || p^t) + beta L_adv`, q^t the softened output of
    the teacher for a random drawing of class y, `L_adv = -E[log D(p)]`. After each step of the
    student its discriminator D is trained with
    `L_D = -E[log D(q)] - E[log(1 - D(sg(p)))]`. This function trains the teacher, on drawings with
    the student's number of classes.

    Published or reconstructed: the abstract describes a small teacher trained on a synthetic simple
    dataset with the same number of classes, its soft outputs per instance as targets, and an
    adversarial term beside KD. The drawings, the pairing by class, the network, the form of the
    terms and all numbers are this project's.

    Args:
        student: a classifier, or a functional model that ends in logits.
        alpha: weight of KD in [0, 1]; the student's own loss has the weight 1 - alpha.
        beta: weight of the adversarial term, which needs TensorFlow. With 0 there is no
            discriminator, and the result is a plain `Distiller`, for every backend.
        temperature: t.
        folder: folder in which the teacher is saved, so that a resumed run has the same; None not
            to save it.
        seed: seed of the teacher, the draws and the discriminator.
        bank: logits `(classes, instances, classes)` of your own teacher, in place of a trained one.
        adversarial_temperature: temperature of p and q in the adversarial term.
        real_label: target of D for the teacher's outputs: one-sided label smoothing.
        discriminator_learning_rate: learning rate of D's Adam.
        **teacher_options: options of `keras_hkd.methods.lw_kd.lightweight_teacher`.

    Returns:
        An `AdversarialDistiller`, or a `Distiller` if `beta` is 0.

    Raises:
        TypeError: if an option is unknown; the message names the nearest one.
        ValueError: if an option is out of its range, or the student is a detector.

    Example:

    >>> import numpy as np
    >>> from keras_hkd.classifiers import build
    >>> student = build("cnn_micro", class_names=("cat", "dog"))
    >>> lw_kd(student, bank=np.array([[[3.0, 0.5]], [[0.2, 2.0]]])).term_names
    ('drawn_logits', 'adversarial')

    Reference:
        Liu et al., Learning from a Lightweight Teacher for Efficient Knowledge Distillation, 2020,
        https://arxiv.org/abs/2005.09163.
    """
    student = as_learner(student)
    if student.kind != "classifier":
        raise InvalidValueError(f"lw_kd teaches classifiers. Received: a {student.kind}.")
    alpha = in_range("alpha", alpha, high=1.0)
    if bank is None:
        left_out = ("folder", "seed")
        check_options("lw_kd", teacher_options, lightweight_teacher, OWN_OPTIONS, left_out)
        options = {"folder": folder, "seed": seed, **teacher_options}
        bank = lightweight_teacher(student.num_classes, **options).logits
    elif teacher_options:
        raise InvalidTypeError(
            "Options of the teacher cannot be combined with a `bank`: leave them out. "
            f"Received: unexpected keyword arguments: {', '.join(sorted(teacher_options))}"
        )
    bank = ClassBank(bank, seed=seed)
    terms = [DrawnLogits(bank, LogitDistillation(temperature=temperature))]
    if not beta:
        return Distiller(None, student, terms, [alpha], student_loss_weight=1.0 - alpha)
    from keras_hkd.methods.lw_kd.adversarial import Adversarial
    from keras_hkd.methods.lw_kd.adversarial_distiller import AdversarialDistiller

    terms.append(
        Adversarial(bank, temperature=adversarial_temperature, real_label=real_label, seed=seed)
    )
    return AdversarialDistiller(
        student,
        terms,
        [alpha, beta],
        student_loss_weight=1.0 - alpha,
        discriminator_learning_rate=discriminator_learning_rate,
    )
