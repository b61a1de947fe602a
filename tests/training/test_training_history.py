import keras
import numpy as np

from keras_hkd.training.history import HistoryFile, append_epoch


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
