import keras
import numpy as np
import pytest

from keras_hkd.training.watch import DivergedError, StopWhenDiverged


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
