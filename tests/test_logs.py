import logging

import pytest

from keras_hkd.logs import silenced


def test_warnings_are_held_back_and_errors_are_not(caplog):
    logger = logging.getLogger("some_package")
    with silenced("some_package"):
        logger.warning("deprecated")
        logger.error("broken")
    logger.warning("afterwards")
    assert [record.message for record in caplog.records] == ["broken", "afterwards"]


def test_the_level_comes_back_after_an_error():
    logger = logging.getLogger("some_package")
    logger.setLevel(logging.INFO)
    with pytest.raises(KeyError), silenced("some_package"):
        raise KeyError
    assert logger.level == logging.INFO
