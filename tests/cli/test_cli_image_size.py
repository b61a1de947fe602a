import pytest

from keras_hkd.cli.image_size import parse_image_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, None), ("320", (320, 320)), ("384x640", (384, 640)), ("384X640", (384, 640))],
)
def test_sizes(text, expected):
    assert parse_image_size(text) == expected


@pytest.mark.parametrize("text", ["", "x", "16", "320x", "320x16", "1x2x3", "-320", "large", "3e2"])
def test_other_texts(text):
    with pytest.raises(ValueError, match="--image-size.*Received"):
        parse_image_size(text)
