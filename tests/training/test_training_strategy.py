import keras
import pytest

from keras_hkd.training import strategy_scope


def test_one_device_needs_no_scope():
    with strategy_scope(None) as num_replicas:
        assert num_replicas == 1


def test_mirrored_holds_what_is_built_inside():
    with strategy_scope("mirrored") as num_replicas:
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert num_replicas == 1
    assert type(model.distribute_strategy).__name__ == "MirroredStrategy"


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ValueError, match="mirrored.*Received: 'tpu'"):
        strategy_scope("tpu")


def test_other_backends_are_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ValueError, match="TensorFlow backend"), strategy_scope("mirrored"):
        pass


def test_workers_that_nobody_named_are_refused(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID", "JOB_COMPLETION_INDEX"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ValueError, match="TF_CONFIG.*Received"), strategy_scope("multi_worker"):
        pass
