"""OSAKD: soft labels from the nearest neighbours, and the parts that only it has."""

from keras_hkd._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "NeighbourCells": "neighbour_cells",
        "NeighbourClasses": "neighbour_classes",
        "osakd": "method",
    },
)
