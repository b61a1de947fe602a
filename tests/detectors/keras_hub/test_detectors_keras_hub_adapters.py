"""KerasHub's detectors behind the contract: what they say, where, and whom they teach."""

import keras
import numpy as np
import pytest

import keras_hkd
from keras_hkd import hierarchies, losses
from keras_hkd.detectors import as_detector

hub = pytest.importorskip("keras_hub", reason="keras_hub is not installed: pip install .[hub]")
SIZE = (64, 64)


@pytest.fixture(scope="module")
def retinanet():
    encoder = hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64, 64],
        stackwise_num_blocks=[1, 1, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
    backbone = hub.models.RetinaNetBackbone(encoder, min_level=3, max_level=5, use_p5=False)
    return hub.models.RetinaNetObjectDetector(
        backbone, num_classes=3, bounding_box_format="yxyx", pre_logits_num_conv_layers=1
    )


@pytest.fixture(scope="module")
def d_fine():
    encoder = hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 3, 3],
            [16, 8, 32, 1, 3, 3],
            [32, 16, 64, 2, 3, 5],
            [64, 16, 128, 1, 3, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 2, 1],
        hidden_sizes=[16, 32, 64, 128],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(*SIZE, 3),
        out_features=["stage3", "stage4"],
    )
    backbone = hub.models.DFineBackbone(
        backbone=encoder,
        decoder_in_channels=[16, 16],
        encoder_hidden_dim=16,
        num_denoising=0,
        num_labels=3,
        hidden_dim=16,
        learn_initial_query=False,
        num_queries=10,
        anchor_image_size=SIZE,
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 128],
        encode_proj_layers=[1],
        num_attention_heads=2,
        encoder_ffn_dim=32,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=32,
        decoder_n_points=[2, 2],
        lqe_hidden_dim=8,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(*SIZE, 3),
    )
    return hub.models.DFineObjectDetector(backbone, num_classes=3)


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    boxes = np.array([[[10, 8, 40, 56]], [[4, 4, 20, 40]]], "float32")
    return images, {"boxes": boxes, "classes": np.zeros((2, 1), "float32")}


def test_a_retinanet_says_what_the_librarys_says_and_decodes_as_it_does(retinanet, batch):
    detector = as_detector(retinanet, image_size=SIZE)
    outputs, library = detector(batch[0]), retinanet(batch[0])
    np.testing.assert_allclose(outputs["class_logits"], library["cls_logits"], atol=1e-5)
    np.testing.assert_allclose(outputs["box_outputs"], library["bbox_regression"], atol=1e-5)
    assert detector.levels == ("P3", "P4", "P5")
    anchors = keras.ops.concatenate(list(retinanet.anchor_generator(batch[0]).values()), axis=0)
    deltas = np.random.default_rng(1).normal(0, 0.3, outputs["box_outputs"].shape).astype("f4")
    wanted = keras.utils.bounding_boxes.decode_deltas_to_boxes(
        anchors=anchors,
        boxes_delta=deltas,
        encoded_format="center_xywh",
        anchor_format=retinanet.anchor_generator.bounding_box_format,
        box_format="xyxy",
        image_shape=(*SIZE, 3),
    )
    found = detector.decode_boxes(deltas, SIZE)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    np.testing.assert_allclose(detector.encode_boxes(found, SIZE), deltas, atol=1e-4)


def test_images_are_scaled_as_the_preprocessor_does(retinanet, batch):
    converter = hub.layers.RetinaNetImageConverter(scale=1 / 255.0, offset=-0.5)
    plain = as_detector(retinanet, image_size=SIZE)
    retinanet.preprocessor = hub.models.RetinaNetObjectDetectorPreprocessor(converter)
    try:
        scaled = as_detector(retinanet, image_size=SIZE)
    finally:
        retinanet.preprocessor = None
    wanted = plain(batch[0] / 255.0 - 0.5)["class_logits"]
    np.testing.assert_allclose(scaled(batch[0])["class_logits"], wanted, atol=1e-5)


def test_a_retinanet_is_saved_and_learns(retinanet, batch, tmp_path):
    tf = pytest.importorskip("tensorflow")
    detector = as_detector(retinanet, image_size=SIZE, class_names=("a", "person", "b"))
    detector.save(tmp_path / "hub.keras")
    again = keras_hkd.load_detector(tmp_path / "hub.keras")
    assert again.class_names == ("a", "person", "b")
    logits = detector(batch[0])["class_logits"]
    np.testing.assert_allclose(again(batch[0])["class_logits"], logits, atol=1e-6)
    with tf.GradientTape() as tape:
        loss = detector.compute_loss(*batch, detector(batch[0], training=True))
    slopes = tape.gradient(loss, [v.value for v in detector.trainable_variables])
    assert np.isfinite(float(loss)) and all(np.isfinite(slope).all() for slope in slopes)


def test_d_fine_says_what_the_librarys_says_and_detects(d_fine, batch, tmp_path):
    detector = as_detector(d_fine)
    assert (detector.image_size, detector.num_classes) == (SIZE, 3)
    outputs, library = detector(batch[0]), d_fine(batch[0], training=False)
    np.testing.assert_allclose(outputs["class_logits"], library["logits"], atol=1e-5)
    boxes, scores = detector.decode(outputs, SIZE)
    center, side = library["pred_boxes"][..., :2] * 64, library["pred_boxes"][..., 2:] * 64
    wanted = np.concatenate([center - side / 2, center + side / 2], axis=-1)
    np.testing.assert_allclose(boxes, wanted, atol=1e-3)
    assert scores.shape == (2, 10, 3)
    detector.save(tmp_path / "hub.keras")
    again = keras_hkd.load_detector(tmp_path / "hub.keras")
    np.testing.assert_allclose(again(batch[0])["class_logits"], outputs["class_logits"], atol=1e-5)


@pytest.mark.parametrize("name", ["retinanet", "d_fine"])
def test_each_teaches_a_compact_student(name, batch, request, monkeypatch):
    monkeypatch.setattr("keras_hkd.hierarchies.step.MATCHED_SCORE", 0.0)
    raw = request.getfixturevalue(name)
    teacher = as_detector(raw, class_names=("person",), class_indices=(1,))
    student = keras_hkd.detectors.build("yolo_v8_micro", image_size=(96, 96), seed=1)
    terms = [
        hierarchies.ClassLogits(losses.QualityFocalDistillation()),
        hierarchies.Boxes(losses.GIoU()),
    ]
    if name == "retinanet":
        terms.append(hierarchies.Pyramid(losses.PearsonCorrelation(), levels=("P3", "P4")))
    distiller = keras_hkd.Distiller(teacher, student, terms, teacher_image_size=SIZE)
    images = np.zeros((2, 96, 96, 3), "float32")
    values = distiller.compute_terms(images, batch[1], distiller(images))
    assert np.isfinite([float(value) for value in values.values()]).all()
    assert float(values["class_logits_loss"]) > 0


def test_d_fine_does_not_learn_and_says_its_size(d_fine, batch):
    student = keras_hkd.detectors.build("yolo_v8_micro", image_size=SIZE, seed=1)
    with pytest.raises(ValueError, match="cannot be trained here"):
        keras_hkd.Distiller(student, d_fine, [])
    with pytest.raises(ValueError, match=r"teacher_image_size=\(64, 64\)"):
        as_detector(d_fine)(np.zeros((1, 96, 96, 3), "float32"))
    with pytest.raises(ValueError, match="what it detected.*ClassLogits and Boxes"):
        keras_hkd.Distiller(d_fine, student, hierarchies.Pyramid(losses.PearsonCorrelation()))
