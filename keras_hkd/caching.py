"""The earlier name of `keras_hkd.teacher_cache`; what it offers is found here too."""

from keras_hkd import teacher_cache

__all__ = teacher_cache.__all__


def __getattr__(name: str) -> object:
    return getattr(teacher_cache, name)
