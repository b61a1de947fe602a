from keras_hkd.messages import stack_level_of_caller


def test_outside_the_package_it_is_the_calling_line():
    assert stack_level_of_caller() == 1
