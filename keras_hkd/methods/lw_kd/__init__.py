"""LW-KD: a lightweight teacher trained on drawn glyphs, and the parts that only it has."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Adversarial": "adversarial",
        "AdversarialDistiller": "adversarial_distiller",
        "ClassBank": "class_bank",
        "DrawnLogits": "drawn_logits",
        "lw_kd": "method",
    },
)
