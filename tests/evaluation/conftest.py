from fixtures.white_boxes import white_box_detector_class, white_boxes_function  # noqa: F401
