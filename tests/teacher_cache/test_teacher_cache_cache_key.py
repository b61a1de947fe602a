import pytest

from keras_hkd.teacher_cache.cache_key import CacheError, require_key

KEY = {"teacher_hash": "a" * 64, "image_size": [64, 64], "views": None}


def test_equal_keys_pass_and_what_is_not_asked_is_not_compared():
    require_key(KEY, KEY, "cache")
    require_key(KEY, {"image_size": [64, 64]}, "cache")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"teacher_hash": "b" * 64}, "another teacher.*teacher's hash was.*aaa.*bbb"),
        ({"teacher_hash": "a" * 64, "views": {"count": 2}}, "another pipeline.*stored views"),
    ],
)
def test_differences_are_named(asked, message):
    with pytest.raises(CacheError, match=message):
        require_key(KEY, asked, "cache")
