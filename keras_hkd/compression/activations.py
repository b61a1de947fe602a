"""Other activations in a trained network, for integer files that are faster and lose less."""

from __future__ import annotations

from collections.abc import Callable

import keras

from keras_hkd.compression.compressed import checked_learner, over_or_rewritten
from keras_hkd.errors import InvalidValueError
from keras_hkd.learner import Learner

__all__ = ["replace_activations"]


@keras.saving.register_keras_serializable(package="keras_hkd")
class ActivationReplacement:
    """The rewrite of a network that `replace_activations` makes.

    Args:
        layers: names of the activation layers.
        activation: what they become.
    """

    def __init__(self, layers: list[str], activation: str) -> None:
        self.layers, self.activation = list(layers), activation

    def __call__(self, network: keras.Model) -> keras.Model:
        def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
            config = layer.get_config()
            if layer.name in self.layers:
                config["activation"] = self.activation
            return type(layer).from_config(config)

        new = keras.models.clone_model(network, clone_function=clone)
        new.set_weights(network.get_weights())
        return new

    def get_config(self) -> dict:
        return {"layers": self.layers, "activation": self.activation}

    @classmethod
    def from_config(cls, config: dict) -> ActivationReplacement:
        return cls(**config)


def replace_activations(
    student: Learner | keras.Model,
    activation: str = "relu",
    *,
    old: str = "silu",
    where: Callable[[str], bool] | None = None,
) -> Learner:
    """Copy a detector or classifier with other activations and the same weights.

    An int8 file rounds three times to compute SiLU, over a range that must include large negative
    inputs although their outputs are near 0. ReLU costs nothing, since the convolution before it
    computes it. In the first stages, where maps are large and channels few, ReLU therefore makes
    the file faster and its rounding finer. Train the copy before you use it, best with the student
    as teacher; then `quantize` it.

    Args:
        student: a `Detector` or `Classifier`, or a Distiller, whose student is taken. It is left as
            it is.
        activation: the new activation, a name that Keras knows.
        old: name of the activation that is replaced.
        where: function of the name of an activation layer that says whether it is replaced; None
            for all.

    Returns:
        The copy, of the same family.

    Raises:
        TypeError: neither detector nor classifier.
        ValueError: no activation layer is replaced.

    Example:

    >>> import keras_hkd
    >>> from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig, rtmdet_network
    >>> student = RTMDet(rtmdet_network(RTMDetConfig(num_classes=1)), class_names=("person",))
    >>> faster = replace_activations(student, where=lambda name: name.startswith("stem"))
    >>> faster.network.get_layer("stem1_activation").activation.__name__
    'relu'
    """
    student = checked_learner(student)
    layers = [
        layer.name
        for layer in student.network.layers
        if isinstance(layer, keras.layers.Activation)
        and layer.activation.__name__ == old
        and (where is None or where(layer.name))
    ]
    if not layers:
        raise InvalidValueError(
            f"No activation layer of '{student.name}' is to be replaced: give the name of an "
            f"activation that it has as `old`, and a `where` that is true of some of its layers. "
            f"Received: old={old!r}"
        )
    keras.activations.get(activation)  # refuses an unknown name
    replacement = ActivationReplacement(layers, activation)
    return over_or_rewritten(student, replacement)
