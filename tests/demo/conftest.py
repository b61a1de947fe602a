from fixtures.exported import tflite  # noqa: F401
