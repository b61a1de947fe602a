from fixtures.exported import (  # noqa: F401
    family,
    images,
    micro_detector,
    random_heads,
    read_interpreter,
    tflite,
)
from fixtures.white_boxes import white_box_detector_class, white_boxes_function  # noqa: F401
