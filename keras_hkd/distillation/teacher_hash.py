"""A detector's identity: what its checkpoints and caches are bound to."""

import hashlib

import numpy
from keras import ops


def weights_hash(model):
    """SHA-256 over shapes and values of all weights, in order, as hexadecimal digits.

    Args:
        model: any Keras model.

    Example:
    >>> import keras
    >>> layer = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> len(weights_hash(layer))
    64
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        value = numpy.ascontiguousarray(ops.convert_to_numpy(variable))
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
