"""LW-KD: a tiny teacher that knows another, simple world with as many classes.

New here are the teacher, `keras_hkd.methods.lw_kd.lightweight_teacher` on the drawings of
`keras_hkd.data.glyph_dataset`; that targets are drawn by class, `hierarchies.DrawnLogits` from a
`ClassBank`; and the adversarial term with its discriminator, `hierarchies.Adversarial` in an
`AdversarialDistiller`. KD itself is `keras_hkd.losses.LogitDistillation`.
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
    """A Distiller under a lightweight teacher that never sees the student's images.

    `L = (1 - alpha) CE(p, y) + alpha t^2 KL(q^t || p^t) + beta L_adv`, q^t the softened output of
    the teacher for a random drawing of class y, `L_adv = -E[log D(p)]`; after each step of the
    student its discriminator D takes one by `L_D = -E[log D(q)] - E[log(1 - D(sg(p)))]`. The
    teacher is trained by this call, on drawings of as many classes as the student has.

    What is known and what is reconstructed: the abstract has a small teacher trained on a
    synthesised simple dataset of as many classes, its per-instance soft outputs as targets, and an
    adversarial term besides KD. The drawings, the pairing by class, the network, the form of the
    terms and every number here are this project's.

    Args:
        student: a classifier, or a functional model that ends in logits.
        alpha: share of KD in [0, 1]; the student's own loss has the rest.
        beta: weight of the adversarial term. With 0 there is no discriminator, and the result is a
            plain `Distiller` that runs on every backend; with it TensorFlow is needed.
        temperature: t.
        folder: where the teacher is kept, so that a resumed run has the same; None to keep nothing.
        seed: of the teacher, the draws and the discriminator.
        bank: logits `(classes, instances, classes)` of a teacher of your own; none is trained then.
        adversarial_temperature: of p and q in the adversarial term.
        real_label: what D is to say of the teacher's outputs: one-sided label smoothing.
        discriminator_learning_rate: of D's Adam.
        **teacher_options: of `keras_hkd.methods.lw_kd.lightweight_teacher`.

    Returns:
        An `AdversarialDistiller`, or a `Distiller` without adversarial term.

    Raises:
        TypeError: an option that there is not; the nearest one is shown.
        ValueError: an option out of its range, or a detector as student.

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
            "A `bank` needs no teacher; unexpected keyword arguments: "
            f"{', '.join(sorted(teacher_options))}"
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
