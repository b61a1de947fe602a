import keras
import pytest

from keras_hkd.evaluation.model_cost import count_gflops, count_parameters, measure_costs

needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="operations are counted by TensorFlow"
)


def convolution(use_bias=False):
    inputs = keras.Input((32, 48, 3))
    outputs = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=use_bias)(inputs)
    return keras.Model(inputs, outputs)


def test_parameters():
    assert count_parameters(convolution()) == 3 * 3 * 3 * 8
    inputs = keras.Input((4,))
    normalised = keras.Model(inputs, keras.layers.BatchNormalization()(inputs))
    assert count_parameters(normalised) == 4 * 4


@needs_tensorflow
def test_a_multiply_add_counts_as_two():
    multiply_adds = 16 * 24 * 8 * 3 * 3 * 3
    assert count_gflops(convolution(), (32, 48)) == pytest.approx(2 * multiply_adds / 1e9)


@needs_tensorflow
def test_operations_grow_with_the_image():
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, use_bias=False)(inputs))
    assert count_gflops(model, (64, 64)) == pytest.approx(4 * count_gflops(model, (32, 32)))


@needs_tensorflow
def test_only_what_detection_needs_is_counted():
    """Distillation's extra outputs cost nothing at prediction."""
    inputs = keras.Input((32, 48, 3))
    needed = keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)
    extra = keras.layers.Conv2D(64, 3)(inputs)
    outputs = {"class_logits": needed, "box_outputs": needed, "class_tower": extra}
    model = keras.Model(inputs, outputs)
    assert count_gflops(model, (32, 48)) == count_gflops(convolution(), (32, 48))


def test_all_at_once():
    model = convolution()
    costs = measure_costs({"one": model, "two": model}, (32, 48), repeats=2)
    assert list(costs) == ["one", "two"]
    assert list(costs["two"]) == ["parameters", "gflops", "latency_ms"]
    assert costs["one"]["parameters"] == costs["two"]["parameters"] == count_parameters(model)
    with pytest.raises(ValueError, match="image_size"):
        measure_costs({"one": model})
