"""The contract that both families share: losses, ignore regions, prediction, clear errors."""

import keras
import numpy
import pytest
import tensorflow as tf

from keras_hkd.detectors import build

IMAGE_SIZE = (64, 96)
REGION = [[[0.0, 0.0, 48.0, 64.0]], [[-1.0, -1.0, -1.0, -1.0]]]


def gradients(detector, images, labels):
    """(loss, its gradient by class logits, by box outputs), in NumPy."""
    outputs = detector(images)
    with tf.GradientTape() as tape:
        sources = [outputs["class_logits"], outputs["box_outputs"]]
        tape.watch(sources)
        loss = detector.compute_loss(images, labels, outputs)
    found = tape.gradient(loss, sources, unconnected_gradients="zero")
    return float(loss), *(gradient.numpy() for gradient in found)


def test_people_teach_boxes_and_classes(detector, images, labels):
    loss, by_logits, by_boxes = gradients(detector, images, labels)
    assert numpy.isfinite(loss)
    assert by_logits.any(axis=(1, 2)).all()
    outputs = detector(images)
    found = detector.assign(outputs, labels, IMAGE_SIZE)
    positive = found.positive.numpy()
    assert positive.any(axis=1).all()
    scores = keras.ops.sigmoid(outputs["class_logits"])
    wanted = numpy.sign(scores - found.target_scores)
    numpy.testing.assert_array_equal(numpy.sign(by_logits)[positive], wanted[positive])
    assert by_boxes[positive].any()
    assert not by_boxes[~positive].any()


def test_images_without_people_teach_background(detector, images, nobody):
    loss, by_logits, by_boxes = gradients(detector, images, nobody)
    assert loss > 0
    assert (by_logits >= 0).all(), "every score is to fall"
    assert (by_logits > 0).mean() > 0.9
    assert not by_boxes.any()
    none = {"boxes": numpy.zeros((2, 0, 4), "float32"), "classes": numpy.zeros((2, 0), "float32")}
    assert gradients(detector, images, none)[0] == pytest.approx(loss)


def test_padding_of_labels_counts_for_nothing(detector, images, labels):
    outputs = detector(images)
    padded = {
        "boxes": numpy.pad(labels["boxes"], ((0, 0), (0, 3), (0, 0)), constant_values=-1),
        "classes": numpy.pad(labels["classes"], ((0, 0), (0, 3)), constant_values=-1),
    }
    expected = float(detector.compute_loss(images, labels, outputs))
    assert float(detector.compute_loss(images, padded, outputs)) == pytest.approx(expected)


def test_ignore_regions_count_for_nothing_and_people_inside_stay(detector, images, labels):
    outputs = detector(images)
    plain = detector.assign(outputs, labels, IMAGE_SIZE)
    labels = {**labels, "ignore_boxes": numpy.array(REGION, "float32")}
    found = detector.assign(outputs, labels, IMAGE_SIZE)
    positive, ignored = found.positive.numpy(), found.ignored.numpy()
    numpy.testing.assert_array_equal(positive, plain.positive.numpy())
    numpy.testing.assert_array_equal(found.target_scores, plain.target_scores)

    inside = detector.anchor_points(IMAGE_SIZE).numpy()[:, 0] < 48.0
    assert positive[0, inside].any()
    numpy.testing.assert_array_equal(ignored[0, inside], ~positive[0, inside])
    numpy.testing.assert_array_equal(ignored[1], plain.ignored.numpy()[1])

    before = detector.task_losses(outputs, found, IMAGE_SIZE)
    moved = numpy.array(outputs["class_logits"])
    moved[ignored] += 9.0
    after = detector.task_losses({**outputs, "class_logits": moved}, found, IMAGE_SIZE)
    for name in detector.loss_names:
        assert float(after[name]) == float(before[name])
    _, by_logits, _ = gradients(detector, images, labels)
    assert not by_logits[ignored].any()
    assert (by_logits[~ignored] != 0).mean() > 0.9


def test_an_image_that_is_one_ignore_region_has_no_loss(detector, images, nobody):
    everywhere = numpy.full((2, 1, 4), 0.0, "float32") + [-1.0, -1.0, 999.0, 999.0]
    labels = {**nobody, "ignore_boxes": everywhere.astype("float32")}
    loss, by_logits, by_boxes = gradients(detector, images, labels)
    assert loss == 0.0
    assert not by_logits.any()
    assert not by_boxes.any()


def test_predict_reports_boxes_inside_the_image(detector, images):
    found = detector.predict(images, verbose=0)
    shapes = {key: value.shape for key, value in found.items()}
    assert shapes == {
        "boxes": (2, 100, 4),
        "classes": (2, 100),
        "confidence": (2, 100),
        "num_detections": (2,),
    }
    valid = numpy.arange(100) < found["num_detections"][:, None]
    boxes = found["boxes"][valid]
    assert len(boxes) > 0
    assert (boxes >= 0).all()
    assert (boxes <= [96, 64, 96, 64]).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    assert (found["classes"][valid] == 0).all()
    assert (found["confidence"][valid] > detector.score_threshold).all()
    assert (numpy.diff(found["confidence"]) <= 0).all()
    for key in ("boxes", "classes", "confidence"):
        assert (found[key][~valid] == -1).all()


def test_fit_reports_both_losses_and_changes_weights(images, labels):
    detector = build("yolo_v8_micro", image_size=IMAGE_SIZE, seed=0)
    detector.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    before = [variable.numpy() for variable in detector.trainable_variables]
    history = detector.fit(images, labels, batch_size=2, verbose=0).history
    assert set(history) == {"loss", "class_loss", "box_loss"}
    assert history["loss"][0] == pytest.approx(
        history["class_loss"][0] + history["box_loss"][0], rel=1e-5
    )
    changed = [
        (old != new.numpy()).any()
        for old, new in zip(before, detector.trainable_variables, strict=True)
    ]
    assert sum(changed) > len(changed) // 2


def test_tap_adds_the_output_of_a_layer(library_model, images):
    from keras_hkd import as_detector

    detector = as_detector(library_model("yolo_v8"))
    name = "yolo_v8_head_1_class_3_conv"
    detector.tap(name)
    assert detector(images)["taps"][name].shape == (2, 8, 12, 1)
    said = "has no layer 'yolo_v8_head_9.*Did you mean 'yolo_v8_head_"
    with pytest.raises(ValueError, match=said):
        detector.tap("yolo_v8_head_9_class_3_conv")


@pytest.mark.parametrize(
    ("wrong", "received"),
    [(None, "NoneType"), ([1.0], "list"), ({"boxes": 0}, r"\['boxes'\]")],
    ids=str,
)
def test_wrong_labels(micro_detector, images, wrong, received):
    with pytest.raises(ValueError, match=f"'boxes'.*'classes'.*Received: {received}"):
        micro_detector("yolo_v8").compute_loss(images, wrong, {})


def test_images_of_unknown_size(micro_detector, labels):
    unknown = keras.KerasTensor((2, None, None, 3))
    with pytest.raises(ValueError, match=r"height and width known.*\(2, None, None, 3\)"):
        micro_detector("yolo_v8").compute_loss(unknown, labels, {})
    with pytest.raises(ValueError, match="height and width known"):
        micro_detector("yolo_v8").decoded({}, numpy.zeros((64, 96, 3)))


def test_compile_takes_no_loss_and_no_metrics(micro_detector):
    with pytest.raises(ValueError, match="takes no `loss`.*Received: loss='mse'"):
        micro_detector("yolo_v8").compile(loss="mse")
    for name in ("metrics", "weighted_metrics"):
        with pytest.raises(ValueError, match=f"takes no `{name}`.*DetectionMetrics"):
            micro_detector("yolo_v8").compile(**{name: ["accuracy"]})


@pytest.fixture
def half_precision(micro_detector):
    """`mixed_float16` for one test; the shared detectors are built before."""
    micro_detector("retinanet")
    micro_detector("yolo_v8")
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    yield
    keras.mixed_precision.set_dtype_policy(before)


def test_half_precision_computes_the_loss_in_float32(half_precision, family, images, labels):
    detector = build(f"{family}_micro", image_size=IMAGE_SIZE, seed=0)
    outputs = detector(images)
    assert outputs["pyramid"]["P3"].dtype == "float16"
    assert outputs["class_logits"].dtype == outputs["box_outputs"].dtype == "float32"
    loss = detector.compute_loss(images, labels, outputs)
    assert loss.dtype == "float32"
    assert numpy.isfinite(float(loss))
    with tf.GradientTape() as tape:
        loss = detector.compute_loss(images, labels, detector(images, training=True))
    gradient = tape.gradient(loss, detector.trainable_variables)
    assert all(numpy.isfinite(value.numpy()).all() for value in gradient if value is not None)


def test_half_precision_leaves_anchors_exact(half_precision, micro_detector, library_model):
    from keras_hkd import as_detector

    size = (512, 1024)  # areas and coordinates that float16 does not hold
    exact = micro_detector("retinanet").anchors(size)
    half = build("retinanet_micro")
    assert half.anchors(size).dtype == "float32"
    numpy.testing.assert_array_equal(half.anchors(size), exact)
    raw = library_model("retinanet", own_parts=True)
    corners = as_detector(raw).anchors(size).numpy()
    assert corners.dtype == "float32"
    assert not (corners == corners.astype("float16").astype("float32")).all()


def test_predicts_at_one_size_after_another(micro_detector):
    detector = micro_detector("yolo_v8")
    sizes = [(1, 64, 64, 3), (1, 64, 96, 3), (2, 64, 64, 3), (2, 64, 96, 3)]
    before = detector.predict_function
    for shape in sizes:
        found = detector.predict_on_batch(numpy.full(shape, 99.0, "float32"))
        assert found["boxes"].shape == (shape[0], 100, 4)
    assert detector.predict(numpy.zeros(sizes[0], "float32"), verbose=0)["boxes"].shape[0] == 1
    functions = detector._functions_by_size["predict_function"]
    assert len({id(functions[size]) for size in ((64, 64), (64, 96))}) == 2
    detector.predict_function = before
