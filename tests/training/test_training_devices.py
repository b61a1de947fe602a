import keras

from keras_hkd.training import devices
from keras_hkd.training.devices import grow_memory


def test_memory_grows_on_every_gpu_before_one_is_used(monkeypatch):
    import tensorflow as tf

    asked = []
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *given: asked.append(given)
    )
    grow_memory()
    assert asked == [("GPU:0", True), ("GPU:1", True)]
    assert devices.os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_what_the_user_says_about_memory_holds(monkeypatch):
    import tensorflow as tf

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    monkeypatch.setattr(
        tf.config.experimental, "set_memory_growth", lambda *given: 1 / 0, raising=True
    )
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    grow_memory()


def test_a_gpu_in_use_is_left_as_it_is(monkeypatch):
    import tensorflow as tf

    def in_use(*given):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", in_use)
    grow_memory()


def test_on_jax_tensorflow_is_kept_off_the_gpus(monkeypatch):
    import tensorflow as tf

    hidden = []
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *given: hidden.append(given))
    grow_memory()
    assert hidden == [([], "GPU")]
