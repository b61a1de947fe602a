"""What runs on one Keras backend only says so in the same words."""

import keras

from keras_hkd.errors import InvalidValueError


def require_tensorflow(what: str) -> None:
    """Refuses to go on where Keras runs on another backend than TensorFlow.

    Args:
        what: what needs TensorFlow, as the subject of a sentence.

    Raises:
        ValueError: the Keras backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InvalidValueError(
            f"{what} needs the TensorFlow backend of Keras: set KERAS_BACKEND=tensorflow before "
            "Keras is imported; a model saved on another backend loads there. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
