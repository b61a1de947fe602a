import json

import pytest
import tensorflow as tf

from keras_hkd import Distiller, TeacherCache
from keras_hkd.data import synthetic_dataset, training_batches
from keras_hkd.hierarchies import ClassLogits
from keras_hkd.losses import AdaptiveDistillation
from keras_hkd.teacher_cache import CacheError
from keras_hkd.training import DifferentRunError, TrainingSettings, train_model

SETTINGS = TrainingSettings(epochs=1, batch_size=4, image_size=(64, 64), ema_momentum=None)


def test_a_run_reads_the_cache_and_is_bound_to_it(cache, pair, images, tmp_path):
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation())])
    history = train_model(distiller, images, SETTINGS, tmp_path / "run")
    assert history["class_logits_loss"][0] >= 0
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["teacher_hash"] == cache.teacher_hash
    assert facts["teacher_cache"]["views"] == {"count": 2, "seed": 0}
    # The checkpoint is found again, and neither holds nor misses anything of the teacher.
    again = Distiller(
        TeacherCache.load(cache.folder), pair[1], [ClassLogits(AdaptiveDistillation())]
    )
    assert train_model(again, images, SETTINGS, tmp_path / "run", resume=True) == history
    live = Distiller(pair[0], pair[1], [ClassLogits(AdaptiveDistillation())])
    with pytest.raises(DifferentRunError, match="teacher_cache"):
        train_model(live, images, SETTINGS, tmp_path / "run", resume=True)


def test_images_outside_of_the_cache_are_measured_by_the_students_own_losses(cache, pair, images):
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation())])
    distiller.compile("sgd", run_eagerly=True)
    others = training_batches(
        synthetic_dataset(4, image_size=(64, 64), seed=9),
        image_size=(64, 64),
        batch_size=4,
        seed=0,
    )
    found = distiller.evaluate(others, steps=1, return_dict=True, verbose=0)
    assert set(found) == {"loss", *pair[1].loss_names}
    assert found["loss"] == pytest.approx(sum(found[name] for name in pair[1].loss_names))
    inside = cache.training_batches(images, batch_size=4, seed=0)
    found = distiller.evaluate(inside, steps=1, return_dict=True, verbose=0)
    assert found["class_logits_loss"] > 0
    steps = {"steps_per_epoch": 1, "validation_steps": 1}
    history = distiller.fit(inside, validation_data=others, verbose=0, **steps).history
    assert "class_logits_loss" in history and "val_class_logits_loss" not in history
    assert history["val_loss"][0] > 0


def test_other_settings_are_refused_before_the_run_begins(cache, pair, images, tmp_path):
    distiller = Distiller(cache, pair[1], [ClassLogits(AdaptiveDistillation())])
    for change in ({"image_size": (96, 96)}, {"augment": False}):
        settings = TrainingSettings(**{**SETTINGS.to_dict(), **change})
        with pytest.raises(CacheError):
            train_model(distiller, images, settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_terms_are_balanced_by_the_outputs_of_the_cache(cache, pair, images, monkeypatch):
    # Traced, this takes a minute; run as it is, seconds.
    batches = list(cache.training_batches(images, batch_size=4, seed=0).take(1))
    monkeypatch.setattr(tf, "function", lambda function=None, **options: function or (lambda f: f))
    scales = []
    for teacher in (cache, pair[0]):
        distiller = Distiller(teacher, pair[1], ClassLogits(AdaptiveDistillation()), "balanced")
        record = distiller.measure_balance(batches)
        assert record["shares_after"] == pytest.approx({"student": 0.5, "class_logits": 0.5})
        scales.append(record["scales"]["class_logits"])
    assert scales[0] == pytest.approx(scales[1], rel=0.05)  # stored in half precision
