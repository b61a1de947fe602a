"""Library models behind the contract, and detectors to a file and back."""

import json
import pathlib

import keras
import keras_cv
import numpy
import pytest

import keras_hkd
from keras_hkd.detectors import YOLOV8, RetinaNet, as_detector
from keras_hkd.detectors.rtmdet import RTMDet, RTMDetConfig

IMAGE_SIZE = (64, 96)
CLASSES = {"retinanet": RetinaNet, "yolo_v8": YOLOV8}


class KeepAll:
    """A prediction decoder that gives what it gets."""

    bounding_box_format = "xyxy"

    def __call__(self, boxes, scores, image_shape=None):
        return {"boxes": boxes, "scores": scores}


@pytest.fixture(scope="module")
def coco(family, library_model):
    """A library model with the 80 classes of COCO."""
    keras.utils.set_random_seed(0)
    return library_model(family, num_classes=80)


@pytest.fixture(scope="module")
def everything(coco):
    return as_detector(coco, image_size=IMAGE_SIZE)


def as_input(family, images):
    return {"images": images} if family == "retinanet" else images


def assert_equal_outputs(first, second, **tolerance):
    for key in ("class_logits", "box_outputs"):
        numpy.testing.assert_allclose(first[key], second[key], **{"rtol": 0, **tolerance})


def test_outputs_equal_the_librarys(everything, coco, family, images):
    assert type(everything) is CLASSES[family]
    outputs, library = everything(images), coco(as_input(family, images))
    if family == "retinanet":
        expected = {
            "class_logits": library["classification"],
            "box_outputs": library["box"],
        }
        assert_equal_outputs(outputs, expected, atol=1e-5)
    else:
        numpy.testing.assert_allclose(outputs["box_outputs"], library["boxes"], atol=1e-5)
        scores = keras.ops.sigmoid(outputs["class_logits"])
        numpy.testing.assert_allclose(scores, library["classes"], atol=1e-6)


def test_decoding_equals_the_librarys(everything, coco, family, images):
    coco._prediction_decoder = KeepAll()
    expected = coco.decode_predictions(coco(as_input(family, images)), keras.ops.array(images))[
        "boxes"
    ]
    boxes, scores = everything.decode(everything(images), IMAGE_SIZE)
    assert numpy.isfinite(boxes).all()
    numpy.testing.assert_allclose(boxes, expected, atol=1e-3, rtol=1e-4)
    assert scores.shape[-1] == 80


@pytest.mark.parametrize("index", [0, 17])
def test_one_class_of_eighty(everything, coco, images, index):
    person = as_detector(coco, class_names=("person",), class_indices=(index,))
    assert person.num_classes == 1
    logits = person(images)["class_logits"]
    numpy.testing.assert_array_equal(
        logits, everything(images)["class_logits"][..., index : index + 1]
    )


def test_one_class_of_eighty_has_a_loss(coco, images, labels):
    person = as_detector(coco, class_names=("person",), class_indices=(0,))
    assert numpy.isfinite(float(person.compute_loss(images, labels, person(images))))


def test_layers_are_shared(everything, coco, images):
    ours = {id(variable) for variable in everything.trainable_variables}
    assert ours == {id(variable) for variable in coco.trainable_variables}
    assert everything.class_names[:2] == ("class_0", "class_1")
    assert as_detector(everything) is everything


@pytest.mark.parametrize("indices", [(80,), (-1,)])
def test_class_indices_out_of_range(coco, indices):
    with pytest.raises(ValueError, match=r"80 classes, so `class_indices` must lie in \[0, 79\]"):
        as_detector(coco, class_names=("person",), class_indices=indices)


def test_class_names_and_indices_of_different_length(coco):
    with pytest.raises(ValueError, match="must name the same classes"):
        as_detector(coco, class_names=("person",), class_indices=(0, 1))


def test_other_models_are_refused():
    with pytest.raises(TypeError, match="Received: Sequential"):
        as_detector(keras.Sequential())


def test_a_one_class_model_of_eighty_survives_saving(coco, images, tmp_path):
    person = as_detector(
        coco,
        image_size=IMAGE_SIZE,
        class_names=("dog",),
        class_indices=(17,),
        score_threshold=0.2,
        nms_iou_threshold=0.5,
        max_detections=7,
    )
    person.save(tmp_path / "dog.keras")
    loaded = keras_hkd.load_detector(tmp_path / "dog.keras")
    for key in ("image_size", "class_names", "class_indices", "num_classes", "max_detections"):
        assert getattr(loaded, key) == getattr(person, key)
    assert (loaded.score_threshold, loaded.nms_iou_threshold) == (0.2, 0.5)
    assert_equal_outputs(loaded(images), person(images))


def test_a_custom_pyramid_survives_saving(library_model, images, tmp_path):
    # KerasCV's own `RetinaNet.get_config` leaves the pyramid out: its file does not load.
    detector = as_detector(library_model("retinanet", own_parts=True), image_size=IMAGE_SIZE)
    detector.save(tmp_path / "custom.keras")
    loaded = keras_hkd.load_detector(tmp_path / "custom.keras")
    assert loaded.channels("P3") == 16
    numpy.testing.assert_array_equal(loaded.anchors(IMAGE_SIZE), detector.anchors(IMAGE_SIZE))
    assert_equal_outputs(loaded(images), detector(images))


LOAD = """
import json
import sys
import numpy
import keras_hkd

images = numpy.load(sys.argv[1])
for path in sys.argv[2:]:
    detector = keras_hkd.load_detector(path)
    outputs = detector(images)
    numpy.savez(
        path + ".npz", **{key: outputs[key] for key in ("class_logits", "box_outputs")}
    )
    with open(path + ".json", "w") as file:
        names = list(detector.class_names)
        json.dump([type(detector).__name__, names, list(detector.image_size)], file)
"""


@pytest.mark.slow
@pytest.mark.own_process
def test_a_fresh_process_loads_every_family(
    micro_detector, library_model, images, fresh_python, tmp_path
):
    numpy.save(tmp_path / "images.npy", images)
    written = {name: micro_detector(name) for name in CLASSES}
    for name, detector in written.items():
        detector.save(tmp_path / f"{name}.keras")
    config = RTMDetConfig(width=0.125, depth=0.167, pyramid_channels=16, num_classes=3)
    names = ("person", "rider", "dog")
    written["rtmdet"] = RTMDet(config, image_size=IMAGE_SIZE, class_names=names)
    written["rtmdet"].save(tmp_path / "rtmdet.keras")
    raw = library_model("yolo_v8")
    written["raw"] = as_detector(raw)
    raw.save(tmp_path / "raw.keras")
    paths = [str(tmp_path / f"{name}.keras") for name in written]
    root = pathlib.Path(keras_hkd.__file__).parents[1]
    fresh_python(LOAD, tmp_path / "images.npy", *paths, cwd=root)
    for name, detector in written.items():
        # Another process splits sums over other threads.
        found = numpy.load(tmp_path / f"{name}.keras.npz")
        assert_equal_outputs(found, detector(images), atol=1e-5)
        said = json.loads((tmp_path / f"{name}.keras.json").read_text())
        assert said[:2] == [type(detector).__name__, list(detector.class_names)]
        assert name == "raw" or tuple(said[2]) == IMAGE_SIZE


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="No detector at .*nothing.keras"):
        keras_hkd.load_detector(tmp_path / "nothing.keras")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 99], ids=str)
def test_damaged_file(tmp_path, content):
    path = tmp_path / "damaged.keras"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="could not be read as a Keras model"):
        keras_hkd.load_detector(path)


def test_truncated_file(tmp_path):
    path = tmp_path / "classifier.keras"
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.save(path)
    with pytest.raises(ValueError, match="holds no detector.*Received: Sequential"):
        keras_hkd.load_detector(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="could not be read as a Keras model"):
        keras_hkd.load_detector(path)


def test_thresholds_of_a_raw_retinanet_are_kept(library_model):
    model = library_model("retinanet", own_parts=True)
    model.label_encoder.positive_threshold, model.label_encoder.negative_threshold = 0.6, 0.3
    detector = as_detector(model)
    assert (detector.positive_iou, detector.negative_iou) == (0.6, 0.3)
    assert as_detector(model, positive_iou=0.7).positive_iou == 0.7


def test_classes_of_a_detector_are_chosen_by_name_or_number(everything, images):
    named = as_detector(everything, class_names=("class_3", "class_1"))
    assert named.class_indices == (3, 1)
    wanted = keras.ops.convert_to_numpy(everything(images)["class_logits"])[..., [3, 1]]
    numpy.testing.assert_array_equal(named(images)["class_logits"], wanted)
    person = as_detector(named, class_names=("person",), class_indices=(1,))
    assert (person.class_names, person.class_indices) == (("person",), (1,))
    assert as_detector(everything, class_indices=(2,)).class_names == ("class_2",)
    assert person.image_size == everything.image_size
    with pytest.raises(ValueError, match=r"by number.*Received: \['person'\]"):
        as_detector(everything, class_names=("person",))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        as_detector(named, class_indices=(2,))
    with pytest.raises(TypeError, match="classes alone can be chosen"):
        as_detector(named, score_threshold=0.5)


def test_the_person_of_a_library_file_is_chosen_as_it_is_loaded(family, library_model, tmp_path):
    path = tmp_path / "raw.keras"
    library_model(family, num_classes=3).save(path)
    detector = keras_hkd.load_detector(path, class_names=("person",), class_indices=(2,))
    assert (detector.class_names, detector.class_indices) == (("person",), (2,))


def _unscaled(input_shape=(None, None, 3)):
    keras.utils.set_random_seed(0)
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[4, 4, 8, 8],
        stackwise_blocks=[1] * 4,
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=input_shape,
    )
    return keras_cv.models.RetinaNet(num_classes=1, bounding_box_format="xywh", backbone=backbone)


def test_a_model_that_does_not_rescale_is_told_of_and_takes_scale_and_offset(tmp_path):
    library = _unscaled()
    pixels = numpy.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    with pytest.warns(UserWarning, match=r"Nothing in this RetinaNet rescales.*scale=1/255"):
        as_detector(library, image_size=(64, 64))
    means, deviations = numpy.array([120.0, 110.0, 100.0]), numpy.array([60.0, 58.0, 55.0])
    for options, seen in (
        ({"scale": 1 / 255}, pixels / 255),
        ({"scale": 1 / 127.5, "offset": -1}, pixels / 127.5 - 1),
        ({"scale": 1 / deviations, "offset": -means / deviations}, (pixels - means) / deviations),
    ):
        detector = as_detector(library, image_size=(64, 64), **options)
        expected = numpy.asarray(library(seen.astype("float32"))["classification"])
        numpy.testing.assert_allclose(detector(pixels)["class_logits"], expected, atol=1e-4)
    detector.save(tmp_path / "detector.keras")
    loaded = keras_hkd.load_detector(tmp_path / "detector.keras")
    numpy.testing.assert_allclose(loaded(pixels)["class_logits"], expected, atol=1e-4)
    with pytest.raises(ValueError, match="`scale` must be a number, or three"):
        as_detector(library, scale=(1, 2))


def test_a_model_of_one_size_says_which_and_refuses_others():
    library = _unscaled((96, 64, 3))
    detector = as_detector(library, scale=1 / 255)
    assert detector.image_size == (96, 64)
    assert as_detector(library, scale=1, image_size=(96, 64)).image_size == (96, 64)
    with pytest.raises(ValueError, match=r"built for images of \(96, 64\)"):
        as_detector(library, scale=1, image_size=(128, 128))
    with pytest.raises(ValueError, match=r"built for images of \(96, 64\)"):
        detector.predict_on_batch(numpy.zeros((1, 64, 64, 3), "float32"))
