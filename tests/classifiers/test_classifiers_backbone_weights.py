"""A classifier's backbone in a detector."""

import keras
import numpy as np
import pytest

from keras_hkd import classifiers, detectors

# Where a detector's backbone reads its maps.
LAYERS = ("block_6_expand_relu", "block_13_expand_relu", "block_16_project_BN")


def maps(model, images):
    layers = {layer.name: layer for layer in model._flatten_layers()}
    base = next(
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.Model) and LAYERS[0] in {one.name for one in layer.layers}
    )
    assert layers
    outputs = [base.get_layer(name).output for name in LAYERS]
    return keras.Model(base.inputs, outputs)(images / 127.5 - 1.0)


def test_the_detectors_backbone_gives_what_the_classifiers_gave(tmp_path):
    classifier = classifiers.build("mobilenet_v2_0.35", class_names="abc", seed=1)
    generator = np.random.default_rng(0)
    for variable in classifier.variables:  # statistics too: as if it had been trained
        if variable.path.startswith(("block", "Conv", "bn", "expanded")):
            noise = generator.uniform(0.9, 1.1, variable.shape).astype("float32")
            variable.assign(variable * noise)
    path = tmp_path / "backbone.weights.h5"
    classifiers.save_backbone(classifier, path)
    assert [file.name for file in tmp_path.iterdir()] == ["backbone.weights.h5"]
    detector = detectors.build("yolo_v8_mobilenet_v2_0.35", backbone_weights=path, seed=2)
    images = generator.uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    wanted = maps(classifier.model, images)
    for a, b in zip(wanted, maps(detector.model.backbone, images), strict=True):
        np.testing.assert_array_equal(a, b)
    stages = classifier(images)["stages"]
    np.testing.assert_allclose(stages["C3"], wanted[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stages["C4"], wanted[1], rtol=1e-5, atol=1e-6)
    fresh = detectors.build("yolo_v8_mobilenet_v2_0.35", seed=2)
    assert not np.array_equal(maps(fresh.model.backbone, images)[0], wanted[0])


def test_it_also_starts_a_classifier_and_fits_any_model_around_it(tmp_path):
    base = keras.applications.MobileNetV2((64, 64, 3), 0.35, weights=None, classes=4)
    path = tmp_path / "backbone.weights.h5"
    classifiers.save_backbone(base, path)
    again = classifiers.build("mobilenet_v2_0.35", class_names="ab", backbone_weights=path)
    kernels = [
        next(v for v in model.variables if v.path.endswith("block_9_project/kernel"))
        for model in (base, again)
    ]
    np.testing.assert_array_equal(*kernels)


def test_other_classifiers_and_paths_are_refused(tmp_path):
    micro = classifiers.build("cnn_micro", class_names="ab")
    with pytest.raises(ValueError, match="holds no MobileNetV2"):
        classifiers.save_backbone(micro, tmp_path / "backbone.weights.h5")
    with pytest.raises(ValueError, match=r"must end in \.weights\.h5"):
        classifiers.save_backbone(micro, tmp_path / "backbone.h5")
    assert not list(tmp_path.iterdir())
