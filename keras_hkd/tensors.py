"""Names for annotations: tensors of whichever backend Keras runs on."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Tensor: TypeAlias = Any
"""A tensor of the Keras backend or whatever `keras.ops` takes in its place.

That is a `tf.Tensor`, a `jax.Array`, a `torch.Tensor`, a `keras.Variable`, a `keras.KerasTensor` or
a NumPy array. These have no common base class, and Keras itself is not annotated, so a type checker
does not look into them. Docstrings state shape and units.
"""

TensorDict: TypeAlias = Mapping[str, Tensor]
"""Named tensors, such as `{"boxes": ..., "classes": ...}`."""

Shape: TypeAlias = tuple[int | None, ...]
"""The shape of a tensor, `None` for a dimension of any size."""
