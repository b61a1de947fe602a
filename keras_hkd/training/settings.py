"""Defines the settings of training, which every run writes to its record.

This is the one place where a training option is defined: its name, type, default, limits and, in
the docstring of `TrainingSettings`, its meaning. The options of `keras-hkd train` and `distill` and
their help are made from it.
"""

import dataclasses
import functools
import inspect
import math
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from keras_hkd import checks
from keras_hkd.data.batches.cache_mode import CacheMode, check_mixing, checked_mode
from keras_hkd.errors import InvalidValueError
from keras_hkd.messages import did_you_mean

_NO_DEFAULT = dataclasses.MISSING
_ARGUMENT = re.compile(r"^    (\w+): (.+(?:\n        .+)*)", re.MULTILINE)


def _setting(
    default: Any = _NO_DEFAULT, check: Callable[[str, Any], Any] | None = None, **metadata: Any
) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, **metadata})


def _whole(default: Any = _NO_DEFAULT, low: int = 0, **metadata: Any) -> Any:
    check = functools.partial(checks.whole, low=low)
    return _setting(default, check, low=low, **metadata)


def _number(default: Any, low: float = 0.0, high: float = math.inf, inclusive: bool = True) -> Any:
    bounds: dict[str, Any] = {
        "low": low,
        "high": high,
        "open_low": not inclusive,
        "open_high": not inclusive,
    }
    shown = {"low": low, "high": None if high == math.inf else high} if inclusive else {}
    return _setting(default, functools.partial(checks.in_range, **bounds), **shown)


def _later(default: float) -> Any:
    check = functools.partial(checks.in_range, high=1.0)
    return _setting(default, check, low=0.0, high=1.0, added_later=True)


def _checked_sizes(name: str, values: Any) -> tuple[tuple[int, int], ...]:
    sizes = checks.several(name, values, _checked_size)
    if not sizes:
        raise InvalidValueError(f"`{name}` must name at least one size. Received: {values!r}")
    return sizes


def _checked_epochs(name: str, values: Any) -> tuple[int, ...]:
    return tuple(sorted(set(checks.several(name, values, functools.partial(checks.whole, low=1)))))


def _checked_size(name: str, value: Any) -> tuple[int, int]:
    return checks.image_size(name, (value, value) if isinstance(value, int) else value, low=32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Everything that decides, with the data and the models, which weights come out of training.

    Args:
        epochs: passes over the training images.
        batch_size: images per batch, over all devices.
        gradient_accumulation_steps: batches whose gradients are averaged before each step of the
            optimizer; schedules and moving averages count these steps.
        learning_rate: AdamW's, at the peak of warm-up and cosine.
        final_learning_rate_fraction: share of the peak left at the last step of the cosine decay.
        warmup_epochs: length of the linear rise to the learning rate; may be a fraction.
        weight_decay: AdamW's, decoupled; not of biases and scales (variables of rank below 2).
        global_clip_norm: upper bound on the norm of the whole gradient; None for no bound.
        ema_momentum: momentum of the moving average of the weights that training ends with; None
            for none.
        seed: seed of initial weights, order of images, and augmentation.
        image_size: `(height, width)` in pixels that images are letterboxed to.
        augment: random flips, scales, crops and colours.
        mosaic: share of the pictures that are put together from four images.
        mixup: share of the pictures that another image is blended into.
        copy_paste: share of the pictures that people of other images are pasted into.
        mosaic_off_epochs: last epochs without mosaics and blends, for the ending on pictures as
            they are.
        sizes: sizes in pixels, one of which is drawn for every batch, such as 256,320,416; by
            default all have that of image_size, which also measures and exports.
        deterministic: give bit-identical weights in a repeated or resumed run; slower.
        mixed_precision: compute in half precision and keep weights in float32; for GPUs.
        half_precision: which half precision that is, "float16", whose loss is scaled, or
            "bfloat16", which needs no scaling.
        jit_compile: compile the training step with XLA.
        strategy: train on all of the machine's devices at once ("mirrored"), or on those of several
            processes or machines ("multi_worker").
        validate_every: epochs between measurements on the validation images; 0 for none before the
            end.
        shares_every: epochs between measurements of each term's share of the student's gradient in
            a distillation, which are recorded, with a warning of shares that drift; 0 for none, by
            default about ten in all of balanced terms, 200 steps or more apart.
        rebalance_after: finished epochs after which the balanced terms of a distillation are
            measured and weighed anew, such as 4,12; by default none.
        cache: where decoded images are kept, which does not change batches: memory, disk, or none
            to decode them in every epoch; auto for memory if they fit, else disk if they fit there,
            else none.
        cache_folder: where the disk mode keeps them, for all runs; None for the folder that the
            environment variable KERAS_HKD_CACHE_FOLDER names, or ~/.cache/keras_hkd/pictures.

    Raises:
        ValueError: for values outside their range.

    Example:

    >>> settings = TrainingSettings(epochs=10, batch_size=4)
    >>> settings == TrainingSettings.from_dict(settings.to_dict())
    True
    """

    epochs: int = _whole(low=1)
    batch_size: int = _whole(16, low=1)
    gradient_accumulation_steps: int = _whole(1, low=1, added_later=True)
    learning_rate: float = _number(1e-3, inclusive=False)
    final_learning_rate_fraction: float = _number(0.01, high=1.0)
    warmup_epochs: float = _number(1.0)
    weight_decay: float = _number(5e-4)
    global_clip_norm: float | None = _number(10.0, inclusive=False)
    ema_momentum: float | None = _number(0.998, high=1.0, inclusive=False)
    seed: int = _whole(0)
    image_size: tuple[int, int] = _setting((256, 256), functools.partial(checks.image_size, low=32))
    augment: bool = _setting(True)
    mosaic: float = _later(0.0)
    mixup: float = _later(0.0)
    copy_paste: float = _later(0.0)
    mosaic_off_epochs: int = _whole(0, added_later=True)
    sizes: tuple[tuple[int, int], ...] | None = _setting(None, _checked_sizes, added_later=True)
    deterministic: bool = _setting(False)
    mixed_precision: bool = _setting(False)
    half_precision: Literal["float16", "bfloat16"] = _setting(
        "float16",
        functools.partial(checks.one_of, choices=("float16", "bfloat16")),
        added_later=True,
    )
    jit_compile: bool = _setting(False)
    strategy: Literal["mirrored", "multi_worker"] | None = _setting(
        None, functools.partial(checks.one_of, choices=("mirrored", "multi_worker"))
    )
    validate_every: int = _whole(0, changes_weights=False)
    shares_every: int | None = _whole(None, changes_weights=False, distils=True)
    rebalance_after: tuple[int, ...] | None = _setting(
        None, _checked_epochs, added_later=True, distils=True
    )
    cache: CacheMode = _setting("auto", checked_mode, changes_weights=False)
    cache_folder: str | None = _setting(None, changes_weights=False)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, check = getattr(self, field.name), field.metadata["check"]
            left_out = value is None and type(None) in typing.get_args(field.type)
            if check is not None and not left_out:
                object.__setattr__(self, field.name, check(field.name, value))
        if self.mixing and not self.augment:
            raise InvalidValueError(
                "mosaic, mixup, copy_paste and sizes are parts of the augmentation: leave them "
                f"out, or set augment=True. Received: augment=False, {self.mixing}"
            )
        check_mixing(self.cache, self.mixing)

        if self.rebalance_after and self.rebalance_after[-1] >= self.epochs:
            raise InvalidValueError(
                "rebalance_after must name epochs after which training goes on, below "
                f"epochs={self.epochs}. Received: {self.rebalance_after}"
            )

    @property
    def mixing(self) -> dict[str, Any]:
        """What is asked for of mosaics, blends, pasted people and several sizes, by name."""
        names = ("mosaic", "mixup", "copy_paste", "sizes")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    def to_dict(self) -> dict[str, object]:
        """Give all settings as plain values that JSON can hold."""
        values = {**dataclasses.asdict(self), "image_size": list(self.image_size)}
        if self.sizes is not None:
            values["sizes"] = [list(size) for size in self.sizes]
        if self.rebalance_after is not None:
            values["rebalance_after"] = list(self.rebalance_after)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingSettings":
        """Make the settings that `to_dict` described; those not named take their default.

        Raises:
            ValueError: for a name that is not a setting; the nearest one is shown.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                hint = did_you_mean(name, names) or f" Settings: {names}."
                raise InvalidValueError(f"Unknown training setting.{hint} Received: {name!r}")
        return cls(**values)

    def must_match(self) -> dict[str, object]:
        """Give the settings that must be equal to resume a run: all that change its weights."""
        changing = {
            field.name: field.metadata.get("changes_weights", True)
            for field in dataclasses.fields(self)
        }
        values = {name: value for name, value in self.to_dict().items() if changing[name]}
        for field in dataclasses.fields(self):  # as of runs before there was such a setting
            if field.metadata.get("added_later") and values[field.name] == field.default:
                del values[field.name]
        if not self.mixed_precision:
            values.pop("half_precision", None)
        return values

    @classmethod
    def meanings(cls) -> dict[str, str]:
        """Give what each setting means, from the docstring.

        Example:

        >>> TrainingSettings.meanings()["epochs"]
        'passes over the training images.'
        """
        _, _, text = (inspect.getdoc(cls) or "").partition("Args:\n")
        arguments = text.partition("\n\n")[0]
        return {name: " ".join(text.split()) for name, text in _ARGUMENT.findall(arguments)}
