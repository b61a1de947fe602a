"""The Distiller and its variants, weight schedules, and the shares of gradients."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AdversarialDistiller": "keras_hkd.methods.lw_kd.adversarial_distiller",
        "Distiller": "distiller",
        "GradientShares": "gradient_norms",
        "MeanTeacher": "ema_teacher",
        "MutualDistiller": "mutual",
        "RebalanceTerms": "balance",
        "gradient_shares": "gradient_norms",
        "schedules": None,
        "weights_hash": "teachers",
    },
)
