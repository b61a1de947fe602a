"""What `train` and `distill` share: settings, seeds, run folders, checkpoints, resume."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AveragedAdamW": "optimizer",
        "BestStudent": "best_student",
        "Checkpoint": "checkpoint",
        "DifferentRunError": "identity",
        "DivergedError": "callbacks",
        "ReplicatedLossScaleOptimizer": "optimizer",
        "RunFolder": "run_folder",
        "RunFolderError": "run_folder",
        "TrainingSettings": "settings",
        "WarmupCosine": "warmup_cosine",
        "averaged_weights": "ema",
        "build_optimizer": "optimizer",
        "enable_determinism": "seeds",
        "join_workers": "workers",
        "pseudo_label_facts": "pseudo_labelling",
        "label_shard": "pseudo_labelling",
        "current_workers": "workers",
        "semi_supervised": "pseudo_labelling",
        "set_seed": "seeds",
        "strategy_scope": "strategy",
        "train_model": "fit",
        "training_scope": "scope",
    },
)
