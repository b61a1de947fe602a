"""The doctor: checks a teacher, a student and their images before a training of hours.

A check is a function in a file of `keras_hkd/doctor/checks`, decorated with `check`. It takes a
`Case`, the pair and its images with what several checks read of them, and returns a `Finding`,
several, or None where it does not apply. A new file is found without being listed.
"""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CHECKS": "declared",
        "Case": "case",
        "Check": "declared",
        "Diagnosis": "diagnosis",
        "Finding": "finding",
        "check": "declared",
        "doctor": "examination",
        "first_look": "examination",
    },
)
