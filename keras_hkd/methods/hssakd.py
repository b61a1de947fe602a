"""HSSAKD: mutual learning of two classifiers with self-supervised branches.

It is the branches and terms of HSAKD (`keras_hkd.classifiers.SelfSupervisedClassifier`,
`keras_hkd.methods.hsakd`) in a `keras_hkd.distillation.MutualDistiller`.
"""

from typing import Any

from keras_hkd.distillation.learners import as_learner
from keras_hkd.distillation.mutual import MutualDistiller
from keras_hkd.errors import InvalidValueError
from keras_hkd.methods.hsakd.method import rotation_terms
from keras_hkd.methods.hsakd.self_supervised import SelfSupervisedClassifier
from keras_hkd.methods.registry import method

__all__ = ["hssakd"]


@method(teacher="peer")
def hssakd(
    peer: Any,
    student: Any,
    *,
    branch_weight: Any = 1.0,
    logit_weight: Any = 1.0,
    temperature: float = 3.0,
    student_loss_weight: float = 1.0,
    branch_style: str = "copied",
) -> MutualDistiller:
    """Make a Distiller in which a classifier and its peer teach each other class and rotation.

    The online form of HSAKD, over images at four quarter turns and t = 3:

        L = sum over both of [ L_task(upright images) + sum over l of CE(q_l, 4 * class + turn) ]
            + t^2 sum over l of [ KL(sg(q_l^peer) || q_l) + KL(sg(q_l) || q_l^peer) ]
            + t^2 [ KL(sg(p^peer) || p) + KL(sg(p) || p^peer) ]

    Unlike in the offline form, `keras_hkd.methods.hsakd`, the branches also learn from labels, as
    they have not been trained before. The loss is that of the authors' code; whether the paper adds
    to it is not known.

    Args:
        peer: a classifier, or a functional model with logits, trained along; in the paper of the
            student's architecture, with its own initial weights.
        student: the classifier to train and save.
        branch_weight: weight of the mutual term of the branches, a number or a schedule.
        logit_weight: weight of the mutual term of the classifiers themselves.
        temperature: t.
        student_loss_weight: weight of the losses on labels of both.
        branch_style: `"copied"` or `"light"`; see `SelfSupervisedClassifier`.

    Returns:
        A `MutualDistiller`; its `.student` is the plain classifier, without branches.

    Raises:
        ValueError: if the models are detectors (see `keras_hkd.methods.mutual`), have different
            classes or no common stage, or share weights.

    Example:

    >>> from keras_hkd.classifiers import build
    >>> peers = [build("cnn_micro", class_names="ab", seed=seed) for seed in (1, 2)]
    >>> hssakd(*peers).term_names
    ('branches', 'rotated_logits')

    Reference:
        Yang et al., Knowledge Distillation Using Hierarchical Self-Supervision Augmented
        Distribution, TNNLS 2022, https://arxiv.org/abs/2109.03075.
    """
    peers = [as_learner(model) for model in (student, peer)]
    for model in peers:
        if model.kind != "classifier":
            raise InvalidValueError(
                f"hssakd trains classifiers. Received: the {model.kind} '{model.name}'. For "
                "detectors take keras_hkd.methods.mutual, or hsakd with a trained teacher."
            )
    levels = [level for level in peers[0].levels if level in peers[1].levels]
    learners = [
        SelfSupervisedClassifier(model, mode="joint", branch_style=branch_style, levels=levels)
        for model in peers
    ]
    return MutualDistiller(
        learners,
        rotation_terms(temperature),
        [branch_weight, logit_weight],
        student_loss_weight=student_loss_weight,
    )
