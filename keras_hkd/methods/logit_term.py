"""The term by which students of one kind compare what they say: zero exactly where they agree."""

from keras_hkd.hierarchies.class_logits import ClassLogits
from keras_hkd.hierarchies.logits import Logits
from keras_hkd.losses.adaptive_distillation import AdaptiveDistillation
from keras_hkd.losses.logit_distillation import LogitDistillation
from keras_hkd.methods.method_options import check_options


def logit_term(model, **loss_options):
    """The hierarchy that compares class logits: of all anchors, or of whole images.

    Args:
        model: a `Detector` or a `Classifier`.
        **loss_options: of `AdaptiveDistillation` for a detector, in its paper form unless told
            otherwise, whose value is 0 at a copy; of `LogitDistillation` for a classifier.
    """
    part = LogitDistillation if model.kind == "classifier" else AdaptiveDistillation
    check_options("The class logits' term", loss_options, part)
    if model.kind == "classifier":
        return Logits(LogitDistillation(**loss_options))
    return ClassLogits(AdaptiveDistillation(**{"form": "paper", **loss_options}))
