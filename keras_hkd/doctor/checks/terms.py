"""Whether every term of the loss has an effect, and none outweighs all others."""

import numpy as np

from keras_hkd.distillation.gradient_norms import as_shares, values_and_norms_of
from keras_hkd.doctor.case import Case
from keras_hkd.doctor.declared import check
from keras_hkd.doctor.finding import Finding, fault, ok, warning
from keras_hkd.tensors import Tensor, TensorDict

_SAME = 1e-6
_DOMINATES = (0.8, 0.95)
_IDLE_SHARE = 0.005


@check(order=70)
def terms(case: Case) -> list[Finding] | None:
    """Measure each term and its gradient at the student on some training batches."""
    if case.teacher is None and case.given_distiller is None:
        return None
    distiller = case.distiller
    names: list[str] = []

    def each(found: TensorDict) -> list[Tensor]:
        names[:] = found
        return list(found.values())

    measure = values_and_norms_of(distiller, each, training=True)
    measured = np.stack([measure(images, labels) for images, labels in case.batches])
    rows = dict(zip(names, np.moveaxis(measured, 1, 0), strict=True))  # name -> (batches, 2)
    silent = {name: problem for name, row in rows.items() if (problem := _problem(row))}
    figures = {
        name: {"values": row[:, 0].tolist(), "gradient_norms": row[:, 1].tolist()}
        for name, row in rows.items()
    }
    if silent:
        return [
            fault(f"The term {name} {problem} on {len(measured)} batches.", advice, **figures[name])
            for name, (problem, advice) in silent.items()
        ]
    if distiller.balance is not None:
        shares = {name: float(share) for name, share in distiller.balance.shares.items()}
        told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        how = f"they will be weighed so that the gradient is shared: {told}, the student's own rest"
        return [ok(f"All {len(rows)} terms say something; {how}.", shares=shares, **figures)]
    norms = [float(np.median(row[:, 1])) for row in rows.values()]
    shares = dict(zip(rows, as_shares(norms, distiller.term_weights()), strict=True))
    return _judged(shares, [f"{name}_loss" for name in distiller.term_names])


def _problem(row: np.ndarray) -> tuple[str, str] | None:
    """Tell what is wrong with a term, and what to do; None for nothing."""
    values, norms = row.T
    if not np.isfinite(row).all():
        return (
            "is NaN or infinite, or its gradient is,",
            "Look at the labels and the temperature of its loss; try without mixed precision.",
        )
    if (np.abs(values) < 1e-12).all():
        return (
            "is 0",
            "Leave it out, or find out why: a softmax over one class, a teacher that detects "
            "nobody, a teacher equal to the student, a mask without a positive.",
        )
    if len(values) > 1 and np.ptp(values) <= _SAME * np.abs(values).max():
        return (
            f"has the same value, {values[0]:.4g},",
            "It does not depend on the images: leave it out, or find out why.",
        )
    if (norms < 1e-12).all():
        return (
            "has no gradient at the student",
            "Leave it out, or find out which part of it stops the gradient, such as frozen layers.",
        )
    return None


def _judged(shares: dict[str, float], of_teacher: list[str]) -> list[Finding]:
    """Judge the shares of the gradient that weights give to the terms of the teacher."""
    told = ", ".join(f"{name} {share:.1%}" for name, share in shares.items())
    taught = {name: shares[name] for name in of_teacher}
    advice = (
        'Give distillation_loss_weights="balanced" (the default) or `shares`, and let the terms '
        "weigh themselves."
    )
    heavy = [name for name, share in taught.items() if share > _DOMINATES[0]]
    if sum(taught.values()) > _DOMINATES[0] and not heavy:
        heavy = list(taught)
    light = [name for name, share in taught.items() if share < _IDLE_SHARE]
    if heavy:
        make = fault if sum(taught[name] for name in heavy) > _DOMINATES[1] else warning
        return [
            make(f"{' and '.join(heavy)} drown the rest: of the gradient {told}.", advice, **shares)
        ]
    if light:
        return [
            warning(f"{' and '.join(light)} have no effect: of the gradient {told}.", advice,
                    **shares)
        ]  # fmt: skip
    return [ok(f"Of the gradient {told}.", **shares)]
