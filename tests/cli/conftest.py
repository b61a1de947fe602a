"""Commands run their few steps without tracing, which takes longer than the steps themselves.

Runs as users make them, traced and in processes of their own, are in `tests/workflow`.
"""

import pytest


@pytest.fixture(scope="module", autouse=True)
def without_tracing():
    """Run what Keras compiles eagerly, as long as a module's tests last."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
