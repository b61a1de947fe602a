"""The options that the example scripts have."""

import argparse
import pathlib

import tensorflow as tf


def arguments(docstring, *, images, test_images, epochs, smoke_images):
    """Read the options of a script.

    Args:
        docstring: of the script; its first line is the description.
        images: training images.
        test_images: images to measure on.
        epochs: passes over the training images.
        smoke_images: training and test images under `--smoke`, which makes everything tiny, to see
            that it runs.

    Returns:
        A namespace of `out`, `images`, `test_images`, `epochs`, `seed` and `smoke`.
    """
    parser = argparse.ArgumentParser(description=docstring.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, help="runs/<name of the script> by default")
    parser.add_argument("--images", type=int, default=images, help="drawn training images")
    parser.add_argument(
        "--test-images", type=int, default=test_images, help="drawn images to measure on"
    )
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--smoke", action="store_true", help="run a tiny version, to test the script"
    )
    given = parser.parse_args()
    given.out = given.out or pathlib.Path("runs") / pathlib.Path(parser.prog).stem
    if given.smoke:
        given.images, given.test_images = smoke_images
        given.epochs = 1
        tf.config.run_functions_eagerly(True)  # tracing takes longer than these few steps
    return given
