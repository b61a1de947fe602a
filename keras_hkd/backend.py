"""What runs on one Keras backend only says so in the same words."""

import keras


def require_tensorflow(what):
    """Refuses to go on where Keras runs on another backend than TensorFlow.

    Args:
        what: what needs TensorFlow, as the subject of a sentence.

    Raises:
        ValueError: the Keras backend is not TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"{what} needs the TensorFlow backend of Keras: save the model, set "
            "KERAS_BACKEND=tensorflow and load it again. Received: "
            f"KERAS_BACKEND={keras.backend.backend()}"
        )
