"""The letterbox in the graph is the letterbox in NumPy. Views: see test_data_pipeline."""

import numpy as np
import pytest
from PIL import Image

from keras_hkd.data.batches.letterbox import Letterbox
from keras_hkd.data.batches.views import fit_top_left


@pytest.mark.parametrize("size", [(300, 200), (425, 640), (531, 640), (64, 48), (20, 30)])
def test_graph_and_numpy_letterbox_agree(size):
    coarse = np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))
    letterbox = Letterbox.fit(size, (64, 48))
    drawn = fit_top_left(image, np.float32(letterbox.scale), (64, 48)).numpy()
    expected = letterbox.resize(image).astype(float)
    assert np.abs(drawn - expected).max() < 6
    assert np.abs(drawn - expected).mean() < 0.5
    height, width = letterbox.content_size
    assert (drawn[height:] == 114).all() and (drawn[:, width:] == 114).all()
