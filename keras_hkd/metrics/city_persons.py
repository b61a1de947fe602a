"""The CityPersons protocol: the field's usual miss rate, and ours for ordinary photographs.

S. Zhang, R. Benenson, B. Schiele, CityPersons, CVPR 2017. Checked against the official code.
"""

from keras_hkd.metrics.protocols import Protocol
from keras_hkd.metrics.subsets import Subset

CITY_PERSONS = Protocol(
    name="citypersons",
    subsets=(
        Subset("reasonable", min_height_px=50, min_visibility=0.65),
        Subset("reasonable_small", min_height_px=50, max_height_px=75, min_visibility=0.65),
        Subset("heavy_occlusion", min_height_px=50, min_visibility=0.2, max_visibility=0.65),
        Subset("all", min_height_px=20, min_visibility=0.2),
    ),
)
