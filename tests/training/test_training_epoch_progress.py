import io

import keras
import numpy as np
import pytest
import rich.console

from keras_hkd.training.epoch_progress import RichProgress


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model, progress):
    model.fit(
        np.ones((6, 1)), np.ones((6, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[progress]
    )


def test_a_log_gets_one_line_per_epoch(model):
    stream = io.StringIO()
    console = rich.console.Console(file=stream, width=120)
    fit(model, RichProgress("student", epochs=2, steps_per_epoch=3, batch_size=2, console=console))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("student: epoch 1/2, loss ")
    assert "images/s" in lines[0] and "min left" in lines[0]


def test_a_terminal_gets_a_bar_with_rate_and_time_left(model):
    stream = io.StringIO()
    console = rich.console.Console(file=stream, width=120, force_terminal=True)
    progress = RichProgress("student", epochs=2, steps_per_epoch=3, batch_size=2, console=console)
    fit(model, progress)
    assert "epoch 2/2" in stream.getvalue() and "images/s" in stream.getvalue()
    assert progress.bar is None
    progress.close()


def test_standard_output_stays_empty(model, capsys):
    fit(model, RichProgress("student", epochs=2, steps_per_epoch=3, batch_size=2))
    output = capsys.readouterr()
    assert output.out == ""
    assert "epoch 2/2" in output.err
