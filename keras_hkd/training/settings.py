"""How to train, in one record that is written down with every run."""

import dataclasses
from collections.abc import Mapping

from keras_hkd.suggestions import did_you_mean

_STRATEGIES = (None, "mirrored")
# What changes how a run is watched or stored, and never which weights come out of it.
_WITHOUT_EFFECT_ON_WEIGHTS = ("validate_every", "cache")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Everything that decides, with the data and the models, which weights come out of training.

    Args:
        epochs: passes over the training images.
        batch_size: images per step, over all replicas.
        learning_rate: AdamW's, at its peak.
        final_learning_rate_fraction: share of the peak left at the last step of the cosine decay.
        warmup_epochs: length of the linear rise from almost 0 to the peak; may be a fraction.
        weight_decay: decoupled; not applied to biases and normalisation (variables of rank < 2).
        global_clip_norm: upper bound on the norm of the whole gradient; None for no bound.
        ema_momentum: of the moving average of the weights that training ends with; None for none.
        seed: of initial weights, order of images, and augmentation.
        image_size: (height, width) pixels.
        augment: random flips, scales, crops and colours.
        deterministic: the same run twice gives the same bits.
        mixed_precision: compute in float16, keep weights in float32.
        jit_compile: compile the training step with XLA.
        strategy: None, or "mirrored" for data parallelism over this machine's devices.
        validate_every: epochs between evaluations on the validation images; 0 for never.
        cache: keep decoded images in memory.

    Raises:
        ValueError: for values outside their range.

    Example:

    >>> settings = TrainingSettings(epochs=10, batch_size=4)
    >>> settings == TrainingSettings.from_dict(settings.to_dict())
    True
    """

    epochs: int
    batch_size: int = 16
    learning_rate: float = 1e-3
    final_learning_rate_fraction: float = 0.01
    warmup_epochs: float = 1.0
    weight_decay: float = 5e-4
    global_clip_norm: float | None = 10.0
    ema_momentum: float | None = 0.998
    seed: int = 0
    image_size: tuple[int, int] = (256, 256)
    augment: bool = True
    deterministic: bool = False
    mixed_precision: bool = False
    jit_compile: bool = False
    strategy: str | None = None
    validate_every: int = 0
    cache: bool = True

    def __post_init__(self):
        object.__setattr__(self, "image_size", tuple(int(side) for side in self.image_size))
        _require_whole(self, "epochs", "batch_size", at_least=1)
        _require_whole(self, "seed", "validate_every", at_least=0)
        for name in ("learning_rate", "global_clip_norm"):
            value = getattr(self, name)
            _require(value is None or value > 0, name, "a positive number", value)
        for name in ("weight_decay", "warmup_epochs"):
            _require(getattr(self, name) >= 0, name, "a number >= 0", getattr(self, name))
        fraction, momentum = self.final_learning_rate_fraction, self.ema_momentum
        _require(0 <= fraction <= 1, "final_learning_rate_fraction", "a number in [0, 1]", fraction)
        in_range = momentum is None or 0 < momentum < 1
        _require(in_range, "ema_momentum", "None or a number between 0 and 1", momentum)
        is_pair = len(self.image_size) == 2 and min(self.image_size) >= 32
        _require(is_pair, "image_size", "(height, width), each >= 32", self.image_size)
        known = self.strategy in _STRATEGIES
        _require(known, "strategy", 'None or "mirrored"', self.strategy)

    def to_dict(self) -> dict[str, object]:
        """All settings as plain values that JSON can hold."""
        return {**dataclasses.asdict(self), "image_size": list(self.image_size)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "TrainingSettings":
        """The settings that `to_dict` described; settings that are not named take their default.

        Raises:
            ValueError: for a name that is not a setting; the nearest one is shown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                hint = did_you_mean(name, names) or f" Settings: {names}."
                raise ValueError(f"Unknown training setting {name!r}.{hint}")
        return cls(**values)

    def decisive(self) -> dict[str, object]:
        """The settings that change the result; a run resumes only where all of them are equal."""
        values = self.to_dict()
        return {name: values[name] for name in values if name not in _WITHOUT_EFFECT_ON_WEIGHTS}


def _require(holds, name, expected, received):
    if not holds:
        raise ValueError(f"Expected {name} to be {expected}. Received: {name}={received!r}")


def _require_whole(settings, *names, at_least):
    for name in names:
        value = getattr(settings, name)
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= at_least
        _require(whole, name, f"a whole number >= {at_least}", value)
