"""Charts are well-formed SVG whose points lie where the numbers say."""

from xml.etree import ElementTree

import pytest

from keras_hkd.report.svg_charts import HEIGHT, WIDTH, Axis, Series, bar_chart, legend, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def points_of(chart):
    root = ElementTree.fromstring(chart)
    lines = [one.get("points") for one in root.iter(f"{SVG}polyline")]
    return [[tuple(map(float, pair.split(","))) for pair in line.split()] for line in lines]


def test_points_are_laid_out_by_the_axes():
    series = [Series("a", [(0, 0.0), (5, 0.5), (10, 1.0)])]
    (line,) = points_of(line_chart("t", series, Axis("x", 0, 10), Axis("y", 0, 1)))
    (x0, y0), (x1, y1), (x2, y2) = line
    assert 0 < x0 < x1 < x2 < WIDTH and HEIGHT > y0 > y1 > y2 > 0
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)


def test_decades_of_a_logarithmic_axis_are_as_wide_as_one_another():
    series = [Series("a", [(0.01, 1), (0.1, 1), (1, 1), (0, 5)])]
    (line,) = points_of(line_chart("t", series, Axis("x", log=True), Axis("y")))
    assert len(line) == 3  # 0 has no logarithm
    (x0, _), (x1, _), (x2, _) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)


def test_a_line_is_cut_where_a_value_is_missing_and_single_points_are_marked():
    points = [(1, 1.0), (2, 2.0), (3, None), (4, float("nan")), (5, 1.0)]
    chart = line_chart("t", [Series("a", points)], Axis("x"), Axis("y"))
    assert [len(line) for line in points_of(chart)] == [2]
    marks = list(ElementTree.fromstring(chart).iter(f"{SVG}circle"))
    assert len(marks) == 1


def test_names_are_escaped_and_colours_are_classes():
    name = 'a <b> & "c"'
    chart = line_chart(name, [Series(name, [(0, 1.0), (1, 2.0)], "s3")], Axis(name), Axis("y"))
    root = ElementTree.fromstring(chart)
    assert root.get("aria-label") == name
    assert next(root.iter(f"{SVG}polyline")).get("class") == "line s3"
    assert not any("#" in str(one.attrib) for one in root.iter())
    assert "&lt;b&gt;" in legend([("s0", name)])


@pytest.mark.parametrize("points", [[], [(1, None)], [(1, float("inf"))]])
def test_nothing_to_draw_is_no_chart(points):
    assert line_chart("t", [Series("a", points)], Axis("x"), Axis("y")) == ""
    assert (
        bar_chart("t", ["a"], [("b", "s0", [value for _, value in points] or [None])], Axis("y"))
        == ""
    )


def test_one_value_alone_is_drawn():
    for value in (0.0, -3.0, 1e9):
        for axis in (Axis("x"), Axis("x", whole=True), Axis("x", log=True)):
            chart = line_chart("t", [Series("a", [(1, value), (1, value)])], axis, Axis("y"))
            ElementTree.fromstring(chart)


def test_bars_are_as_high_as_their_values():
    chart = bar_chart(
        "t", ["small", "large"], [("a", "s0", [0.2, 0.4]), ("b", "s1", [None, 0.1])], Axis("AP")
    )
    heights = [float(r.get("height")) for r in ElementTree.fromstring(chart).iter(f"{SVG}rect")]
    assert len(heights) == 3
    assert max(heights) / min(heights) == pytest.approx(4, rel=0.02)


def test_ticks_are_round_numbers_within_the_axis():
    chart = line_chart("t", [Series("a", [(1, 0.2), (4, 0.9)])], Axis("x", whole=True), Axis("y"))
    texts = [one.text for one in ElementTree.fromstring(chart).iter(f"{SVG}text")]
    assert {"1", "2", "3", "4"} <= set(texts)
    assert {"0.2", "0.4", "0.6", "0.8"} <= set(texts)
