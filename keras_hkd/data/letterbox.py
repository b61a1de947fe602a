"""The earlier place of `keras_hkd.data.batches.letterbox`, for code that imports it from here."""

from keras_hkd.data.batches.letterbox import Letterbox

__all__ = ["Letterbox"]
