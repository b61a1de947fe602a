import json
import pathlib

import numpy as np

from keras_hkd.cli import console


def test_json_is_one_object_on_standard_output(capsys):
    values = {
        "AP": np.float64(0.25),
        "precision": np.arange(3),
        "missing": float("nan"),
        "worst": [np.float32("inf"), 1],
        "file": pathlib.Path("a/b"),
        "by_level": {3: True, "none": None},
        "name": "perçon",
    }
    console.print_json(values)
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out) == {
        "AP": 0.25,
        "precision": [0, 1, 2],
        "missing": None,
        "worst": [None, 1],
        "file": "a/b",
        "by_level": {"3": True, "none": None},
        "name": "perçon",
    }


def test_a_path_with_colons_stays_as_it_is(capsys):
    for stream in (console.messages(), console.figures()):
        stream.print("photos:train: is no folder", markup=False)
    said = capsys.readouterr()
    assert said.out == said.err == "photos:train: is no folder\n"


def test_messages_go_to_the_error_stream_of_the_moment(capsys):
    console.messages().print("loading")
    console.figures().print("AP 0.5")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("AP 0.5\n", "loading\n")
