"""`keras-hkd detect --video`: a video, a table of people over time, clear refusals."""

import csv
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fixtures.small_videos import CAMERA, RATE, WhiteDetector, camera, videos  # noqa: F401

import keras_hkd.detectors
from keras_hkd.cli import detect_video

EVEN = [1000 * n // RATE for n in range(20)]


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A model file, whatever is in it read as a detector of what is white."""
    monkeypatch.setattr(keras_hkd.detectors, "load_detector", lambda path: WhiteDetector())
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    return path


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_video_and_people_over_time(command, tmp_path, model, videos):  # noqa: F811
    out = tmp_path / "found" / "out.mp4"
    code, printed, err = command("detect", model, "--video", videos("in.mkv", EVEN), "--out", out,
                                 "--json")  # fmt: skip
    assert code == 0, err
    summary = json.loads(printed)
    assert (summary["num_frames"], summary["most_people"]) == (20, 1)
    assert summary["frames_per_second"] > 0
    rows = rows_of(out.with_suffix(".csv"))
    assert [int(row["people"]) for row in rows] == [int(n % 5 != 4) for n in range(20)]
    assert [float(row["seconds"]) for row in rows] == [n / RATE for n in range(20)]
    with keras_hkd.inference.VideoReader(out) as reader:
        assert len(list(reader)) == 20
    assert sorted(path.name for path in out.parent.iterdir()) == ["out.csv", "out.mp4"]


def test_tracks_a_folder_and_a_limit(command, tmp_path, model, videos):  # noqa: F811
    pytest.importorskip("trackers", reason="needs keras-hkd[video]")
    words = ["--video", videos("in.mp4", EVEN), "--out", tmp_path / "f", "--no-pictures"]
    code, _, err = command("detect", "--model", model, *words, "--track", "--seconds", 1.2)
    assert code == 0, err
    rows = rows_of(tmp_path / "f" / "in.csv")
    assert len(rows) == 12
    assert rows[-1]["people_so_far"] == "1" and {row["tracks"] for row in rows} <= {"", "1"}
    assert [path.name for path in (tmp_path / "f").iterdir()] == ["in.csv"]


def test_a_pause_of_a_night_is_cut_in_an_mp4_and_said(command, tmp_path, model, videos):  # noqa: F811
    path = videos("in.mkv", [*EVEN[:5], 12 * 3_600_000, 12 * 3_600_000 + 100])
    code, _, err = command("detect", model, "--video", path, "--out", tmp_path / "out.mp4")
    assert code == 0, err
    said = " ".join(err.split())
    assert "out.mp4 leaves out 9:00:00 of a pause" in said and "holds 3:00:00 at most" in said
    assert "out.mkv" in said
    assert float(rows_of(tmp_path / "out.csv")[-1]["seconds"]) == 12 * 3600 + 0.1
    with keras_hkd.inference.VideoReader(tmp_path / "out.mp4") as reader:
        assert [round(frame.seconds, 2) for frame in reader][-2:] == [
            3 * 3600 + 0.4,
            3 * 3600 + 0.5,
        ]
    code, _, err = command("detect", model, "--video", path, "--out", tmp_path / "out.mkv")
    assert code == 0 and "leaves out" not in err
    with keras_hkd.inference.VideoReader(tmp_path / "out.mkv") as reader:
        assert [round(frame.seconds, 2) for frame in reader][-2:] == [12 * 3600, 12 * 3600 + 0.1]


def test_what_was_seen_before_ctrl_c_is_whole(command, tmp_path, model, videos, monkeypatch):  # noqa: F811
    import keras_hkd.inference.video as video

    watch = video.watch_video

    def interrupted(*given, **how):
        for number, seen in enumerate(watch(*given, **how)):
            if number == 7:
                raise KeyboardInterrupt
            yield seen

    monkeypatch.setattr(video, "watch_video", interrupted)
    out = tmp_path / "out.mp4"
    code, _, err = command("detect", model, "--video", videos("in.mp4", EVEN), "--out", out)
    assert code == 0 and "Stopped" in err
    assert len(rows_of(out.with_suffix(".csv"))) == 7
    with keras_hkd.inference.VideoReader(out) as reader:
        assert len(list(reader)) >= 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--video", "none.mp4"], "none.mp4"),
        (["--video", "a.mp4", "--webcam"], "not both"),
        (["--video", "a.mp4", "--shard", "1/2"], "a film is looked at as a whole"),
        (["--webcam", "--camera", "/dev/no_such_camera"], "Expected a camera"),
        (["a.jpg", "--track"], "go with --video"),
        (["a.jpg", "b.jpg", "--video", "a.mp4"], "no images"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_is_refused(command, tmp_path, words, message):
    code, _, err = command("detect", *words, "--out", tmp_path / "x.mp4")
    assert code == 2 and message in err.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_a_video_without_a_frame_leaves_nothing(command, tmp_path, model, videos):  # noqa: F811
    """As where all that is in it is damaged."""
    path = videos("in.avi", EVEN, codec="mpeg4")
    content = path.read_bytes()
    start = content.index(b"movi") + 4
    path.write_bytes(content[:start] + bytes(len(content) - start))
    code, _, err = command("detect", model, "--video", path, "--out", tmp_path / "found" / "o.mp4")
    assert code == 2 and "Received:" in err
    assert not list((tmp_path / "found").glob("*"))


def test_the_video_that_is_read_is_not_replaced(command, model, videos):  # noqa: F811
    path = videos("in.mp4", EVEN)
    before = path.read_bytes()
    code, _, err = command("detect", model, "--video", path, "--out", path)
    assert code == 2 and "would replace" in err.replace("\n", " ")
    assert path.read_bytes() == before


def test_a_camera_is_watched_from_its_first_frame(command, tmp_path, model, camera):  # noqa: F811
    out = tmp_path / "out.mp4"
    code, _, err = command("detect", model, "--webcam", "--seconds", 1, "--out", out)
    assert code == 0, err
    rows = rows_of(out.with_suffix(".csv"))
    assert [float(row["seconds"]) for row in rows] == [n / RATE for n in range(RATE)]
    assert {row["people"] for row in rows} == {"1"}
    with keras_hkd.inference.VideoReader(out) as reader:
        assert [frame.seconds for frame in reader] == [n / RATE for n in range(RATE)]


def test_a_camera_that_is_unplugged_ends_the_video(command, tmp_path, model, camera, monkeypatch):  # noqa: F811
    import av.error

    decoded = keras_hkd.inference.VideoReader._decoded

    def unplugged(reader):
        packets, container = reader._container.demux(reader._stream), reader._container

        class Gone:
            def demux(self, stream):
                yield from itertools.islice(packets, 6)
                raise av.error.OSError(errno.ENODEV, "No such device")

            def close(self):
                container.close()

        reader._container = Gone()
        return decoded(reader)

    monkeypatch.setattr(keras_hkd.inference.VideoReader, "_decoded", unplugged)
    code, _, err = command("detect", model, "--webcam", "--out", tmp_path)
    monkeypatch.setattr(keras_hkd.inference.VideoReader, "_decoded", decoded)
    assert code == 0 and "broke off" in err.replace("\n", " ")
    (table,), (seen,) = tmp_path.glob("webcam-*.csv"), tmp_path.glob("webcam-*.mp4")
    assert len(rows_of(table)) == 6
    with keras_hkd.inference.VideoReader(seen) as reader:
        assert len(list(reader)) == 6


@pytest.mark.parametrize("there", ["out.mp4", "out.csv"])
def test_no_recording_is_replaced(command, tmp_path, model, camera, there):  # noqa: F811
    (tmp_path / there).write_text("frame,seconds,people")
    code, _, err = command("detect", model, "--webcam", "--out", tmp_path / "out.mp4")
    assert code == 2 and "is there already" in " ".join(err.split())
    assert [path.name for path in tmp_path.iterdir() if path.stem == "out"] == [there]


@pytest.mark.parametrize("there", ["in.mp4", "in.csv"])
def test_files_of_somebody_else_beside_a_video_are_kept(command, tmp_path, model, videos, there):  # noqa: F811
    film = videos("in.mp4", EVEN[:3])
    out = tmp_path / "out"
    out.mkdir()
    (out / there).write_text("mine")
    code, _, err = command("detect", model, "--video", film, "--out", out)
    assert code == 2 and there in err and "out/in_people" in "".join(err.split())
    assert [path.read_text() for path in out.iterdir()] == ["mine"]


def test_the_same_call_again_replaces_what_it_made(command, tmp_path, model, videos):  # noqa: F811
    film = videos("in.mp4", EVEN[:3])
    for out in (tmp_path / "folder", tmp_path / "found.mp4"):
        for _ in range(2):
            code, _, err = command("detect", model, "--video", film, "--out", out)
            assert code == 0, err


def test_the_table_alone_asks_nothing_of_the_video(command, tmp_path, model, videos):  # noqa: F811
    film = videos("in.mp4", EVEN[:3])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "in.mp4").write_text("mine")
    words = ("--video", film, "--out", tmp_path / "out", "--no-pictures")
    assert command("detect", model, *words)[0] == 0


@pytest.mark.own_process
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_camera_without_a_screen(tmp_path, camera, number):  # noqa: F811
    """The signal itself, to a program that would run for ever.

    A test run that a shell began in the background ignores the signal, and so would its children.
    """
    program = (
        "import signal, sys; from keras_hkd.cli.main import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from keras_hkd.inference import video_files\n"
        f"video_files._CAMERAS[sys.platform] = ('lavfi', {CAMERA + ',realtime'!r})\n"
        f"main(['detect', 'person_atto', '--webcam', '--out', {str(tmp_path)!r}])\n"
    )
    without = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    watching = subprocess.Popen(
        [sys.executable, "-c", program], env=without, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 120
        while not any(path.stat().st_size > 1000 for path in tmp_path.glob("*webcam-*.csv*")):
            assert time.monotonic() < end and watching.poll() is None
            time.sleep(0.1)
        watching.send_signal(number)
        _, err = watching.communicate(timeout=60)
    finally:
        watching.kill()
    assert watching.returncode == 0 and "Stopped" in err
    (table,), (seen,) = tmp_path.glob("webcam-*.csv"), tmp_path.glob("webcam-*.mp4")
    rows = rows_of(table)
    assert len(rows) > 10
    with keras_hkd.inference.VideoReader(seen) as reader:
        assert len(list(reader)) >= len(rows)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.own_process
def test_a_preset_watches_without_tensorflow(tmp_path, videos):  # noqa: F811
    path = videos("in.mp4", EVEN[:3])
    program = (
        "import sys; from keras_hkd.cli.main import main\n"
        f"try: main(['detect', 'person_atto', '--video', {str(path)!r}, '--out', "
        f"{str(tmp_path / 'out.mp4')!r}])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert len(rows_of(tmp_path / "out.csv")) == 3


def test_the_table_names_what_was_measured(capsys):
    detect_video._report({"model": "m", "num_frames": 3, "video": None}, json=False)
    shown = capsys.readouterr().out
    assert "frames" in shown and "video in" not in shown
