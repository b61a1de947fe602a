"""The Caltech protocol. Unverified: no reference scores were at hand to check it with.

P. Dollar, C. Wojek, B. Schiele, P. Perona, Pedestrian Detection: An Evaluation of the State of the
Art, TPAMI 2012. It follows the rules of the authors' MATLAB code: boxes brought to one aspect
ratio, people near the image's edge ignored, miss rate 1 below the curve.
"""

from keras_hkd.metrics.protocols import Protocol
from keras_hkd.metrics.subsets import Subset

CALTECH = Protocol(
    name="caltech",
    subsets=(
        Subset("reasonable", min_height_px=50, min_visibility=0.65),
        Subset("heavy_occlusion", min_height_px=50, min_visibility=0.2, max_visibility=0.65),
        Subset("all", min_height_px=20, min_visibility=0.2),
    ),
    references=tuple(10.0 ** (-2 + 0.25 * step) for step in range(9)),
    max_detections=None,
    image_bounds=(5, 5, 635, 475),
    below_the_curve="one",
    min_miss_rate=1e-10,
    aspect_ratio=0.41,
    include_max_height=False,
    verified=False,
)
