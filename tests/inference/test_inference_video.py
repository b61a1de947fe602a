"""Videos: frames and their times in and out, damaged files, people over time."""

import sys

import numpy as np
import pytest
from fixtures.small_videos import RATE, SIZE, WhiteDetector, scene, videos  # noqa: F401

from keras_hkd.inference import Tracker, VideoReader, VideoWriter, watch_video
from keras_hkd.inference.video_files import Frame

EVEN = [1000 * n // RATE for n in range(20)]
UNEVEN = [0, 40, 400, 410, 900, 2500, 2540, 6000]


def times(path):
    with VideoReader(path) as reader:
        return [frame.seconds for frame in reader]


def test_frames_are_read_in_order_with_their_pixels(videos):  # noqa: F811
    with VideoReader(videos("even.mp4", EVEN)) as reader:
        assert (reader.rate, reader.num_frames, reader.num_damaged) == (RATE, 20, 0)
        for number, frame in enumerate(reader):
            assert frame.number == number
            assert np.abs(frame.pixels.astype(int) - scene(number)).mean() < 6
    assert number == 19


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_uneven_times_are_kept_from_file_to_file(videos, tmp_path, name):  # noqa: F811
    source = videos(name, UNEVEN)
    np.testing.assert_allclose(times(source), np.array(UNEVEN) / 1000, atol=0.0015)
    with VideoReader(source) as reader:
        writer = VideoWriter(tmp_path / f"copy_{name}", reader.rate)
        for frame in reader:
            writer.write(frame.pixels, frame.seconds)
        writer.close()
    np.testing.assert_allclose(times(tmp_path / f"copy_{name}"), times(source), atol=0.0015)


def test_hours_are_kept(tmp_path):
    """Thirty hours with a picture every ten minutes: more ticks than 32 bits hold."""
    hours = [600.0 * n for n in range(180)]
    for name in ("day.mp4", "day.mkv"):
        writer = VideoWriter(tmp_path / name, RATE)
        for number, seconds in enumerate(hours):
            writer.write(scene(number), seconds)
        writer.close()
        np.testing.assert_allclose(times(tmp_path / name), hours, atol=0.0015)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi"])
def test_pauses_of_hours_are_kept_or_cut_and_counted(tmp_path, suffix):
    """FFmpeg would break off with an error where a file cannot hold a pause."""
    starts = [0, *(30 * 3600 * n for n in range(1, 8)), 210 * 3600 + 1]
    read = [start + n / RATE for start in starts for n in range(4 if start % 5 else 1)]
    writer = VideoWriter(tmp_path / f"pauses{suffix}", RATE)
    for number, seconds in enumerate(read):
        writer.write(scene(number), seconds)
    writer.close()
    expected = np.array(read)
    if writer.longest_pause_s is not None:
        pauses = np.diff(read, prepend=0)
        expected = np.minimum(pauses, writer.longest_pause_s).cumsum()
    assert writer.num_cut == (0 if suffix in (".mkv", ".webm") else 7)
    assert writer.cut_s == pytest.approx(read[-1] - expected[-1])
    np.testing.assert_allclose(times(tmp_path / f"pauses{suffix}"), expected, atol=0.0015)


def test_an_avi_has_frames_at_one_distance(tmp_path):
    """Each at the nearest free place; its pictures are not those of 200 kbit/s."""
    uneven = [0, 0.1, 0.13, 0.16, 0.4, 0.5, 2.52]
    writer = VideoWriter(tmp_path / "uneven.avi", RATE)
    for number, seconds in enumerate(uneven):
        writer.write(scene(number), seconds)
    writer.close()
    with VideoReader(tmp_path / "uneven.avi") as reader:
        assert reader.rate == RATE
        found = {frame.seconds: frame.pixels for frame in reader}
    np.testing.assert_allclose(list(found), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 2.5])
    for number, pixels in enumerate(found.values()):
        assert np.abs(pixels.astype(int) - scene(number)).mean() < 6


def test_h264_in_an_avi_begins_at_0(videos):  # noqa: F811
    """FFmpeg guesses that it is shown a frame after it is decoded."""
    np.testing.assert_allclose(
        times(videos("in.avi", EVEN, options={"bf": "0"}))[:5], np.arange(5) / RATE
    )


def test_where_ffmpeg_has_no_h264_mpeg4_is_written(tmp_path, monkeypatch):
    from keras_hkd.inference import video_files

    monkeypatch.setattr(video_files, "_codec_for", lambda suffix, available: "mpeg4")
    writer = VideoWriter(tmp_path / "out.mp4", RATE)
    for number, time in enumerate(UNEVEN):
        writer.write(scene(number), time / 1000)
    writer.close()
    np.testing.assert_allclose(times(tmp_path / "out.mp4"), np.array(UNEVEN) / 1000, atol=0.0015)


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_rate_that_is_that_of_a_clock_is_written(tmp_path, suffix):
    """Some files announce the ticks of their clock, which VP9 refuses."""
    writer = VideoWriter(tmp_path / f"out{suffix}", 90_000)
    for number in range(4):
        writer.write(scene(number), number / RATE)
    writer.close()
    np.testing.assert_allclose(times(tmp_path / f"out{suffix}"), np.arange(4) / RATE, atol=0.0015)


def test_hundreds_of_frames_are_not_held():
    """Of a very long video a few frames are in memory at a time."""
    alive, most = 0, 0

    class Pixels(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= self.base is not None

    def frames():
        nonlocal alive, most
        for number in range(300):
            pixels = scene(number, (48, 64)).view(Pixels)
            alive += 1
            most = max(most, alive)
            yield Frame(number, number / RATE, pixels)

    detector = WhiteDetector()
    detector.image_size = (48, 64)
    written = []
    watched = watch_video(detector, frames(), write=lambda _, seconds: written.append(seconds))
    assert sum(1 for _ in watched) == len(written) == 300
    assert 0 < most < 40


@pytest.mark.parametrize("start", [0, 5000])
def test_times_count_from_the_beginning(videos, tmp_path, start):  # noqa: F811
    """Streams of broadcasters and cameras begin at any time."""
    path = videos("late.ts", [1000 * start + time for time in UNEVEN])
    found = times(path)
    np.testing.assert_allclose(found, np.array(UNEVEN) / 1000, atol=0.0015)


def test_a_size_of_odd_numbers_is_written_with_a_row_more(tmp_path, videos):  # noqa: F811
    writer = VideoWriter(tmp_path / "odd.mp4", RATE)
    for number in range(4):
        writer.write(scene(number, (95, 127)), number / RATE)
    writer.close()
    with VideoReader(tmp_path / "odd.mp4") as reader:
        assert {frame.pixels.shape for frame in reader} == {(96, 128, 3)}


def test_a_file_that_was_cut_off_ends_where_it_ends(videos):  # noqa: F811
    whole = videos("whole.mkv", [100 * n for n in range(60)])
    content = whole.read_bytes()
    cut = whole.with_name("cut.mkv")
    cut.write_bytes(content[: len(content) * 2 // 3])
    found = times(cut)
    assert 5 < len(found) < 60
    # Frames that others were predicted from come first: the last ones may have gaps.
    assert found == sorted(set(found)) and set(found) <= set(times(whole))
    assert found[:-4] == times(whole)[: len(found) - 4]


def test_damage_in_the_middle_costs_frames_and_no_more(videos):  # noqa: F811
    path = videos("whole.avi", EVEN, codec="mpeg4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = bytes(300)
    path.write_bytes(content)
    with VideoReader(path) as reader:
        seconds = [frame.seconds for frame in reader]
    assert len(seconds) >= 10
    assert (np.diff(seconds) > 0).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "which is empty"), (b"no video at all" * 50, "video file .* that FFmpeg can open")],
)
def test_what_is_no_video_is_refused(tmp_path, videos, content, message):  # noqa: F811
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        VideoReader(path)


def test_an_unknown_kind_of_camera_is_refused(videos):  # noqa: F811
    with pytest.raises(ValueError, match="Expected a camera.*Received: 'front door'"):
        VideoReader("front door", camera="no_such_kind")


def test_missing_index_missing_file_and_other_suffix_are_refused(tmp_path, videos):  # noqa: F811
    whole = videos("whole.mp4", EVEN)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ValueError, match="cut off"):
        VideoReader(cut)
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        VideoReader(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match=r"\.mp4.*Received: .*out\.gif"):
        VideoWriter(tmp_path / "out.gif", RATE)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setitem(sys.modules, "trackers", None)
    with pytest.raises(ImportError, match=r"keras-hkd\[video\]"):
        VideoReader(tmp_path / "any.mp4")
    with pytest.raises(ImportError, match=r"keras-hkd\[video\]"):
        Tracker(RATE, 0.3)


def test_people_are_found_where_they_walk_and_drawn(videos):  # noqa: F811
    drawn = []
    with VideoReader(videos("walk.mp4", EVEN)) as reader:
        seen = list(watch_video(WhiteDetector(), reader, write=lambda *one: drawn.append(one)))
    assert [one.people for one in seen] == [int(n % 5 != 4) for n in range(20)]
    np.testing.assert_allclose([one.seconds for one in seen], np.arange(20) / RATE)
    assert all(one.tracks is None for one in seen)
    for number, one in enumerate(seen):
        if one.people:
            left = 10 + 4 * number
            np.testing.assert_allclose(one.found["boxes"][0], [left, 30, left + 16, 70], atol=3)
            pixels, seconds = drawn[number]
            assert seconds == one.seconds and pixels.shape == (*SIZE, 3)
            assert (pixels == (255, 77, 77)).all(axis=-1).sum() > 60  # the lines of the box


def test_of_many_classes_people_are_counted(videos):  # noqa: F811
    detector = WhiteDetector()
    for names, expected in ((("dog",), 1), (("dog", "person"), 0), (("Pedestrian", "dog"), 1)):
        detector.class_names = names
        with VideoReader(videos("walk.mp4", EVEN[:2])) as reader:
            assert [one.people for one in watch_video(detector, reader)] == [expected] * 2


def test_who_is_followed_keeps_a_number(videos):  # noqa: F811
    pytest.importorskip("trackers", reason="needs keras-hkd[video]")
    with VideoReader(videos("walk.mp4", EVEN)) as reader:
        tracker = Tracker(reader.rate, 0.3)
        seen = list(watch_video(WhiteDetector(), reader, tracker=tracker))
    numbers = {number for one in seen for number in one.tracks}
    assert len(numbers) == 1 and seen[-1].people_so_far == 1
    assert sum(len(one.tracks) for one in seen) >= 13  # of 16 frames with somebody
    assert all(len(one.tracks) == one.people for one in seen)
