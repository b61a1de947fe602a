from fixtures.exported import (  # noqa: F401
    family,
    images,
    micro_detector,
    random_heads,
    read_interpreter,
    tflite,
)
