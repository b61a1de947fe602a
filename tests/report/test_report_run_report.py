"""The page about runs: what its sections say, and that a browser shows it and asks nobody."""

import html
import re

import numpy as np
import pytest

from keras_hkd.data import synthetic_dataset
from keras_hkd.report.detection_curves import People, miss_rate
from keras_hkd.report.findings import Findings, Measured
from keras_hkd.report.picture_sections import agreement, ranked_by_misses
from keras_hkd.report.run_records import group_runs, read_run
from keras_hkd.report.run_report import make_sections, render, write_report
from keras_hkd.training import RunFolder

SIZE = (48, 64)
TAG = re.compile(r"<[^>]+>")


def make_run(folder, seed, *, distilled, scores, history=True):
    """The folder of a finished run, without a model."""
    inputs = {"command": "train", "detector": "yolo_v8_micro"}
    if distilled:
        inputs = {"command": "distill", "student": "yolo_v8_micro", "method": "hkd"}
    run = RunFolder(folder, inputs=inputs, command=["keras-hkd", inputs["command"], str(seed)])
    run.begin(
        {
            "settings": {"seed": seed, "epochs": 2, "image_size": SIZE},
            "data_hash": "d" * 64,
            "teacher_hash": "7" * 64 if distilled else None,
            "distillation": {"student_loss_weight": 1.0} if distilled else None,
        }
    )
    cost = {"parameters": 1000, "gflops": 0.5, "latency_ms": 4.0}
    teacher = {"teacher": {"AP": 0.6, "AP50": 0.8, "MR2": 0.2, **cost}} if distilled else {}
    student = {**cost, **scores}
    run.finish({**teacher, "student": student, "measured_on": "val", "num_images": 150})
    if history:
        rows = {"loss": [2.0, 1.0], "val_AP": [0.1, scores["AP"]], "seconds": [3.0, 3.0]}
        rows |= {"pyramid_loss": [0.5, 0.25]} if distilled else {}
        rows |= {"pyramid_gradient_share": [None, 0.25]} if distilled else {}
        run.write_json("history.json", rows)
    if distilled:
        shares = {"student": 0.9, "pyramid": 0.1}
        after = {"student": 0.5, "pyramid": 0.5}
        run.write_json(
            "balance.json",
            {
                "num_batches": 8,
                "scales": {"pyramid": 9.0},
                "shares_before": shares,
                "shares_after": after,
            },
        )
    return folder


@pytest.fixture
def runs(tmp_path):
    """Two seeds of a student alone and distilled."""
    figures = {"alone": (0.20, 0.22), "distilled": (0.25, 0.31)}
    return [
        make_run(
            tmp_path / f"{name}_{seed}",
            seed,
            distilled=name == "distilled",
            scores={"AP": ap, "AP50": 2 * ap, "MR2": 1 - ap},
        )
        for name, aps in figures.items()
        for seed, ap in enumerate(aps)
    ]


def results_of(data, keep, score):
    """Perfect boxes of some of the people."""
    rows, number = [], 0
    for annotation in data:
        for box in annotation.boxes[~annotation.ignore]:
            x1, y1, x2, y2 = map(float, box)
            one = {"image_id": annotation.image_id, "category_id": 1, "score": score}
            if keep(number):
                rows.append({**one, "bbox": [x1, y1, x2 - x1, y2 - y1]})
            number += 1
    return rows


@pytest.fixture(scope="module")
def scenes():
    return synthetic_dataset(6, SIZE, seed=1)


def measured(data, keep, *, ap, score=0.9, seed=0):
    results = results_of(data, keep, score)
    generator = np.random.default_rng(seed)
    maps = {n: {"P3": generator.uniform(size=(6, 8))} for n in range(3)}
    scores = {"AP": ap, "AP50": ap, "MR2": 0.5, "AP_small": ap, "AP_medium": -1.0, "AP_large": ap}
    return Measured(People.of(data, results), miss_rate(data, results), scores, maps)


@pytest.fixture
def found(runs, scenes):
    """The teacher finds everybody, a student every second."""
    students = {
        str(run): measured(scenes, lambda n: n % 2 == 0, ap=0.5, seed=number)
        for number, run in enumerate(runs)
    }
    return Findings(scenes, students, measured(scenes, lambda n: True, ap=1.0, seed=9))


def sections_of(runs, found=None):
    groups = group_runs([read_run(run) for run in runs])
    sections = make_sections(groups, found, None if found is None else found.dataset)
    return groups, {section.id: section for section in sections}


def rows_of(section, number=0):
    tables = [block for block in section.blocks if block.kind == "table"]
    return {row[0]: list(row[1:]) for row in tables[number].rows}, list(tables[number].headings)


def test_comparison_gives_mean_deviation_and_a_paired_test(runs):
    _, sections = sections_of(runs)
    rows, headings = rows_of(sections["comparison"])
    ap = headings.index("AP") - 1
    assert rows["teacher"][ap] == "0.600"
    assert rows["student alone (2 seeds)"][ap] == "0.210 ± 0.014"
    assert rows["distilled: hkd (2 seeds)"][ap] == "0.280 ± 0.042"
    tests, _ = rows_of(sections["comparison"], 1)
    number, mean, deviation, each, p_value = tests["AP"]
    assert (number, mean, deviation, each) == ("2", "+0.0700", "0.0283", "0: +0.050, 1: +0.090")
    assert float(p_value) == pytest.approx(0.177, abs=1e-3)  # t = 3.5, one degree of freedom
    verdict = next(block.text for block in sections["comparison"].blocks if block.kind == "text")
    assert "2 of 2 seeds gain" in verdict and "may be chance" in verdict


def test_figures_of_different_images_are_not_set_side_by_side_in_silence(runs):
    _, sections = sections_of(runs)
    assert "150 images (val)" in sections["comparison"].blocks[0].caption
    for number, run in enumerate(runs):
        folder = RunFolder(run)
        folder.write_json(
            "metrics.json", {**folder.read_json("metrics.json"), "data_hash": str(number)}
        )
    _, sections = sections_of(runs)
    assert "cannot be compared" in sections["comparison"].blocks[0].caption


def test_shares_begin_as_balanced_and_go_on_between_measurements(runs):
    balance = RunFolder(runs[2]).read_json("balance.json")
    anew = {"after_epoch": 2, **balance, "scales": {"pyramid": 36.0}}
    RunFolder(runs[2]).write_json("balance.json", {**balance, "rebalanced": [anew]})
    _, sections = sections_of(runs)
    first, second, charts = sections["gradients"].blocks
    assert first.caption.endswith("measured on 8 batches before the first step.")
    assert second.caption.endswith("measured on 8 batches after epoch 2.")
    assert [list(row) for row in second.rows][1] == ["pyramid", "10.0 %", "50.0 %", "36"]
    ((_, chart),) = charts.charts
    (line,) = re.findall(r'points="([^"]+)"', str(chart))
    assert len(line.split()) == 2  # 0.5 as balanced, 0.25 after epoch 2
    assert re.findall(r"pyramid: ([\d., ]+)<", str(chart)) == ["0, 0.5", "2, 0.25"]


def test_one_seed_is_not_tested(runs):
    _, sections = sections_of([runs[0], runs[2]])
    tests, _ = rows_of(sections["comparison"], 1)
    assert tests["AP"][2] == tests["AP"][4] == "-"
    assert "One seed says nothing" in sections["comparison"].blocks[1].text


def test_what_is_missing_is_said_in_a_sentence(runs):
    _, sections = sections_of(runs[:2])
    assert "nothing to compare" in sections["comparison"].blocks[1].text
    assert "recorded no gradient shares" in sections["gradients"].absent
    for name in ("detection", "subsets", "calibration", "missed", "attention"):
        assert "--data" in sections[name].absent and not sections[name].blocks
    _, sections = sections_of(runs[2:])
    assert "No student trained alone" in sections["comparison"].blocks[1].text


def test_a_teacher_that_was_not_given_is_said(runs, found):
    without = Findings(found.dataset, found.students, None)
    _, sections = sections_of(runs, without)
    assert "--teacher" in sections["missed"].absent and "--teacher" in sections["attention"].absent
    assert sections["detection"].blocks


def test_runs_of_classifiers_have_no_boxes(tmp_path):
    run = RunFolder(tmp_path / "c", inputs={"command": "train", "classifier": "cnn_micro"})
    run.begin({"settings": {"seed": 0}})
    run.finish({"classifier": {"accuracy": 0.9}, "measured_on": "val", "num_images": 3})
    _, sections = sections_of([run.path])
    assert "classifiers" in sections["calibration"].absent
    rows, headings = rows_of(sections["comparison"])
    assert headings == ["", "accuracy"] and rows["student alone (1 seed)"] == ["0.900"]


def test_a_run_that_is_not_finished_is_shown_as_such(tmp_path):
    run = RunFolder(tmp_path / "r", inputs={"command": "train", "detector": "yolo_v8_micro"})
    run.begin({"settings": {"seed": 0}})
    _, sections = sections_of([run.path])
    assert "came to its end" in sections["comparison"].absent
    assert "no history" in sections["curves"].absent
    assert sections["provenance"].blocks[1].rows[0][1] == "running"


def test_a_run_that_is_not_finished_is_named_beside_those_that_are(runs):
    for number in (1, 3):  # killed while they are made longer
        record = read_run(runs[number])
        longer = {"settings": {**record.settings, "epochs": 4}}
        RunFolder(runs[number], inputs=record.inputs).begin(longer, resume=True)
    _, sections = sections_of(runs)
    rows, _ = rows_of(sections["comparison"])
    names = ["teacher", "student alone (alone_0) (1 seed)", "distilled: hkd (distilled_0) (1 seed)"]
    assert list(rows) == names
    texts = [block.text for block in sections["comparison"].blocks if block.kind == "text"]
    assert "Not finished, so without figures: alone_1, distilled_1." in texts


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [((5, 2), "AP50 by visible share"), ((7, 0), "all 7 people are 90 to 100 % visible")],
)
def test_occlusion_is_shown_where_some_are_occluded(numbers, shown, runs, found, monkeypatch):
    names = ("90 to 100 % visible", "0 to 65 % visible")
    rows = [(name, number, 0.5) for name, number in zip(names, numbers, strict=True)]
    monkeypatch.setattr(People, "by_visibility", lambda people: rows)
    _, sections = sections_of(runs, found)
    last = sections["subsets"].blocks[-1]
    assert shown in (last.caption if last.kind == "table" else last.text)


def test_terms_of_the_student_are_told_from_those_of_the_teacher(runs):
    folder = RunFolder(runs[2])
    folder.write_json("history.json", {**folder.read_json("history.json"), "box_loss": [2.0, 1.0]})
    _, sections = sections_of(runs)
    legends = [str(block.legend) for block in sections["curves"].blocks if block.kind == "charts"]
    assert "box (the student&#39;s own)" in legends[1] and ">pyramid<" in legends[1]


def test_who_is_missed_is_counted_and_drawn(runs, found):
    boxes = np.concatenate([one.boxes[~one.ignore] for one in found.dataset])
    people = len(boxes)
    _, sections = sections_of(runs, found)
    rows, headings = rows_of(sections["missed"])
    assert headings[1:] == ["both find", "teacher only", "student only", "neither"]
    half = (people + 1) // 2
    for row in rows.values():
        assert row == [str(half), str(people - half), "0", "0"]
    gallery = next(block for block in sections["missed"].blocks if block.kind == "pictures")
    marks = [mark for shot in gallery.shots for mark in shot.marks]
    assert sum(mark.style == "only-teacher" for mark in marks) == people - half
    missed = next(mark for mark in marks if mark.style == "only-teacher")
    sides = [(x1, y1, x2 - x1, y2 - y1) for x1, y1, x2, y2 in boxes]
    assert any(np.allclose(missed.box, side) for side in sides)
    assert gallery.shots[0].size == SIZE[::-1]


def test_pictures_with_most_missed_people_come_first(found):
    student = next(iter(found.students.values())).people
    order = ranked_by_misses(found, student)
    taught = found.teacher.people.found_from(0.0) & ~student.found_from(0.0)
    numbers = [int(taught[student.truth.image_index == place].sum()) for place in order]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] > 0


def test_agreement_of_attention():
    one = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert agreement(one, 3 * one) == pytest.approx(1.0)
    assert agreement(one, one[::-1]) == pytest.approx(0.0)
    assert agreement(one, np.kron(one, np.ones((2, 2)))) == pytest.approx(1.0)


def test_the_page_holds_everything_and_escapes_what_users_wrote(runs, found, tmp_path):
    folder = tmp_path / "<script>x"
    make_run(folder, 2, distilled=False, scores={"AP": 0.2})
    groups, sections = sections_of([*runs, folder], found)
    page = render("A & <b>", groups, list(sections.values()))
    assert "<script" not in page and "<title>A &amp; &lt;b&gt;</title>" in page
    words = html.unescape(TAG.sub(" ", page))
    assert "0.500" in words and "keras-hkd distill 0" in words and "d" * 64 in words
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses and all(one.startswith(("data:", "#")) for one in addresses)
    assert not re.search(r"@import|url\(", page)


def test_writing_a_report_of_what_runs_recorded(runs, tmp_path):
    written = write_report(runs, tmp_path / "new" / "report.html", title="Mine")
    assert written["Comparison"] == written["Training curves"] == "written"
    assert "--data" in written["Calibration"]
    page = (tmp_path / "new" / "report.html").read_text("utf-8")
    assert "<h1>Mine</h1>" in page
    assert page.count("which the folders of runs do not hold") == 1  # of all sections that lack it
    assert "Calibration; What the student misses" in page
    with pytest.raises(FileNotFoundError, match="holds no run"):
        write_report([tmp_path / "nothing"], tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_a_browser_shows_it_and_asks_nobody(runs, found, tmp_path, chromium, colours):
    groups, sections = sections_of(runs, found)
    page = tmp_path / "report.html"
    page.write_text(render("Report", groups, list(sections.values())), "utf-8")
    chromium.emulate(colours=colours)
    chromium.open(page)
    assert chromium.console() == []
    assert chromium.requests() == [page.as_uri()]
    widths = chromium.run("return [...document.images].map(one => one.naturalWidth)")
    assert len(widths) > 6 and min(widths) > 0
    charts = chromium.run(
        "return [...document.querySelectorAll('svg.chart')].map(one => one.clientWidth)"
    )
    assert len(charts) >= 6 and min(charts) > 200
    # Text must stand out from the paper, and lines from it as well, in both modes.
    paper, ink, line = chromium.run(
        "const of = (e, p) => getComputedStyle(e)[p];"
        "return [of(document.body, 'backgroundColor'),"
        " of(document.querySelector('.chart text'), 'fill'),"
        " of(document.querySelector('.line.s1'), 'stroke')]"
    )
    assert contrast(paper, ink) > 7 and contrast(paper, line) > 3
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert chromium.run(overflow) <= 0


def test_it_is_printed_dark_on_white_even_in_dark_mode(runs, tmp_path, chromium):
    page = tmp_path / "report.html"
    write_report(runs, page)
    chromium.emulate(media="print", colours="dark")
    chromium.open(page)
    paper, ink = chromium.run(
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.chart text')).fill]"
    )
    assert contrast(paper, ink) > 15
    assert chromium.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
    chromium.emulate()


def contrast(one, other):
    """The ratio of the Web Content Accessibility Guidelines."""

    def luminance(colour):
        parts = np.array(re.findall(r"\d+", colour)[:3], float) / 255
        linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
