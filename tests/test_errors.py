import inspect
import pickle

import pytest

from keras_hkd import errors

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and value is not errors.UserError
]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_a_user_error_and_a_built_in_one(kind):
    assert issubclass(kind, errors.UserError)
    built_in = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert set(built_in) - {Exception, BaseException, object}
    error = kind("what to do")
    assert str(error) == "what to do" and str(pickle.loads(pickle.dumps(error))) == "what to do"


@pytest.mark.network
@pytest.mark.parametrize("kind", CLASSES)
def test_the_class_survives_tracing_by_tensorflow(kind):
    import tensorflow as tf

    def check(x):
        if x.shape[0] != 3:
            raise kind("three rows. Received: 2")
        return x

    with pytest.raises(kind, match="^three rows. Received: 2$"):
        tf.function(check)(tf.zeros((2,)))
    with pytest.raises(kind, match="^three rows. Received: 2$"):
        tf.data.Dataset.from_tensors(tf.zeros((2,))).map(check)
