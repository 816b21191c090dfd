"""Writing a video that any browser plays, and that is whole however the program ends."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import TrackcliError, UsageError
from trackcli.signals import signals_held

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv")

_ENCODERS = ("libx264", "h264", "libopenh264")
_TICKS_PER_SECOND = 90_000  # divides evenly by 24, 25, 30, 60 and (×1001) their NTSC relatives
_BT709 = 1  # the number that H.264 and FFmpeg give to ITU-R BT.709, for matrix, primaries and transfer alike

LARGEST_SIDE = 16384
"""Pixels; libx264 takes no more."""


class VideoSink:
    """An H.264 video: yuv420p, even size, index at the front (fast start), frame times kept.

    It is written beside the target under a name that nothing else has, ``NAME.….part.mp4``, and renamed in
    :meth:`close`, so the final name never holds a broken file. Use it as a context manager: leaving the block, also
    through Ctrl-C or an error, closes it.

    Args:
        path: The video to write; an existing one is replaced. The suffix chooses the container.
        fps: Frames per second, for frames that come without a time.
        size_wh: Width and height in pixels; odd ones grow by one, frames of another size are fitted in with black
            bars.

    Raises:
        UsageError: if the suffix is none of ``VIDEO_SUFFIXES``, the file cannot be created, or this build of PyAV has
            no H.264 encoder.

    Example:
        >>> with VideoSink(Path("out.mp4"), fps=25, size_wh=(640, 480)) as sink:
        ...     sink.write(image)
    """

    def __init__(self, path: Path, fps: float, size_wh: tuple[int, int]) -> None:
        check_video_path(path)
        self.path = path
        self._part = path.with_name(f"{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
        self._size_wh = (size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2)
        self._fps = fps
        self._count = 0
        self._first_s = 0.0
        self._latest_tick = -1
        self._open: Any = None
        encoder = h264_encoder()
        try:
            self._open = av.open(str(self._part.absolute()), "w", options=_container_options(path))
            self._stream = self._add_stream(encoder)
            # PyAV would create the file with the first frame; a folder that is missing should be noticed before.
            self._open.start_encoding()
        except (av.error.FFmpegError, OSError) as error:
            self._part.unlink(missing_ok=True)
            too_large = max(self._size_wh) > LARGEST_SIDE
            remedy = (
                f"H.264 takes sides of at most {LARGEST_SIDE} pixels; make the pictures smaller, or leave the video out"
                if too_large
                else "choose a folder that exists and is writable"
            )
            raise UsageError(
                f"video '{path}' of {self._size_wh[0]}x{self._size_wh[1]} pixels cannot be written: "
                f"{getattr(error, 'strerror', error)}; {remedy}"
            ) from error

    def _add_stream(self, encoder: str) -> Any:
        rate = Fraction(self._fps).limit_denominator(1001)
        stream = self._open.add_stream(encoder, rate=rate, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height = self._size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS_PER_SECOND)
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        return stream

    def write(self, image: NDArray[np.uint8], time_s: float | None = None) -> None:
        """Append a frame.

        Args:
            image: ``(H, W, 3)`` uint8, RGB.
            time_s: When it is shown, in seconds on any clock that does not run backwards; ``None`` for one frame
                after the other at the sink's rate. Give it for all frames or for none.

        Raises:
            TrackcliError: if the disk is full; nothing is left then.
        """
        frame = av.VideoFrame.from_ndarray(fit_image(image, self._size_wh), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=_BT709)
        frame.pts = self._next_tick(time_s)
        frame.time_base = Fraction(1, _TICKS_PER_SECOND)
        with signals_held(), self._given_up_on_failure():
            self._open.mux(self._stream.encode(frame))

    def _next_tick(self, time_s: float | None) -> int:
        if self._count == 0:
            self._first_s = time_s or 0.0
        seconds = self._count / self._fps if time_s is None else time_s - self._first_s
        self._count += 1
        # Two frames at one time would be refused by the container.
        self._latest_tick = max(self._latest_tick + 1, round(seconds * _TICKS_PER_SECOND))
        return self._latest_tick

    def close(self) -> None:
        """Finish the file and give it its name; without a single frame nothing is left. Closing twice is fine.

        Raises:
            TrackcliError: if the disk is full; nothing is left then.
        """
        if self._open is None:
            return
        with signals_held(), self._given_up_on_failure():
            if self._count:
                self._open.mux(self._stream.encode(None))
            self._open.close()
            self._open = None
            if self._count:
                self._part.replace(self.path)
            else:
                self._part.unlink(missing_ok=True)

    @contextmanager
    def _given_up_on_failure(self) -> Iterator[None]:
        """Without room for all of it there is no playable video: remove the part, free its room, and say why."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            remedy = f"the whole video is in '{self._part}'"
            if self._open is not None:  # else it is whole, and only its last name is refused
                container, self._open = self._open, None
                with suppress(av.error.FFmpegError, OSError):
                    container.close()
                self._part.unlink(missing_ok=True)
                remedy = "make room, or choose another place, and run again"
            raise TrackcliError(
                f"writing video '{self.path}' failed: {getattr(error, 'strerror', None) or error}; {remedy}"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_video_path(path: Path) -> None:
    """Refuse a file name that no video can be written to, before anything is computed.

    Raises:
        UsageError: if the suffix is none of ``VIDEO_SUFFIXES``.
    """
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise UsageError(f"video '{path}' has an unknown suffix; expected one of {', '.join(VIDEO_SUFFIXES)}")


def fit_image(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring an image to a size: unchanged, one pixel of edge repeated to make it even, or scaled between black bars.

    Args:
        image: ``(H, W, 3)`` uint8.
        size_wh: Width and height to reach, in pixels.

    Returns:
        ``(H', W', 3)`` uint8 of that size; the given image itself where it fits.
    """
    width, height = size_wh
    missing_x, missing_y = width - image.shape[1], height - image.shape[0]
    if missing_x == missing_y == 0:
        return image
    if missing_x in {0, 1} and missing_y in {0, 1}:
        padded = cv2.copyMakeBorder(image, 0, missing_y, 0, missing_x, cv2.BORDER_REPLICATE)
        return cast("NDArray[np.uint8]", padded)
    scale = min(width / image.shape[1], height / image.shape[0])
    inner_wh = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - inner_wh[0]) // 2, (height - inner_wh[1]) // 2
    fitted = np.zeros((height, width, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted[top : top + inner_wh[1], left : left + inner_wh[0]] = cv2.resize(image, inner_wh, interpolation=method)
    return fitted


def _container_options(path: Path) -> dict[str, str]:
    return {} if path.suffix.lower() == ".mkv" else {"movflags": "+faststart"}


def h264_encoder() -> str:
    """The encoder that videos are written with: the first of those known that this build of PyAV has.

    Raises:
        UsageError: if it has none.
    """
    for name in _ENCODERS:
        if name in av.codec.codecs_available:
            return name
    raise UsageError("this build of PyAV has no H.264 encoder; expected libx264; reinstall it with 'pip install av'")
