"""The earlier place of `keras_hkd.atomic_write` and `keras_hkd.json_files`."""

from keras_hkd.atomic_write import DAMAGE, remove_partial_files, replacing, write_text
from keras_hkd.json_files import plain, write_json

__all__ = ["DAMAGE", "plain", "remove_partial_files", "replacing", "write_json", "write_text"]
