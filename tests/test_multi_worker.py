"""What Keras lacks under MultiWorkerMirroredStrategy: whether it still does."""

import pathlib

import keras
import pytest
from fixtures.workers import run_workers  # noqa: F401 (a fixture)

from keras_hkd.multi_worker import as_one_process, fit_over_workers, over_workers

PLAIN_KERAS = """
import json
import sys

import numpy as np
import tensorflow as tf

if int(sys.argv[1]) > 1:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()

import keras

failures = {}
for part in ("symbolic build", "logs"):
    with strategy.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", loss="mse")
    if part == "logs":
        model._symbolic_build(data_batch=(np.zeros((4, 2)), np.zeros((4, 1)), None))
        model._maybe_symbolic_build = lambda **data: None
    x, y = np.zeros((8, 2), "float32"), np.zeros((8, 1), "float32")
    data = strategy.distribute_datasets_from_function(
        lambda context: tf.data.Dataset.from_tensor_slices((x, y)).batch(2)
    )
    try:
        model.fit(data, steps_per_epoch=2, verbose=0)
        failures[part] = None
    except Exception as error:
        failures[part] = f"{type(error).__name__}: {error}"[:200]
print(json.dumps(failures))
"""


@pytest.mark.long
@pytest.mark.own_process
def test_keras_still_needs_both_parts_of_the_workaround(tmp_path, run_workers):  # noqa: F811
    program = pathlib.Path(tmp_path, "plain_keras.py")
    program.write_text(PLAIN_KERAS)
    for failures in run_workers(program, 2):
        for part, failure in failures.items():
            assert failure, (
                f"This Keras ({keras.__version__}) fits over several workers without our help with "
                f"its {part}: take that part out of keras_hkd/multi_worker.py."
            )


def test_a_model_of_one_process_is_left_alone():
    from keras.src.backend.tensorflow import trainer

    model, kept = keras.Sequential([keras.layers.Dense(1)]), trainer.reduce_per_replica
    assert not over_workers(model)
    with fit_over_workers(model), as_one_process(model) as alone:
        assert not alone
        assert trainer.reduce_per_replica is kept
