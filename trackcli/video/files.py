"""Video files, decoded by PyAV: upright RGB frames with their own times, and nothing lost without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from trackcli.errors import InputDataError
from trackcli.video.frames import Frame, FrameSource, LimitedWarnings, Warn, start_is_beyond
from trackcli.video.ledger import TimestampLedger
from trackcli.video.orientation import orientation_of

ASSUMED_FPS = 25.0
"""For the rare stream that has neither times nor a frame rate (raw elementary streams)."""

MAX_DECODER_THREADS = 4
"""More threads bring little, and each one holds a frame."""

EARLY_END_S, EARLY_END_PART = 1.0, 0.05
"""How many seconds, and which part of its length, a video may lack before that is worth a warning."""

CODECS_WITH_HIDDEN_PACKETS = frozenset({"vp8"})


def open_video(path: Path, *, start: int, end: int | None, warn: Warn) -> FrameSource:
    """Open a video file.

    Args:
        path: The file.
        start: First frame to give; the ones before are decoded and dropped, which is slow but exact.
        end: Frame to stop before; ``None`` for the last.
        warn: Takes one line per problem.

    Raises:
        InputDataError: if the file is empty, no video, or cannot be opened.
    """
    if path.stat().st_size == 0:
        raise InputDataError(f"'{path}' is empty; expected a video or an image; check that it was copied completely")
    try:
        container = _open_container(path)
    except (av.error.FFmpegError, OSError, UnicodeError) as error:
        raise InputDataError(
            f"'{path}' cannot be opened as a video ({getattr(error, 'strerror', error)}); expected a video file, an "
            "image, a folder of images or a pattern such as 'frames/*.jpg'"
        ) from error
    stream = picture_stream(container)
    if stream is None:
        container.close()
        raise InputDataError(f"'{path}' has no video stream that can be decoded; expected a video file")
    reader = VideoReader(path.name, container, stream, warn, reopen=lambda: _open_container(path))

    def frames() -> Iterator[Frame]:
        yield from reader.frames(start, end)
        reader.check_start(start)

    return FrameSource(
        path.name,
        frames(),
        fps=reader.fps,
        frame_count=reader.count_between(start, end),
        close=container.close,
        warn=warn,
    )


def _open_container(path: Path) -> Any:
    # An absolute path is never taken for a URL, and playlists may not reach out of this machine.
    return av.open(str(path.resolve()), options={"protocol_whitelist": "file"})


def picture_stream(container: Any) -> Any:
    """The first video stream that is no cover picture and that can be decoded; ``None`` if there is none."""
    for stream in container.streams.video:
        is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        if not is_cover and stream.codec_context is not None:
            return stream
    return None


def _packets(
    container: Any, stream: Any, on_break: Callable[[Exception], None], *, keeps_cut: bool = True
) -> Iterator[Any]:
    """The stream's packets, the last one empty so that the decoder hands over what it still holds.

    Where the file or the connection breaks off, ``on_break`` is told; the packet that was cut there is left out unless
    ``keeps_cut``.
    """
    packets = container.demux(stream)
    held: Any = None
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError, OSError) as error:
            if held is not None and (keeps_cut or isinstance(error, StopIteration)):
                yield held
            if not isinstance(error, StopIteration):
                on_break(error)
                yield av.Packet()
            return
        if held is not None:
            yield held
            held = None
        if packet.size and packet.is_corrupt:
            held = packet
        elif packet.size or packet.dts is None:
            yield packet


@dataclass(frozen=True)
class _Slot:
    """A place in the numbering: a decoded picture, or ``None`` for a lost one; the time as in the stream."""

    timestamp: int | None
    picture: Any


class VideoReader:
    """Numbers, times and converts what the decoder gives.

    Args:
        name: What to call the video in messages.
        container: It, open.
        stream: Its stream of pictures.
        warn: Takes one line per problem.
        reopen: Opens it once more, to decode its end again where frames were lost; ``None`` if that cannot be done.

    Attributes:
        fps: Mean frames per second, if the container knows.
        count: How many frames :meth:`frames` has come past, those before ``start`` too.
        broke_off: What ended the reading before the end, once :meth:`frames` has stopped; ``None`` at a regular end.
    """

    def __init__(
        self, name: str, container: Any, stream: Any, warn: Warn, *, reopen: Callable[[], Any] | None = None
    ) -> None:
        self._name = name
        self._container = container
        self._stream = stream
        self._warn = warn
        self._reopen = reopen
        self.count = 0
        self.broke_off: Exception | None = None
        self._warn_of_frame = LimitedWarnings(warn)
        self._discarded = 0
        # AVI stores no presentation times: what FFmpeg gives are numbers in decoding order.
        self._has_timestamps = container.format.name != "avi"
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        self.fps = float(rate) if rate else None
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = MAX_DECODER_THREADS

    @property
    def _promised(self) -> int:
        """How many frames the container's header promises; 0 if it does not say."""
        return int(self._stream.frames)

    def count_between(self, start: int, end: int | None) -> int | None:
        """How many frames from ``start`` to before ``end`` there should be, if the container knows."""
        if not self._promised:
            return None
        return max(0, min(self._promised, self._promised if end is None else end) - start)

    def frames(self, start: int, end: int | None) -> Iterator[Frame]:
        """Frames from ``start`` to before ``end``."""
        clock = _Clock(self._stream.time_base, self.fps)
        latest_s = 0.0
        for index, slot in enumerate(self._slots()):
            if end is not None and index >= end:
                return
            self.count = index + 1
            time_s = clock.seconds(index, slot.timestamp)
            latest_s = time_s
            if index >= start:
                yield Frame(index, time_s, self._image(index, slot.picture))
        if self.broke_off is None or self._reopen is not None:  # what a stream lacks is said by who connects again
            self._warn_of_early_end(self.count, latest_s)

    def check_start(self, start: int, *, before: int = 0) -> None:
        """Once all has been read: whether there was a frame ``start``.

        Args:
            start: Its number.
            before: How many frames came before the first of this container.

        Raises:
            InputDataError: if it regularly ended before.
        """
        if 0 < self.count <= start - before and self.broke_off is None:
            raise start_is_beyond(start, self._name, before + self.count)

    def _warn_of_early_end(self, count: int, latest_s: float) -> None:
        """Compare what was read with what the header promises: frames if it counts them, else seconds."""
        if self._promised:
            if count + self._discarded < self._promised:
                self._warn(
                    f"'{self._name}' ends early: its header promises {self._promised} frames, {count} could be read"
                )
            return
        promised_s = (self._container.duration or 0) / av.time_base
        # Sound may be a little longer than the picture; that is no loss.
        if promised_s - latest_s > max(EARLY_END_S, EARLY_END_PART * promised_s):
            self._warn(
                f"'{self._name}' ends early: its header promises {promised_s:.1f} s, {count} frames up to "
                f"{latest_s:.1f} s could be read"
            )

    def _image(self, index: int, picture: Any) -> NDArray[np.uint8] | None:
        if picture is None:
            self._warn_of_frame(f"frame {index} of '{self._name}' is unreadable: the decoder gave no picture")
            return None
        if picture.is_corrupt:
            self._warn_of_frame(f"frame {index} of '{self._name}' is damaged; what could be decoded of it is used")
        image = cast("NDArray[np.uint8]", picture.to_ndarray(format="rgb24"))
        return orientation_of(picture).apply(image)

    def _slots(self) -> Iterator[_Slot]:
        """Pictures in the order in which they are shown, with a gap for each one that was lost."""
        ledger = TimestampLedger(hides_packets=self._stream.codec_context.name in CODECS_WITH_HIDDEN_PACKETS)
        for packet in _packets(self._container, self._stream, self._note_break, keeps_cut=self._reopen is not None):
            owes = self._has_timestamps and packet.pts is not None
            if packet.is_discard:
                self._discarded += 1
            elif owes:
                # A damaged key frame is not recognised as one, but where the header counts frames, the first is one.
                ledger.sent(packet.pts, can_open=packet.is_keyframe or bool(self._promised))
            try:
                pictures = self._stream.codec_context.decode(packet)
            except av.error.FFmpegError:
                ledger.failed()
                if packet.size and not owes:
                    yield _Slot(None, None)
                continue
            for picture in pictures:
                yield from self._with_lost_before(picture, ledger)
        for picture in self._decode_again(ledger.owed):
            yield from self._with_lost_before(picture, ledger)
        yield from (_Slot(timestamp, None) for timestamp in ledger.finished())

    def _note_break(self, error: Exception) -> None:
        self.broke_off = error

    def _decode_again(self, owed: list[int]) -> Iterator[Any]:
        """Decode the end once more, in one thread, for the frames that are still owed.

        A decoder with several threads that meets an error among its last frames keeps the good ones after it.
        """
        if not owed or self._reopen is None:
            return
        with self._reopen() as container:
            stream = container.streams[self._stream.index]
            stream.thread_type = "NONE"
            with suppress(av.error.FFmpegError):  # a container without an index: decode it all
                container.seek(owed[0], stream=stream)
            for packet in _packets(container, stream, lambda error: None):
                with suppress(av.error.FFmpegError):
                    yield from (picture for picture in stream.codec_context.decode(packet) if picture.pts in owed)

    def _with_lost_before(self, picture: Any, ledger: TimestampLedger) -> Iterator[_Slot]:
        if not self._has_timestamps or picture.pts is None:
            yield _Slot(None, picture)
            return
        if ledger.is_late(picture.pts):  # its number was given to a frame without a picture
            return
        for timestamp in ledger.received(picture.pts, is_interlaced=bool(picture.interlaced_frame)):
            yield _Slot(timestamp, None)
        yield _Slot(picture.pts, picture)


class _Clock:
    """Seconds since the first frame, from timestamps where there are some; never running backwards."""

    def __init__(self, time_base: Any, fps: float | None) -> None:
        self._time_base = time_base
        self._seconds_per_frame = 1.0 / (fps or ASSUMED_FPS)
        self._first: int | None = None
        self._latest_s = 0.0

    def seconds(self, index: int, timestamp: int | None) -> float:
        """Time of frame ``index``."""
        if timestamp is None or self._time_base is None:
            seconds = index * self._seconds_per_frame
        else:
            self._first = timestamp if self._first is None else self._first
            # Rounded to whole microseconds: sums of binary fractions print badly.
            seconds = round(float((timestamp - self._first) * self._time_base), 6)
        self._latest_s = max(self._latest_s, seconds)
        return self._latest_s
