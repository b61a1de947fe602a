"""MATLAB files, against SciPy as the independent reader and writer."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from keras_hkd.data.formats.mat_files import MatFileError, read_mat


def cells(*values):
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def written(compress=False, **variables):
    buffer = io.BytesIO()
    savemat(buffer, variables, do_compression=compress)
    return buffer.getvalue()


NUMBERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float64")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [*NUMBERS, "float32"])
def test_reads_what_scipy_writes(tmp_path, dtype, compress):
    numbers = np.arange(24).reshape(2, 3, 4).astype(dtype)
    content = {"name": "stra\u00dfe.png", "boxes": numbers, "none": np.zeros((0, 4))}
    (tmp_path / "a.mat").write_bytes(written(compress, anno=cells(content, "x", 5), b=numbers[0]))
    result = read_mat(tmp_path / "a.mat")
    first, second, third = result["anno"]
    assert set(first) == {"name", "boxes", "none"} and first["name"] == content["name"]
    np.testing.assert_array_equal(first["boxes"], numbers)
    assert first["none"].shape == (0, 4)
    assert second == "x" and third.item() == 5
    np.testing.assert_array_equal(result["b"], numbers[0])


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    whole = written(anno=cells(1, 2))
    packed = bytearray(written(compress=True, anno=cells(1, 2)))
    packed[-20] ^= 255
    hdf5 = whole[:124] + b"\x00\x02IM" + whole[128:]
    for content in (b"", b"MATLAB", whole[:-8], whole[:131], bytes(packed), hdf5):
        path.write_bytes(content)
        with pytest.raises(MatFileError):
            read_mat(path)
    path.write_bytes(written(anno=cells(1 + 2j)))
    with pytest.raises(MatFileError, match="is not read"):
        read_mat(path)


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_of_structures(tmp_path, compress):
    """Structures of one array come column by column, as its cells do."""
    array = np.empty((2, 2), [("name", object), ("size", object)])
    for row, column in np.ndindex(2, 2):
        array[row, column] = (f"{row}{column}", np.array([[row, column]]))
    path = tmp_path / "a.mat"
    path.write_bytes(written(compress, many=array, one=array[:1, :1], none=array[:0, :0]))
    found = read_mat(path)
    assert [one["name"] for one in found["many"]] == ["00", "10", "01", "11"]
    assert [one["size"].tolist() for one in found["many"]] == [
        [[0, 0]],
        [[1, 0]],
        [[0, 1]],
        [[1, 1]],
    ]
    assert found["one"]["name"] == "00" and found["none"] == []


WHOLE = written(anno=cells({"im_name": "a.png", "bbs": np.arange(20.0).reshape(2, 10)}, "text"))


@settings(max_examples=300)
@given(data=st.data())
def test_damaged_files_are_read_or_refused(data, tmp_path_factory):
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        stop = start + data.draw(st.integers(0, 9))
        content[start:stop] = data.draw(st.binary(max_size=9))
    path = tmp_path_factory.mktemp("mat") / "a.mat"
    path.write_bytes(content)
    try:
        assert all(isinstance(name, str) for name in read_mat(path))
    except MatFileError:
        pass


def test_the_real_files_agree_with_scipy(shared_dir):
    file = shared_dir / "data" / "metric_check" / "citypersons" / "anno_val.mat"
    expected = loadmat(file)["anno_val_aligned"]
    (mine,) = read_mat(file).values()
    assert len(mine) == expected.size == 500
    for one, cell in zip(mine, expected[0], strict=True):
        assert one["im_name"] == cell["im_name"].item().item()
        np.testing.assert_array_equal(one["bbs"], cell["bbs"].item())
