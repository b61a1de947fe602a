import keras
import pytest

from keras_hkd.hierarchies import (
    Boxes,
    ClassLogits,
    ClassTower,
    CrossHead,
    Hierarchy,
    KerasLoss,
    NeighbourCells,
    Pyramid,
    Region,
)
from keras_hkd.losses import AdaptiveDistillation, FeatureImitation, GIoU
from keras_hkd.teacher_cache.contents import Contents, reads


def test_what_hierarchies_read_is_stored():
    hkd = [
        Pyramid(FeatureImitation(), levels=("P4", "P3")),
        Region(FeatureImitation(), levels=("P3", "P5")),
        ClassTower(FeatureImitation()),
    ]
    found = Contents.of(hkd)
    assert found == Contents(("pyramid", "class_tower"), ("P3", "P4", "P5"))
    where_it_sees = Pyramid(FeatureImitation(), at="teacher_scores")
    assert Contents.of(where_it_sees).outputs == ("class_logits", "pyramid")
    assert Contents.of([*hkd, Pyramid(FeatureImitation())]).levels is None
    assert Contents.of(ClassLogits(AdaptiveDistillation())).outputs == ("class_logits",)
    assert Contents.of(Boxes(GIoU())) == Contents() == Contents(("box_outputs", "class_logits"))
    assert Contents.of([NeighbourCells()]).outputs == ()
    of_keras = keras.distillation.LogitsDistillation()
    assert (
        Contents.of(of_keras) == Contents.of([KerasLoss(of_keras)]) == Contents(("class_logits",))
    )


def test_hierarchies_that_run_the_teacher_are_refused():
    tapped = keras.distillation.FeatureDistillation("mse", "a", "b")
    for hierarchy in (CrossHead(), KerasLoss(tapped)):
        with pytest.raises(ValueError, match="layers of the teacher itself"):
            reads(hierarchy)


def test_a_hierarchy_of_ones_own_says_what_it_reads():
    class Mine(Hierarchy):
        reads = ("class_logits",)

    assert reads(Mine(FeatureImitation())) == ("class_logits",)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"some of detections.*\['logits'\]"):
        Contents(("logits",))
    with pytest.raises(TypeError, match="must hold hierarchies"):
        Contents.of([FeatureImitation()])
