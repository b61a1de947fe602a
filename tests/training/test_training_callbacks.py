"""The history of a run, and the end of one that diverges."""

import keras
import numpy as np
import pytest

from keras_hkd.training.callbacks import DivergedError, HistoryFile, StopWhenDiverged, append_epoch


def test_columns_keep_one_entry_per_epoch():
    history = {}
    append_epoch(history, {"loss": 3.0})
    append_epoch(history, {"loss": 2.0, "val_AP": 0.1})
    append_epoch(history, {"loss": 1.0})
    assert history == {"loss": [3.0, 2.0, 1.0], "val_AP": [None, 0.1, None]}


def test_records_learning_rate_and_time_and_writes_after_every_epoch():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 4, 0.0)
    model.compile(keras.optimizers.SGD(schedule), "mse")
    history, written = {}, []
    record = HistoryFile(history, lambda rows: written.append(len(rows["loss"])))
    model.fit(
        np.ones((2, 2)), np.ones((2, 1)), batch_size=1, epochs=2, verbose=0, callbacks=[record]
    )
    assert history["learning_rate"] == [0.5, 0.0]
    assert min(history["seconds"]) > 0
    assert written == [1, 2]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_names_the_step_and_what_to_do(bad):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    targets = np.zeros((6, 1))
    images = np.ones((6, 1))
    watch = StopWhenDiverged(steps_per_epoch=6)
    model.fit(images, targets, batch_size=1, verbose=0, callbacks=[watch])
    targets[3] = bad
    with pytest.raises(DivergedError, match=r"at step 10 \(epoch 2, batch 4 of 6\).*learning rate"):
        model.fit(
            images,
            targets,
            batch_size=1,
            epochs=2,
            initial_epoch=1,
            shuffle=False,
            verbose=0,
            callbacks=[watch],
        )
