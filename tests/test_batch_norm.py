"""The fused kernel computes what Keras's BatchNormalization computes, and files stay Keras's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_hkd.batch_norm import fuse_batch_norm, synchronize_batch_norm


def pair(**options):
    """Two models with one BatchNormalization each and equal weights, the second one fused."""
    images = keras.Input((6, 7, 5))
    plain = keras.Model(images, keras.layers.BatchNormalization(momentum=0.8, **options)(images))
    fused = keras.models.clone_model(plain)
    rng = np.random.default_rng(3)
    weights = [rng.uniform(0.5, 2.0, weight.shape) for weight in plain.weights]
    for model in (plain, fused):
        model.set_weights(weights)
    fuse_batch_norm(fused)
    return plain, fused


def outcome(model, training):
    """Output, gradients and weights after one call."""
    rng = np.random.default_rng(4)
    images, upstream = (tf.constant(rng.normal(2, 3, (3, 6, 7, 5)), "float32") for _ in range(2))
    with tf.GradientTape() as tape:
        tape.watch(images)
        output = model(images, training=training)
    sources = [images, *(weight.value for weight in model.trainable_weights)]
    gradients = tape.gradient(output, sources, output_gradients=upstream)
    return [output, *gradients, *(weight.value for weight in model.weights)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"epsilon": 0.1}])
def test_output_gradients_and_statistics_are_those_of_keras(training, options):
    plain, fused = pair(**options)
    for expected, value in zip(outcome(plain, training), outcome(fused, training), strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-5)


def test_a_frozen_layer_keeps_its_statistics():
    _, fused = pair()
    fused.trainable = False
    before = fused.get_weights()
    fused(np.ones((2, 6, 7, 5), "float32"), training=True)
    np.testing.assert_array_equal(fused.get_weights(), before)


def test_graph_holds_one_operation_for_the_layer():
    _, fused = pair()
    step = tf.function(lambda images: fused(images, training=True))
    graph = step.get_concrete_function(tf.TensorSpec((2, 6, 7, 5))).graph
    kinds = {operation.type for operation in graph.get_operations()}
    assert "FusedBatchNormV3" in kinds
    assert "SquaredDifference" not in kinds


def test_synchronized_layers_stay_those_of_keras():
    _, fused = pair()
    synchronize_batch_norm(fused)
    step = tf.function(lambda images: fused(images, training=True))
    graph = step.get_concrete_function(tf.TensorSpec((2, 6, 7, 5))).graph
    assert "FusedBatchNormV3" not in {operation.type for operation in graph.get_operations()}


def test_saved_file_holds_the_layer_of_keras(tmp_path):
    _, fused = pair()
    fused.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is keras.layers.BatchNormalization
    for expected, value in zip(outcome(fused, False), outcome(again, False), strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-5)
