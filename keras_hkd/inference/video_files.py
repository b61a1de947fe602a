"""Reads and writes videos frame by frame, with their timestamps, through PyAV (FFmpeg)."""

from __future__ import annotations

import dataclasses
import fractions
import os
import pathlib
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np

from keras_hkd.errors import InvalidValueError, MissingFileError, MissingPackageError

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".webm", ".avi")
"""Files that can be written."""

_TICKS_PER_S = 30_000  # whole ticks a frame at the usual rates; MPEG-4 takes 65,535 at most
_USUAL_RATE = 30.0
_HIGHEST_RATE = 240  # some files announce the ticks of their clock
_MPEG4_BITS_PER_PIXEL = 0.2
# In ticks. Of an .mp4 FFmpeg counts 2**31 of them between decoding a frame and showing it, which
# can be several pauses; .avi has frames at one distance, and FFmpeg leaves out 60,000 at most.
_LONGEST_PAUSES = {".mp4": 3 * 3600 * _TICKS_PER_S, ".mov": 3 * 3600 * _TICKS_PER_S, ".avi": 50_000}
_CAMERAS = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0")}


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a video.

    Args:
        number: from 0, of the frames that could be decoded.
        seconds: when it is shown, as the file says.
        pixels: uint8 `(height, width, 3)` RGB, upright.
    """

    number: int
    seconds: float
    pixels: np.ndarray


class VideoReader:
    """Iterates over the frames of a video file or a camera, holding one at a time.

    Frames come with the timestamps of the file, also where these are not evenly spaced, counted
    from its beginning, or from the first frame of a camera and of an `.avi`; where a timestamp is
    missing or does not grow, the usual distance is added. Packets that cannot be decoded are left
    out and counted; a file that was cut off ends where it ends.

    Args:
        source: a file; or the name of a camera, with `camera`.
        camera: FFmpeg's name of the kind of camera, such as "v4l2"; None for a file.

    Attributes:
        rate: frames per second, on average, as the file says; 30 where it does not.
        num_frames: frames that the file announces, or None.
        num_damaged: packets that could not be decoded so far.
        broke_off: whether it ended before its end: the file was cut off, the camera taken away.

    Raises:
        ImportError: PyAV is not installed.
        FileNotFoundError: no such file.
        ValueError: it is empty, no video, or damaged beyond reading.
    """

    def __init__(self, source: str | os.PathLike, camera: str | None = None) -> None:
        av = _pyav()
        self.name = os.fspath(source)
        if camera is None:
            _require_content(pathlib.Path(source))
        try:
            self._container = av.open(self.name, format=camera)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            what = (
                f"camera{_cameras()}"
                if camera
                else "video file (or it was cut off: its index is missing)"
            )
            raise InvalidValueError(
                f"Expected a {what} that FFmpeg can open. Received: {self.name!r} ({error})"
            ) from error
        if not self._container.streams.video:
            self._container.close()
            raise InvalidValueError(
                f"Expected a file with moving pictures. Received: {self.name!r}, which has none"
            )
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self.rate = float(self._stream.average_rate or _USUAL_RATE)
        self.num_frames = self._announced()
        self.num_damaged = 0
        self.broke_off = False
        # A camera's clock begins anywhere, such as when the machine was started. Files of .avi tell
        # no times; FFmpeg guesses them, of H.264 a frame too late.
        unknown = camera or self._container.format.name == "avi"
        start_us = None if unknown else self._container.start_time or 0
        self._start_s = None if start_us is None else start_us / 1e6

    @classmethod
    def webcam(cls, device: str | None = None) -> VideoReader:
        """Open a camera: the first of this machine, or the one that is named."""
        kind, first = _CAMERAS.get(sys.platform, ("dshow", "video=0"))
        return cls(device or first, camera=kind)

    def __iter__(self) -> Iterator[Frame]:
        last, number = None, 0
        size: tuple[int, int] | None = None
        for frame in self._decoded():
            seconds = self._since_start(frame.time)
            if seconds is None or (last is not None and seconds <= last):
                seconds = 0.0 if last is None else last + 1 / self.rate
            pixels = _upright(frame)
            if size is None:
                size = pixels.shape[:2]
            elif pixels.shape[:2] != size:  # a stream may change its size
                pixels = _resized(pixels, size)
            yield Frame(number, float(seconds), pixels)
            last, number = seconds, number + 1

    def close(self) -> None:
        """Close the file or the camera."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _decoded(self) -> Iterator[Any]:
        av = _pyav()
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError:  # the file was cut off, or the camera taken away
                self.broke_off = True
                return
            try:
                yield from packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.num_damaged += 1

    def _since_start(self, seconds: float | None) -> float | None:
        if seconds is None:
            return None
        if self._start_s is None:
            self._start_s = seconds
        return max(0.0, float(seconds) - self._start_s)

    def _announced(self) -> int | None:
        """How many frames there should be, from the index or from the duration."""
        if self._stream.frames:
            return int(self._stream.frames)
        if self._container.duration:
            return max(1, round(self._container.duration / 1e6 * self.rate))
        return None


class VideoWriter:
    """Writes frames with their own timestamps; H.264 where FFmpeg has it, VP9 in a `.webm`.

    An `.avi`, of MPEG-4, has frames at one distance alone: each is set at the nearest free place.

    Some kinds of file cannot hold a long pause between two frames. It is cut to the longest that
    they hold, and all frames after it come earlier by as much.

    Args:
        path: a file with one of `VIDEO_SUFFIXES`.
        rate: frames per second that players may expect.

    Attributes:
        longest_pause_s: seconds that may lie between two frames; None where any may, as in `.mkv`
            and `.webm`.
        num_cut: pauses that were cut so far.
        cut_s: seconds that were cut so far.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: the suffix is another.
    """

    def __init__(self, path: str | os.PathLike, rate: float) -> None:
        av = _pyav()
        suffix = pathlib.Path(path).suffix.lower()
        if suffix not in VIDEO_SUFFIXES:
            raise InvalidValueError(
                f"Expected a name that ends in one of {', '.join(VIDEO_SUFFIXES)}. "
                f"Received: {str(path)!r}"
            )
        self._rate = fractions.Fraction(min(rate, _HIGHEST_RATE)).limit_denominator(1001)
        self._tick_s = fractions.Fraction(1, _TICKS_PER_S)
        if suffix == ".avi":
            self._tick_s = 1 / max(self._rate, fractions.Fraction(1))
        self._longest = _LONGEST_PAUSES.get(suffix)
        self.longest_pause_s = (
            None if self._longest is None else float(self._longest * self._tick_s)
        )
        self.num_cut = self._cut = 0
        self._container = av.open(os.fspath(path), "w")
        self._codec = _codec_for(suffix, av.codecs_available)
        self._stream: Any = None
        self._last = -1

    @property
    def cut_s(self) -> float:
        """Seconds that were cut so far."""
        return float(self._cut * self._tick_s)

    def write(self, pixels: np.ndarray, seconds: float) -> None:
        """Add a frame.

        Args:
            pixels: uint8 `(height, width, 3)` RGB, of one size for all frames.
            seconds: when it is shown, later than the frame before.
        """
        av = _pyav()
        pixels = _even(pixels)
        if self._stream is None:
            self._stream = self._container.add_stream(self._codec, rate=self._rate)
            self._stream.height, self._stream.width = pixels.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = self._tick_s
            if self._codec == "libx264":
                self._stream.options = {"preset": "veryfast", "crf": "23"}
            elif self._codec == "mpeg4":  # by itself 200 kbit/s, whatever the size
                per_s = max(1, self._rate) * pixels.shape[0] * pixels.shape[1]
                self._stream.bit_rate = int(_MPEG4_BITS_PER_PIXEL * per_s)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts, frame.time_base = self._place(seconds), self._tick_s
        self._container.mux(self._stream.encode(frame))

    def _place(self, seconds: float) -> int:
        """Return the tick of the next frame, after the last one and no longer pause."""
        tick = max(round(seconds / self._tick_s) - self._cut, self._last + 1)
        if self._longest is not None and self._last >= 0 and tick - self._last > self._longest:
            self._cut += tick - self._last - self._longest
            self.num_cut += 1
            tick = self._last + self._longest
        self._last = tick
        return tick

    def close(self) -> None:
        """Write what is left and the index."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def _pyav() -> Any:
    try:
        import av
        import av.error
    except ImportError as error:
        raise MissingPackageError(
            "Videos are read and written with PyAV, which is not installed: "
            "pip install 'keras-hkd[video]'"
        ) from error
    return av


def _cameras() -> str:
    """Which cameras there are, where the system shows them as files."""
    if sys.platform != "linux":
        return ""
    found = sorted(str(path) for path in pathlib.Path("/dev").glob("video*"))
    return f", of {', '.join(found)}," if found else " (this machine has no /dev/video*)"


def _require_content(path: pathlib.Path) -> None:
    if not path.is_file():
        raise MissingFileError(f"Expected a video file. Received: {str(path)!r}, which is none")
    if not path.stat().st_size:
        raise InvalidValueError(f"Expected a video file. Received: {str(path)!r}, which is empty")


def _codec_for(suffix: str, available: set[str]) -> str:
    wanted = {".webm": ("libvpx-vp9", "libvpx"), ".avi": ()}.get(suffix, ("libx264", "libopenh264"))
    return next((name for name in wanted if name in available), "mpeg4")


def _upright(frame: Any) -> np.ndarray:
    """Return the pixels, turned as the file says that they are to be shown."""
    pixels = frame.to_ndarray(format="rgb24")
    quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def _resized(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BILINEAR))


def _even(pixels: np.ndarray) -> np.ndarray:
    """Repeat the last row and column where their number is odd: chroma has half the size."""
    odd = [(0, side % 2) for side in pixels.shape[:2]]
    return np.pad(pixels, [*odd, (0, 0)], mode="edge") if any(one[1] for one in odd) else pixels
