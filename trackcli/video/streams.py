"""Video from an address or a camera: time-outs, a bounded number of reconnects, and no secret in any message."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import av

from trackcli.errors import InputDataError, UsageError
from trackcli.redaction import redact, redact_url
from trackcli.video.background import Background
from trackcli.video.files import VideoReader, picture_stream
from trackcli.video.frames import Frame, FrameSource, StreamSettings, Warn
from trackcli.video.images import quiet_opencv

PROTOCOLS = {
    "http": "http,https,tcp,tls,crypto",
    "https": "http,https,tcp,tls,crypto",
    "rtsp": "rtsp,rtp,srtp,udp,tcp,tls,crypto",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls,crypto",
    "rtmp": "rtmp,rtmps,tcp,tls,crypto",
    "rtmps": "rtmp,rtmps,tcp,tls,crypto",
    "udp": "udp",
    "rtp": "rtp,udp",
    "srt": "srt",
    "tcp": "tcp",
}
"""Schemes of addresses, and what FFmpeg may use for each: a playlist from elsewhere must never read a local file."""

HIGHEST_FPS = 1000.0
"""What claims more has told the ticks of its clock."""


@dataclass(frozen=True)
class _Opened:
    """The first thing the thread says: what is known about the stream, and whether it waits for who reads it."""

    fps: float | None
    frame_count: int | None
    waits: bool


def open_stream(
    url: str, *, start: int, end: int | None, warn: Warn, settings: StreamSettings | None = None
) -> FrameSource:
    """Open a video behind an address.

    A video of known length (a file on a web server) gives the very frames that the file gives; after a lost connection
    it is read again and what was seen is passed over. A live stream goes on where it is: numbers continue, and times
    tell the gap. If it is faster than it is read, frames are dropped; their numbers are missing then.

    Args:
        url: Its scheme is one of :data:`PROTOCOLS`.
        start: First frame to give.
        end: Frame to stop before; ``None`` for the last.
        warn: Takes one line per problem.
        settings: Time-outs and reconnects.

    Raises:
        UsageError: for another scheme.
        InputDataError: if it cannot be opened, or (while iterating) if it stalls or breaks off for good.
    """
    settings = settings or StreamSettings()
    scheme = url.partition(":")[0].lower()
    if scheme not in PROTOCOLS:
        raise UsageError(
            f"'{redact_url(url)}' has the scheme {scheme}; expected one of {', '.join(sorted(PROTOCOLS))}, or a path"
        )
    return _frame_source(_Stream(url, settings).items(start, end), redact_url(url), settings, warn)


def _frame_source(
    items: Iterator[_Opened | Frame | str], name: str, settings: StreamSettings, warn: Warn
) -> FrameSource:
    """Run a generator of frames in the background; it says :class:`_Opened` first, and warnings in between."""
    # FFmpeg's own time-outs come first, except while a name is looked up.
    patience_s = 3 * settings.timeout_s
    background = Background(
        items,
        patience_s=patience_s,
        silence=f"'{name}' gave nothing for {patience_s:g} s; check the source and the network, or raise --timeout",
    )
    iterator = iter(background)
    try:
        opened = next(iterator)
    except BaseException:
        background.close()
        raise
    assert isinstance(opened, _Opened)
    background.drop_oldest = not opened.waits
    background.patience_s = math.inf  # from here on FFmpeg and the cameras' drivers give up by themselves

    def frames() -> Iterator[Frame]:
        told = False
        for item in iterator:
            if isinstance(item, Frame):
                yield item
            elif isinstance(item, str):
                warn(item)
            if background.dropped and not told:
                told = True
                warn(f"'{name}' is faster than it is tracked: frames are left out; frame numbers and times tell which")

    return FrameSource(
        name, frames(), fps=opened.fps, frame_count=opened.frame_count, close=background.close, warn=warn
    )


def _pause_s(attempt: int) -> float:
    return float(min(2**attempt, 8))


class _Stream:
    """Connects, reads, and connects again."""

    def __init__(self, url: str, settings: StreamSettings) -> None:
        self._url = url
        self._name = redact_url(url)
        self._settings = settings

    def items(self, start: int, end: int | None) -> Iterator[_Opened | Frame | str]:
        """What :class:`_Opened` says, frames, and warnings."""
        container, failures, is_first = self._connect(), 0, True
        next_index, latest_s, latest_at = 0, 0.0, time.monotonic()
        while True:
            began, warnings = time.monotonic(), list[str]()
            with closing(container):
                reader, is_live = self._reader(container, warnings.append)
                if is_first:
                    count = None if is_live else reader.count_between(start, end)
                    yield _Opened(
                        reader.fps if reader.fps and reader.fps <= HIGHEST_FPS else None,
                        count,
                        not _never_ends(self._url, is_live),
                    )
                # A live stream begins anew; a file from its first frame, so that numbers stay true.
                offset = next_index if is_live else 0
                offset_s = latest_s + (time.monotonic() - latest_at) if is_live and not is_first else 0.0
                seen = 0 if is_live else next_index
                first = max(start - offset, seen, 0)
                if end is not None and end <= offset:
                    return
                for frame in reader.frames(first, None if end is None else end - offset):
                    yield from _taken(warnings)
                    next_index, latest_s, latest_at = (
                        frame.index + offset + 1,
                        frame.time_s + offset_s,
                        time.monotonic(),
                    )
                    yield Frame(frame.index + offset, latest_s, frame.image)
                yield from _taken(warnings)
                if is_live:
                    next_index = max(next_index, offset + reader.count)  # frames before --start are past as well
            is_first = False
            if (end is not None and next_index >= end) or (
                reader.broke_off is None and not _never_ends(self._url, is_live)
            ):
                reader.check_start(start, before=offset)
                return
            if is_live and time.monotonic() - began > 2 * self._settings.timeout_s:
                failures = 0
            yield from self._wait(reader.broke_off, failures)
            failures += 1
            while True:
                try:
                    container = self._connect()
                    break
                except InputDataError as error:
                    yield from self._wait(error, failures)
                    failures += 1

    def _wait(self, problem: Exception | None, failures: int) -> Iterator[str]:
        """Say what happened and pause, or give up."""
        reason = "it ended" if problem is None else self._reason(problem)
        if failures >= self._settings.reconnects:
            tried = f" after {failures} reconnects" if failures else ""
            raise InputDataError(
                f"'{self._name}' broke off{tried} ({reason}); check the source and the network, or be more patient "
                "with --timeout and --reconnects"
            ) from problem
        yield f"'{self._name}' broke off ({reason}); connecting again, {failures + 1} of {self._settings.reconnects}"
        time.sleep(_pause_s(failures))

    def _connect(self) -> Any:
        scheme = self._url.partition(":")[0].lower()
        options = {"protocol_whitelist": PROTOCOLS[scheme]}
        if scheme.startswith("rtsp"):
            options |= {"rtsp_transport": "tcp"}  # lost packets are lost frames
        timeout_s = self._settings.timeout_s
        try:
            return av.open(self._url, options=options, timeout=(timeout_s, timeout_s))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise InputDataError(
                f"'{self._name}' cannot be opened ({self._reason(error)}); expected a video stream or a video file "
                "behind this address; check it in a player"
            ) from error

    def _reader(self, container: Any, warn: Warn) -> tuple[VideoReader, bool]:
        stream = picture_stream(container)
        if stream is None:
            raise InputDataError(f"'{self._name}' has no video stream that can be decoded; expected a video")
        is_live = not container.duration and not stream.frames
        reader = VideoReader(self._name, container, stream, warn)
        if is_live:
            stream.thread_type = "SLICE"  # threads that work on whole frames hold several back
        return reader, is_live

    def _reason(self, error: Exception) -> str:
        if isinstance(error, InputDataError):
            cause = error.__cause__
            return self._reason(cause) if isinstance(cause, Exception) else str(error)
        if isinstance(error, av.error.ExitError):
            return f"no data for {self._settings.timeout_s:g} s"
        # FFmpeg's own text: the whole error would repeat the address.
        return redact(str(getattr(error, "strerror", None) or error))


def _taken(warnings: list[str]) -> Iterator[str]:
    while warnings:
        yield warnings.pop(0)


def _never_ends(url: str, is_live: bool) -> bool:
    """Whether a regular end is a lost connection: a camera's is; what comes over HTTP may just be short."""
    return is_live and not url.lower().startswith(("http:", "https:"))


def open_camera(
    number: int, *, start: int, end: int | None, warn: Warn, settings: StreamSettings | None = None
) -> FrameSource:
    """Open a camera of this machine.

    Args:
        number: The first one is 0.
        start: First frame to give; the ones before are dropped.
        end: Frame to stop before; ``None`` to go on until interrupted.
        warn: Takes one line per problem.
        settings: Time-outs and reconnects.

    Raises:
        InputDataError: if there is no such camera, or (while iterating) if it gives no frames any more.
    """
    settings = settings or StreamSettings()
    return _frame_source(_camera_items(number, start, end, settings), f"camera {number}", settings, warn)


def _camera_items(
    number: int, start: int, end: int | None, settings: StreamSettings
) -> Iterator[_Opened | Frame | str]:
    import cv2

    capture = _open_capture(number)
    try:
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        yield _Opened(fps if 0 < fps <= HIGHEST_FPS else None, None if end is None else end - start, waits=False)
        index, failures, began = 0, 0, time.monotonic()
        while end is None or index < end:
            is_read, image_bgr = capture.read()
            if is_read:
                failures = 0
                if index >= start:
                    time_s = round(time.monotonic() - began, 6)
                    yield Frame(index, time_s, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB))
                index += 1
            elif failures == settings.reconnects:
                raise InputDataError(f"camera {number} gives no frames any more; check that it is still plugged in")
            else:
                failures += 1
                yield f"camera {number} gave no frame; opening it again, {failures} of {settings.reconnects}"
                capture.release()
                time.sleep(_pause_s(failures - 1))
                capture.open(number)
    finally:
        capture.release()


def _open_capture(number: int) -> Any:
    """Open a camera without OpenCV's own lines about each way it tried."""
    import cv2

    with quiet_opencv():
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        capture.release()
        raise InputDataError(
            f"camera {number} cannot be opened; expected the number of a camera that is plugged in, that you may use "
            f"and that no other program uses (a file of that name: ./{number})"
        )
    return capture
