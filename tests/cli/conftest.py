"""What the tests of commands share: how a command is called, and that it runs eagerly.

Commands run their few steps without tracing, which takes longer than the steps themselves, and time
a single prediction. Runs as users make them, traced and in processes of their own, are in
`tests/workflow`.
"""

import pytest

from keras_hkd.cli.main import main


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


_COSTS = {}


@pytest.fixture(autouse=True)
def costs_measured_once(monkeypatch):
    """Measures equal networks once, from one timed prediction; eager predictions are slow."""
    # The benchmark is loaded first: it keeps the real function, for it times what it was asked to.
    import keras_hkd.evaluation.benchmark  # noqa: F401
    from keras_hkd import evaluation
    from keras_hkd.evaluation import latency

    measure, measure_costs = latency.measure_latencies, evaluation.measure_costs
    monkeypatch.setattr(
        latency, "measure_latencies", lambda calls, *_, **__: measure(calls, 1, 0, progress=False)
    )

    def remembered(models, image_size=None):
        keys = {
            name: (type(model).__name__, model.count_params(), image_size)
            for name, model in models.items()
        }
        new = {name: model for name, model in models.items() if keys[name] not in _COSTS}
        if new:
            found = measure_costs(new, image_size)
            _COSTS.update({keys[name]: cost for name, cost in found.items()})
        return {name: dict(_COSTS[key]) for name, key in keys.items()}

    monkeypatch.setattr(evaluation, "measure_costs", remembered)


@pytest.fixture
def command(capsys):
    """`command(*words) -> (exit code, standard output, error stream)` of `keras-hkd WORDS`."""

    def call(*words):
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return call
