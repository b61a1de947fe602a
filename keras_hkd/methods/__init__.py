"""The named systems, each a composition of hierarchies, losses and weights."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "METHODS": "registry",
        "Method": "registry",
        "adl": "adl_sad",
        "described": "registry",
        "get": "registry",
        "hkd": None,
        "hsakd": None,
        "hsakd_teacher": "hsakd",
        "hssakd": None,
        "kd": "logit_kd",
        "ld": None,
        "lw_kd": None,
        "mean_teacher": "self_teaching",
        "mutual": "mutual_learning",
        "osakd": None,
        "prepared": "registry",
        "sad": "adl_sad",
    },
)
