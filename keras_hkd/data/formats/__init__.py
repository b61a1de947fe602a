"""Readers of annotated datasets: one file per format, and the records that all of them give."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BadRecords": "bad_records",
        "Records": "records",
    },
)
