"""Teacher cache: stores a teacher's outputs once, for training without running the teacher."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CacheError": "cache_key",
        "DetectionsTeacher": "detections_teacher",
        "TeacherCache": "cache",
    },
)
