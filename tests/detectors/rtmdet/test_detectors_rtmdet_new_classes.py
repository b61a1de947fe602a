import math

import keras
import numpy as np
import pytest

from keras_hkd.detectors.rtmdet import RTMDet
from keras_hkd.detectors.rtmdet.new_classes import network_for_classes


def logits(detector, images):
    outputs = detector(images)
    return tuple(
        keras.ops.convert_to_numpy(outputs[head]) for head in ("class_logits", "box_outputs")
    )


def test_known_classes_keep_their_predictor_and_new_ones_begin_at_the_prior(new_detector, images):
    old = new_detector(seed=5, num_classes=3)  # person, rider, dog
    new = old.with_classes(("cat", "dog", "person", "car"))
    assert type(new) is RTMDet and new.num_classes == 4
    assert new.class_indices == (0, 1, 2, 3)
    (before, boxes), (after, same_boxes) = logits(old, images), logits(new, images)
    np.testing.assert_allclose(after[..., 1], before[..., 2], atol=1e-5)
    np.testing.assert_allclose(after[..., 2], before[..., 0], atol=1e-5)
    np.testing.assert_allclose(after[..., [0, 3]], math.log(0.01 / 0.99), atol=1e-5)
    np.testing.assert_allclose(same_boxes, boxes, atol=1e-5)


def test_everything_else_of_the_detector_is_kept(new_detector):
    old = new_detector(exponential=True)
    old.score_threshold, old.nms_iou_threshold, old.antialias = 0.2, 0.7, False
    new = old.with_classes(("dog",))
    left_out = ("class_names", "class_indices", "network")
    configs = [
        {name: value for name, value in one.get_config().items() if name not in left_out}
        for one in (old, new)
    ]
    assert configs[0] == configs[1]


@pytest.mark.long
def test_the_old_detector_stays_as_it_was(new_detector, images):
    old = new_detector()
    before = logits(old, images)
    new = old.with_classes(("dog",))
    for weight in new.trainable_variables:
        weight.assign(keras.ops.zeros(weight.shape))
    assert old.class_names == ("person",)
    for a, b in zip(before, logits(old, images), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_same_classes_change_nothing(new_detector):
    old = new_detector()
    assert old.with_classes(["person"]) is old


def test_classes_chosen_of_many_keep_their_predictors(new_detector, images):
    from keras_hkd.detectors import as_detector

    many = new_detector(num_classes=3)
    chosen = as_detector(many, class_names=("dog",))
    new = chosen.with_classes(("person", "dog"))
    np.testing.assert_allclose(
        logits(new, images)[0][..., 1], logits(many, images)[0][..., 2], atol=1e-5
    )
    assert (abs(logits(new, images)[0][..., 0] - math.log(0.01 / 0.99)) < 1e-5).all()


@pytest.mark.long
def test_a_network_with_fewer_channels_and_shared_heads(new_detector, images):
    from keras_hkd.compression import prune_channels

    old = prune_channels(new_detector(shared_heads=True, depthwise=False), 0.25)
    new = old.with_classes(("dog", "person"))
    assert new.count_params() < new_detector(shared_heads=True, depthwise=False).count_params()
    np.testing.assert_allclose(logits(new, images)[0][..., 1:], logits(old, images)[0], atol=1e-5)


def test_a_quantised_network_is_refused(new_detector):
    from keras_hkd.compression import quantize
    from keras_hkd.export.representative import sample_images

    quantised = quantize(new_detector(), sample_images((64, 96), 2))
    with pytest.raises(TypeError, match="before quantising"):
        quantised.with_classes(("dog",))


def test_a_learner_that_cannot_says_so():
    from keras_hkd.learner import Learner

    learner = Learner()
    learner.class_names = ("person",)
    assert learner.with_classes(("person",)) is learner
    with pytest.raises(TypeError, match="keeps the classes"):
        learner.with_classes(("dog",))


def test_one_class_as_it_was_is_the_same_network(new_detector, images):
    network = new_detector().network
    again = network_for_classes(network, [0])
    assert again is not network
    a, b = (keras.ops.convert_to_numpy(net(images)["class_logits"]) for net in (network, again))
    np.testing.assert_allclose(b, a, atol=1e-5)
