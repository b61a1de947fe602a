"""The common term of mean teacher and mutual learning."""

import types

import numpy as np
import pytest

from keras_hkd.hierarchies import ClassLogits
from keras_hkd.losses import LogitDistillation
from keras_hkd.methods.logit_term import logit_term


@pytest.mark.parametrize(
    ("kind", "options"), [("detector", {}), ("detector", {"gamma": 1.0}), ("classifier", {})]
)
def test_it_is_zero_at_a_copy(kind, options):
    term = logit_term(types.SimpleNamespace(kind=kind), **options)
    logits = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    assert float(term.loss(logits, logits)) == pytest.approx(0.0, abs=1e-7)
    assert float(term.loss(logits, logits + [0.0, 1.0, 2.0])) > 0


def test_each_kind_has_its_own():
    detector, classifier = (
        logit_term(types.SimpleNamespace(kind=kind)) for kind in ("detector", "classifier")
    )
    assert (type(detector), detector.at) == (ClassLogits, "all")
    assert type(classifier.loss) is LogitDistillation
    assert classifier.learner_kinds == ("classifier",)
