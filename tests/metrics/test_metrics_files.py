import gzip
import json

import pytest

from keras_hkd.metrics.files import read_detections, read_ground_truth
from keras_hkd.metrics.ground_truth import as_ground_truth

CONTENT = {
    "images": [{"id": 0}, {"id": 1}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 30]}],
}
TRUTH = as_ground_truth(CONTENT)
RESULT = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 30], "score": 0.5}


def write(path, text):
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_json(tmp_path, name):
    path = write(tmp_path / name, json.dumps(CONTENT))
    assert read_ground_truth(path).boxes.tolist() == [[1, 2, 10, 30]]
    path = write(tmp_path / f"found_{name}", json.dumps([RESULT]))
    assert read_detections(str(path), TRUTH).scores.tolist() == [0.5]


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_number_the_images_from_one(tmp_path, name):
    path = write(tmp_path / name, "2,1,2,10,30,0.5\n\n1,1,2,10,30,0.25\n")
    found = read_detections(path, TRUTH)
    assert found.image_index.tolist() == [1, 0]
    assert found.boxes.tolist() == [[1, 2, 10, 30]] * 2
    assert found.scores.tolist() == [0.5, 0.25]


def test_empty_text(tmp_path):
    assert len(read_detections(write(tmp_path / "a.txt", ""), TRUTH)) == 0


@pytest.mark.parametrize(
    "line", ["3,1,2,10,30,0.5", "1,1,2,10", "a,b", "1.5,1,2,3,4,5", "nan,1,2,3,4,5"]
)
def test_bad_lines_are_named(tmp_path, line):
    path = write(tmp_path / "a.txt", f"1,1,2,10,30,0.5\n{line}\n")
    with pytest.raises(ValueError, match=r"a\.txt: line 2 must be"):
        read_detections(path, TRUTH)
    found = read_detections(path, TRUTH, on_bad_data="skip")
    assert len(found) == 1
    assert [one.record for one in found.skipped] == ["line 2"]


def test_text_without_a_good_line_is_bad_however_it_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt: line 1 must be"):
        read_detections(write(tmp_path / "a.txt", "a,b\n"), TRUTH, on_bad_data="skip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected valid JSON"),
        (b"{", "expected valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff\xfe\x00", "expected a readable UTF-8 text file"),
        (b"\x1f\x8bbroken", "expected a readable"),
        (gzip.compress(b"[1, 2, 3]" * 100, mtime=0)[:-9], "expected a readable"),
        (b"3", "(expected a COCO object|a JSON number)"),
        (b"null", "(expected a COCO object|a JSON null)"),
    ],
)
def test_files_of_another_kind(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.json: .*{message}"):
        read_ground_truth(path)
    with pytest.raises(ValueError, match=rf"bad\.json: .*{message}"):
        read_detections(path, TRUTH)


def test_swapped_files(tmp_path):
    truth = write(tmp_path / "truth.json", json.dumps(CONTENT))
    found = write(tmp_path / "found.json", json.dumps([RESULT]))
    with pytest.raises(ValueError, match=r"found\.json: .*expected a COCO object"):
        read_ground_truth(found)
    with pytest.raises(ValueError, match=r"truth\.json: detections must be a JSON list"):
        read_detections(truth, TRUTH)


def test_bad_records_name_the_file(tmp_path):
    path = write(tmp_path / "found.json", json.dumps([{**RESULT, "image_id": 5}]))
    with pytest.raises(ValueError, match=r"found\.json: detection number 1"):
        read_detections(path, TRUTH)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_ground_truth(tmp_path / "nowhere.json")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_detections(tmp_path, TRUTH)
