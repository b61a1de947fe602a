"""Scenes, and pictures of one class each, drawn from a seed."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "draw_scene": "scenes",
        "glyph_dataset": "glyphs",
        "synthetic_classification": "classification",
        "synthetic_dataset": "scenes",
    },
)
