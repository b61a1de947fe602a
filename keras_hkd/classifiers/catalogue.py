"""The named classifiers; loads without Keras.

A builder is a function `(num_classes) -> keras.Model` of a module of this package, from images to
logits, decorated with `@builder(about=...)`.
"""

import os

from keras_hkd.named_builders import builders_of

CATALOGUE = builders_of(__package__, os.path.dirname(__file__), "*.py")
"""Name of a classifier -> its `Builder`."""
