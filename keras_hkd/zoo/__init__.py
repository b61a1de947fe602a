"""Presets: trained detectors that come with the package, each a folder of data with a card."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "DEFAULT_PRESET": "catalogue",
        "FACTS": "cards",
        "add_twin": "twin",
        "detect": "photographs",
        "from_preset": "loading",
        "headline": "cards",
        "is_preset": "catalogue",
        "list_presets": "catalogue",
        "load_for_detection": "loading",
        "preset_folder": "catalogue",
        "read_card": "cards",
        "write_card": "cards",
    },
)
