import keras

from keras_hkd.teacher_cache import DetectionsTeacher


def test_it_survives_a_round_trip_and_has_no_weights():
    teacher = DetectionsTeacher(("person", "rider"), [64, 96], name="other program")
    serialize, deserialize = (
        keras.saving.serialize_keras_object,
        keras.saving.deserialize_keras_object,
    )
    again = deserialize(serialize(teacher))
    assert again.get_config() == teacher.get_config()
    assert (again.num_classes, again.levels, again.variables) == (2, (), ())
