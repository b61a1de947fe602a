"""Losses: how a teacher's tensor and a student's are compared. One loss per file."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AdaptiveDistillation": "adaptive_distillation",
        "DistillationLoss": "distillation_loss",
        "FeatureImitation": "feature_imitation",
        "LogitDistillation": "logit_distillation",
        "PearsonCorrelation": "pearson_correlation",
    },
)
