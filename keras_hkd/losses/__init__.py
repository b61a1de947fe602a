"""Losses: how a teacher's tensor and a student's are compared. One loss per file."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AdaptiveDistillation": "adaptive_distillation",
        "AttentionNonLocal": "attention_non_local",
        "AttentionTransfer": "attention_transfer",
        "ChannelWiseDivergence": "channel_wise_divergence",
        "DIST": "dist",
        "DecoupledDistillation": "decoupled_distillation",
        "DistillationLoss": "distillation_loss",
        "FeatureImitation": "feature_imitation",
        "FineGrainedImitation": "fine_grained_imitation",
        "FocalGlobal": "focal_global",
        "GIoU": "giou",
        "HierarchicalContext": "hierarchical_context",
        "LearnableLoss": "learnable_loss",
        "LocalizationDistillation": "localization_distillation",
        "LogitDistillation": "logit_distillation",
        "MaskedGenerative": "masked_generative",
        "PearsonCorrelation": "pearson_correlation",
        "QualityFocalDistillation": "quality_focal_distillation",
        "RegionRelation": "region_relation",
        "SoftLabelDivergence": "soft_label_divergence",
        "TeacherBoundedRegression": "teacher_bounded_regression",
    },
)
